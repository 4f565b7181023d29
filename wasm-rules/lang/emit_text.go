// SPDX-License-Identifier: Apache-2.0

package lang

import "encoding/binary"

// A text is an i64: where its bytes are, from the record, in the low half, how
// many above. foldBit says that A to Z are to be read as a to z, so that
// lowerAscii copies nothing.
const foldBit = -1 << 63

// maxInline is the longest text that is compared in place; longer ones call.
const maxInline = 32

// inline reports whether a text is a constant that is compared in place.
func inline(n *node) bool { return n.isConst() && len(n.text) <= maxInline }

// folds reports whether a text may have foldBit.
func folds(n *node) bool {
	switch n.op {
	case opLower:
		return true
	case opCond:
		return folds(n.args[1]) || folds(n.args[2])
	case opGuard:
		return folds(n.args[0])
	}
	return false
}

// equalText pushes whether two texts are the same.
func (e *emitter) equalText(x, y *node, l label) {
	if !inline(y) || folds(x) {
		e.value(x, l)
		e.value(y, l)
		e.call(helpEqual)
		return
	}
	text := e.local(typeI64)
	e.value(x, l)
	e.set(text)
	e.sameAs(text, y.text)
	e.release(text)
}

// sameAs pushes whether the text in a local is s, without a branch: its length
// and its bytes, eight at a time. Loads may reach behind the text, never behind
// the memory.
func (e *emitter) sameAs(text int, s string) {
	e.length(text)
	e.i64(int64(len(s)))
	if s == "" {
		e.op(i64Eq)
		return
	}
	e.op(i64Xor)
	e.differ(s, func() {
		e.get(text)
		e.op(i32Wrap)
	})
	e.op(i64Or, i64Eqz)
}

func (e *emitter) length(text int) {
	e.get(text)
	e.i64(32)
	e.op(i64ShrU)
}

// differ pushes an i64 that is 0 if the bytes at an address are those of s, which
// is not empty.
func (e *emitter) differ(s string, address func()) {
	for i := 0; i < len(s); i += 8 {
		at := i
		if len(s) > 8 {
			at = min(i, len(s)-8)
		}
		address()
		e.bits(s[at:], at)
		e.i64(word(s[at:]))
		e.op(i64Xor)
		if i > 0 {
			e.op(i64Or)
		}
	}
}

// bits loads the first bytes of a text whose rest is s, at most eight.
func (e *emitter) bits(s string, offset int) {
	switch n := len(s); {
	case n >= 8:
		e.chunk(i64Load, offset)
	case n == 4:
		e.chunk(i64Load32, offset)
	case n == 2:
		e.chunk(i64Load16, offset)
	case n == 1:
		e.chunk(i64Load8, offset)
	default:
		e.chunk(i64Load, offset)
		e.i64(1<<(8*n) - 1)
		e.op(i64And)
	}
}

// word returns up to eight bytes as a little-endian number.
func word(s string) int64 {
	var b [8]byte
	copy(b[:], s)
	return int64(binary.LittleEndian.Uint64(b[:]))
}

// match pushes whether a text begins with, ends with or contains another.
func (e *emitter) match(o op, x, y *node, l label) {
	if o == opInside || !inline(y) || folds(x) {
		e.value(x, l)
		e.value(y, l)
		e.call(map[op]helper{opPrefix: helpPrefix, opSuffix: helpSuffix, opInside: helpInside}[o])
		return
	}
	text, length := e.local(typeI64), e.local(typeI64)
	n := int64(len(y.text))
	e.value(x, l)
	e.tee(text)
	e.i64(32)
	e.op(i64ShrU)
	e.set(length)
	e.differ(y.text, func() {
		e.get(text)
		if o == opPrefix {
			e.op(i32Wrap)
			return
		}
		// A text that is too short has its bytes looked at from the start, in
		// vain, rather than from before it.
		e.get(length)
		e.i64(n)
		e.op(i64Sub)
		e.i64(0)
		e.get(length)
		e.i64(n)
		e.op(i64GeU, wasmSelect, i64Add, i32Wrap)
	})
	e.op(i64Eqz)
	e.get(length)
	e.i64(n)
	e.op(i64GeU, i32And)
	e.release(text, length)
}

