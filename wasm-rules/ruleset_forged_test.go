// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/bytecode"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// forgedFuncs are the functions of the smallest module that loads as compiled
// rules and holds nothing: its answers are where the memory is zero. change
// replaces functions, or removes one whose code is nil.
func forgedFuncs(change ...testFunc) []testFunc {
	return changed([]testFunc{
		{exportIn, nil, []byte{wasmI32}, constI32(0)},
		{exportBind, []byte{wasmI32, wasmI32}, nil, []byte{}},
		{exportVisit, nil, nil, []byte{}},
		{exportDecideAll, []byte{wasmI32}, []byte{wasmI32}, constI32(MaxRecordBytes)},
	}, change)
}

// fixedPage gives an assembled module a memory that cannot grow.
func fixedPage(wasm []byte) []byte {
	return bytes.Replace(wasm, section(sectionMemory, []byte{1, 0, 1}), section(sectionMemory, []byte{1, 1, 1, 1}), 1)
}

// forged is a source of a module that says of itself what one compiled from a
// rule says.
func forged(t testing.TB, wasm []byte) testSource {
	t.Helper()
	real := compiled(t, ruleDocument(`shop.season == "spring"`))
	content, err := bytecode.Custom(real.wasm, lang.RulesSection)
	if err != nil {
		t.Fatal(err)
	}
	wasm, err = bytecode.Pack(wasm, lang.RulesSection, content[0])
	if err != nil {
		t.Fatal(err)
	}
	return testSource{wasm: wasm, hash: HashOf(wasm)}
}

func TestLoadRulesRefuses(t *testing.T) {
	real := compiled(t, ruleDocument(`shop.season == "spring"`))
	ofFuncs := func(change ...testFunc) testSource { return forged(t, fixedPage(assemble(forgedFuncs(change...)))) }
	decide := func(code ...[]byte) testSource {
		return ofFuncs(testFunc{exportDecideAll, []byte{wasmI32}, []byte{wasmI32}, slices.Concat(code...)})
	}
	wrongHash := real
	wrongHash.hash = strings.Repeat("0", 64)
	uploaded := handMade(assemble(minimal()))
	tests := []struct {
		name   string
		source testSource
		bind   map[string]int
		want   string
	}{
		{"nothing of what it is for", ofFuncs(), seasonBound, ""},
		{"other bytes than the hash says", wrongHash, seasonBound, "hash is " + real.hash},
		{"an uploaded module", uploaded, seasonBound, "open compiled rules"},
		{"no module at all", testSource{wasm: []byte("<html>"), hash: HashOf([]byte("<html>"))}, seasonBound, "open compiled rules"},
		{"an own field that the site lacks", real, nil, "shop.season"},
		{"a missing export", ofFuncs(testFunc{name: exportVisit}), seasonBound, "near_visit"},
		{"an export more", ofFuncs(testFunc{"near_settings", []byte{wasmI32, wasmI32}, nil, []byte{}}), seasonBound, "near_settings"},
		{"an export of another type", ofFuncs(testFunc{exportVisit, nil, []byte{wasmI32}, constI32(0)}), seasonBound, "near_visit"},
		{"a memory that may grow", forged(t, assemble(forgedFuncs())), seasonBound, "may grow"},
		{"recursion", ofFuncs(testFunc{exportVisit, nil, nil, call(3)}), seasonBound, "call itself"},
		{"code that is not valid", ofFuncs(testFunc{exportVisit, nil, nil, constI32(0)}), seasonBound, "code section"},
		{"a buffer that is not aligned", ofFuncs(testFunc{exportIn, nil, []byte{wasmI32}, constI32(4)}), seasonBound, "aligned"},
		{"a buffer outside the memory", ofFuncs(testFunc{exportIn, nil, []byte{wasmI32}, constI32(50_000)}), seasonBound, "inside the memory"},
		{"a trap on an empty record", decide(opUnreachable), seasonBound, "module trapped"},
		{"an answer outside the memory", decide(constI32(65536 - 32)), seasonBound, "answer at"},
		{"an answer that is not aligned", decide(constI32(MaxRecordBytes + 4)), seasonBound, "answer at"},
		{"a candidate that is not there", decide(constI32(20_000), constI64(2), opI64Store, constI32(20_000)), seasonBound, "candidate 1 of 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, Options{Source: tt.source})
			set, err := h.LoadRules("shop", &edge.Compiled{Hash: tt.source.hash}, tt.bind)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || set != nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if tt.want == "" {
				return
			}
			if h.memory.free != memoryBytes || len(h.Status()) != 0 {
				t.Errorf("what was refused still has memory: %d of %d are free", h.memory.free, int64(memoryBytes))
			}
		})
	}
}

