// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// The instructions of the attackers below.
var (
	opUnreachable = []byte{0x00}
	opLoop        = []byte{0x03, 0x40}
	opIf          = []byte{0x04, 0x40}
	opEnd         = []byte{0x0b}
	opReturn      = []byte{0x0f}
	opDrop        = []byte{0x1a}
	opI64Load     = []byte{0x29, 0, 0}
	opI64Store    = []byte{0x37, 0, 0}
	opMemorySize  = []byte{0x3f, 0}
	opMemoryGrow  = []byte{0x40, 0}
	opI64Eqz      = []byte{0x50}
	opI64Eq       = []byte{0x51}
	opI32LtU      = []byte{0x49}
	opI32Add      = []byte{0x6a}
	opI64Add      = []byte{0x7c}
	opI64Or       = []byte{0x84}
	opI64Shl      = []byte{0x86}
	opExtend      = []byte{0xad} // an unsigned i32 to i64
	opMemoryFill  = []byte{0xfc, 11, 0}
)

func br(label byte) []byte        { return []byte{0x0c, label} }
func brIf(label byte) []byte      { return []byte{0x0d, label} }
func call(function byte) []byte   { return []byte{0x10, function} }
func localGet(n byte) []byte      { return []byte{0x20, n} }
func localTee(n byte) []byte      { return []byte{0x22, n} }
func globalGet(n byte) []byte     { return []byte{0x23, n} }
func globalSet(n byte) []byte     { return []byte{0x24, n} }
func code(parts ...[]byte) []byte { return slices.Concat(parts...) }

// harmless answers nothing where no field is present, so that a module passes
// its canaries: the record is at address 0, its presence words at 16.
var harmless = code(constI32(16), opI64Load, opI64Eqz, opIf, constI64(0), opReturn, opEnd)

// answer1 makes near_decide's result of the i64 on the stack: variant 1 with
// that score.
var answer1 = code(constI64(8), opI64Shl, constI64(1), opI64Or)

// trapUpkeep is what putting a memory of one page back after a trap costs at
// most.
const trapUpkeep = pageBytes/restoredBytes + pageBytes/restartBytes/maxTraps

// decide is a near_decide that does something once a field of the site's own is
// present; helpers have the numbers from 4 on.
func decide(code_ []byte, helpers ...testFunc) []testFunc {
	return minimal(append([]testFunc{bound, {"near_decide", []byte{wasmI32}, []byte{wasmI64}, code(harmless, code_)}}, helpers...)...)
}

// mutableI64 is a global section of one mutable i64.
var mutableI64 = section(sectionGlobal, code(uleb(1), []byte{wasmI64, 1}, constI64(0), opEnd))

// An attacker is a loaded hostile module.
type attacker struct {
	*rule
	host *Host
	view *edge.View
}

func attack(t *testing.T, wasm []byte, changes ...func(m *edge.Manifest)) attacker {
	t.Helper()
	source := handMade(wasm, append(changes, readsOwn)...)
	victim := echo(t, "c")
	h := newHost(t, Options{Source: Chain(source, victim), Instances: 1})
	a := attacker{mustLoad(t, h, source), h, ownTextView(source)}
	// Whatever the attacker does, another module of the host answers.
	other := mustLoad(t, h, victim)
	view, slot := echoView(victim), victim.manifest.Slot("score")
	t.Cleanup(func() {
		if answer, err := other.Choose(view, slot); err != nil || answer.Score != 1 {
			t.Errorf("afterwards another module gave %+v, %v", answer, err)
		}
	})
	return a
}

// kept reports whether the one instance still serves and is as the snapshot
// says.
func (a attacker) kept(t *testing.T) bool {
	t.Helper()
	seat := &a.pool.seats[0]
	if seat.instance == nil {
		return false
	}
	if !a.template.snapshot.is(seat.instance.memory, seat.instance.globals) {
		t.Error("the instance is not as it was")
	}
	return true
}

