// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
)

// budgetFuel is what a call may spend at most in these tests.
const budgetFuel = 1_000_000

// runaways are modules that Verify accepts and that would never end, or not
// soon. Each exports "f".
func runaways() map[string]draft {
	const empty = blockOfNothing & 0x7f
	// tree is 2^30 calls without a loop: each function calls the next one twice.
	tree := draft{memory: onePage}
	for i := range 30 {
		tree.funcs = append(tree.funcs, draftFunc{typ: ":", code: []byte{opCall, byte(i + 1), opCall, byte(i + 1)}})
	}
	tree.funcs = append(tree.funcs, draftFunc{typ: ":"})
	tree.funcs[0].name = "f"
	loop := func(body func(c *code)) draft {
		return one(":", write(func(c *code) {
			c.op(opLoop, empty)
			body(c)
			c.op(opBr, 0, opEnd)
		})...)
	}
	fill := func(sub byte, memories ...byte) draft {
		return loop(func(c *code) {
			c.i32(0)
			c.i32(0)
			c.i32(PageBytes)
			c.op(opMore, sub)
			c.op(memories...)
		})
	}
	// rotate moves 100 locals around, which costs next to no instructions.
	rotate := loop(func(c *code) {
		for i := range 100 {
			c.on(opLocalGet, uint32(i))
		}
		for i := range 100 {
			c.on(opLocalSet, uint32((i*37+11)%100))
		}
	})
	rotate.funcs[0].locals = []byte{1, 100, byte(I64)}
	// numeric repeats an operation whose result is of a type, and keeps the sum:
	// what nothing reads would not be computed.
	numeric := func(result ValueType, op func(c *code), sum byte) draft {
		store := map[ValueType]byte{I32: opI32Store, I64: opI64Store, F64: opF64Store}[result]
		d := loop(func(c *code) {
			c.i32(0)
			c.on(opLocalGet, 0)
			for range 200 {
				op(c)
				c.op(sum)
			}
			c.on(opLocalTee, 0)
			c.access(store, 0, 0)
		})
		d.funcs[0].locals = []byte{2, 1, byte(result), 1, byte(F64)}
		return d
	}
	indirect := draft{
		memory: onePage, table: []byte{1, 0x70, 0, 1}, elements: []byte{1, 0, opI32Const, 0, opEnd, 1, 0},
		funcs: []draftFunc{{name: "f", typ: ":", code: []byte{
			opLoop, empty, opI32Const, 0, opCallIndirect, 0, 0, opBr, 0, opEnd,
		}}},
	}
	// chase follows numbers through 4 MB, none of them near the one before.
	chase := one(":", write(func(c *code) {
		c.op(opLoop, empty)
		for range 20 {
			c.on(opLocalGet, 0)
			c.i32(1664525)
			c.op(0x6c)
			c.i32(1013904223)
			c.op(opI32Add)
			c.on(opLocalTee, 0)
			c.i32(4<<20 - 64)
			c.op(0x71)
			c.access(opI32Load, 2, 0)
			c.on(opLocalGet, 0)
			c.op(opI32Add)
			c.on(opLocalSet, 0)
		}
		c.op(opBr, 0, opEnd)
	})...)
	chase.memory, chase.funcs[0].locals = []byte{1, 0, 64}, []byte{1, 1, byte(I32)}
	// scatter stores all over 4 MB, each time where a page and a line were not
	// touched for long.
	scatter := one(":", write(func(c *code) {
		c.op(opLoop, empty)
		for i := range uint32(5000) {
			c.i32(int32(i * 2654435769 >> 10 &^ 63))
			c.i64(int64(i))
			c.access(opI64Store, 3, 0)
		}
		c.op(opBr, 0, opEnd)
	})...)
	scatter.memory = []byte{1, 0, 64}
	// flip branches on a bit that nothing predicts.
	flip := one(":", write(func(c *code) {
		c.op(opLoop, empty)
		for range 20 {
			c.on(opLocalGet, 0)
			c.i32(1664525)
			c.op(0x6c)
			c.i32(1013904223)
			c.op(opI32Add)
			c.on(opLocalTee, 0)
			c.i32(31)
			c.op(opI32ShrU, opIf, empty)
			c.on(opLocalGet, 0)
			c.on(opGlobalSet, 0)
			c.op(opEnd)
		}
		c.op(opBr, 0, opEnd)
	})...)
	flip.globals, flip.funcs[0].locals = []byte{1, byte(I32), 1, opI32Const, 0, opEnd}, []byte{1, 1, byte(I32)}
	wide := draft{memory: onePage, funcs: []draftFunc{
		{name: "f", typ: ":", code: write(func(c *code) {
			c.op(opLoop, empty)
			for range 20 {
				for i := range 16 {
					c.i64(int64(i))
				}
				c.on(opCall, 1)
				c.op(opDrop, opDrop, opDrop, opDrop)
			}
			c.op(opBr, 0, opEnd)
		})},
		{typ: "llllllllllllllll:llll", code: write(func(c *code) {
			for i := range 4 {
				c.on(opLocalGet, uint32(i*3))
			}
		})},
	}}
	// carry takes 16 values around a loop that does nothing else.
	carry := one(":", write(func(c *code) {
		for i := range 16 {
			c.i64(int64(i))
		}
		c.op(opLoop, 1, opBr, 0, opEnd)
		c.op(opUnreachable)
	})...)
	carry.funcs = append(carry.funcs, draftFunc{typ: "llllllllllllllll:", code: nil})
	spill := one(":", write(func(c *code) {
		c.op(opLoop, empty)
		for range 10 {
			for i := range 100 {
				c.on(opLocalGet, uint32(i))
			}
			c.on(opCall, 1)
			for i := range 100 {
				c.on(opLocalSet, uint32((i*37+11)%100))
			}
		}
		c.op(opBr, 0, opEnd)
	})...)
	spill.funcs[0].locals = []byte{1, 100, byte(F64)}
	spill.funcs = append(spill.funcs, draftFunc{typ: ":"})
	f64 := func(op ...byte) func(c *code) {
		return func(c *code) {
			c.on(opLocalGet, 1)
			c.op(opF64Const, 0, 0, 0, 0, 0, 0, 8, 0x40)
			c.op(op...)
		}
	}
	floats := loop(func(c *code) {
		for i := range 50 {
			c.i32(int32(i) * 1021)
			c.on(opLocalGet, 0)
			c.on(opLocalGet, 0)
			c.op(0xa0)
			c.access(opF64Store, 0, 3)
		}
	})
	floats.funcs[0].locals = []byte{1, 1, byte(F64)}
	return map[string]draft{
		"an empty loop":                 loop(func(*code) {}),
		"a loop that memory.fill fills": fill(moreMemoryFill, 0),
		"a loop of memory.copy":         fill(moreMemoryCopy, 0, 0),
		"a loop of short fills": loop(func(c *code) {
			for range 50 {
				c.i32(1)
				c.i32(7)
				c.i32(31)
				c.op(opMore, moreMemoryFill, 0)
			}
		}),
		"a loop of stores": loop(func(c *code) {
			for i := range 50 {
				c.i32(int32(i) * 1021)
				c.i64(7)
				c.access(opI64Store, 0, 3)
			}
		}),
		"a loop of float stores": floats,
		"a loop that grows in vain": loop(func(c *code) {
			c.i32(-1)
			c.op(opMemoryGrow, 0, opDrop)
		}),
		"a loop that grows page by page": loop(func(c *code) {
			c.i32(1)
			c.op(opMemoryGrow, 0, opDrop)
		}),
		"2^30 calls without a loop":                            tree,
		"a loop of divisions":                                  numeric(I64, func(c *code) { c.i64(1 << 60); c.i64(3); c.op(0x7f) }, opI64Add),
		"a loop of remainders":                                 numeric(I64, func(c *code) { c.i64(1 << 60); c.i64(3); c.op(0x82) }, opI64Add),
		"a loop of 32-bit divisions":                           numeric(I32, func(c *code) { c.i32(1 << 30); c.i32(3); c.op(0x6d) }, opI32Add),
		"a loop of products":                                   numeric(I64, func(c *code) { c.i64(3) }, opI64Mul),
		"a loop of popcounts":                                  numeric(I64, func(c *code) { c.on(opLocalGet, 0); c.op(0x7b) }, opI64Add),
		"a loop of square roots":                               numeric(F64, f64(0xa0, 0x9f), 0xa0),
		"a loop of float divisions":                            numeric(F64, f64(0xa0), 0xa3),
		"a loop of float sums":                                 numeric(F64, f64(0xa0), 0xa0),
		"a loop of float minima":                               numeric(F64, f64(0xa0), 0xa4),
		"a loop of copied signs":                               numeric(F64, f64(0xa0), 0xa6),
		"a loop of rounding":                                   numeric(F64, f64(0xa0, 0x9e), 0xa0),
		"a loop of conversions":                                numeric(I64, f64(0xa0, 0xb1), opI64Add),
		"a loop of saturating conversions":                     numeric(I64, f64(0xa0, opMore, 7), opI64Add),
		"a loop of converted integers":                         numeric(F64, func(c *code) { c.i64(-1); c.op(0xba) }, 0xa0),
		"a loop of comparisons":                                numeric(I64, f64(0x61, 0xac), opI64Add),
		"a loop of reinterpretations":                          numeric(I64, f64(0xa0, 0xbd), opI64Add),
		"a loop that moves locals":                             rotate,
		"a loop that chases through memory":                    chase,
		"stores all over the memory":                           scatter,
		"a loop that nothing predicts":                         flip,
		"a loop of wide calls":                                 wide,
		"a loop that carries 16 values":                        carry,
		"a loop that spills":                                   spill,
		"a function that calls itself by the table, in a loop": indirect,
		"a function that calls itself":                         one(":", opCall, 0),
		"a loop with arms too cheap to charge": loop(func(c *code) {
			for range 1000 {
				c.op(opI32Const, 1, opIf, empty, opI32Const, 1, opDrop, opEnd)
			}
		}),
		"a loop of branches too cheap to charge": loop(func(c *code) {
			for range 1000 {
				c.op(opBlock, empty, opI32Const, 1, opBrIf, 0, opEnd)
			}
		}),
		"a loop of blocks": loop(func(c *code) {
			for range 1000 {
				c.op(opBlock, empty, opBr, 0, opEnd)
			}
		}),
		"a loop of br_tables": loop(func(c *code) {
			for range 500 {
				c.op(opBlock, empty, opBlock, empty, opI32Const, 1, opBrTable, 3, 0, 1, 0, 1, opEnd, opEnd)
			}
		}),
	}
}