// oneOf pushes whether a value is one of some constants, which are sorted.
func (e *emitter) oneOf(n *node, l label) {
	x, constants := n.args[0], n.args[1:]
	if x.kind != kindText {
		e.oneNumber(x, constants, l)
		return
	}
	if folds(x) {
		e.eachEqual(x, constants, l)
		return
	}
	text, length, bytes := e.local(typeI64), e.local(typeI64), e.local(typeI64)
	e.value(x, l)
	e.tee(text)
	e.i64(32)
	e.op(i64ShrU)
	e.set(length)
	for i := 0; i < len(constants); {
		s := constants[i].text
		same := i + 1
		for same < len(constants) && len(constants[same].text) == len(s) {
			same++
		}
		if s == "" || len(s) > 8 {
			e.long(text, constants[i])
			same = i + 1
		} else {
			e.oneLength(text, length, bytes, constants[i:same])
		}
		if i > 0 {
			e.op(i32Or)
		}
		i = same
	}
	e.release(text, length, bytes)
}

// long pushes whether the text in a local is a constant of any length.
func (e *emitter) long(text int, constant *node) {
	if inline(constant) {
		e.sameAs(text, constant.text)
		return
	}
	e.get(text)
	e.value(constant, 0)
	e.call(helpEqual)
}

// oneLength pushes whether a text is one of some constants of one length.
func (e *emitter) oneLength(text, length, bytes int, constants []*node) {
	s := constants[0].text
	e.get(text)
	e.op(i32Wrap)
	e.bits(s, 0)
	e.set(bytes)
	if set, ok := letterPairs(constants); ok {
		e.inSet(length, bytes, set)
		return
	}
	for i, constant := range constants {
		e.get(bytes)
		e.i64(word(constant.text))
		e.op(i64Eq)
		if i > 0 {
			e.op(i32Or)
		}
	}
	e.get(length)
	e.i64(int64(len(s)))
	e.op(i64Eq, i32And)
}

// manyPairs is how many constants are better looked up than compared.
const manyPairs = 6

// letterPairs returns a set of texts of two capital letters, such as countries:
// a bit for each of 32 times 32 pairs.
func letterPairs(constants []*node) (set string, ok bool) {
	if len(constants) < manyPairs {
		return "", false
	}
	var bits [1024 / 8]byte
	for _, constant := range constants {
		s := constant.text
		if len(s) != 2 || s[0]&^0x1f != 0x40 || s[1]&^0x1f != 0x40 {
			return "", false
		}
		n := int(s[0]&0x1f) | int(s[1]&0x1f)<<5
		bits[n/8] |= 1 << (n % 8)
	}
	return string(bits[:]), true
}

// inSet pushes whether two bytes are in a set of letterPairs.
func (e *emitter) inSet(length, bytes int, set string) {
	e.get(bytes)
	e.i64(3)
	e.op(i64ShrU)
	e.i64(0x1f << 5)
	e.op(i64And)
	e.get(bytes)
	e.i64(0x1f)
	e.op(i64And, i64Or, i32Wrap)
	index := e.local(typeI32)
	e.tee(index)
	e.i32(3)
	e.op(i32ShrU)
	e.chunk(i32Load8, int(int32(e.m.constant(set))))
	e.get(index)
	e.i32(7)
	e.op(i32And, i32ShrU)
	e.i32(1)
	e.op(i32And)
	e.get(bytes)
	e.i64(0xe0e0)
	e.op(i64And)
	e.i64(0x4040)
	e.op(i64Eq, i32And)
	e.get(length)
	e.i64(2)
	e.op(i64Eq, i32And)
	e.release(index)
}

// eachEqual is oneOf where A to Z may be read as a to z.
func (e *emitter) eachEqual(x *node, constants []*node, l label) {
	text := e.local(typeI64)
	e.value(x, l)
	e.set(text)
	for i, constant := range constants {
		e.get(text)
		e.value(constant, l)
		e.call(helpEqual)
		if i > 0 {
			e.op(i32Or)
		}
	}
	e.release(text)
}

// oneNumber is oneOf for i64s. Numbers that are near each other are bits.
func (e *emitter) oneNumber(x *node, constants []*node, l label) {
	value := e.local(typeI64)
	e.value(x, l)
	first := constants[0].num
	if span := uint64(constants[len(constants)-1].num) - uint64(first); span < 64 {
		mask := int64(0)
		for _, constant := range constants {
			mask |= 1 << uint64(constant.num-first)
		}
		e.i64(first)
		e.op(i64Sub)
		e.set(value)
		e.i64(mask)
		e.get(value)
		e.op(i64ShrU, i32Wrap)
		e.get(value)
		e.i64(64)
		e.op(i64LtU, i32And)
		e.release(value)
		return
	}
	e.set(value)
	for i, constant := range constants {
		e.get(value)
		e.i64(constant.num)
		e.op(i64Eq)
		if i > 0 {
			e.op(i32Or)
		}
	}
	e.release(value)
}
