// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// ruleDocument is a site with an own field and two slots. Each rule of hero has
// one of the conditions, the number of the rule as score, and one variant; promo
// has one rule with the first condition.
func ruleDocument(conditions ...string) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: "shop", Number: 1,
		Settings: edge.Settings{Origins: []string{"https://shop.example"}, Languages: []string{"en"}},
		Fields:   []edge.OwnField{{Name: "shop.season", Type: "string", Purpose: "context", Origin: "first", From: "event", Event: "tell", Prop: "season"}},
	}
	for _, slot := range []string{"hero", "promo"} {
		doc.Variants = append(doc.Variants, edge.Variant{
			Slot: slot, Name: "one", State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"one"}`)},
		})
	}
	rule := func(i int) edge.RuleSpec {
		return edge.RuleSpec{Name: fmt.Sprint("rule-", i), When: conditions[i], Score: fmt.Sprint(i), Show: []edge.ShowSpec{{Variant: "one"}}}
	}
	var rules []edge.RuleSpec
	for i := range conditions {
		rules = append(rules, rule(i))
	}
	doc.Slots = []edge.SlotSpec{
		{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{{Rung: "context", Rules: rules}}},
		{Name: "promo", Kind: "text", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{rule(0)}}}},
	}
	return doc
}

// compiled is a source of the module of a document's rules.
func compiled(t testing.TB, doc *edge.ReleaseDocument) testSource {
	t.Helper()
	wasm, err := lang.Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return testSource{wasm: wasm, hash: HashOf(wasm)}
}

// seasonBound binds the own field of ruleDocument.
var seasonBound = map[string]int{"shop.season": edge.BuiltinFields}

func mustLoadRules(t testing.TB, h *Host, s testSource) *ruleSet {
	t.Helper()
	r, err := h.LoadRules("shop", &edge.Compiled{Hash: s.hash}, seasonBound)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*ruleSet)
}

// ruleView is a view of a visit in a country and a season, "" for none.
func ruleView(r *ruleSet, granted consent.Purposes, country, season string) *edge.View {
	visit := &edge.Visit{Place: edge.Place{Country: country}, Page: edge.Page{Path: "/hats"}, Own: []edge.OwnValue{{Purpose: consent.Context}}}
	if season != "" {
		visit.Own[0].Value = edge.Value{Type: edge.TypeString, Str: season}
	}
	var mask edge.Mask
	for _, n := range r.numbers {
		mask = mask.With(edge.FieldNumber(n))
	}
	return edgetest.View(visit, mask, granted)
}

// heldBy returns the numbers of the candidates that hold, with their scores.
func heldBy(h *edge.Held) string {
	var list []string
	for n := range edge.MaxCandidates {
		if h.Bits[n>>6]>>(n&63)&1 == 1 {
			list = append(list, fmt.Sprintf("%d:%d", n, h.Scores[n]))
		}
	}
	return strings.Join(list, " ")
}

func TestARuleSetDecides(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`, `shop.season == "spring"`, `geo.country != "FR"`, `page.path.startsWith("/hats")`))
	r := mustLoadRules(t, newHost(t, Options{Source: source}), source)
	if slots := r.Slots(); len(slots) != 2 || slots[0].Name != "hero" || len(slots[0].Candidates) != 4 || slots[1].Name != "promo" {
		t.Fatalf("slots %+v", slots)
	}
	if reads := r.Reads(); !slices.Contains(reads, "shop.season") || !slices.Contains(reads, "geo.country") || len(reads) != 3 {
		t.Errorf("reads %q", reads)
	}
	tests := []struct {
		name    string
		granted consent.Purposes
		country string
		season  string
		slots   []int
		want    string // of each slot
	}{
		{"a visitor in France in spring", consent.Context, "FR", "spring", []int{0, 1}, "0:0 1:1 3:3|0:0"},
		{"the slots in another order, one twice", consent.Context, "FR", "spring", []int{1, 0, 1}, "0:0|0:0 1:1 3:3|0:0"},
		{"a visitor elsewhere", consent.Context, "GB", "autumn", []int{0, 1}, "2:2 3:3|"},
		{"an own field without a value", consent.Context, "FR", "", []int{0}, "0:0 3:3"},
		{"nothing granted makes neither a condition nor its opposite true", 0, "FR", "spring", []int{0, 1}, "3:3|"},
		{"no slot", consent.Context, "FR", "spring", nil, ""},
	}
	held := make([]edge.Held, 3) // reused, as a caller would
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := r.Decide(ruleView(r, tt.granted, tt.country, tt.season), tt.slots, held); err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range tt.slots {
				got = append(got, heldBy(&held[i]))
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestARuleSetExplainsWhatItDecides(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`, `shop.season == "spring"`))
	r := mustLoadRules(t, newHost(t, Options{Source: source}), source)
	tests := []struct {
		name      string
		granted   consent.Purposes
		candidate int
		verdict   string
		cause     string
	}{
		{"a built-in field", consent.Context, 0, edge.VerdictHeld, ""},
		{"an own field", consent.Context, 1, edge.VerdictFailed, ""},
		{"a refused field", 0, 0, edge.VerdictUnknown, "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := r.Explain(ruleView(r, tt.granted, "FR", "autumn"), 0, tt.candidate, false)
			if err != nil {
				t.Fatal(err)
			}
			if c.Verdict != tt.verdict || tt.cause != "" && (len(c.Unknown) != 1 || c.Unknown[0].Cause != tt.cause) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// TestAValueThatDoesNotFitIsAbsentInWordsToo: what no record has room for is
// unknown to the module, and so to the explanation.
func TestAValueThatDoesNotFitIsAbsentInWordsToo(t *testing.T) {
	source := compiled(t, ruleDocument(`shop.season.startsWith("x")`))
	r := mustLoadRules(t, newHost(t, Options{Source: source}), source)
	view := ruleView(r, consent.Context, "FR", strings.Repeat("x", MaxRecordBytes))
	held := make([]edge.Held, 1)
	if err := r.Decide(view, []int{0}, held); err != nil {
		t.Fatal(err)
	}
	c, err := r.Explain(view, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if heldBy(&held[0]) != "" || c.Verdict != edge.VerdictUnknown {
		t.Errorf("held %q, verdict %s", heldBy(&held[0]), c.Verdict)
	}
}

func TestDecideRulesAllocs(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`, `shop.season == "spring" || page.path.contains("hat")`))
	r := mustLoadRules(t, newHost(t, Options{Source: source}), source)
	view, slots, held := ruleView(r, consent.Context, "FR", "spring"), []int{0, 1}, make([]edge.Held, 2)
	n := testing.AllocsPerRun(200, func() {
		if err := r.Decide(view, slots, held); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestAnIdleInstanceHasNoRecord(t *testing.T) {
	source := compiled(t, ruleDocument(`shop.season.lowerAscii() == "spring"`))
	r := mustLoadRules(t, newHost(t, Options{Source: source, Instances: 1}), source)
	if err := r.Decide(ruleView(r, consent.Context, "FR", "MARK-of-a-visitor"), []int{0}, make([]edge.Held, 1)); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(r.pool.seats[0].instance.memory, []byte("MARK-")) {
		t.Error("the idle instance still holds a visitor's value")
	}
}

func TestRuleSetsAreSharedAndReleased(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`))
	const instances = 3
	h := newHost(t, Options{Source: source, Instances: instances})
	one := mustLoadRules(t, h, source)
	if h.memory.free != memoryBytes-instances*int64(one.memory) {
		t.Errorf("%d bytes are free", h.memory.free)
	}
	if two := mustLoadRules(t, h, source); two != one {
		t.Error("the same rules were loaded twice")
	}
	if tried, err := h.With(source.wasm).LoadRules("shop", &edge.Compiled{Hash: source.hash}, seasonBound); err != nil || tried != edge.RuleSet(one) {
		t.Errorf("what was tried is loaded anew: %v", err)
	}
	other, err := h.LoadRules("demo", &edge.Compiled{Hash: source.hash}, seasonBound)
	if err != nil || other == edge.RuleSet(one) {
		t.Errorf("two sites share rules: %v", err)
	}
	runtime.KeepAlive(one)
	runtime.KeepAlive(other) // both are dropped here
	deadline := time.Now().Add(10 * time.Second)
	for h.memory.give(0); len(h.Status()) > 0 || h.memory.free != memoryBytes; h.memory.give(0) {
		if time.Now().After(deadline) {
			t.Fatal("rules that nobody refers to are still loaded")
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

func TestALoaderWithAModuleThatNoStoreHas(t *testing.T) {
	stored, tried := compiled(t, ruleDocument(`geo.country == "FR"`)), compiled(t, ruleDocument(`geo.country == "GB"`))
	h := newHost(t, Options{Source: stored})
	loader := h.With(tried.wasm)
	for _, s := range []testSource{stored, tried} {
		if _, err := loader.LoadRules("shop", &edge.Compiled{Hash: s.hash}, seasonBound); err != nil {
			t.Error(err)
		}
	}
	if _, err := h.LoadRules("shop", &edge.Compiled{Hash: tried.hash}, seasonBound); !errors.Is(err, ErrUnknownModule) {
		t.Errorf("the host itself has what was only tried: %v", err)
	}
}

func TestARehearsalOfCompiledRulesCountsNowhere(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`))
	h := newHost(t, Options{Source: source, Instances: 1})
	live := mustLoadRules(t, h, source)
	rehearsed, err := h.Rehearsal().LoadRules("shop", &edge.Compiled{Hash: source.hash}, seasonBound)
	if err != nil {
		t.Fatal(err)
	}
	held := make([]edge.Held, 1)
	if err := rehearsed.Decide(ruleView(live, consent.Context, "FR", ""), []int{0}, held); err != nil || heldBy(&held[0]) != "0:0" {
		t.Errorf("got %q, %v", heldBy(&held[0]), err)
	}
	if s := live.status(); s.Calls != 0 || s.Instances != 1 {
		t.Errorf("counted: %+v", s)
	}
}

func TestHammerOneRuleSet(t *testing.T) {
	source := compiled(t, ruleDocument(`geo.country == "FR"`, `geo.country == "GB" && shop.season == "spring"`))
	r := mustLoadRules(t, newHost(t, Options{Source: source, Instances: 2}), source)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			country, want := "FR", "0:0"
			if g%2 == 1 {
				country, want = "GB", "1:1"
			}
			view, held := ruleView(r, consent.Context, country, "spring"), make([]edge.Held, 2)
			for range 300 {
				if err := r.Decide(view, []int{0, 1}, held); err != nil || heldBy(&held[0]) != want {
					t.Errorf("in %s: got %q, %v, want %q", country, heldBy(&held[0]), err, want)
					return
				}
			}
		})
	}
	group.Wait()
	if s := r.status(); s.Calls != 8*300 || s.Failed() != 0 || s.Instances > 2 {
		t.Errorf("status %+v", s)
	}
}
