// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
)

// BenchmarkVerify and BenchmarkRewrite read the largest committed guest.
func BenchmarkVerify(b *testing.B) {
	wasm := largestGuest(b)
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(wasm, Standard()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRewrite(b *testing.B) {
	wasm := largestGuest(b)
	m, err := Verify(wasm, Standard())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	var w *Rewritten
	for b.Loop() {
		w = m.Rewrite()
	}
	b.ReportMetric(float64(len(w.Wasm))/float64(len(wasm)), "x-size")
}

func largestGuest(b *testing.B) (largest []byte) {
	for _, wasm := range guests(b) {
		if len(wasm) > len(largest) {
			largest = wasm
		}
	}
	return largest
}

// BenchmarkOverhead compares hot code, rewritten, with itself as it was: the
// fastest run of each, as a ratio.
func BenchmarkOverhead(b *testing.B) {
	for name, d := range hotCode() {
		b.Run(name, func(b *testing.B) {
			r := newRuntime(b, wazero.NewRuntimeConfig())
			before, after := plain(b, r, d.bytes()), rewritten(b, r, d.bytes())
			f, g := before.ExportedFunction("f"), after.ExportedFunction("f")
			fuel, depth := after.global(ExportFuel), after.global(ExportDepth)
			fastest := [2]time.Duration{math.MaxInt64, math.MaxInt64}
			for b.Loop() {
				began := time.Now()
				_, err := f.Call(b.Context())
				between := time.Now()
				fuel.Set(muchFuel)
				depth.Set(muchDepth)
				_, fault := g.Call(b.Context())
				ended := time.Now()
				if err != nil || fault != nil {
					b.Fatal(err, fault)
				}
				fastest[0] = min(fastest[0], between.Sub(began))
				fastest[1] = min(fastest[1], ended.Sub(between))
			}
			b.ReportMetric(float64(fastest[1])/float64(fastest[0]), "x-plain")
			b.ReportMetric(float64(fastest[1].Nanoseconds()), "ns-rewritten")
		})
	}
}

// hotCode are programs that spend their time in the smallest of loops, where
// what the rewriter adds is most of the work.
func hotCode() map[string]draft {
	// count repeats a body 10,000 times, counting local 0 up.
	count := func(locals []byte, body func(c *code)) draft {
		d := one(":", write(func(c *code) {
			c.op(opLoop, emptyBlock)
			body(c)
			c.on(opLocalGet, 0)
			c.i32(1)
			c.op(opI32Add)
			c.on(opLocalTee, 0)
			c.i32(10_000)
			c.op(opI32LtU, opBrIf, 0, opEnd)
			c.i32(0)
			c.on(opLocalGet, 1)
			c.access(opI64Store, 3, 0)
		})...)
		d.funcs[0].locals = locals
		return d
	}
	counterAndSum := []byte{2, 1, byte(I32), 1, byte(I64)}
	xorshift := count(counterAndSum, func(c *code) {
		for _, step := range [][2]byte{{13, opI64Shl}, {7, opI64ShrU}, {17, opI64Shl}} {
			c.on(opLocalGet, 1)
			c.on(opLocalGet, 1)
			c.i64(int64(step[0]))
			c.op(step[1], 0x85)
			c.on(opLocalSet, 1)
		}
	})
	hash := count(counterAndSum, func(c *code) {
		c.on(opLocalGet, 1)
		c.on(opLocalGet, 0)
		c.access(0x31, 0, 64) // i64.load8_u
		c.op(0x85)
		c.i64(0x100000001b3)
		c.op(opI64Mul)
		c.on(opLocalSet, 1)
	})
	fill := count(counterAndSum, func(c *code) {
		c.on(opLocalGet, 0)
		c.on(opLocalGet, 1)
		c.access(opI64Store8, 0, 64)
	})
	fib := one(":", write(func(c *code) {
		c.i32(15)
		c.op(opCall, 1, opDrop)
	})...)
	fib.funcs = append(fib.funcs, draftFunc{typ: "i:i", code: write(func(c *code) {
		c.on(opLocalGet, 0)
		c.i32(2)
		c.op(opI32LtU, opIf, byte(I32))
		c.on(opLocalGet, 0)
		c.op(opElse)
		for n := range int32(2) {
			c.on(opLocalGet, 0)
			c.i32(n + 1)
			c.op(opI32Sub, opCall, 1)
		}
		c.op(opI32Add, opEnd)
	})})
	sums := count([]byte{3, 1, byte(I32), 1, byte(I64), 1, byte(F64)}, func(c *code) {
		c.on(opLocalGet, 0)
		c.on(opLocalGet, 2)
		c.op(opF64Const, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0)
		c.on(opLocalTee, 2)
		c.access(opF64Store, 0, 64)
	})
	return map[string]draft{
		"xorshift": xorshift, "hash of bytes": hash, "bytes stored": fill, "recursive fibonacci": fib, "floats stored": sums,
	}
}

// BenchmarkCompileAtTheLimits compiles modules that are as hard to compile as
// Verify lets them be.
func BenchmarkCompileAtTheLimits(b *testing.B) {
	for name, f := range hardToCompile(Standard()) {
		b.Run(name, func(b *testing.B) {
			wasm := asManyAsFit(Standard(), f)
			m, err := Verify(wasm, Standard())
			if err != nil {
				b.Fatal(err)
			}
			w := m.Rewrite()
			for b.Loop() {
				r := wazero.NewRuntimeWithConfig(b.Context(), newConfig(wazero.NewRuntimeConfigCompiler()))
				if _, err := r.CompileModule(b.Context(), w.Wasm); err != nil {
					b.Fatal(err)
				}
				_ = r.Close(b.Context())
			}
			b.ReportMetric(float64(len(w.Wasm))/float64(len(wasm)), "x-size")
		})
	}
}

// asManyAsFit is a module with as many copies of a function as the limits allow.
func asManyAsFit(l Limits, f draftFunc) []byte {
	module := func(n int) []byte { return draft{memory: onePage, funcs: slices.Repeat([]draftFunc{f}, n)}.bytes() }
	least, most := 1, l.Functions+1
	for most-least > 1 {
		n := (least + most) / 2
		if _, err := Verify(module(n), l); err != nil {
			most = n
		} else {
			least = n
		}
	}
	return module(least)
}

// hardToCompile are functions of which each takes a compiler's weak spot: many
// locals in many blocks, many branches to one place, deep nesting, long
// straight code, and what the rewriter makes larger.
func hardToCompile(l Limits) map[string]draftFunc {
	locals128, locals8 := []byte{1, 0x80, 1, byte(I32)}, []byte{1, 8, byte(I32)}
	const empty = emptyBlock
	move := func(c *code, from, to int) {
		c.on(opLocalGet, uint32(from))
		c.on(opLocalSet, uint32(to))
	}
	nested := func(n, locals int, open ...byte) []byte {
		return write(func(c *code) {
			for i := range n {
				c.on(opLocalGet, uint32(i%locals))
				if open[0] == opLoop {
					c.op(opDrop)
				}
				c.op(open...)
				move(c, (i+1)%locals, (i+3)%locals)
			}
			for i := range n {
				if open[0] == opLoop {
					c.on(opLocalGet, uint32(i%locals))
					c.on(opBrIf, 0)
				}
				c.op(opEnd)
			}
		})
	}
	branches := func(c *code, labels int) {
		c.op(opBlock, empty)
		c.on(opLocalGet, 0)
		c.on(opBrTable, 4000)
		for i := range 4000 {
			c.op(byte(i % labels))
		}
		c.op(0, opEnd)
	}
	return map[string]draftFunc{
		"ifs that set many locals": {typ: ":", locals: locals128, code: write(func(c *code) {
			for i := range 1200 {
				c.on(opLocalGet, uint32(i%128))
				c.op(opIf, empty)
				for j := range 8 {
					move(c, (i+j)%128, (i*7+j*13)%128)
				}
				c.op(opEnd)
			}
		})},
		"loops that set many locals": {typ: ":", locals: locals128, code: write(func(c *code) {
			for i := range 1000 {
				c.op(opLoop, empty)
				for j := range 6 {
					move(c, (i+j)%128, (i*7+j*13)%128)
				}
				c.on(opLocalGet, uint32(i%128))
				c.op(opBrIf, 0, opEnd)
			}
		})},
		"loops in a row":          {typ: ":", code: repeat(1300, opLoop, empty, opEnd)},
		"nested ifs":              {typ: ":", locals: locals8, code: nested(l.Nesting, 8, opIf, empty)},
		"nested loops":            {typ: ":", locals: locals128, code: nested(l.Nesting, 128, opLoop, empty)},
		"a br_table to one place": {typ: ":", locals: locals128, code: write(func(c *code) { branches(c, 1) })},
		"a br_table to many places": {typ: ":", locals: locals128, code: write(func(c *code) {
			c.op(repeat(100, opBlock, empty)...)
			branches(c, 101)
			for i := range 100 {
				c.op(opEnd)
				move(c, i, (i*7)%128)
			}
		})},
		"values kept across blocks": {typ: ":", locals: locals8, code: write(func(c *code) {
			for i := range 240 {
				c.on(opLocalGet, uint32(i%8))
				c.i32(int32(i))
				c.op(opI32Add)
			}
			c.op(repeat(1000, opLocalGet, 0, opIf, empty, opI32Const, 1, opLocalSet, 0, opEnd)...)
			c.op(repeat(239, opI32Add)...)
			c.on(opLocalSet, 1)
		})},
		"stores":          {typ: ":", locals: locals8, code: repeat(9000, opLocalGet, 0, opLocalGet, 1, 0x3a, 0, 0)},
		"calls":           {typ: ":", code: repeat(30_000, opCall, 0)},
		"small functions": {typ: ":", code: []byte{opNop}},
	}
}
