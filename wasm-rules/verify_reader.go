// SPDX-License-Identifier: Apache-2.0

package wasmrules

import "fmt"

// A wasmReader reads b from the front. Its first error sticks, and everything
// read after it is empty.
type wasmReader struct {
	b   []byte
	err error
}

func (r *wasmReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *wasmReader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail("%d bytes wanted, %d left", n, len(r.b))
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *wasmReader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned LEB128 number of at most five bytes.
func (r *wasmReader) u32() uint32 {
	var n uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > 1<<32-1 {
				break
			}
			return uint32(n)
		}
	}
	r.fail("number does not fit 32 bits")
	return 0
}

// skipNumber reads a LEB128 number of at most ten bytes.
func (r *wasmReader) skipNumber() {
	for range 10 {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("number does not fit 64 bits")
}

// count reads how many elements follow. Each takes at least a byte, so more
// than the bytes left is a lie.
func (r *wasmReader) count(what string, most int) uint32 {
	n := r.u32()
	if uint64(n) > uint64(most) || uint64(n) > uint64(len(r.b)) {
		r.fail("%d %s, at most %d and %d bytes left", n, what, most, len(r.b))
		return 0
	}
	return n
}

func (r *wasmReader) vector(what string, most int, element func(i int)) {
	n := int(r.count(what, most))
	for i := 0; i < n && r.err == nil; i++ {
		element(i)
	}
}

func (r *wasmReader) limits(what string, most uint32) {
	flags, least := r.byte(), r.u32()
	if flags > 1 {
		r.fail("%s of kind %d", what, flags)
	}
	if flags == 1 {
		r.u32()
	}
	if least > most {
		r.fail("%s begins at %d, at most %d", what, least, most)
	}
}

// active reads the head of a segment that is placed at instantiation; passive
// segments can be dropped, which nothing puts back.
func (r *wasmReader) active() {
	if r.u32() != 0 {
		r.fail("a segment that is not active in memory or table 0")
	}
	r.constant()
}

// constant reads an initialiser: one constant instruction and its end.
func (r *wasmReader) constant() {
	switch op := r.byte(); op {
	case 0x41, 0x42: // i32.const, i64.const
		r.skipNumber()
	case 0x43: // f32.const
		r.take(4)
	case 0x44: // f64.const
		r.take(8)
	case 0x23: // global.get
		r.u32()
	default:
		r.fail("initialiser with instruction %#x", op)
	}
	if r.byte() != 0x0b {
		r.fail("initialiser without an end")
	}
}

// body reads one function's size and locals; its instructions stay unread.
func (r *wasmReader) body() {
	size := r.u32()
	if size > maxBodyBytes {
		r.fail("function body of %d bytes, at most %d", size, maxBodyBytes)
	}
	body := &wasmReader{b: r.take(size)}
	var locals uint64
	body.vector("groups of locals", maxLocals, func(int) {
		locals += uint64(body.u32())
		body.byte()
	})
	if locals > maxLocals {
		body.fail("%d locals, at most %d", locals, maxLocals)
	}
	if body.err != nil {
		r.fail("%w", body.err)
	}
}
