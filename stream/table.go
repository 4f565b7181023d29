// SPDX-License-Identifier: Apache-2.0

package stream

import "encoding/binary"

// A table maps keys to group numbers in 25 to 42 bytes an entry, and stays so
// while entries come and go: Go's map takes up to 56 then. Open addressing,
// linear probing, deletion by moving back. Keys are hashes, so their own bits
// place them. The zero table is empty; the zero key, one hash of 2^128, must
// not be put.
type table struct {
	slots []slot
	used  int
}

type slot struct {
	key key
	seq uint32
}

const (
	tableMin  = 16
	tableLoad = 0.8 // past it a table grows by half
)

// home is where the search for k begins. The first byte chose the table, so
// the bytes behind it are used.
func (t *table) home(k key) int {
	return int(uint64(binary.LittleEndian.Uint32(k[4:])) * uint64(len(t.slots)) >> 32)
}

func (t *table) after(i int) int {
	if i++; i < len(t.slots) {
		return i
	}
	return 0
}

// place returns k's slot, or the free one where it would go. The table is not
// empty and has a free slot.
func (t *table) place(k key) int {
	i := t.home(k)
	for t.slots[i].key != k && t.slots[i].key != (key{}) {
		i = t.after(i)
	}
	return i
}

func (t *table) get(k key) (seq uint32, ok bool) {
	if t.used == 0 {
		return 0, false
	}
	s := &t.slots[t.place(k)]
	return s.seq, s.key == k
}

// put sets k's group and reports whether k is new.
func (t *table) put(k key, seq uint32) bool {
	if float64(t.used+1) > tableLoad*float64(len(t.slots)) {
		old := t.slots
		t.slots = make([]slot, max(tableMin, len(old)+len(old)/2))
		for _, s := range old {
			if s.key != (key{}) {
				t.slots[t.place(s.key)] = s
			}
		}
	}
	s := &t.slots[t.place(k)]
	fresh := s.key != k
	if fresh {
		t.used++
	}
	*s = slot{k, seq}
	return fresh
}

// remove empties k's slot.
func (t *table) remove(k key) {
	if t.used == 0 {
		return
	}
	if i := t.place(k); t.slots[i].key == k {
		t.empty(i)
	}
}

// empty frees slot i and moves back what was put behind it for want of it.
func (t *table) empty(i int) {
	t.used--
	for j := t.after(i); t.slots[j].key != (key{}); j = t.after(j) {
		// Slot j may fill the gap unless its home lies after the gap.
		if h := t.home(t.slots[j].key); !between(i, h, j) {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}

// between reports whether h is in the circular range (i, j].
func between(i, h, j int) bool {
	if i <= j {
		return i < h && h <= j
	}
	return i < h || h <= j
}

// sweep removes the entries that are dead and returns how many. One that a
// removal moves across the end of the table can be missed until the next time.
func (t *table) sweep(dead func(seq uint32) bool) (n int) {
	for i := 0; i < len(t.slots); i++ {
		for t.slots[i].key != (key{}) && dead(t.slots[i].seq) {
			t.empty(i)
			n++
		}
	}
	return n
}