// FuzzReadCompiled: whatever the bytes are, what is looked at before they are
// compiled neither panics nor lets through what cannot be run.
func FuzzReadCompiled(f *testing.F) {
	f.Add(compiled(f, ruleDocument(`shop.season == "spring" && hash("x") < 5000`)).wasm)
	f.Add(forged(f, fixedPage(assemble(forgedFuncs()))).wasm)
	f.Add(handMade(assemble(minimal())).wasm)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		program, err := lang.Read(wasm)
		if err != nil {
			return
		}
		c, err := newRuleCode(program, seasonBound)
		if err != nil {
			return
		}
		limits, _ := limitsFor(wasm)
		m, err := bytecode.Verify(wasm, limits)
		if err != nil || checkCompiled(m) != nil {
			return
		}
		for name, n := range c.numbers {
			if n < 0 || n >= edge.BuiltinFields+len(seasonBound) {
				t.Errorf("field %q has number %d", name, n)
			}
		}
		if len(m.Imports) > 0 || len(m.Exports) != 1+len(compiledExports()) || m.MemoryPages > MaxMemoryPages {
			t.Errorf("%d imports, %d exports, %d pages", len(m.Imports), len(m.Exports), m.MemoryPages)
		}
	})
}

// TestAFaultOfCompiledRulesCostsTheCallAndTheInstance: the module traps in France
// and nowhere else.
func TestAFaultOfCompiledRulesCostsTheCallAndTheInstance(t *testing.T) {
	trap := code(constI32(16), opI64Load, opI64Eqz, opIf, constI32(MaxRecordBytes), opReturn, opEnd, opUnreachable)
	source := forged(t, fixedPage(assemble(forgedFuncs(testFunc{exportDecideAll, []byte{wasmI32}, []byte{wasmI32}, trap}))))
	h := newHost(t, Options{Source: source, Instances: 1})
	r := mustLoadRules(t, h, source)
	held := make([]edge.Held, 1)
	for i := range 3 {
		before := r.pool.seats[0].instance
		if err := r.Decide(ruleView(r, consent.Context, "", "spring"), []int{0}, held); !errors.Is(err, ErrTrap) {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(fmt.Sprint(r.Decide(ruleView(r, consent.Context, "", "SECRET"), []int{0}, held)), "SECRET") {
			t.Error("the error holds what the visitor's record does")
		}
		if err := r.Decide(ruleView(r, 0, "", ""), []int{0}, held); err != nil {
			t.Fatalf("the call after a bad one: %v", err)
		}
		if r.pool.seats[0].instance == before {
			t.Error("an instance serves on after a trap")
		}
		s := h.Status()
		if n := uint64(i + 1); len(s) != 1 || s[0].Module != "rules" || s[0].Calls != 3*n || s[0].Faults[FaultTrap] != 2*n || s[0].Instances != 1 {
			t.Errorf("status %+v", s)
		}
	}
	for _, slots := range [][]int{{-1}, {2}, {0, 0}} {
		if err := r.Decide(ruleView(r, 0, "", ""), slots, held); err == nil {
			t.Errorf("slots %v were decided in one place", slots)
		}
	}
	runtime.KeepAlive(r)
}
