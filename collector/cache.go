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

// A cache keeps what was worked out from headers. Each key has two places, found
// by a hash with a secret seed, and where both are taken a newer entry replaces one
// of them: however many different headers a client makes up, memory stays bounded
// and one look-up costs the same. Two places, for with one each tenth of a few
// hundred usual keys would share it with another, and both be worked out each time.
// It is safe for concurrent use.
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

// of returns a key's places.
func (c *cache[V]) of(key []byte) (first, second *atomic.Pointer[cacheEntry[V]]) {
	h := maphash.Bytes(c.seed, key)
	return &c.places[h&(cacheEntries-1)], &c.places[h>>32&(cacheEntries-1)]
}

// find returns the value kept for key. The whole key is compared: equal hashes
// never give one visitor what was worked out for another.
func (c *cache[V]) find(key []byte) (V, bool) {
	first, second := c.of(key)
	if e := first.Load(); e != nil && e.key == string(key) {
		return e.value, true
	}
	if e := second.Load(); e != nil && e.key == string(key) {
		return e.value, true
	}
	var none V
	return none, false
}

// keep stores a copy of key with its value, which must not refer to memory of
// the request.
func (c *cache[V]) keep(key []byte, value V) {
	if len(key) > maxCacheKey {
		return
	}
	entry := &cacheEntry[V]{string(key), value}
	first, second := c.of(key)
	if first.Load() != nil && second.CompareAndSwap(nil, entry) {
		return
	}
	first.Store(entry)
}
