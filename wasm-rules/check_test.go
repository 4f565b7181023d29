// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func newChecker(t testing.TB) *Checker {
	t.Helper()
	c, err := OpenChecker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestCheckReportsWhatAModuleIs(t *testing.T) {
	source := echo(t, "assemblyscript")
	report, err := newChecker(t).Check(t.Context(), source.wasm)
	if err != nil || !report.OK {
		t.Fatalf("%+v, %v", report, err)
	}
	if report.Hash != source.hash || report.Rewritten == "" || report.Rewritten == report.Hash {
		t.Errorf("hashes %s and %s", report.Hash, report.Rewritten)
	}
	if report.Bytes != len(source.wasm) || report.RewrittenBytes <= report.Bytes/2 || report.MemoryPages < 1 {
		t.Errorf("%d bytes, %d rewritten, %d pages", report.Bytes, report.RewrittenBytes, report.MemoryPages)
	}
	if report.Manifest == nil || report.Manifest.ID() != source.manifest.ID() {
		t.Errorf("manifest %+v", report.Manifest)
	}
	if report.Budget < minBudget || report.MaxFuel <= 0 || report.MaxFuel > report.Budget {
		t.Errorf("budget %d, dearest canary %d", report.Budget, report.MaxFuel)
	}
	used := map[string]edge.LimitUse{}
	for _, l := range report.Limits {
		used[l.Name] = l
	}
	if l := used["size"]; l.Used != uint64(len(source.wasm)) || l.Limit != 512<<10 {
		t.Errorf("size: %+v", l)
	}
	if l := used["functions"]; l.Used == 0 || l.Used > l.Limit {
		t.Errorf("functions: %+v", l)
	}
}

// TestCheckAndLoadAgree checks and loads the same modules: whatever passes one
// passes the other, with the same budget.
func TestCheckAndLoadAgree(t *testing.T) {
	unreachable := []byte{0}
	for name, wasm := range map[string][]byte{
		"good":          assemble(minimal()),
		"traps":         assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, unreachable})),
		"not its type":  assemble(minimal(testFunc{"near_in", nil, []byte{wasmI64}, constI64(0)})),
		"overlaps":      assemble(minimal(testFunc{"near_out", nil, []byte{wasmI32}, constI32(8)})),
		"fails a visit": assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, trapIfPresent})),
	} {
		t.Run(name, func(t *testing.T) {
			source := handMade(wasm)
			h := newHost(t, Options{Source: source})
			report, err := h.Checker().Check(t.Context(), source.wasm)
			if err != nil {
				t.Fatal(err)
			}
			loaded, err := h.Load("demo", source.ref(), nil)
			if report.OK != (err == nil) {
				t.Fatalf("the check says %t %s %q, loading %v", report.OK, report.Code, report.Message, err)
			}
			if err != nil {
				wantCode(t, err, report.Code)
				return
			}
			if got := loaded.(*rule).template.budget; got != report.Budget {
				t.Errorf("budget %d, the check says %d", got, report.Budget)
			}
		})
	}
}

// trapIfPresent answers 0 unless the record says that any field is present.
var trapIfPresent = []byte{
	0x41, 16, 0x29, 3, 0, // i64.load of the first presence word
	0x50, 0x45, 0x04, 0x40, 0x00, 0x0b, // if it is not 0, unreachable
	0x42, 0, // i64.const 0
}

