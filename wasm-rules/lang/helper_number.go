// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math"

	"github.com/nearside/nearside/edge"
)

// FNV-1a, as edge.Bucket uses it.
const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// saltState returns what FNV-1a holds after a salt, so that only the visitor's id
// is left to be read.
func saltState(salt string) uint32 {
	h := uint32(fnvOffset)
	for i := range len(salt) {
		h = (h ^ uint32(salt[i])) * fnvPrime
	}
	return h
}

// emitMultiply returns the product and whether it is wrong.
func emitMultiply(e *emitter) {
	product := e.local(typeI64)
	e.get(0)
	e.get(1)
	e.op(i64Mul)
	e.set(product)
	small := e.block()
	for i := range 2 { // both in 32 bits
		e.get(i)
		e.i64(1 << 31)
		e.op(i64Add)
	}
	e.op(i64Or)
	e.i64(32)
	e.op(i64ShrU, i64Eqz)
	e.brIf(small)
	e.get(0)
	e.op(i64Eqz)
	e.brIf(small)
	e.get(product)
	e.get(0)
	e.i64(-1)
	e.op(i64Eq)
	e.op(wasmIf, typeI32)
	e.get(1)
	e.i64(math.MinInt64)
	e.op(i64Eq, wasmElse)
	e.get(product)
	e.get(0)
	e.op(i64DivS)
	e.get(1)
	e.op(i64Ne, wasmEnd, wasmReturn)
	e.end()
	e.get(product)
	e.i32(0)
}

// emitHash is edge.Bucket after the salt.
func emitHash(e *emitter) {
	at, end := e.local(typeI32), e.local(typeI32)
	e.get(1)
	e.op(i32Wrap)
	e.tee(at)
	e.bytesOf(1)
	e.op(i32Add)
	e.set(end)
	top := e.until(at, end)
	e.get(0)
	e.get(at)
	e.chunk(i32Load8, 0)
	e.op(i32Xor)
	e.i32(fnvPrime)
	e.op(i32Mul)
	e.set(0)
	e.step(at, 1)
	e.br(top)
	e.end()
	e.end()
	e.again()
	e.get(0)
	e.i32(edge.Buckets)
	e.op(i32RemU, i64ExtendU)
}

// again takes parameter 0 through FNV-1a as decimal digits. They are put into the
// nibbles of a number, the first into the lowest.
func (e *emitter) again() {
	digits, tenth, rest, count := e.local(typeI64), e.local(typeI64), e.local(typeI64), e.local(typeI32)
	e.get(0)
	e.op(i64ExtendU)
	e.set(rest)
	top := e.open(wasmLoop, typeNone)
	e.get(rest)
	e.i64(3435973837) // a tenth of 2^35, rounded up: exact for 32 bits
	e.op(i64Mul)
	e.i64(35)
	e.op(i64ShrU)
	e.set(tenth)
	e.get(digits)
	e.i64(4)
	e.op(i64Shl)
	e.get(rest)
	e.get(tenth)
	e.i64(10)
	e.op(i64Mul, i64Sub, i64Or)
	e.set(digits)
	e.step(count, 1)
	e.get(tenth)
	e.tee(rest)
	e.i64(0)
	e.op(i64Ne)
	e.brIf(top)
	e.end()
	offset := uint32(fnvOffset)
	e.i32(int(int32(offset)))
	e.set(0)
	top = e.open(wasmLoop, typeNone)
	e.get(0)
	e.get(digits)
	e.op(i32Wrap)
	e.i32(15)
	e.op(i32And)
	e.i32('0')
	e.op(i32Or, i32Xor)
	e.i32(fnvPrime)
	e.op(i32Mul)
	e.set(0)
	e.get(digits)
	e.i64(4)
	e.op(i64ShrU)
	e.set(digits)
	e.get(count)
	e.i32(1)
	e.op(i32Sub)
	e.tee(count)
	e.brIf(top)
	e.end()
}

// emitCivil turns days since 1 January of the year 1 into a part of the date, by
// Howard Hinnant's civil_from_days: years begin in March, so that the day that
// may be missing is the last.
func emitCivil(e *emitter) {
	era, dayOfEra, year, day, month := e.local(typeI64), e.local(typeI64), e.local(typeI64), e.local(typeI64), e.local(typeI64)
	div := func(by int64) { e.i64(by); e.op(i64DivU) }
	mul := func(by int64) { e.i64(by); e.op(i64Mul) }
	plus := func(n int64) { e.i64(n); e.op(i64Add) }
	e.get(0)
	plus(306)
	e.set(day)
	e.get(day)
	div(146097)
	e.set(era)
	e.get(day)
	e.i64(146097)
	e.op(i64RemU)
	e.set(dayOfEra)
	e.get(dayOfEra)
	e.get(dayOfEra)
	div(1460)
	e.op(i64Sub)
	e.get(dayOfEra)
	div(36524)
	e.op(i64Add)
	e.get(dayOfEra)
	div(146096)
	e.op(i64Sub)
	div(365)
	e.set(year)
	e.get(dayOfEra)
	e.get(year)
	mul(365)
	e.get(year)
	div(4)
	e.op(i64Add)
	e.get(year)
	div(100)
	e.op(i64Sub, i64Sub)
	e.set(day)
	e.get(day)
	mul(5)
	plus(2)
	div(153)
	e.set(month)
	e.get(year)
	e.get(era)
	mul(400)
	e.op(i64Add)
	e.get(month)
	e.i64(9)
	e.op(i64GtU, i64ExtendU, i64Add)
	e.set(year)
	civilParts(e, year, month, day)
}

