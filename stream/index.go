// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"time"

	"github.com/zeebo/xxh3"
)

// A key stands for what makes two events the same one: site and id, or site,
// name and transaction. It is a 128-bit hash: among four million remembered
// events the chance that any new one is mistaken for a repeat is 1e-32.
type key [16]byte

// A hasher makes keys. Its seed is the process's own, so nobody can send ids
// that fall together; its buffer makes it one goroutine's.
type hasher struct {
	seed uint64
	buf  []byte
}

// event returns the key of an event's id.
func (h *hasher) event(site, id string) key {
	h.buf = append(append(append(h.buf[:0], site...), 0, 'i'), id...)
	return xxh3.Hash128Seed(h.buf, h.seed).Bytes()
}

// transaction returns the key of a purchase or refund: the same transaction
// told twice, by the page and by the shop's server, has two ids.
func (h *hasher) transaction(site, name, txn string) key {
	h.buf = append(append(append(h.buf[:0], site...), 0, 't'), name...)
	h.buf = append(append(h.buf, 0), txn...)
	return xxh3.Hash128Seed(h.buf, h.seed).Bytes()
}

const (
	// remember is how long an event is recognised when it comes again.
	remember = 24 * time.Hour
	// generationSpan is the longest span of one generation.
	generationSpan = time.Hour
	// generationShare: a generation holds at most this part of the bound, so
	// that a full index forgets a sixteenth and not all.
	generationShare = 16
	indexShards     = 256
)

// An index remembers which events were taken in during the last day, and in
// which commit group each went. It holds at most max entries: past that the
// oldest generation is forgotten early. An entry takes 25 to 42 bytes, so the
// default bound of four million costs at most 170 MB, and a site with fewer
// events pays for those it has.
//
// Group numbers count up and wrap; they are compared by their difference. An
// index is not safe for concurrent use.
type index struct {
	shards [indexShards]table
	gens   []generation // oldest first, the last one is filling
	max    int
	live   int // entries in shards, the dead ones included
	dead   int // entries of forgotten generations, not yet swept
	sweep  int // the shard swept next

	early uint64 // entries forgotten before their day was over
}

// A generation is the run of groups from first up to the next generation's.
type generation struct {
	first  uint32
	opened time.Time
	count  int
}

func newIndex(max int) *index {
	return &index{max: max}
}

// open prepares the index for entries of group seq, at time now. It must come
// before the first add of a group.
func (x *index) open(seq uint32, now time.Time) {
	if n := len(x.gens); n == 0 || now.Sub(x.gens[n-1].opened) >= generationSpan || x.gens[n-1].count >= max(1, x.max/generationShare) {
		x.gens = append(x.gens, generation{first: seq, opened: now})
	}
	for len(x.gens) > 1 && now.Sub(x.gens[1].opened) >= remember {
		x.forgetOldest()
	}
	if x.dead > 0 {
		x.sweepShard()
	}
}

// find returns the group that took in k.
func (x *index) find(k key) (seq uint32, ok bool) {
	seq, ok = x.shards[k[0]].get(k)
	if ok && len(x.gens) > 0 && int32(seq-x.gens[0].first) < 0 {
		return 0, false
	}
	return seq, ok
}

// add remembers that group seq, the last one opened, took in k, which find
// does not know.
func (x *index) add(k key, seq uint32) {
	for x.live >= x.max && (x.dead > 0 || len(x.gens) > 1) {
		if x.dead == 0 {
			x.early += uint64(x.gens[0].count)
			x.forgetOldest()
		}
		x.sweepShard()
	}
	if x.shards[k[0]].put(k, seq) {
		x.live++
	} else {
		x.dead-- // its generation is forgotten and its place is taken over
	}
	x.gens[len(x.gens)-1].count++
}

// remove forgets that group seq took in k.
func (x *index) remove(k key, seq uint32) {
	if got, ok := x.shards[k[0]].get(k); !ok || got != seq {
		return
	}
	for i := len(x.gens) - 1; i >= 0; i-- {
		if int32(seq-x.gens[i].first) >= 0 {
			x.gens[i].count--
			x.shards[k[0]].remove(k)
			x.live--
			return
		}
	}
}

// forgetOldest makes find blind to the oldest generation, which is never the
// one being filled. Its entries are swept later, a shard at a time.
func (x *index) forgetOldest() {
	x.dead += x.gens[0].count
	x.gens = x.gens[1:]
}

// sweepShard frees the dead entries of one shard.
func (x *index) sweepShard() {
	first := x.gens[0].first
	n := x.shards[x.sweep].sweep(func(seq uint32) bool { return int32(seq-first) < 0 })
	x.sweep = (x.sweep + 1) % indexShards
	x.live -= n
	x.dead -= n
}
