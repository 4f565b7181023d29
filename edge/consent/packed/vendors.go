// SPDX-License-Identifier: Apache-2.0

package packed

import "iter"

// MaxVendor is the largest id of a vendor: 16 bits hold it.
const MaxVendor = 65535

// A Coding is how the ids of a list are written where it is not a bit for each.
type Coding uint8

// The codings.
const (
	// Fixed ids have 16 bits each (TCF, and older encoders of tcfcav1).
	Fixed Coding = iota
	// Fibonacci ids are differences in Fibonacci coding (the GPP's header and
	// tcfcav1): the sum of the Fibonacci numbers whose bits are set, the smallest
	// first, ended by a second 1.
	Fibonacci
)

// Vendors is a list of vendors' ids that stays where it was read. The zero value
// is the empty list.
type Vendors struct {
	s      string
	at     int // the first bit of the bit field or of the first entry
	max    int // of the bit field; 0 for ranges
	count  int // entries of ranges
	coding Coding
}

// Vendors reads a list with its head: the largest id, and whether a bit field or
// ranges follow. Ranges must ascend, not overlap and not pass the largest id.
func (r *Reader) Vendors(field string, coding Coding) Vendors {
	most := int(r.Uint(field, 16))
	if r.Bool(field) {
		v, last := r.ranges(field, coding, most)
		if coding == Fibonacci && last != most {
			r.Fail(BadRange, field) // or it is fixed ids that are read in the wrong coding
		}
		return v
	}
	v := Vendors{s: r.s, at: r.at, max: most}
	if r.end-r.at < most {
		r.Fail(Truncated, field)
		return Vendors{}
	}
	r.at += most
	return v
}

// Ranges reads a list of ranges without a head, of ids from 1 to most.
func (r *Reader) Ranges(field string, coding Coding, most int) Vendors {
	v, _ := r.ranges(field, coding, most)
	return v
}

// ranges also returns the largest id.
func (r *Reader) ranges(field string, coding Coding, most int) (v Vendors, last int) {
	v = Vendors{s: r.s, count: int(r.Uint(field, 12)), coding: coding}
	v.at = r.at
	c := newCursor(r.s, r.at)
	for range v.count {
		first, end, ok := c.entry(coding, last)
		if !ok {
			r.Fail(Truncated, field)
			return Vendors{}, 0
		}
		if first <= last || end < first || end > most {
			r.Fail(BadRange, field)
			return Vendors{}, 0
		}
		last = end
	}
	if r.OK() {
		r.at = c.at()
	}
	return v, last
}

// Has reports whether the vendor with the id is in the list. It walks ranges, at
// most 4,095 of them, and does not allocate.
func (v Vendors) Has(id int) bool {
	if v.count == 0 {
		return id >= 1 && id <= v.max && bitsAt(v.s, v.at+id-1, 1) == 1
	}
	c := newCursor(v.s, v.at)
	last := 0
	for range v.count {
		first, end, _ := c.entry(v.coding, last)
		if id <= end {
			return id >= first
		}
		last = end
	}
	return false
}

// All yields the first and the last id of each run of the list, in order, runs
// that touch joined.
func (v Vendors) All() iter.Seq2[int, int] {
	return func(yield func(first, last int) bool) {
		first, last := 0, -1 // of the run that is open
		for a, b := range v.pieces {
			if a == last+1 && first > 0 {
				last = b
				continue
			}
			if first > 0 && !yield(first, last) {
				return
			}
			first, last = a, b
		}
		if first > 0 {
			yield(first, last)
		}
	}
}

// pieces yields the list as it is written.
func (v Vendors) pieces(yield func(first, last int) bool) {
	for id := 1; id <= v.max; id++ {
		if bitsAt(v.s, v.at+id-1, 1) == 1 && !yield(id, id) {
			return
		}
	}
	c := newCursor(v.s, v.at)
	last := 0
	for range v.count {
		first, end, _ := c.entry(v.coding, last)
		if !yield(first, end) {
			return
		}
		last = end
	}
}

// List returns every id in order, an empty list for the empty list. It may have
// MaxVendor entries; the caller owns it.
func (v Vendors) List() []int {
	list := []int{}
	for first, last := range v.All() {
		for id := first; id <= last; id++ {
			list = append(list, id)
		}
	}
	return list
}

// IsRanges reports whether the list is written as ranges and not as a bit field.
func (v Vendors) IsRanges() bool { return v.count > 0 }
