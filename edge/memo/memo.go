// SPDX-License-Identifier: Apache-2.0

// Package memo remembers what was worked out from bytes that requests repeat:
// header values, consent strings. Each Memo has a bound, which no client can move
// by making up new keys. It does no I/O and starts nothing.
package memo

import (
	"hash/maphash"
	"sync/atomic"
)

// Entries is how many entries a Memo holds, a power of two. Browsers of one site
// send a few hundred different header combinations.
const Entries = 4096

// A Memo keeps values by key. Each key has two places, found by a hash with a
// secret seed, and where both are taken a newer entry replaces one of them:
// however many different keys a client makes up, memory stays bounded and one
// look-up costs the same. Two places, for with one each tenth of a few hundred
// usual keys would share it with another, and both be worked out each time. It is
// safe for concurrent use.
type Memo[V any] struct {
	seed    maphash.Seed
	longest int
	places  []atomic.Pointer[entry[V]]
}

type entry[V any] struct {
	key   string
	value V
}

// New returns an empty Memo for keys of at most longest bytes. What is longer is
// worked out each time.
func New[V any](longest int) *Memo[V] {
	return &Memo[V]{seed: maphash.MakeSeed(), longest: longest, places: make([]atomic.Pointer[entry[V]], Entries)}
}

// of returns a key's places.
func (m *Memo[V]) of(key []byte) (first, second *atomic.Pointer[entry[V]]) {
	h := maphash.Bytes(m.seed, key)
	return &m.places[h&(Entries-1)], &m.places[h>>32&(Entries-1)]
}

// Find returns the value kept for key. The whole key is compared: equal hashes
// never give one visitor what was worked out for another.
func (m *Memo[V]) Find(key []byte) (V, bool) {
	first, second := m.of(key)
	if e := first.Load(); e != nil && e.key == string(key) {
		return e.value, true
	}
	if e := second.Load(); e != nil && e.key == string(key) {
		return e.value, true
	}
	var none V
	return none, false
}

// Keep stores a copy of key with its value, which must not refer to memory of
// the request. A key that is kept already gets the newer value.
func (m *Memo[V]) Keep(key []byte, value V) {
	if len(key) > m.longest {
		return
	}
	e := &entry[V]{string(key), value}
	first, second := m.of(key)
	for _, place := range [...]*atomic.Pointer[entry[V]]{first, second} {
		if old := place.Load(); old != nil && old.key == e.key {
			place.Store(e)
			return
		}
	}
	if first.Load() != nil && second.CompareAndSwap(nil, e) {
		return
	}
	first.Store(e)
}
