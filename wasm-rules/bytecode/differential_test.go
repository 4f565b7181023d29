// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
)

// programArgs are what "f" of a generated program is called with.
var programArgs = [][]uint64{
	{0, 0, 0},
	{5, 1 << 40, math.Float64bits(1.5)},
	{0xffffffff, math.MaxUint64, math.Float64bits(math.NaN())},
}

// programFuel bounds a generated program, some of which take long.
const programFuel = 300_000

// compareRewritten runs a program plain and rewritten and fails the test unless
// they do the same, the rewritten one spends no less than what ran costs, and
// marks what it writes. It returns how many runs came to an end.
func compareRewritten(t testing.TB, r wazero.Runtime, wasm []byte) (ended int) {
	m, err := Verify(wasm, Standard())
	if err != nil {
		t.Fatalf("the program is refused: %v", err)
	}
	for _, args := range programArgs {
		a, b := counted(t, r, m), rewritten(t, r, wasm)
		before := b.bytes()
		got, left, err := b.call("f", programFuel, muchDepth, args...)
		b.checkDirty(before, b.dirty())
		if left < 0 {
			continue
		}
		want, _, fault := a.call("f", 0, 0, args...)
		types := b.ExportedFunction("f").Definition().ResultTypes()
		switch cost := int64(a.global("cost").Get()); {
		case (fault == nil) != (err == nil), fault == nil && !same(got, want, types):
			t.Fatalf("plain %x, %v; rewritten %x, %v", want, fault, got, err)
		case !bytes.Equal(a.bytes(), b.bytes()):
			t.Fatal("the memories differ")
		case cost > programFuel-left:
			t.Fatalf("what ran costs %d, %d were charged", cost, programFuel-left)
		}
		if err == nil {
			ended++
		}
	}
	return ended
}

// counted instantiates a module that adds up in the global "cost" what each
// instruction costs that it runs, and is otherwise as it was.
func counted(t testing.TB, r wazero.Runtime, m *Module) *machine {
	w := &rewriter{Module: m, types: slices.Clone(m.types), globals: slices.Clone(m.globals), shift: smallestChunk}
	cost := uint32(len(w.globals))
	w.globals = append(w.globals, globalVariable{I64, true, constant{op: opI64Const}})
	// No fuel, no depth and no dirty chunks are counted; the names are taken by
	// the one global there is.
	w.fuel, w.depth, w.dirty = cost, cost, cost
	var bodies code
	bodies.u32(uint32(len(m.functions)))
	for _, f := range m.functions {
		b := &bodyWriter{rewriter: w, given: uint32(len(m.types[f.typ].params) + len(f.locals))}
		for d := decode(m.wasm[f.at:f.end]); d.left() > 0; {
			in := d.next()
			if in.cost > 0 {
				b.on(opGlobalGet, cost)
				b.i64(int64(in.cost))
				b.op(opI64Add)
				b.on(opGlobalSet, cost)
			}
			b.plain(&in)
		}
		bodies.sized(append(b.locals(f.locals), b.code...))
	}
	w.Module = &Module{}
	*w.Module = *m
	w.Exports = append(slices.Clone(m.Exports), Export{Name: "cost", Kind: Global, Index: int(cost)})
	return plain(t, r, w.module(bodies))
}

// compareEngines runs a rewritten program on both engines of wazero and fails
// the test unless they answer, write and spend the same: floating-point numbers
// whose bits are looked at included.
func compareEngines(t testing.TB, compiler, interpreter wazero.Runtime, wasm []byte) {
	a, b := rewritten(t, compiler, wasm), rewritten(t, interpreter, wasm)
	for _, args := range programArgs {
		want, spent, fault := a.call("f", programFuel, muchDepth, args...)
		got, left, err := b.call("f", programFuel, muchDepth, args...)
		switch {
		case (fault == nil) != (err == nil), fault == nil && !slices.Equal(got, want):
			t.Fatalf("compiled %x, %v; interpreted %x, %v", want, fault, got, err)
		case spent != left:
			t.Fatalf("compiled it left %d fuel, interpreted %d", spent, left)
		case !bytes.Equal(a.bytes(), b.bytes()):
			t.Fatal("the memories differ")
		case a.dirty() != b.dirty():
			t.Fatal("the marks differ")
		}
	}
}

func choices(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 200+random.IntN(1800))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

func TestRandomProgramsAnswerAsBefore(t *testing.T) {
	ended, programs := 0, 60
	for seed := range programs {
		r := wazero.NewRuntimeWithConfig(t.Context(), newConfig(wazero.NewRuntimeConfig()))
		ended += compareRewritten(t, r, generate(choices(uint64(seed)), false))
		_ = r.Close(t.Context())
	}
	if t.Logf("%d of %d runs came to an end", ended, 3*programs); ended < programs {
		t.Error("too few to tell")
	}
}

func TestRandomProgramsAnswerTheSameEverywhere(t *testing.T) {
	compiler, interpreter := newRuntime(t, wazero.NewRuntimeConfigCompiler()), newRuntime(t, wazero.NewRuntimeConfigInterpreter())
	for seed := range 40 {
		compareEngines(t, compiler, interpreter, generate(choices(uint64(seed)), true))
	}
}