// TestARunawayModuleIsStoppedByItsFuel counts fuel, not time: the budget is half
// a millisecond on the slowest of machines this is for, and the same everywhere.
func TestARunawayModuleIsStoppedByItsFuel(t *testing.T) {
	// tree is 2^n calls without a loop.
	var tree []testFunc
	for n := range byte(40) {
		body := code(call(5+n), call(5+n))
		if n == 39 {
			body = nil
		}
		tree = append(tree, testFunc{fmt.Sprintf("f%d", n), nil, nil, append([]byte{}, body...)})
	}
	tests := []struct {
		name string
		wasm []byte
		want error
	}{
		{"a loop", assemble(decide(code(opLoop, br(0), opEnd, opUnreachable))), edge.ErrBudget},
		{"a tree of calls without a loop", assemble(decide(code(call(4), constI64(1)), tree...)), edge.ErrBudget},
		{"a fill of the whole memory in a loop", assemble(decide(code(opLoop, constI32(0), constI32(7), constI32(65536), opMemoryFill, br(0), opEnd, opUnreachable))), edge.ErrBudget},
		{"recursion", assemble(decide(code(call(4), constI64(1)), testFunc{"f", nil, nil, call(4)})), ErrDepth},
		{"recursion with much to remember", assemble(decide(code(constI64(1), call(4)), testFunc{"f", []byte{wasmI64}, []byte{wasmI64}, code(
			localGet(0), localGet(0), localGet(0), localGet(0), localGet(0), localGet(0), localGet(0), localGet(0), call(4),
			opI64Add, opI64Add, opI64Add, opI64Add, opI64Add, opI64Add, opI64Add)})), ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := attack(t, tt.wasm)
			var first int64
			for i := range tripFaults - 1 {
				answer, err := a.Choose(a.view, 0)
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %+v, %v, want %v", answer, err, tt.want)
				}
				if i == 0 {
					first = answer.Fuel
				}
				// A charge is for a stretch of code, or for a bulk instruction.
				if answer.Fuel != first || answer.Fuel > a.template.budget+65536/32+100+trapUpkeep {
					t.Errorf("spent %d, the first time %d, of %d", answer.Fuel, first, a.template.budget)
				}
				if !a.kept(t) {
					t.Fatal("the instance was thrown away")
				}
			}
		})
	}
}