// TestRunawaysAreStopped stops each where its budget ends, at the same place
// every time, and the instance can be used again.
func TestRunawaysAreStopped(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	for name, d := range runaways() {
		t.Run(name, func(t *testing.T) {
			m := rewritten(t, r, d.bytes())
			var lefts []int64
			fastest := time.Hour
			for range 5 {
				began := time.Now()
				_, left, err := m.call("f", budgetFuel, 200)
				fastest = min(fastest, time.Since(began))
				if err == nil {
					t.Fatal("it ended by itself")
				}
				lefts = append(lefts, left)
				if depth := int32(m.global(ExportDepth).Get()); left >= 0 && depth >= 0 {
					t.Fatalf("%d fuel and %d depth are left: %v", left, depth, err)
				}
			}
			// Four hundred times what it takes on a quiet machine: far from what
			// an instruction that is charged too little would take.
			if fastest > 400*time.Millisecond {
				t.Errorf("%d fuel took %v", budgetFuel, fastest)
			}
			t.Logf("%s: %v for %d fuel, %.2f ns", name, fastest, budgetFuel-lefts[4], float64(fastest)/float64(budgetFuel-lefts[4]))
			if len(slices.Compact(slices.Clone(lefts))) != 1 {
				t.Errorf("it stopped at different places: %v", lefts)
			}
		})
	}
}