// civilParts returns a part, of the year, the month from March and the day from 1
// March.
func civilParts(e *emitter, year, month, day int) {
	when := func(p part, value func()) {
		other := e.block()
		e.get(1)
		e.i32(int(p))
		e.op(i32Ne)
		e.brIf(other)
		value()
		e.op(wasmReturn)
		e.end()
	}
	late := func() { // January and February
		e.get(month)
		e.i64(9)
		e.op(i64GtU)
	}
	monthDay := func(from int64) {
		e.get(day)
		e.get(month)
		e.i64(153)
		e.op(i64Mul)
		e.i64(2)
		e.op(i64Add)
		e.i64(5)
		e.op(i64DivU, i64Sub)
		e.i64(from)
		e.op(i64Add)
	}
	when(partYear, func() { e.get(year) })
	when(partMonth, func() {
		e.get(month)
		e.i64(-10)
		e.i64(2)
		late()
		e.op(wasmSelect, i64Add)
	})
	when(partDate, func() { monthDay(1) })
	when(partMonthDay, func() { monthDay(0) })
	e.get(day)
	e.i64(-306)
	e.i64(59)
	e.get(year) // a leap year: by 4, and by 16 if by 25
	e.i64(3)
	e.i64(15)
	e.get(year)
	e.i64(25)
	e.op(i64RemU, i64Eqz, i32Eqz, wasmSelect, i64And, i64Eqz, i64ExtendU, i64Add)
	late()
	e.op(wasmSelect, i64Add)
}

// emitKm is distanceKm, below 0 for no place.
func emitKm(e *emitter) {
	half, cos, sinLat, sinLon := e.local(typeF64), e.local(typeF64), e.local(typeF64), e.local(typeF64)
	for i, limit := range [...]float64{90, 180, 90, 180} {
		e.get(i)
		e.op(f64Abs)
		e.f64(limit)
		e.op(f64Le)
		if i > 0 {
			e.op(i32And)
		}
	}
	e.op(i32Eqz, wasmIf, typeNone)
	e.f64(-1)
	e.op(wasmReturn, wasmEnd)
	halve := func(from, to int) {
		e.get(to)
		e.get(from)
		e.op(f64Sub, f64Abs)
		e.f64(0.5)
		e.op(f64Mul)
	}
	halve(0, 2)
	e.call(helpSin)
	e.set(sinLat)
	halve(1, 3)
	e.set(half)
	e.f64(180)
	e.get(half)
	e.op(f64Sub)
	e.get(half)
	e.get(half)
	e.f64(90)
	e.op(f64Gt, wasmSelect)
	e.call(helpSin)
	e.set(sinLon)
	e.cosine(0)
	e.cosine(2)
	e.op(f64Mul)
	e.set(cos)
	square := func(n int) {
		e.get(n)
		e.get(n)
		e.op(f64Mul)
	}
	square(sinLat)
	e.get(cos)
	square(sinLon)
	e.op(f64Mul, f64Add, f64Sqrt)
	e.f64(1)
	e.op(f64Min)
	e.set(half)
	e.f64(2 * earthKm)
	e.asin(half)
	e.op(f64Mul)
}

// cosine pushes cosDegrees of a local.
func (e *emitter) cosine(degrees int) {
	s := e.local(typeF64)
	e.f64(1)
	e.f64(2)
	e.get(degrees)
	e.op(f64Abs)
	e.f64(0.5)
	e.op(f64Mul)
	e.call(helpSin)
	e.tee(s)
	e.get(s)
	e.op(f64Mul, f64Mul, f64Sub)
	e.release(s)
}

// asin pushes asin of a local.
func (e *emitter) asin(x int) {
	t, s := e.local(typeF64), e.local(typeF64)
	e.get(x)
	e.f64(0.5)
	e.op(f64Lt, wasmIf, typeF64)
	e.get(x)
	e.get(x)
	e.get(x)
	e.get(x)
	e.op(f64Mul)
	e.call(helpRatio)
	e.op(f64Mul, f64Add, wasmElse)
	e.f64(math.Pi / 2)
	e.f64(2)
	e.f64(1)
	e.get(x)
	e.op(f64Sub)
	e.f64(0.5)
	e.op(f64Mul)
	e.tee(t)
	e.op(f64Sqrt)
	e.tee(s)
	e.get(s)
	e.get(t)
	e.call(helpRatio)
	e.op(f64Mul, f64Add, f64Mul, f64Sub, wasmEnd)
	e.release(t, s)
}

// emitSin is sinDegrees.
func emitSin(e *emitter) {
	x, square := e.local(typeF64), e.local(typeF64)
	e.get(0)
	e.f64(math.Pi / 180)
	e.op(f64Mul)
	e.tee(x)
	e.get(x)
	e.op(f64Mul)
	e.set(square)
	e.get(x)
	e.get(x)
	e.horner(sinTerms[:], square)
	e.get(square)
	e.op(f64Mul, f64Mul, f64Add)
}

// emitRatio is asinRatio.
func emitRatio(e *emitter) {
	e.get(0)
	e.horner(asinTop[:], 0)
	e.op(f64Mul)
	e.horner(asinBottom[:], 0)
	e.op(f64Div)
}

// horner pushes a polynomial of a local, the highest power first.
func (e *emitter) horner(terms []float64, x int) {
	e.f64(terms[0])
	for _, term := range terms[1:] {
		e.get(x)
		e.op(f64Mul)
		e.f64(term)
		e.op(f64Add)
	}
}
