// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"math/bits"
	"time"
)

// A Reader reads the fields of one segment in order. The first fault stays:
// later reads return zero values, and Err tells it at the end. The zero value has
// nothing to read; Open gives it a segment.
type Reader struct {
	s       string
	at, end int // in bits
	code    Code
	field   string
}

// Open begins to read a segment, called name in errors. It looks at every
// character once.
func (r *Reader) Open(segment, name string) {
	*r = Reader{s: segment, end: len(segment) * 6}
	switch {
	case segment == "":
		r.Fail(Empty, name)
	case len(segment) > MaxBytes:
		r.Fail(TooLong, name)
	case !isBase64URL(segment):
		r.Fail(BadBase64, name)
	}
}

// Fail records what is wrong with a field, unless something was before.
func (r *Reader) Fail(code Code, field string) {
	if r.code == "" {
		r.code, r.field, r.end = code, field, r.at // nothing is left to read
	}
}

// OK reports whether nothing was wrong so far.
func (r *Reader) OK() bool { return r.code == "" }

// Err returns what was wrong first, nil for nothing.
func (r *Reader) Err() error {
	if r.code == "" {
		return nil
	}
	return &Error{Code: r.code, Field: r.field}
}

// Uint reads a number of n bits, at most 48.
func (r *Reader) Uint(field string, n int) uint64 {
	if r.end-r.at < n {
		r.Fail(Truncated, field)
		return 0
	}
	v := bitsAt(r.s, r.at, n)
	r.at += n
	return v
}

// Skip passes over n bits.
func (r *Reader) Skip(n int) {
	if r.end-r.at < n {
		r.Fail(Truncated, "")
		return
	}
	r.at += n
}

// Bool reads one bit.
func (r *Reader) Bool(field string) bool { return r.Uint(field, 1) == 1 }

// Letters reads two capitals of six bits each, 0 for A.
func (r *Reader) Letters(field string) [2]byte {
	v := r.Uint(field, 12)
	a, b := byte(v>>6), byte(v&63)
	if a > 'Z'-'A' || b > 'Z'-'A' {
		r.Fail(BadValue, field)
		return [2]byte{}
	}
	return [2]byte{'A' + a, 'A' + b}
}

// Time reads a moment in tenths of a second since the Unix epoch (36 bits). It
// is in UTC.
func (r *Reader) Time(field string) time.Time {
	return time.UnixMilli(int64(r.Uint(field, 36)) * 100).UTC()
}

// Set reads a bit for each of the ids 1 to n; n is at most 64.
func (r *Reader) Set(field string, n int) Set {
	if n > 32 {
		low := r.Set(field, 32)
		return low | r.Set(field, n-32)<<32
	}
	return Set(bits.Reverse64(r.Uint(field, n)) >> (64 - n) & (1<<n - 1))
}

// Close checks that nothing but padding follows the last field of a segment
// called name.
func (r *Reader) Close(name string) {
	rest := r.end - r.at
	switch {
	case r.code != "":
	case rest > maxPaddingBits:
		r.Fail(BadLength, name)
	case bitsAt(r.s, r.at, rest) != 0:
		r.Fail(BadPadding, name)
	}
}

// A Set is a set of ids from 1 to 64: id n has bit n-1. The zero value is empty.
type Set uint64

// Has reports whether id is in the set.
func (s Set) Has(id int) bool { return id >= 1 && id <= 64 && s>>(id-1)&1 == 1 }

// List returns the ids in order, an empty list for the empty set. The caller
// owns it.
func (s Set) List() []int {
	list := make([]int, 0, bits.OnesCount64(uint64(s)))
	for ; s != 0; s &= s - 1 {
		list = append(list, bits.TrailingZeros64(uint64(s))+1)
	}
	return list
}
