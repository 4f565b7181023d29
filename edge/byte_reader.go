// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"math"
	"time"
)

// A byteReader reads b from the front. What is read after the end is zero, and sets
// bad. It moves a place, and not b: to store a slice is to store three words, and the
// collector must be told of the first.
type byteReader struct {
	b   []byte
	at  int // 0 to len(b)
	bad bool
}

// left is how many bytes there are still.
func (r *byteReader) left() int { return len(r.b) - r.at }

// fail notes that what was read cannot be.
func (r *byteReader) fail(is bool) {
	if is {
		r.bad, r.at = true, len(r.b)
	}
}

// take reads n bytes; they are a view of b.
func (r *byteReader) take(n int) []byte {
	if n > r.left() {
		r.fail(true)
		return nil
	}
	b := r.b[r.at : r.at+n]
	r.at += n
	return b
}

func (r *byteReader) byte() byte {
	if r.at >= len(r.b) {
		r.bad = true
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

func (r *byteReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *byteReader) uvarint() uint64 {
	if b, at := r.b, r.at; at >= 0 && at < len(b)-1 { // most are small
		if b[at] < 0x80 {
			r.at = at + 1
			return uint64(b[at])
		}
		if b[at+1] < 0x80 {
			r.at = at + 2
			return uint64(b[at]&0x7f) | uint64(b[at+1])<<7
		}
	}
	n, size := binary.Uvarint(r.b[r.at:])
	r.advance(size)
	return n
}

func (r *byteReader) varint() int64 {
	n, size := binary.Varint(r.b[r.at:])
	r.advance(size)
	return n
}

// advance passes over a varint of a size, which is 0 or less for none.
func (r *byteReader) advance(size int) {
	r.fail(size <= 0)
	r.at += max(size, 0)
}

func (r *byteReader) uint32Varint() uint32 {
	n := r.uvarint()
	r.fail(n > math.MaxUint32)
	return uint32(n)
}

// text reads a text; it is a view of b.
func (r *byteReader) text() string { return textOf(r.take(int(r.byte()))) }

func (r *byteReader) time() time.Time {
	seconds := r.uint32()
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
