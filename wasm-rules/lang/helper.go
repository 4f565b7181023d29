// SPDX-License-Identifier: Apache-2.0

package lang

// A helper is a function that conditions call for what is too long to stand in
// each of them. A module has those that it uses.
type helper int

const (
	helpEqual    helper = iota // text, text -> 1 or 0
	helpCompare                // text, text -> -1, 0 or 1, by bytes
	helpPrefix                 // text, text -> 1 or 0
	helpSuffix                 // the same
	helpInside                 // the same
	helpAt                     // text, text, place -> whether the second is there in the first
	helpGet                    // map, text -> the address of the value, or 0
	helpSize                   // text -> characters
	helpMultiply               // int, int -> product, whether it is too large
	helpHash                   // state, text -> bucket
	helpCivil                  // days since the year 1, part -> int
	helpKm                     // four doubles -> double, below 0 for no place
	helpSin                    // degrees -> sinDegrees
	helpRatio                  // double -> asinRatio
	helpers
)

// A helperRow is a helper's type and body.
type helperRow struct {
	params, results string // types, as bytes
	body            func(*emitter)
}

func (h helper) row() helperRow {
	return [helpers]helperRow{
		helpEqual:    {"\x7e\x7e", "\x7f", emitEqual},
		helpCompare:  {"\x7e\x7e", "\x7f", emitCompare},
		helpPrefix:   {"\x7e\x7e", "\x7f", func(e *emitter) { emitEnd(e, false) }},
		helpSuffix:   {"\x7e\x7e", "\x7f", func(e *emitter) { emitEnd(e, true) }},
		helpInside:   {"\x7e\x7e", "\x7f", emitInside},
		helpAt:       {"\x7e\x7e\x7f", "\x7f", emitAt},
		helpGet:      {"\x7e\x7e", "\x7f", emitGet},
		helpSize:     {"\x7e", "\x7e", emitSize},
		helpMultiply: {"\x7e\x7e", "\x7e\x7f", emitMultiply},
		helpHash:     {"\x7f\x7e", "\x7e", emitHash},
		helpCivil:    {"\x7e\x7f", "\x7e", emitCivil},
		helpKm:       {"\x7c\x7c\x7c\x7c", "\x7c", emitKm},
		helpSin:      {"\x7c", "\x7c", emitSin},
		helpRatio:    {"\x7c", "\x7c", emitRatio},
	}[h]
}

func (e *emitter) call(h helper) { e.on(wasmCall, e.m.helper(h)) }

// bytesOf pushes how many bytes a text in a local has, as an i32.
func (e *emitter) bytesOf(text int) {
	e.length(text)
	e.op(i32Wrap)
	e.i32(1<<31 - 1)
	e.op(i32And)
}

// flag sets a local to whether a text is to be read with A to Z as a to z.
func (e *emitter) flag(text, local int) {
	e.get(text)
	e.i64(63)
	e.op(i64ShrU, i32Wrap)
	e.set(local)
}

// byteAt pushes the byte at an address on the stack, folded if flag is 1.
func (e *emitter) byteAt(flag int) {
	c := e.local(typeI32)
	e.chunk(i32Load8, 0)
	e.tee(c)
	e.get(c)
	e.i32('A')
	e.op(i32Sub)
	e.i32(26)
	e.op(i32LtU)
	e.get(flag)
	e.op(i32And)
	e.i32(5)
	e.op(i32Shl, i32Add)
	e.release(c)
}

// step adds to an i32 local.
func (e *emitter) step(local, by int) {
	e.get(local)
	e.i32(by)
	e.op(i32Add)
	e.set(local)
}

// answerIf returns a number if condition pushes what is not 0.
func (e *emitter) answerIf(n int, condition func()) {
	on := e.block()
	condition()
	e.op(i32Eqz)
	e.brIf(on)
	e.i32(n)
	e.op(wasmReturn)
	e.end()
}

func emitEqual(e *emitter) {
	e.answerIf(0, func() {
		e.bytesOf(0)
		e.bytesOf(1)
		e.op(i32Ne)
	})
	e.get(0)
	e.get(1)
	e.i32(0)
	e.call(helpAt)
}

