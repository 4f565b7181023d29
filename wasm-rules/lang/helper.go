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
	helpClass                  // text, table, places less one -> class
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
		helpClass:    {"\x7e\x7f\x7f", "\x7f", emitClass},
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
