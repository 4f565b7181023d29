// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"hash/maphash"
	"sync/atomic"
)

// cacheEntries is how many entries a cache holds, a power of two. Browsers of
// one site send a few hundred different header combinations.
const cacheEntries = 4096

// maxCacheKey bounds a key. What is longer is worked out each time.
const maxCacheKey = 1024

// A cache keeps what was worked out from headers. Each key has one place, found
// by a hash with a secret seed, and a newer entry replaces the older one there:
// however many different headers a client makes up, memory stays bounded and
// one look-up costs the same. It is safe for concurrent use.
type cache[V any] struct {
	seed   maphash.Seed
	places []atomic.Pointer[cacheEntry[V]]
}

type cacheEntry[V any] struct {
	key   string
	value V
}

func newCache[V any]() *cache[V] {
	return &cache[V]{seed: maphash.MakeSeed(), places: make([]atomic.Pointer[cacheEntry[V]], cacheEntries)}
}

func (c *cache[V]) place(key []byte) *atomic.Pointer[cacheEntry[V]] {
	return &c.places[maphash.Bytes(c.seed, key)&(cacheEntries-1)]
}

// find returns the value kept for key. The whole key is compared: equal hashes
// never give one visitor what was worked out for another.
func (c *cache[V]) find(key []byte) (V, bool) {
	if e := c.place(key).Load(); e != nil && e.key == string(key) {
		return e.value, true
	}
	var none V
	return none, false
}

// keep stores a copy of key with its value, which must not refer to memory of
// the request.
func (c *cache[V]) keep(key []byte, value V) {
	if len(key) <= maxCacheKey {
		c.place(key).Store(&cacheEntry[V]{string(key), value})
	}
}
