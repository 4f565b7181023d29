// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

func TestLoadRefuses(t *testing.T) {
	good := assemble(minimal())
	in := func(n int32) testFunc { return testFunc{"near_in", nil, []byte{wasmI32}, constI32(n)} }
	out := func(n int32) testFunc { return testFunc{"near_out", nil, []byte{wasmI32}, constI32(n)} }
	unreachable := []byte{0}
	tests := []struct {
		name   string
		wasm   []byte
		change func(s *testSource, ref *edge.ModuleRef)
		want   string
	}{
		{"a hash no source has", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Hash = strings.Repeat("0", 64) }, "unknown module"},
		{"bytes that do not have the hash", good, func(s *testSource, _ *edge.ModuleRef) { s.wasm = assemble(minimal(in(8))) }, "the module's hash is"},
		{"another name", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Name = "other" }, "the module is test@1.0.0, want other@1.0.0"},
		{"another version", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Version = "2.0.0" }, "the module is test@1.0.0, want test@2.0.0"},
		{"a manifest that is wrong", good, func(s *testSource, ref *edge.ModuleRef) {
			s.declare(func(m *edge.Manifest) { m.ABI = 2 })
			ref.Hash = s.hash
		}, "manifest: abi: 2 is not supported"},
		{"an own field the site lacks", good, func(s *testSource, ref *edge.ModuleRef) {
			s.declare(func(m *edge.Manifest) { m.Reads = []string{"own.a"} })
			ref.Hash = s.hash
		}, `reads "own.a"`},
		{"settings that are not JSON", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Settings = []byte(`{"a"`) }, "settings: /a: not JSON: unexpected EOF"},
		{"settings that the schema refuses", good, func(s *testSource, ref *edge.ModuleRef) {
			s.declare(func(m *edge.Manifest) { m.Settings = []byte(`{"properties":{"north":{"enum":["winter"]}}}`) })
			ref.Hash, ref.Settings = s.hash, []byte(`{"north":"autumn"}`)
		}, "settings: /north: value must be 'winter'"},
		{"a module without a manifest", good, func(s *testSource, ref *edge.ModuleRef) {
			s.wasm = good
			s.hash, ref.Hash = HashOf(good), HashOf(good)
		}, "the module has none"},
		{"settings that are not an object", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Settings = []byte(`[]`) }, "not a JSON object"},
		{"settings that are too long", good, func(_ *testSource, ref *edge.ModuleRef) {
			ref.Settings = []byte(`{"a":"` + strings.Repeat("x", MaxSettingsBytes) + `"}`)
		}, "settings: 16392 bytes, at most 16384"},
		{"settings for a module that takes none", good, func(_ *testSource, ref *edge.ModuleRef) { ref.Settings = []byte(`{"a":1}`) }, "does not export near_settings"},
		{"bytes that are no module", []byte("not wasm"), nil, "not a WebAssembly 1.0 module"},
		{"a module that is cut off", good[:len(good)-3], nil, "the module cannot be read"},
		{"a module that is too large", append(bytes.Clone(good), section(sectionCustom, make([]byte, MaxModuleBytes))...), nil, "at most 4194304"},
		{"instructions that are not valid", assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, constI32(1)})), nil, "function 2: "},
		{"no near_decide", assemble(minimal(testFunc{name: "near_decide"})), nil, "no function near_decide(i32) -> (i64)"},
		{"near_decide of another type", assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI32}, constI32(1)})), nil, "near_decide is (i32) -> (i32), want (i32) -> (i64)"},
		{"no memory of that name", bytes.Replace(good, []byte("memory"), []byte("memorY"), 1), nil, `no memory called "memory"`},
		{"an input buffer outside the memory", assemble(minimal(in(65536 - 8))), nil, "near_in: 16384 bytes at 65528"},
		{"an input buffer at a negative address", assemble(minimal(in(-8))), nil, "near_in: 16384 bytes at 4294967288"},
		{"an input buffer that is not aligned", assemble(minimal(in(4))), nil, "aligned to 8"},
		{"an output buffer outside the memory", assemble(minimal(out(65536 - 512))), nil, "near_out: 1024 bytes at 65024"},
		{"buffers that overlap", assemble(minimal(out(MaxRecordBytes - 8))), nil, "overlap"},
		{"an initialiser that traps", assemble(append(minimal(), testFunc{"_initialize", nil, nil, unreachable})), nil, "_initialize: module trapped: wasm error: unreachable"},
		{"a module that traps on an empty record", assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, unreachable})), nil, `slot "slot", empty record: module trapped`},
		{"a module whose first answer is nonsense", assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, constI64(2)})), nil, "nonsense answer: variant 2 of 1"},
		{"near_bind missing for an own field", good, func(s *testSource, ref *edge.ModuleRef) {
			s.declare(func(m *edge.Manifest) { m.Reads = []string{"own.bound"} })
			ref.Hash = s.hash
		}, "no function near_bind(i32, i32) -> ()"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := handMade(tt.wasm)
			ref := source.ref()
			if tt.change != nil {
				tt.change(&source, &ref)
			}
			_, err := newHost(t, Options{Source: source}).Load("shop", ref, map[string]int{"own.bound": edge.BuiltinFields})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Load gave %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestTheSmallestModuleAnswers(t *testing.T) {
	source := handMade(assemble(minimal()))
	r := mustLoad(t, newHost(t, Options{Source: source}), source)
	answer, err := r.Choose(edgetest.View(&edge.Visit{}, edge.Mask{}, 0), 0)
	if err != nil || answer.Variant != 1 || answer.Score != 5 {
		t.Errorf("got %+v, %v", answer, err)
	}
	for _, slot := range []int{-1, 1} {
		if _, err := r.Choose(edgetest.View(&edge.Visit{}, edge.Mask{}, 0), slot); err == nil {
			t.Errorf("slot %d does not exist, but was answered", slot)
		}
	}
}

func TestRulesAreSharedByModuleSettingsAndFields(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source})
	bind := bindAll(source.manifest)
	load := func(settings string, bind map[string]int) edge.Rule {
		ref := source.ref()
		ref.Settings = json.RawMessage(settings)
		r, err := h.Load("shop", ref, bind)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := load(`{"say":1}`, bind)
	if load(` { "say" : 1 } `, bind) != first {
		t.Error("the same settings with other white space made another rule")
	}
	if load(`{"say":2}`, bind) == first {
		t.Error("other settings got the same rule")
	}
	bind["own.more"] = edge.BuiltinFields + len(bind)
	if load(`{"say":1}`, bind) == first {
		t.Error("a site with another record got the same rule")
	}
}