func TestCheckSaysWhyNot(t *testing.T) {
	good := assemble(minimal())
	tests := []struct {
		name, code, message string
		wasm                []byte
	}{
		{"nothing", "header", "not a WebAssembly 1.0 module", nil},
		{"a picture", "header", "not a WebAssembly 1.0 module", []byte("\x89PNG\r\n")},
		{"too large", "size", "4194305 bytes, at most 4194304", make([]byte, MaxModuleBytes+1)},
		{"no manifest", CodeManifest, "nearside module pack", good},
		{"a manifest that reads what it needs no purpose for", CodeManifest, "needs", packAnything(good, func() edge.Manifest {
			m := oneSlot()
			m.Needs, m.Reads = 0, []string{"geo.country"}
			return m
		}())},
		{"no near_decide", CodeABI, "no function near_decide(i32) -> (i64)", packAnything(assemble(minimal(testFunc{name: "near_decide"})), oneSlot())},
		{"a canary that traps", CodeCanary, `slot "slot", canary "a device that is none of the known": module trapped`,
			packAnything(assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, trapIfPresent})), withPath())},
		{"settings that nothing says", CodeSettings, "needs a default or examples", packAnything(good, func() edge.Manifest {
			m := oneSlot()
			m.Settings = []byte(`{"required":["north"]}`)
			return m
		}())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := newChecker(t).Check(t.Context(), tt.wasm)
			if err != nil || report.OK || report.Code != tt.code || !strings.Contains(report.Message, tt.message) || strings.Contains(report.Message, "\n") {
				t.Errorf("%v %+v, want code %s and %q", err, report, tt.code, tt.message)
			}
		})
	}
}

func withPath() edge.Manifest {
	m := oneSlot()
	m.Reads = []string{"page.path"}
	return m
}

func TestCheckTakesSettingsFromTheSchema(t *testing.T) {
	source := echo(t, "c")
	for _, schema := range []string{
		`{"required":["say"],"default":{"say":"x"}}`,
		`{"required":["say"],"default":{"say":1},"properties":{"say":{"type":"string"}},"examples":[{},{"say":"x"}]}`,
	} {
		source.declare(func(m *edge.Manifest) { m.Settings = json.RawMessage(schema) })
		report, err := newChecker(t).Check(t.Context(), source.wasm)
		if err != nil || !report.OK {
			t.Errorf("%s: %v, %s", schema, err, report.Message)
		}
	}
}

