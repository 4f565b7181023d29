// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"iter"
	"math/bits"
)

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
		return r.Ranges(field, coding, most)
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
	v := Vendors{s: r.s, count: int(r.Uint(field, 12)), coding: coding}
	v.at = r.at
	last := 0
	for range v.count {
		first, end := r.entry(field, coding, last)
		if !r.OK() {
			return Vendors{}
		}
		if first <= last || end < first || end > most {
			r.Fail(BadRange, field)
			return Vendors{}
		}
		last = end
	}
	return v
}

// entry reads one id or range; last is the id before it.
func (r *Reader) entry(field string, coding Coding, last int) (first, end int) {
	isRange := r.Bool(field)
	if coding == Fibonacci {
		first = last + r.fibonacci(field)
		if end = first; isRange {
			end += r.fibonacci(field)
		}
		return first, end
	}
	first = int(r.Uint(field, 16))
	if end = first; isRange {
		end = int(r.Uint(field, 16))
	}
	return first, end
}

// fibonacciNumbers are those whose sums reach MaxVendor.
var fibonacciNumbers = [...]int{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765, 10946, 17711, 28657, 46368}

// maxFibonacciBits is how long a number up to MaxVendor is, with the 1 that ends it.
const maxFibonacciBits = len(fibonacciNumbers) + 1

// fibonacci reads one number, which is at least 1. One that cannot be an id is a
// fault.
func (r *Reader) fibonacci(field string) int {
	ahead := min(r.end-r.at, maxFibonacciBits)
	word := bitsAt(r.s, r.at, ahead) << (64 - ahead)
	pairs := word & (word << 1)
	if pairs == 0 && ahead < maxFibonacciBits {
		r.Fail(Truncated, field)
		return 0
	}
	if pairs == 0 {
		r.Fail(BadRange, field)
		return 0
	}
	last := bits.LeadingZeros64(pairs) // of the number's own bits; the next 1 ends it
	r.at += last + 2
	sum := 0
	for word = word >> (63 - last) << (63 - last); word != 0; {
		i := bits.LeadingZeros64(word)
		sum += fibonacciNumbers[i]
		word &^= 1 << (63 - i)
	}
	return sum
}

// Has reports whether the vendor with the id is in the list. It walks ranges, at
// most 4,095 of them, and does not allocate.
func (v Vendors) Has(id int) bool {
	if v.count == 0 {
		return id >= 1 && id <= v.max && bitsAt(v.s, v.at+id-1, 1) == 1
	}
	r := Reader{s: v.s, at: v.at, end: len(v.s) * 6}
	last := 0
	for range v.count {
		first, end := r.entry("", v.coding, last)
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
	r := Reader{s: v.s, at: v.at, end: len(v.s) * 6}
	last := 0
	for range v.count {
		first, end := r.entry("", v.coding, last)
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
