// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/binary"
	"math/bits"
)

// push pushes a word of a table's row for what the record has.
func (t *table) push(e *emitter, word int) {
	if t.at == 0 {
		bytes := make([]byte, 0, 8*len(t.rows))
		for _, row := range t.rows {
			bytes = binary.LittleEndian.AppendUint64(bytes, row)
		}
		t.at = e.m.aligned(bytes)
	}
	e.pin(t.of.address, typeI32)
	e.i32(8 * t.words)
	e.op(i32Mul)
	e.load(i64Load, t.at+8*word)
}

// classify writes the function that puts a record's values into their classes.
func (c *compiler) classify() {
	if len(c.index.fields) == 0 {
		return
	}
	c.index.function = c.m.declare("", "")
	c.m.define(c.index.function, 0, func(e *emitter) {
		for _, k := range c.index.fields {
			e.i32(0)
			known := e.open(wasmBlock, typeI32)
			absent := e.block()
			k.push(e, absent)
			e.br(known)
			e.end()
			e.i32(classAbsent)
			e.end()
			e.access(i32Store, 2, k.address)
		}
	})
}

// push pushes the class of a field's value. It goes to l if there is none.
func (k *classifier) push(e *emitter, l label) {
	e.need(k.field, l)
	switch k.kind {
	case kindText:
		e.slot(k.field, i64Load)
		places := newPlaces(k.texts)
		e.i32(e.m.aligned(places.bytes(e.m)))
		e.i32(len(places) - 1)
		e.call(helpClass)
	case kindInt:
		e.countFrom(k.field, typeI64, i64Load, i64LeS, len(k.ints), func(i int) { e.i64(k.ints[i]) })
	case kindDouble:
		e.countFrom(k.field, typeF64, f64Load, f64Le, len(k.doubles), func(i int) { e.f64(k.doubles[i]) })
	default:
		e.i32(classOther)
		e.slot(k.field, i32Load)
		e.i32(0)
		e.op(i32Ne, i32Add)
	}
}

// countFrom pushes classOther and one more for each of n numbers that is at most a field's.
func (e *emitter) countFrom(f *field, typ, load, atMost byte, n int, number func(i int)) {
	value := e.local(typ)
	e.slot(f, load)
	e.set(value)
	e.i32(classOther)
	for i := range n {
		number(i)
		e.get(value)
		e.op(atMost, i32Add)
	}
	e.release(value)
}

// Places are a hash table of texts: a text is in the first free place from its hash's on.
// At least half of them are empty.
type places []place

// A place has a text and its class, 0 if it is empty.
type place struct {
	text  string
	class int
}

// In a module's memory a place is its text's first eight bytes, its last eight, its
// reference, of which a short text has only the length, and its class; see textKey.
const (
	placeBytes = 32
	placeLast  = 8
	placeText  = 16
	placeClass = 24
)

// placesFor returns how many places a number of texts takes, a power of two.
func placesFor(texts int) int {
	if texts == 0 {
		return 0
	}
	return 1 << bits.Len(uint(2*texts-1))
}

func newPlaces(texts []string) places {
	n := placesFor(len(texts))
	p := make(places, n)
	for i, text := range texts {
		at := hashText(text)
		for p[at&uint32(n-1)].class != 0 {
			at++
		}
		p[at&uint32(n-1)] = place{text, classNamed + i}
	}
	return p
}

func (p places) bytes(m *module) []byte {
	out := make([]byte, placeBytes*len(p))
	for i, of := range p {
		if of.class == 0 {
			continue
		}
		b := out[placeBytes*i:]
		first, last := textKey(of.text)
		binary.LittleEndian.PutUint64(b, first)
		binary.LittleEndian.PutUint64(b[placeLast:], last)
		text := int64(len(of.text)) << 32
		if len(of.text) > wholeKey {
			text = m.constant(of.text)
		}
		binary.LittleEndian.PutUint64(b[placeText:], uint64(text))
		binary.LittleEndian.PutUint32(b[placeClass:], uint32(of.class))
	}
	return out
}

// textKey returns a text's first eight bytes, zeros behind a shorter one, and its last
// eight if it has more: with its length that is all of a text of up to 16 bytes.
func textKey(text string) (first, last uint64) {
	if len(text) > 8 {
		last = uint64(word(text[len(text)-8:]))
	}
	return uint64(word(text)), last
}

// wholeKey is the length of the longest text that its key and length tell.
const wholeKey = 16

// Odd numbers whose bits look random: the golden ratio's, and the first of SplitMix64.
const (
	hashFirst = -0x61c8864680b583eb
	hashLast  = -0x40a7b892e31b1a47
)

// hashText is a text's hash, of which the low bits count.
func hashText(text string) uint32 {
	first, last := textKey(text)
	h := (int64(first) ^ int64(last)*hashLast) + int64(len(text))
	return uint32(uint64(h*hashFirst) >> 40)
}

// emitClass looks a text up among places.
func emitClass(e *emitter) {
	length, first, last := e.local(typeI64), e.local(typeI64), e.local(typeI64)
	at, place, class := e.local(typeI32), e.local(typeI32), e.local(typeI32)
	e.length(0)
	e.set(length)
	e.get(0)
	e.op(i32Wrap)
	e.chunk(i64Load, 0)
	e.i64(-1)
	e.i64(1)
	e.get(length)
	e.i64(3)
	e.op(i64Shl, i64Shl)
	e.i64(1)
	e.op(i64Sub)
	e.get(length)
	e.i64(8)
	e.op(i64GeU, wasmSelect, i64And)
	e.set(first)
	e.get(length)
	e.i64(8)
	e.op(i64GtU, wasmIf, typeNone)
	e.get(0)
	e.get(length)
	e.op(i64Add, i32Wrap)
	e.i32(8)
	e.op(i32Sub)
	e.chunk(i64Load, 0)
	e.set(last)
	e.op(wasmEnd)
	e.get(first)
	e.get(last)
	e.i64(hashLast)
	e.op(i64Mul, i64Xor)
	e.get(length)
	e.op(i64Add)
	e.i64(hashFirst)
	e.op(i64Mul)
	e.i64(40)
	e.op(i64ShrU, i32Wrap)
	e.set(at)
	top := e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(2)
	e.op(i32And)
	e.i32(placeBytes)
	e.op(i32Mul)
	e.get(1)
	e.op(i32Add)
	e.tee(place)
	e.load(i32Load, placeClass)
	e.tee(class)
	e.op(i32Eqz, wasmIf, typeNone)
	e.i32(classOther)
	e.op(wasmReturn, wasmEnd)
	other := e.block()
	e.get(place)
	e.load(i64Load, 0)
	e.get(first)
	e.op(i64Xor)
	e.get(place)
	e.load(i64Load, placeLast)
	e.get(last)
	e.op(i64Xor, i64Or)
	e.get(place)
	e.load(i64Load, placeText)
	e.i64(32)
	e.op(i64ShrU)
	e.get(length)
	e.op(i64Xor, i64Or)
	e.i64(0)
	e.op(i64Ne)
	e.brIf(other)
	same := e.block()
	e.get(length)
	e.i64(wholeKey)
	e.op(i64LeU)
	e.brIf(same)
	e.get(0)
	e.get(place)
	e.load(i64Load, placeText)
	e.call(helpEqual)
	e.op(i32Eqz)
	e.brIf(other)
	e.end()
	e.get(class)
	e.op(wasmReturn)
	e.end()
	e.step(at, 1)
	e.br(top)
	e.end()
	e.op(wasmUnreachable)
}
