// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"math"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestMemoryCosts: no instruction that reaches memory is cheaper than another.
func TestMemoryCosts(t *testing.T) {
	found := 0
	for _, o := range operations {
		if o.imm == immMemory {
			if found++; o.cost != 8 {
				t.Errorf("%s costs %d, want 8", o.name, o.cost)
			}
		}
	}
	if found != 23 {
		t.Errorf("%d loads and stores, want 23", found)
	}
}

func TestRegions(t *testing.T) {
	cheap := []byte{opGlobalGet, 0, opDrop}    // costs 1
	dear := repeat(20, opGlobalGet, 0, opDrop) // costs 20, more than is folded
	ifs := func(arms ...[]byte) []byte {       // costs 2 and the arms
		return slices.Concat([]byte{opI32Const, 0, opIf, emptyBlock}, slices.Concat(arms...), []byte{opEnd})
	}
	otherwise := []byte{opElse}
	// cases is a switch whose two cases follow blocks that nobody falls out of.
	cases := func(a, b []byte) []byte {
		return slices.Concat([]byte{opBlock, emptyBlock, opBlock, emptyBlock, opI32Const, 0, opBrTable, 1, 0, 1, opEnd},
			a, []byte{opBr, 0, opEnd}, b)
	}
	tests := []struct {
		name string
		code []byte
		want []int // charges in order, entry first; every function costs 2
	}{
		{"nothing", nil, []int{2}},
		{"straight", dear, []int{22}},
		{"a cheap arm is paid where the if is", ifs(cheap), []int{2 + 2 + 1, 0}},
		{"a dear arm pays for itself", ifs(dear), []int{2 + 2, 20}},
		{"a cheap arm and a dear one", ifs(cheap, otherwise, dear), []int{2 + 2 + 1, 0, 20}},
		{"a dear arm and a cheap one", ifs(dear, otherwise, cheap), []int{2 + 2 + 1, 20, 0}},
		{"what follows an if belongs to what is around it", slices.Concat(ifs(dear), dear), []int{2 + 2 + 20, 20}},
		{"an arm in an arm", ifs(ifs(dear)), []int{2 + 2 + 2, 0, 20}},
		{"arms that are dear together", ifs(repeat(10, cheap...), ifs(repeat(10, cheap...))), []int{2 + 2, 22, 0}},
		{"a loop pays each time around", slices.Concat([]byte{opLoop, emptyBlock}, cheap, []byte{opEnd}), []int{2, 1 + 1}},
		{"a dear loop", slices.Concat([]byte{opLoop, emptyBlock}, dear, []byte{opEnd}, cheap), []int{2 + 1, 1 + 20}},
		{"a loop is never left to its arm", ifs([]byte{opLoop, emptyBlock}, cheap, []byte{opEnd}), []int{2 + 2, 0, 1 + 1}},
		{"an arm in a loop", slices.Concat([]byte{opLoop, emptyBlock}, ifs(cheap), []byte{opEnd}), []int{2, 1 + 2 + 1, 0}},
		{"cheap cases are paid where the switch is", cases(cheap, cheap), []int{2 + 8 + 1 + 1 + 1, 0, 0}},
		{"dear cases pay for themselves", cases(dear, dear), []int{2 + 8, 20 + 1, 20}},
		{"a block that is fallen out of goes on", slices.Concat([]byte{opBlock, emptyBlock}, cheap, []byte{opEnd}, dear), []int{2 + 1 + 20}},
		{"what follows a return is a case", slices.Concat([]byte{opBlock, emptyBlock, opReturn, opEnd}, dear), []int{2 + 1, 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for _, r := range regions(decode(append(slices.Clone(tt.code), opEnd))) {
				got = append(got, r.cost)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDepthIsBounded counts how deep a function can call itself: what is left of
// depth by its weight.
func TestDepthIsBounded(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	// f counts its calls in memory and calls itself with as many values on the
	// stack as it has locals.
	deep := func(locals int) []byte {
		d := one(":", write(func(c *code) {
			c.i32(0)
			c.i32(0)
			c.access(opI32Load, 2, 0)
			c.i32(1)
			c.op(opI32Add)
			c.access(opI32Store, 2, 0)
			for i := range locals {
				c.on(opLocalGet, uint32(i))
			}
			c.on(opCall, 0)
			for i := range locals {
				c.on(opLocalSet, uint32(i))
			}
		})...)
		d.funcs[0].locals = write(func(c *code) {
			c.u32(1)
			c.u32(uint32(locals))
			c.op(byte(I64))
		})
		return d.bytes()
	}
	for _, tt := range []struct{ locals, depth, want int }{
		{0, 0, 0}, {0, 1, 1}, {0, 500, 500}, {8, 500, 500 / 3}, {128, 1000, 1000 / 33}, {128, 32, 0},
	} {
		m := rewritten(t, r, deep(tt.locals))
		if _, left, err := m.call("f", muchFuel, int32(tt.depth)); err == nil || left < 0 {
			t.Errorf("%d locals, depth %d: %v", tt.locals, tt.depth, err)
		}
		if got, _ := m.Memory().ReadUint32Le(0); int(got) != tt.want {
			t.Errorf("%d locals, depth %d: %d calls, want %d", tt.locals, tt.depth, got, tt.want)
		}
		if int32(m.global(ExportDepth).Get()) >= 0 {
			t.Error("the trap does not show in the depth")
		}
	}
}

// TestWithoutABudgetNothingRuns holds even if the host forgets to give one.
func TestWithoutABudgetNothingRuns(t *testing.T) {
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), one(":").bytes())
	if _, err := m.ExportedFunction("f").Call(t.Context()); err == nil {
		t.Error("it ran")
	}
}

// TestBulkInstructionsPayByLength compares what memory.fill, memory.copy and
// memory.grow cost.
func TestBulkInstructionsPayByLength(t *testing.T) {
	d := draft{memory: []byte{1, 0, 2}, funcs: []draftFunc{
		{name: "fill", typ: "i:", code: write(func(c *code) {
			c.i32(0)
			c.i32(0)
			c.on(opLocalGet, 0)
			c.op(opMore, moreMemoryFill, 0)
		})},
		{name: "copy", typ: "i:", code: write(func(c *code) {
			c.i32(0)
			c.i32(0)
			c.on(opLocalGet, 0)
			c.op(opMore, moreMemoryCopy, 0, 0)
		})},
		{name: "grow", typ: "i:i", code: write(func(c *code) {
			c.on(opLocalGet, 0)
			c.op(opMemoryGrow, 0)
		})},
	}}
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), d.bytes())
	for _, tt := range []struct {
		name   string
		length uint64
		want   int64
	}{
		{"fill", 0, 2 + 40}, {"fill", 31, 2 + 40}, {"fill", 32, 2 + 41}, {"fill", 1 << 17, 2 + 40 + 1<<12},
		{"copy", 1 << 17, 2 + 40 + 1<<12},
		{"grow", 0, 2 + 2000}, {"grow", 1, 2 + 2000 + 2048}, {"grow", math.MaxUint32, 2 + 2000 + 64*2048},
	} {
		_, left, err := m.call(tt.name, muchFuel, muchDepth, tt.length)
		if got := muchFuel - left; err != nil || got != tt.want {
			t.Errorf("%s of %d cost %d, %v, want %d", tt.name, tt.length, got, err, tt.want)
		}
	}
	if _, left, err := m.call("fill", 100, muchDepth, 1<<17); err == nil || left >= 0 {
		t.Errorf("a fill that is too dear: %v, %d left", err, left)
	}
}