func emitEnd(e *emitter, suffix bool) {
	e.answerIf(0, func() {
		e.bytesOf(0)
		e.bytesOf(1)
		e.op(i32LtU)
	})
	e.get(0)
	e.get(1)
	if suffix {
		e.bytesOf(0)
		e.bytesOf(1)
		e.op(i32Sub)
	} else {
		e.i32(0)
	}
	e.call(helpAt)
}

// Eight bytes at once.
const (
	eachByte = 0x0101010101010101
	eachTop  = -0x7f7f7f7f7f7f7f80 // 0x80 in each byte
)

// lowerEight turns A to Z into a to z in the eight bytes of a local, if a flag is
// 1. A byte that is a letter gets a top bit by adding what is missing from its
// first letter and none by adding what is missing from behind its last.
func (e *emitter) lowerEight(word, flag int) {
	e.get(flag)
	e.op(wasmIf, typeNone)
	low := e.local(typeI64)
	e.get(word)
	e.i64(0x7f * eachByte)
	e.op(i64And)
	e.set(low)
	e.get(word)
	e.get(low)
	e.i64((0x80 - 'A') * eachByte)
	e.op(i64Add)
	e.get(low)
	e.i64((0x80 - 'Z' - 1) * eachByte)
	e.op(i64Add, i64Xor)
	e.get(word)
	e.i64(-1)
	e.op(i64Xor, i64And)
	e.i64(eachTop)
	e.op(i64And)
	e.i64(2) // 0x80 becomes 'a' - 'A'
	e.op(i64ShrU, i64Add)
	e.set(word)
	e.op(wasmEnd)
	e.release(low)
}

func emitAt(e *emitter) {
	x, y, left, foldX, foldY := e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32)
	a, b := e.local(typeI64), e.local(typeI64)
	e.flag(0, foldX)
	e.flag(1, foldY)
	e.get(0)
	e.op(i32Wrap)
	e.get(2)
	e.op(i32Add)
	e.set(x)
	e.get(1)
	e.op(i32Wrap)
	e.set(y)
	e.bytesOf(1)
	e.set(left)
	top := e.open(wasmLoop, typeNone)
	e.answerIf(1, func() {
		e.get(left)
		e.i32(0)
		e.op(i32LeS)
	})
	e.get(x)
	e.chunk(i64Load, 0)
	e.set(a)
	e.lowerEight(a, foldX)
	e.get(y)
	e.chunk(i64Load, 0)
	e.set(b)
	e.lowerEight(b, foldY)
	// What is behind the last byte is shifted out.
	e.get(a)
	e.get(b)
	e.op(i64Xor)
	e.i64(64)
	e.get(left)
	e.i32(8)
	e.get(left)
	e.i32(8)
	e.op(i32LtS, wasmSelect)
	e.i32(3)
	e.op(i32Shl, i64ExtendU, i64Sub, i64Shl)
	e.set(a)
	e.answerIf(0, func() {
		e.get(a)
		e.i64(0)
		e.op(i64Ne)
	})
	e.step(x, 8)
	e.step(y, 8)
	e.step(left, -8)
	e.br(top)
	e.end()
	e.op(wasmUnreachable)
}

// emitInside looks for the needle's first byte, in eight bytes at once, and
// compares the rest there.
func emitInside(e *emitter) {
	place, last, foldX, foldY := e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32)
	first, word := e.local(typeI64), e.local(typeI64)
	e.answerIf(0, func() {
		e.bytesOf(0)
		e.bytesOf(1)
		e.op(i32LtU)
	})
	e.answerIf(1, func() {
		e.bytesOf(1)
		e.op(i32Eqz)
	})
	e.flag(0, foldX)
	e.flag(1, foldY)
	e.bytesOf(0)
	e.bytesOf(1)
	e.op(i32Sub)
	e.set(last)
	e.get(1)
	e.op(i32Wrap)
	e.byteAt(foldY)
	e.op(i64ExtendU)
	e.i64(eachByte)
	e.op(i64Mul)
	e.set(first)
	top := e.open(wasmLoop, typeNone)
	e.answerIf(0, func() {
		e.get(place)
		e.get(last)
		e.op(i32GtU)
	})
	e.get(0)
	e.op(i32Wrap)
	e.get(place)
	e.op(i32Add)
	e.chunk(i64Load, 0)
	e.set(word)
	e.lowerEight(word, foldX)
	// The lowest top bit is that of the first byte that is 0 here.
	e.get(word)
	e.get(first)
	e.op(i64Xor)
	e.tee(word)
	e.i64(eachByte)
	e.op(i64Sub)
	e.get(word)
	e.i64(-1)
	e.op(i64Xor, i64And)
	e.i64(eachTop)
	e.op(i64And)
	e.set(word)
	found := e.block()
	e.get(word)
	e.op(i64Eqz, i32Eqz)
	e.brIf(found)
	e.step(place, 8)
	e.br(top)
	e.end()
	e.get(place)
	e.get(word)
	e.op(i64Ctz)
	e.i64(3)
	e.op(i64ShrU, i32Wrap, i32Add)
	e.set(place)
	e.answerIf(0, func() {
		e.get(place)
		e.get(last)
		e.op(i32GtU)
	})
	e.answerIf(1, func() {
		e.get(0)
		e.get(1)
		e.get(place)
		e.call(helpAt)
	})
	e.step(place, 1)
	e.br(top)
	e.end()
	e.op(wasmUnreachable)
}