func TestAModuleThatNeverStartsIsRefused(t *testing.T) {
	endless := code(opLoop, br(0), opEnd)
	for name, wasm := range map[string][]byte{
		"_initialize":   assemble(append(minimal(), testFunc{"_initialize", nil, nil, endless})),
		"near_in":       assemble(minimal(testFunc{"near_in", nil, []byte{wasmI32}, code(endless, opUnreachable)})),
		"near_bind":     assemble(minimal(testFunc{"near_bind", []byte{wasmI32, wasmI32}, nil, endless})),
		"near_settings": assemble(minimal(bound, testFunc{"near_settings", []byte{wasmI32, wasmI32}, nil, endless})),
		"near_decide":   assemble(minimal(bound, testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, code(endless, opUnreachable)})),
	} {
		t.Run(name, func(t *testing.T) {
			source := handMade(wasm, func(m *edge.Manifest) {
				if name == "near_bind" {
					readsOwn(m)
				}
			})
			_, err := newHost(t, Options{Source: source}).Load("demo", source.ref(), bindAll(source.manifest))
			wantCode(t, err, CodeStart)
			if !errors.Is(err, edge.ErrBudget) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNothingIsKeptBetweenVisitors has modules that count in every place that
// could outlast a call. The count is their score: it must never move on.
func TestNothingIsKeptBetweenVisitors(t *testing.T) {
	// at counts in eight bytes of memory.
	at := func(address int32) []byte {
		return code(constI32(address), constI32(address), opI64Load, constI64(1), opI64Add, opI64Store, constI32(address), opI64Load)
	}
	everywhere := func() []byte {
		var all []byte
		for chunk := int32(2); chunk < 64; chunk++ {
			all = code(all, at(chunk<<10-4), opDrop) // half in one chunk, half in the next
		}
		return code(all, at(1<<10-4))
	}
	tests := []struct {
		name string
		wasm []byte
		want int64
		kept bool
	}{
		{"in memory", assemble(decide(code(at(40_000), answer1))), 1, true},
		{"in the last bytes of memory", assemble(decide(code(at(65536-8), answer1))), 1, true},
		{"in the buffer of the record", assemble(decide(code(at(MaxRecordBytes-8), answer1))), 1, true},
		{"in the buffer of the output", assemble(decide(code(at(MaxRecordBytes+64), answer1))), 1, true},
		{"across all chunks", assemble(decide(code(everywhere(), answer1))), 1, true},
		{"by a bulk instruction", assemble(decide(code(constI32(30_000), opI64Load, constI32(20_000), constI32(1), constI32(45_000), opMemoryFill, answer1))), 0, true},
		{"in a global that is not exported", assemble(decide(code(globalGet(0), constI64(1), opI64Add, globalSet(0), globalGet(0), answer1)), mutableI64), 1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := attack(t, tt.wasm)
			var fuel int64
			for i := range 100 {
				answer, err := a.Choose(a.view, 0)
				if i == 0 {
					fuel = answer.Fuel
				}
				if err != nil || answer.Score != tt.want || answer.Fuel != fuel {
					t.Fatalf("call %d gave %+v, %v, want score %d for %d fuel", i, answer, err, tt.want, fuel)
				}
				if a.kept(t) != tt.kept {
					t.Fatalf("the instance was kept: %t", !tt.kept)
				}
			}
		})
	}
}

// TestNothingIsKeptThroughATrap stores, and then traps.
func TestNothingIsKeptThroughATrap(t *testing.T) {
	remember := code(constI32(40_000), opI64Load, opI64Eqz, opIf, constI32(40_000), constI64(1), opI64Store, constI64(1), globalSet(0))
	for name, end := range map[string][]byte{
		"unreachable":     opUnreachable,
		"out of bounds":   code(constI32(-1), opI64Load, opDrop),
		"out of fuel":     code(opLoop, br(0), opEnd),
		"nested too deep": call(4),
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, assemble(decide(code(remember, end, opEnd, globalGet(0), answer1), testFunc{"f", nil, nil, call(4)}), mutableI64))
			for i := range tripFaults - 1 {
				if answer, err := a.Choose(a.view, 0); err == nil {
					t.Fatalf("call %d found what the one before left: %+v", i, answer)
				}
				if !a.kept(t) {
					t.Fatal("the instance was thrown away")
				}
			}
		})
	}
}

func TestAnInstanceIsThrownAwayAfterManyTraps(t *testing.T) {
	a := attack(t, assemble(decide(opUnreachable)))
	now := &clock{}
	a.breaker.now = now.now
	for range maxTraps {
		now.pass(longestSpell)
		if _, err := a.Choose(a.view, 0); !errors.Is(err, ErrTrap) {
			t.Fatal(err)
		}
	}
	if a.kept(t) {
		t.Errorf("the instance is kept after %d traps", maxTraps)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	grow := code(opLoop, constI32(1), opMemoryGrow, opDrop, br(0), opEnd, opUnreachable)
	a := attack(t, assemble(decide(grow)))
	for range tripFaults - 1 {
		if _, err := a.Choose(a.view, 0); !errors.Is(err, edge.ErrBudget) {
			t.Fatal(err)
		}
		if a.kept(t) {
			t.Fatal("an instance that grew is kept")
		}
	}
	// As far as it gets in one step, before it serves.
	most := code(constI32(MaxMemoryPages), opMemoryGrow, opDrop, constI32(MaxMemoryPages-1), opMemoryGrow, opDrop)
	a = attack(t, assemble(decide(code(opMemorySize, opExtend, answer1), testFunc{"_initialize", nil, nil, most})))
	if answer, err := a.Choose(a.view, 0); err != nil || answer.Score != MaxMemoryPages {
		t.Errorf("the memory grew to %d pages (%v), want %d", answer.Score, err, MaxMemoryPages)
	}
}

// TestAMemoryThatGrowsIsAFault: growing costs a new instance, which no fuel of
// the module's own pays for.
func TestAMemoryThatGrowsIsAFault(t *testing.T) {
	grow := code(constI32(1), opMemoryGrow, opDrop, constI64(5), answer1)
	a := attack(t, assemble(decide(grow)))
	for range tripFaults {
		answer, err := a.Choose(a.view, 0)
		if !errors.Is(err, ErrGrown) || answer.Variant != 0 || answer.Fuel < 2*pageBytes/restartBytes {
			t.Fatalf("got %+v, %v", answer, err)
		}
		if a.kept(t) {
			t.Fatal("an instance that grew is kept")
		}
	}
	if _, err := a.Choose(a.view, 0); !errors.Is(err, ErrQuarantined) {
		t.Errorf("after %d faults: %v", tripFaults, err)
	}
	// Also for a canary, but not for the empty record.
	const first = 40_000 // not 0 after the first call
	once := code(constI32(first), opI64Load, opI64Eqz, opIf, constI32(first), constI64(1), opI64Store, constI32(1), opMemoryGrow, opDrop, opEnd, constI64(5), answer1)
	for name, tt := range map[string]struct {
		code []byte
		want string
	}{"at each call": {grow, CodeGrows}, "at the first": {once, ""}} {
		source := handMade(assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, tt.code})))
		if report, err := newChecker(t).Check(t.Context(), source.wasm); err != nil || report.Code != tt.want {
			t.Errorf("%s: %v, %+v, want code %q", name, err, report, tt.want)
		}
	}
}