func TestTestRunsCases(t *testing.T) {
	source := echo(t, "c")
	score, because := int64(2), "/hats|-|-|-|FR|-|-|-|-|-|-|-"
	visit := edge.SampleVisit{Granted: consent.Set(consent.All), Fields: map[string]json.RawMessage{"page.path": []byte(`"/hats"`), "geo.country": []byte(`"FR"`)}}
	with := func(name, value string) edge.SampleVisit {
		return edge.SampleVisit{Granted: consent.Set(consent.All), Fields: map[string]json.RawMessage{"page.path": []byte(`"/"`), name: []byte(value)}}
	}
	wants := func(because string) edge.ModuleWant { return edge.ModuleWant{Variant: "one", Because: &because} }
	items := []edge.AnswerItem{{ID: "a", Reason: "seen", Text: "You saw a"}}
	tests := []struct {
		name    string
		give    edge.ModuleCase
		message string // "" for one that passes
	}{
		{"everything is as it should be", edge.ModuleCase{SampleVisit: visit, Want: edge.ModuleWant{Variant: "one", Score: &score, Because: &because}}, ""},
		{"what is not said is not compared", edge.ModuleCase{SampleVisit: visit, Want: edge.ModuleWant{Variant: "one"}}, ""},
		{"another variant", edge.ModuleCase{SampleVisit: visit, Want: edge.ModuleWant{Variant: "two"}}, "answered one, want two"},
		{"no answer", edge.ModuleCase{SampleVisit: visit, Slot: "nothing", Want: edge.ModuleWant{Variant: "one"}}, "answered no answer, want one"},
		{"no answer is expected", edge.ModuleCase{SampleVisit: visit, Slot: "nothing"}, ""},
		{"another score", edge.ModuleCase{SampleVisit: visit, Want: edge.ModuleWant{Variant: "one", Score: new(int64)}}, "score 2, want 0"},
		{"another reason", edge.ModuleCase{SampleVisit: visit, Want: wants("")}, `reason "/hats|-|-|-|FR|-|-|-|-|-|-|-", want ""`},
		{"a text of the site's own", edge.ModuleCase{SampleVisit: with("own.text", `"x"`), Want: wants("/|x|-|-|-|-|-|-|-|-|-|-")}, ""},
		{"a number", edge.ModuleCase{SampleVisit: with("own.number", `-3`), Want: wants("/|-|-|-3|-|-|-|-|-|-|-|-")}, ""},
		{"a number with a fraction", edge.ModuleCase{SampleVisit: with("own.amount", `0.5`), Want: wants("/|-|-|-|-|500m|-|-|-|-|-|-")}, ""},
		{"a truth", edge.ModuleCase{SampleVisit: with("own.flag", `true`), Want: wants("/|-|-|-|-|-|-|1|-|-|-|-")}, ""},
		{"a list", edge.ModuleCase{SampleVisit: with("own.list", `["a","b"]`), Want: wants("/|-|-|-|-|-|-|-|-|a,b|-|-")}, ""},
		{"items", edge.ModuleCase{SampleVisit: with("own.things", `[{"id":"s","quantity":2,"price":1}]`), Want: wants("/|-|-|-|-|-|-|-|-|-|s*2@1000m|-")}, ""},
		{"a map", edge.ModuleCase{SampleVisit: with("own.weights", `{"a":1}`), Want: wants("/|-|-|-|-|-|-|-|-|-|-|a:1000m")}, ""},
		{"nothing", edge.ModuleCase{SampleVisit: with("own.text", `null`)}, `field "own.text": not a value`},
		{"chosen items", edge.ModuleCase{SampleVisit: with("own.list", `["a"]`), Slot: "items", Want: edge.ModuleWant{Variant: "one", Items: items}}, ""},
		{"other items", edge.ModuleCase{SampleVisit: with("own.list", `["b"]`), Slot: "items", Want: edge.ModuleWant{Variant: "one", Items: items}}, "items [{b seen You saw b}], want"},
		{"settings", edge.ModuleCase{SampleVisit: visit, Slot: "settings", Settings: []byte(`{"say": "hi"}`), Want: wants(`{"say":"hi"}|hi|`)}, ""},
		{"settings that are none", edge.ModuleCase{SampleVisit: visit, Slot: "settings", Settings: []byte(`[]`)}, "settings: not a JSON object"},
		{"a field nobody has", edge.ModuleCase{SampleVisit: with("own.nothing", `1`)}, `field "own.nothing": neither built in nor read by the module`},
		{"a value of another type", edge.ModuleCase{SampleVisit: with("geo.lat", `"north"`)}, `field "geo.lat": want a number, like 48.85`},
		{"a slot nobody has", edge.ModuleCase{SampleVisit: visit, Slot: "foot"}, `the manifest has no slot "foot"`},
		{"a trap", edge.ModuleCase{SampleVisit: with("own.number", `1`), Slot: "trap"}, "the module failed: module trapped"},
		{"after a trap", edge.ModuleCase{SampleVisit: visit, Want: edge.ModuleWant{Variant: "one", Because: &because}}, ""},
		{"a memory that grows", edge.ModuleCase{SampleVisit: with("own.number", `1`), Slot: "grow"}, "the module failed: memory grew after the start"},
		{"a memory that grows again", edge.ModuleCase{SampleVisit: with("own.number", `1`), Slot: "grow"}, "the module failed: memory grew after the start"},
		{"nothing is granted", edge.ModuleCase{SampleVisit: edge.SampleVisit{Fields: visit.Fields}, Want: wants("/hats|-|-|-|-|-|-|-|-|-|-|-")}, ""},
	}
	cases := make([]edge.ModuleCase, len(tests))
	for i, tt := range tests {
		cases[i] = tt.give
		cases[i].Name = tt.name
	}
	report, err := newChecker(t).Test(t.Context(), source.wasm, cases)
	if err != nil || report.Code != "" || len(report.Cases) != len(tests) {
		t.Fatalf("%v, %+v", err, report)
	}
	failed := 0
	for i, got := range report.Cases {
		tt := tests[i]
		if got.OK != (tt.message == "") || !strings.Contains(got.Message, tt.message) || got.Name != tt.name {
			t.Errorf("%s: %t %q, want %q", tt.name, got.OK, got.Message, tt.message)
		}
		if got.OK && got.Fuel <= 0 {
			t.Errorf("%s: spent %d", tt.name, got.Fuel)
		}
		if !got.OK {
			failed++
		}
	}
	if report.OK || report.Failed != failed || report.Passed != len(tests)-failed {
		t.Errorf("%t, %d passed, %d failed", report.OK, report.Passed, report.Failed)
	}
}

