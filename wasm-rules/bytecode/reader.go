// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"fmt"
	"unicode/utf8"
)

// A reader reads the module b from at to end. Its first error sticks; after it
// nothing is left to read and every number is 0.
type reader struct {
	b        []byte
	at, end  int
	section  string
	function int
	err      *Error
}

// fail keeps the first error. Nothing is left to read after it.
func (r *reader) fail(at int, code, format string, args ...any) {
	if r.err != nil {
		return
	}
	r.err = &Error{Code: code, Section: r.section, Offset: at, Function: r.function, What: fmt.Sprintf(format, args...)}
	r.at = r.end
}

// left is how many bytes can still be read.
func (r *reader) left() int { return r.end - r.at }

// take reads n bytes, which stay part of the module.
func (r *reader) take(n uint32, what string) []byte {
	if uint64(n) > uint64(r.left()) {
		r.fail(r.at, CodeTruncated, "%s of %d bytes where %d are left", what, n, r.left())
		return nil
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) byte() byte {
	if r.at >= r.end {
		r.fail(r.at, CodeTruncated, "the bytes end in the middle")
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	if r.at < r.end && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1])
	}
	at := r.at
	var n uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n>>32 != 0 {
				break
			}
			return uint32(n)
		}
	}
	r.fail(at, CodeNumber, "a number that does not fit 32 bits")
	return 0
}

// signed reads a signed LEB128 number of so many bits, at most 64.
func (r *reader) signed(bits int) int64 {
	at := r.at
	var n int64
	for shift := 0; shift < bits; shift += 7 {
		b := r.byte()
		n |= int64(b&0x7f) << shift
		if b >= 0x80 {
			continue
		}
		if left := bits - shift; left < 7 {
			// The bits past the last one repeat it.
			if rest := int8(b<<1) >> left; rest != 0 && rest != -1 {
				break
			}
		}
		if shift+7 < 64 && b&0x40 != 0 {
			n |= -1 << (shift + 7)
		}
		return n
	}
	r.fail(at, CodeNumber, "a number that does not fit %d bits", bits)
	return 0
}

// count reads how many parts follow. Each takes a byte or more, so more parts
// than bytes are a lie, whatever the limit.
func (r *reader) count(b *budget, which limit) int {
	at := r.at
	n := r.u32()
	if !b.use(r, which, uint64(n), at) {
		return 0
	}
	return r.fits(at, n, limitRows[which].what)
}

func (r *reader) fits(at int, n uint32, what string) int {
	if uint64(n) > uint64(r.left()) {
		r.fail(at, CodeCount, "%d %s promised where %d bytes are left", n, what, r.left())
		return 0
	}
	return int(n)
}

// name reads a length and so many bytes of UTF-8.
func (r *reader) name() string {
	at := r.at
	b := r.take(r.u32(), "a name")
	if !utf8.Valid(b) {
		r.fail(at, CodeName, "a name that is not UTF-8")
	}
	return string(b)
}