// TestPuttingBackCosts: a store in each chunk has the host put the whole memory
// back, and a trap may cost the instance.
func TestPuttingBackCosts(t *testing.T) {
	store := func(at int32) []byte { return code(constI32(at), constI64(1), opI64Store) }
	var everyPage []byte
	for page := range int32(MaxMemoryPages) {
		everyPage = code(everyPage, store(page<<16+40_000))
	}
	large := func(c []byte) []byte { return inPages(assemble(decide(c)), MaxMemoryPages) }
	const whole = MaxMemoryPages * pageBytes
	tests := []struct {
		name      string
		wasm      []byte
		least     int64
		orFailing bool
	}{
		{"nothing stored", large(code(constI64(5), answer1)), 0, false},
		{"one chunk", large(code(store(40_000), constI64(5), answer1)), whole / 64 / restoredBytes, false},
		{"every chunk", large(code(everyPage, constI64(5), answer1)), whole / restoredBytes, false},
		{"one chunk of a small memory", assemble(decide(code(store(40_000), constI64(5), answer1))), pageBytes / 64 / restoredBytes, false},
		{"a trap", large(opUnreachable), whole / restartBytes / maxTraps, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := attack(t, tt.wasm)
			answer, err := a.Choose(a.view, 0)
			if (err != nil) != tt.orFailing || answer.Fuel < tt.least || answer.Fuel > tt.least+5000 {
				t.Errorf("spent %d (%v), want %d and little more", answer.Fuel, err, tt.least)
			}
		})
	}
}

// TestPaddingBuysNoFuel: what starts a runtime is told from a small module that
// something makes large.
func TestPaddingBuysNoFuel(t *testing.T) {
	// 100 stores in each of 30,000 rounds: 24 million.
	rounds := testFunc{"rounds", []byte{wasmI32}, nil, code(
		opLoop, bytes.Repeat(code(constI32(40_000), constI64(1), opI64Store), 100),
		localGet(0), constI32(1), opI32Add, localTee(0), constI32(30_000), opI32LtU, brIf(0), opEnd)}
	funcs := minimal(rounds)
	funcs = append(funcs, testFunc{"_initialize", nil, nil, code(constI32(0), call(byte(len(funcs)-1)))})
	padding := section(sectionCustom, append(sized([]byte("padding")), make([]byte, 600<<10)...))
	source := handMade(append(assemble(funcs), padding...))
	if report, err := newChecker(t).Check(t.Context(), source.wasm); err != nil || report.Code != CodeStart || !strings.Contains(report.Message, edge.ErrBudget.Error()) {
		t.Errorf("got %v, %+v", err, report)
	}
}