func emitCompare(e *emitter) {
	place, least, foldX, foldY, a, b := e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI32)
	e.flag(0, foldX)
	e.flag(1, foldY)
	e.bytesOf(0)
	e.bytesOf(1)
	e.bytesOf(0)
	e.bytesOf(1)
	e.op(i32LtU, wasmSelect)
	e.set(least)
	e.i32(0)
	e.set(place)
	same := e.block()
	top := e.open(wasmLoop, typeNone)
	e.get(place)
	e.get(least)
	e.op(i32GeU)
	e.brIf(same)
	e.get(0)
	e.op(i32Wrap)
	e.get(place)
	e.op(i32Add)
	e.byteAt(foldX)
	e.set(a)
	e.get(1)
	e.op(i32Wrap)
	e.get(place)
	e.op(i32Add)
	e.byteAt(foldY)
	e.set(b)
	e.answerIf(-1, func() {
		e.get(a)
		e.get(b)
		e.op(i32LtU)
	})
	e.answerIf(1, func() {
		e.get(b)
		e.get(a)
		e.op(i32LtU)
	})
	e.step(place, 1)
	e.br(top)
	e.end()
	e.end()
	e.bytesOf(1)
	e.bytesOf(0)
	e.op(i32LtU)
	e.bytesOf(0)
	e.bytesOf(1)
	e.op(i32LtU, i32Sub)
}

func emitGet(e *emitter) {
	at, end, length, entry := e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI64)
	e.bytesOf(1)
	e.set(length)
	e.get(0)
	e.op(i32Wrap)
	e.tee(at)
	e.bytesOf(0)
	e.i32(strides[kindMap])
	e.op(i32Mul, i32Add)
	e.set(end)
	none := e.block()
	top := e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(end)
	e.op(i32GeU)
	e.brIf(none)
	other := e.block()
	e.get(at)
	e.load(i64Load, 0)
	e.tee(entry)
	e.i64(32)
	e.op(i64ShrU, i32Wrap)
	e.get(length)
	e.op(i32Ne)
	e.brIf(other)
	e.get(entry)
	e.get(1)
	e.i32(0)
	e.call(helpAt)
	e.op(i32Eqz)
	e.brIf(other)
	e.get(at)
	e.i32(8)
	e.op(i32Add, wasmReturn)
	e.end()
	e.step(at, strides[kindMap])
	e.br(top)
	e.end()
	e.end()
	e.i32(0)
}

// emitSize counts the bytes that do not go on with a character.
func emitSize(e *emitter) {
	at, end, size := e.local(typeI32), e.local(typeI32), e.local(typeI64)
	e.get(0)
	e.op(i32Wrap)
	e.tee(at)
	e.bytesOf(0)
	e.op(i32Add)
	e.set(end)
	e.i64(0)
	e.set(size)
	done := e.block()
	top := e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(end)
	e.op(i32GeU)
	e.brIf(done)
	e.get(size)
	e.get(at)
	e.chunk(i32Load8, 0)
	e.i32(0xc0)
	e.op(i32And)
	e.i32(0x80)
	e.op(i32Ne, i64ExtendU, i64Add)
	e.set(size)
	e.step(at, 1)
	e.br(top)
	e.end()
	e.end()
	e.get(size)
}