func TestTestSaysWhyNot(t *testing.T) {
	one := []edge.ModuleCase{{}}
	tests := []struct {
		name, code string
		wasm       []byte
		cases      []edge.ModuleCase
	}{
		{"no module", "header", nil, one},
		{"no manifest", CodeManifest, assemble(minimal()), one},
		{"too many cases", CodeCases, nil, make([]edge.ModuleCase, MaxCases+1)},
		{"too many settings", CodeCases, nil, casesWithSettings(MaxCaseSettings + 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := newChecker(t).Test(t.Context(), tt.wasm, tt.cases)
			if err != nil || report.OK || report.Code != tt.code || report.Message == "" {
				t.Errorf("%v, %+v", err, report)
			}
		})
	}
}

// casesWithSettings are cases that each have other settings and want them back.
func casesWithSettings(n int) []edge.ModuleCase {
	cases := make([]edge.ModuleCase, n)
	for i := range cases {
		settings := fmt.Sprintf(`{"say":"%d"}`, i)
		because := fmt.Sprintf("%s|%d|", settings, i)
		cases[i] = edge.ModuleCase{SampleVisit: edge.SampleVisit{Name: settings}, Slot: "settings", Settings: []byte(settings), Want: edge.ModuleWant{Variant: "one", Because: &because}}
	}
	return cases
}

// TestACaseIsTestedWithItsSettings: cases of the same settings are far apart, and
// tested together.
func TestACaseIsTestedWithItsSettings(t *testing.T) {
	source := echo(t, "c")
	cases := slices.Concat(casesWithSettings(MaxCaseSettings), casesWithSettings(MaxCaseSettings))
	report, err := newChecker(t).Test(t.Context(), source.wasm, cases)
	if err != nil || !report.OK || report.Passed != len(cases) {
		t.Fatalf("%v, %+v", err, report)
	}
	for i, r := range report.Cases {
		if r.Name != cases[i].Name {
			t.Errorf("result %d is that of case %s", i, r.Name)
		}
	}
}