// TestFuelCannotBeForged has modules that reach for the host's globals.
func TestFuelCannotBeForged(t *testing.T) {
	endless := code(opLoop, br(0), opEnd, opUnreachable)
	refused := []struct {
		name, code string
		wasm       []byte
	}{
		{"a global that is only there once fuel is", "index", assemble(decide(code(constI64(1<<60), globalSet(0), endless)))},
		{"one more than its own", "index", assemble(decide(code(constI64(1<<60), globalSet(1), endless)), mutableI64)},
		{"an export of the host's name", "reserved", assemble(append(decide(endless), testFunc{"near.fuel", nil, nil, []byte{}}))},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			source := handMade(tt.wasm, readsOwn)
			report, err := newChecker(t).Check(t.Context(), source.wasm)
			if err != nil || report.Code != tt.code {
				t.Errorf("got %v, %+v, want code %s", err, report, tt.code)
			}
			if _, err := newHost(t, Options{Source: source}).Load("demo", source.ref(), bindAll(source.manifest)); err == nil {
				t.Error("it was loaded")
			}
		})
	}
	t.Run("its own global", func(t *testing.T) {
		a := attack(t, assemble(decide(code(opLoop, constI64(1<<60), globalSet(0), br(0), opEnd, opUnreachable)), mutableI64))
		if answer, err := a.Choose(a.view, 0); !errors.Is(err, edge.ErrBudget) || answer.Fuel > a.template.budget+100+trapUpkeep {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
}

// TestARefusedValueCannotBeFound has a module that looks for a text everywhere
// in its memory and beyond the record, on a visit where another visitor's is all
// that could be there.
func TestARefusedValueCannotBeFound(t *testing.T) {
	const secret = 0x3153545243455320 // " SECRTS1"
	// find counts in local 1 the addresses from local 0 on at which the secret is,
	// four of them a turn, so that one call can afford all.
	turn := code(opLoop)
	for offset := range byte(4) {
		turn = code(turn, localGet(1), localGet(0), []byte{0x29, 0, offset}, constI64(secret), opI64Eq, opExtend, opI64Add, []byte{0x21, 1})
	}
	find := code(turn,
		localGet(0), constI32(4), opI32Add, localTee(0), constI32(65536-12), opI32LtU, brIf(0),
		opEnd, localGet(1))
	decider := code(constI32(0), constI64(0), call(4), answer1)
	source := handMade(assemble(minimal(bound, testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, decider},
		testFunc{"find", []byte{wasmI32, wasmI64}, []byte{wasmI64}, find})), func(m *edge.Manifest) {
		m.Needs, m.Reads = consent.Set(consent.Context), []string{"own.text", "geo.city", "geo.postcode", "recent"}
	})
	r := mustLoad(t, newHost(t, Options{Source: source, Instances: 1}), source)
	var text [8]byte
	le.PutUint64(text[:], secret)
	visit := &edge.Visit{
		Place: edge.Place{City: string(text[:]), Postcode: string(text[:])},
		State: &edge.State{},
		Own:   []edge.OwnValue{{Value: edge.Value{Type: edge.TypeString, Str: string(text[:])}, Purpose: consent.Share}},
	}
	visit.State.Learn("view_item", time.Now(), edge.ItemEvent{Item: string(text[:])})
	for _, tt := range []struct {
		granted consent.Purposes
		want    int64
	}{
		{consent.All, 4}, {0, 0}, {consent.Context, 1}, {consent.Context | consent.Geo, 2}, {0, 0},
		{consent.Personalise, 1}, {consent.Share, 1}, {consent.All &^ consent.Geo, 3}, {consent.Measure | consent.Storage, 0},
	} {
		answer, err := r.Choose(edgetest.View(visit, declared(source.manifest), tt.granted), 0)
		if err != nil || answer.Score != tt.want {
			t.Errorf("with %s it found %d (%v), want %d", tt.granted, answer.Score, err, tt.want)
		}
	}
}