func TestARuleNobodyRefersToIsReleased(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source})
	pool := mustLoad(t, h, source).pool // the rule itself is dropped here
	if n := pool.alive.Load(); n != 1 {
		t.Fatalf("%d instances after Load, want 1", n)
	}
	deadline := time.Now().Add(10 * time.Second)
	for pool.alive.Load() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the instance is still there")
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if mustLoad(t, h, source).pool == pool {
		t.Error("a released rule was loaded again")
	}
}

func TestLargeModulesAreCounted(t *testing.T) {
	large := handMade(append(assemble(minimal()), section(sectionCustom, make([]byte, 600<<10))...))
	small := handMade(assemble(minimal()))
	h := newHost(t, Options{Source: Chain(large, small), LargeModules: 1})
	one := mustLoad(t, h, large)
	// The same module at a site with one field more is another rule.
	more := map[string]int{"own.more": edge.BuiltinFields}
	_, err := h.Load("demo", large.ref(), more)
	wantCode(t, err, CodeQuota)
	mustLoad(t, h, small)
	if mustLoad(t, h, large) != one {
		t.Error("a rule that is loaded was made again")
	}
	runtime.KeepAlive(one)
	deadline := time.Now().Add(10 * time.Second)
	for ; err != nil; _, err = h.Load("demo", large.ref(), more) {
		if time.Now().After(deadline) {
			t.Fatalf("a module that was released is still counted: %v", err)
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// TestMemoryIsCounted: rules of one module with other settings each have a memory
// of their own.
func TestMemoryIsCounted(t *testing.T) {
	source := handMade(fat(), readsOwn)
	const instances, rules = 2, 3
	// One chunk is as in every snapshot; a straddle for each of 64.
	const each = (instances+1)*MaxMemoryPages*pageBytes + 64*bytecode.Straddle
	h := newHost(t, Options{Source: source, Instances: instances, MemoryBytes: rules * each})
	load := func(n int) (edge.Rule, error) {
		ref := source.ref()
		ref.Settings = fmt.Appendf(nil, `{"n":%d}`, n)
		return h.Load("demo", ref, bindAll(source.manifest))
	}
	var kept []edge.Rule
	for n := range rules {
		r, err := load(n)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, r)
	}
	_, err := load(rules)
	wantCode(t, err, CodeMemory)
	if r, err := load(0); err != nil || r != kept[0] {
		t.Errorf("a rule that is loaded: %v", err)
	}
	runtime.KeepAlive(kept)
	clear(kept)
	if _, err := load(rules); err != nil {
		t.Errorf("after the others were released: %v", err)
	}
}

func TestARuleOfAClosedHostFails(t *testing.T) {
	source := echo(t, "c")
	h, err := New(Options{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	r := mustLoad(t, h, source)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := r.Choose(edgetest.View(&edge.Visit{}, edge.Mask{}, 0), 0); err == nil {
			t.Error("a closed host answered")
		}
	}
	if _, err := h.Load("shop", source.ref(), nil); err == nil {
		t.Error("a closed host loaded")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a host without a source was made")
	}
	if _, err := New(Options{Source: Embedded(), Instances: -1}); err == nil {
		t.Error("a host with less than no instances was made")
	}
}

// TestNoTraceOfARefusedValue gives every purpose a marker of its own, refuses
// one purpose after the other, and looks for the markers in the record and in
// the whole memory of the guest while it still holds the call.
func TestNoTraceOfARefusedValue(t *testing.T) {
	mark := func(p consent.Purposes) string { return "MARK-" + p.String() + "-" }
	visit := &edge.Visit{
		Lang:   mark(consent.Context),
		Ref:    edge.Ref{Host: mark(consent.Measure)},
		Source: edge.Source{ClickID: mark(consent.Share)},
		Place:  edge.Place{City: mark(consent.Context), Postcode: mark(consent.Geo)},
		Device: edge.Device{Model: mark(consent.Device), TimeZone: mark(consent.Device)},
	}
	var all edge.Mask
	for n := range edge.BuiltinFields {
		all = all.With(edge.FieldNumber(n))
	}
	for _, row := range consent.Rows() {
		for _, v := range []edge.Value{
			{Type: edge.TypeString, Str: mark(row.Bit)},
			{Type: edge.TypeList, List: []string{"a", mark(row.Bit)}},
			{Type: edge.TypeMap, Map: []edge.Entry{{Key: mark(row.Bit), Value: 1}}},
		} {
			all = all.With(edge.FieldNumber(edge.BuiltinFields + len(visit.Own)))
			visit.Own = append(visit.Own, edge.OwnValue{Value: v, Purpose: row.Bit})
		}
		// An item that needs its own purpose, in a field everybody may read.
		things := []edge.Item{{ID: "plain"}, {ID: mark(row.Bit), Purpose: row.Bit}}
		all = all.With(edge.FieldNumber(edge.BuiltinFields + len(visit.Own)))
		visit.Own = append(visit.Own, edge.OwnValue{Value: edge.Value{Type: edge.TypeItems, Items: things}})
	}
	source := echo(t, "c")
	r := mustLoad(t, newHost(t, Options{Source: source}), source)
	for _, refused := range consent.Rows() {
		t.Run(refused.Name, func(t *testing.T) {
			record := encodeRecord(edgetest.View(visit, all, consent.All&^refused.Bit), nil)
			seat, err := r.pool.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			in := seat.instance
			if _, err := in.choose(t.Context(), record, 0, 3, edge.MaxBudget); err != nil {
				t.Fatal(err)
			}
			for place, b := range map[string][]byte{"record": record, "memory": in.memory} {
				for _, row := range consent.Rows() {
					if found := bytes.Contains(b, []byte(mark(row.Bit))); found == (row.Bit == refused.Bit) {
						t.Errorf("%s refused, value of %s found in the %s: %t", refused.Name, row.Name, place, found)
					}
				}
			}
			r.pool.give(seat, false, 0)
			if bytes.Contains(in.memory, []byte("MARK-")) || !r.template.snapshot.is(in.memory, in.globals) {
				t.Error("the idle instance still holds a visitor's value")
			}
		})
	}
}