// TestFewChecksRunAtOnce: some wait for their turn, the rest are refused.
func TestFewChecksRunAtOnce(t *testing.T) {
	c := newChecker(t)
	source := handMade(assemble(minimal()))
	gate := c.compiler.checks
	for range checksAtOnce {
		if err := gate.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if report, err := c.Check(short, source.wasm); err != nil || report.Code != CodeBusy {
		t.Errorf("while others are checked: %v, %+v", err, report)
	}
	waited := make(chan string)
	for range checksWaiting {
		go func() {
			report, err := c.Check(t.Context(), source.wasm)
			if err != nil {
				report.Code = err.Error()
			}
			waited <- report.Code
		}()
	}
	for len(gate.places) < cap(gate.places) {
		time.Sleep(time.Millisecond)
	}
	if report, err := c.Test(t.Context(), source.wasm, []edge.ModuleCase{{}}); err != nil || report.Code != CodeBusy {
		t.Errorf("while others wait: %v, %+v", err, report)
	}
	for range checksAtOnce {
		gate.leave()
	}
	for range checksWaiting {
		if code := <-waited; code != "" {
			t.Errorf("one that waited got %q", code)
		}
	}
	if len(gate.places) != 0 || len(gate.turns) != 0 {
		t.Errorf("%d checks and %d turns are still held", len(gate.places), len(gate.turns))
	}
}

// TestWhatRewritingMakesIsBounded: memory.fill takes nine times its bytes.
func TestWhatRewritingMakesIsBounded(t *testing.T) {
	fill := code(localGet(0), localGet(0), localGet(0), opMemoryFill)
	var funcs []testFunc
	for i := range 40 {
		funcs = append(funcs, testFunc{fmt.Sprint("f", i), []byte{wasmI32}, nil, bytes.Repeat(fill, 6500)})
	}
	source := handMade(assemble(minimal(funcs...)))
	report, err := newChecker(t).Check(t.Context(), source.wasm)
	if err != nil || report.Code != CodeTooLarge || !strings.Contains(report.Message, "once it is rewritten") {
		t.Errorf("%v, code %s: %s", err, report.Code, report.Message)
	}
}

func TestATestEndsInTime(t *testing.T) {
	source := handMade(assemble(minimal()))
	c := newChecker(t)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	if report, err := c.Test(late, source.wasm, []edge.ModuleCase{{}}); err != nil || report.Code != CodeTestTime {
		t.Errorf("after its time: %v, %+v", err, report)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Test(gone, source.wasm, []edge.ModuleCase{{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits for it: %v", err)
	}
}

// TestAPanicKeepsNoMemory: a template whose fields do not fit its manifest
// panics after its instance was made.
func TestAPanicKeepsNoMemory(t *testing.T) {
	c := newChecker(t)
	source := handMade(fat(), readsOwn)
	m, err := verify(source.wasm, source.hash)
	if err != nil {
		t.Fatal(err)
	}
	panics := func() {
		defer func() {
			if recover() == nil {
				t.Fatal("nothing panicked")
			}
		}()
		manifest, module := source.manifest, *m
		_, err := c.compiler.finish(t.Context(), &template{module: &module, manifest: &manifest, settings: []byte("{}")}, checkLimits)
		t.Errorf("got %v", err)
	}
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	panics()
	before := heap()
	for range 8 {
		panics()
	}
	if kept := heap() - before; kept > MaxMemoryPages*pageBytes {
		t.Errorf("8 panics keep %d bytes", kept)
	}
}

// TestAReportIsJSONThatHasNoNull reads a report as a page would.
func TestAReportIsJSONThatHasNoNull(t *testing.T) {
	c := newChecker(t)
	source := handMade(assemble(minimal()))
	check, err := c.Check(t.Context(), source.wasm)
	if err != nil {
		t.Fatal(err)
	}
	test, err := c.Test(t.Context(), source.wasm, nil)
	if err != nil || !test.OK {
		t.Fatal(err, test)
	}
	for _, report := range []any{check, test} {
		b, err := json.Marshal(report)
		if err != nil || bytes.Contains(b, []byte("null")) {
			t.Errorf("%v: %s", err, b)
		}
	}
}

// slowToCompile is within every limit of verification: four megabytes of stores,
// which rewriting makes four times as many, take the compiler four seconds.
func slowToCompile() []byte {
	funcs := minimal()
	store := code(localGet(0), localGet(1), []byte{0x3a, 0, 0}) // i32.store8
	for i := range 63 {
		funcs = append(funcs, testFunc{fmt.Sprintf("f%d", i), []byte{wasmI32, wasmI32}, nil, bytes.Repeat(store, 9000)})
	}
	return assemble(funcs)
}

func TestCheckIsBoundedWhateverTheFile(t *testing.T) {
	limits := checkLimits
	t.Cleanup(func() { checkLimits = limits })
	checkLimits.cpu = time.Second
	source := handMade(slowToCompile())
	began := time.Now()
	report, err := newChecker(t).Check(t.Context(), source.wasm)
	if err != nil || report.OK || report.Code != CodeTooSlow {
		t.Errorf("%v, %+v", err, report)
	}
	if took := time.Since(began); took > checkTime {
		t.Errorf("it took %v", took)
	}
}
