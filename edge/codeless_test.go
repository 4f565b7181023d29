// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// codelessEngine serves testdata/codeless.json.
func codelessEngine(t testing.TB) (*edge.Engine, *edgetest.Rules) {
	t.Helper()
	document := editRelease(t, "codeless", nil)
	loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return engine, loader
}

func codelessDocument(t testing.TB) *edge.ReleaseDocument {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(editRelease(t, "codeless", nil), &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

func TestCompileReleaseRefusesRulesWithoutCode(t *testing.T) {
	type doc = edge.ReleaseDocument
	rule := func(d *doc) *edge.RuleSpec { return &d.Slots[0].Ladder[0].Rules[0] }
	split := func(d *doc) *edge.RuleSpec { return &d.Slots[1].Ladder[1].Rules[0] }
	tests := []struct {
		name string
		bend func(*doc)
		want string
	}{
		{"a name with spaces", func(d *doc) { rule(d).Name = "has looked" }, "rule has looked: the name"},
		{"a name twice in a slot", func(d *doc) { rule(d).Name = "in-france" }, "rule in-france: the name"},
		{"a rule with a module", func(d *doc) { rule(d).Module = "by-device" }, "rule looked: a rule with a name has no module"},
		{"a rule with settings", func(d *doc) { rule(d).Settings = json.RawMessage(`{}`) }, "no module, role or settings"},
		{"a shadow", func(d *doc) { rule(d).Shadow = true }, "no before and no shadow"},
		{"a rule with one before it", func(d *doc) { rule(d).Before = &edge.RuleSpec{Module: "by-device"} }, "no before and no shadow"},
		{"a rule without code before a module", func(d *doc) {
			m := &d.Slots[0].Ladder[1].Rules[1]
			m.Rollout, m.Before = 10, &edge.RuleSpec{Name: "x", Show: []edge.ShowSpec{{Variant: "phone"}}}
		}, "x is a rule without code"},
		{"a module with a condition", func(d *doc) { d.Slots[0].Ladder[1].Rules[1].When = "true" }, "which has a name and no module"},
		{"a share over all buckets", func(d *doc) { rule(d).Rollout = edge.Buckets + 1 }, "rollout 10001"},
		{"a campaign that is not there", func(d *doc) { rule(d).Campaign = "spring" }, `no campaign "spring"`},
		{"nothing to show", func(d *doc) { rule(d).Show = nil }, "show: 0 variants"},
		{"a variant of another slot", func(d *doc) { rule(d).Show[0].Variant = "bold" }, `show: the slot has no variant "bold"`},
		{"a variant twice", func(d *doc) { split(d).Show[1].Variant = "plain" }, "plain stands twice"},
		{"two variants and one weight", func(d *doc) { split(d).Show[0].Weight = 0 }, "the weight of plain is 0"},
		{"a weight below nothing", func(d *doc) { rule(d).Show[0].Weight = -1 }, "the weight of seen is -1"},
		{"a weight that reaches nobody", func(d *doc) {
			split(d).Show = []edge.ShowSpec{{Variant: "plain", Weight: 1}, {Variant: "bold", Weight: edge.Buckets}, {Variant: "draft", Weight: edge.Buckets}}
		}, "nobody would see it"},
		{"a condition without end", func(d *doc) { rule(d).When = strings.Repeat("x", edge.MaxExpressionBytes+1) }, "when: 4097 bytes, at most 4096"},
		{"a score without end", func(d *doc) { rule(d).Score = strings.Repeat("x", edge.MaxExpressionBytes+1) }, "score: 4097 bytes"},
		{"too many variants together", func(d *doc) {
			for i := range edge.MaxCandidates {
				d.Slots[2].Ladder[0].Rules = append(d.Slots[2].Ladder[0].Rules, edge.RuleSpec{Name: fmt.Sprint("r", i), Show: []edge.ShowSpec{{Variant: "plain"}}})
			}
		}, "slots: place: the rules without code show 257 variants"},
		{"an audience with capitals", func(d *doc) { d.Audiences[0].Name = "Hats" }, "audiences: Hats: the name"},
		{"an audience of nobody", func(d *doc) { d.Audiences[0].When = "" }, "audiences: hat-people: when: the condition is missing"},
		{"an audience twice", func(d *doc) { d.Audiences = append(d.Audiences, d.Audiences[0]) }, "audiences: hat-people: the name"},
		{"a campaign in a state of mind", func(d *doc) { d.Campaigns[0].State = "great" }, `campaigns: hats: state "great"`},
		{"a campaign until some day", func(d *doc) { d.Campaigns[0].Until = "May" }, `campaigns: hats: until "May"`},
		{"a campaign twice", func(d *doc) { d.Campaigns[1].Name = "hats" }, `campaigns: "hats" is taken`},
		{"rules that were not compiled", func(d *doc) { d.Compiled = nil }, "compiled: the hash"},
		{"compiled to what is no hash", func(d *doc) { d.Compiled.Hash = "abc" }, "compiled: the hash"},
		{"more modules than a slot may have", func(d *doc) {
			for range 65 {
				d.Slots[0].Ladder[1].Rules = append(d.Slots[0].Ladder[1].Rules, edge.RuleSpec{Module: "by-device", Role: "slot"})
			}
		}, "66 rules with modules, at most 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := codelessDocument(t)
			loader := &edgetest.Rules{RuleLoader: edgetest.Loader(caseRules()), Doc: d}
			if _, err := edge.CompileRelease(marshalRelease(t, *d), loader); err != nil {
				t.Fatalf("the release as it is: %v", err)
			}
			tt.bend(d)
			_, err := edge.CompileRelease(marshalRelease(t, *d), loader)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

// A fault of a rule says which rule and which part of it, for an editor to show.
func TestAFaultOfARuleSaysWhere(t *testing.T) {
	d := codelessDocument(t)
	d.Slots[1].Ladder[1].Rules[0].Show[0].Weight = 0
	var fault *edge.RuleError
	if err := d.CheckRules(); !errors.As(err, &fault) || fault.Slot != "offer" || fault.Rule != "split" || fault.Member != "show" || fault.Code != "shape" {
		t.Errorf("error %#v", fault)
	}
	if _, err := edge.CompileRelease(marshalRelease(t, *d), edgetest.Loader{}); !errors.As(err, &fault) {
		t.Errorf("error %v is no *RuleError", err)
	}
}

// A bentLoader serves rules that are not those of the release.
type bentLoader struct {
	*edgetest.Rules
	bend func(*bentSet)
}

type bentSet struct {
	edge.RuleSet
	slots []edge.RuleSetSlot
	reads []string
}

func (s *bentSet) Slots() []edge.RuleSetSlot { return s.slots }
func (s *bentSet) Reads() []string           { return s.reads }

func (l bentLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	set, err := l.Rules.LoadRules(site, c, bind)
	if err != nil {
		return nil, err
	}
	bent := &bentSet{set, set.Slots(), set.Reads()}
	l.bend(bent)
	return bent, nil
}

func TestAModuleOfOtherRulesIsRefused(t *testing.T) {
	tests := []struct {
		name string
		bend func(*bentSet)
		want string
	}{
		{"a slot too few", func(s *bentSet) { s.slots = s.slots[1:] }, `slot "hero": the module has none of its rules`},
		{"a slot of no release", func(s *bentSet) { s.slots[0].Name = "zero" }, `slot "zero"`},
		{"a slot twice", func(s *bentSet) { s.slots[1] = s.slots[0] }, `slot "hero"`},
		{"a candidate too few", func(s *bentSet) { s.slots[0].Candidates = s.slots[0].Candidates[1:] }, "2 candidates"},
		{"another rule", func(s *bentSet) { s.slots[0].Candidates[0].Rule = "other" }, "candidate 0 is seen of rule other in the module"},
		{"another variant", func(s *bentSet) { s.slots[0].Candidates[0].Variant = "phone" }, "candidate 0 is phone"},
		{"a field of another site", func(s *bentSet) { s.reads = append(s.reads, "shop.mood") }, `reads "shop.mood"`},
		{"a rule that reads in secret", func(s *bentSet) { s.slots[0].Candidates[0].Reads = []string{"cart"} }, "reads more than the module says"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			document := editRelease(t, "codeless", nil)
			loader := bentLoader{codelessLoader(t, document, edgetest.Loader(caseRules())), tt.bend}
			if _, err := edge.CompileRelease(document, loader); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			engine := edge.New(edge.Options{Locator: caseLocator{}, Loader: loader, Sealer: caseSealer(t)})
			if _, missing, err := engine.PublishPartly(document); err != nil || missing == nil {
				t.Errorf("missing %v, error %v; want it published without its rules", missing, err)
			}
		})
	}
}

// Rules that cannot be loaded cost their own answers; modules go on.
func TestRulesThatCannotBeLoadedHarmOnlyThemselves(t *testing.T) {
	document := editRelease(t, "codeless", nil)
	loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
	loader.Missing = errors.New("the store is away")
	engine := edge.New(edge.Options{Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
	if _, err := engine.Publish(document); err == nil {
		t.Fatal("a release whose rules cannot be loaded was published whole")
	}
	_, missing, err := engine.PublishPartly(document)
	if err != nil || missing == nil || !strings.Contains(missing.Error(), "the store is away") {
		t.Fatalf("missing %v, error %v", missing, err)
	}
	out := decideSlots(t, engine, "hero", "offer")
	if d := out.Decisions; d[0].Rule != "by-device@1.0.0" || d[1].Reason != edge.ReasonFailed {
		t.Errorf("decisions %s", asJSON(t, d))
	}
}

// decideSlots decides a page view with everything granted.
func decideSlots(t testing.TB, engine *edge.Engine, slots ...string) *edge.Outcome {
	t.Helper()
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", State: "returning", Slots: slots}
	beacon, request := given.message(t)
	out := &edge.Outcome{}
	if err := engine.Decide(beacon, request, out); err != nil {
		t.Fatal(err)
	}
	checkWire(t, out.Decisions)
	return out
}

// What takes no part is no reason: a draft that reads what was refused does not
// make consent the obstacle.
func TestADraftIsNoReasonToAskForConsent(t *testing.T) {
	for campaign, want := range map[string]edge.Reason{"": edge.ReasonNoConsent, "planned": edge.ReasonNoAnswer} {
		doc := codelessDocument(t)
		doc.Slots[2].Ladder[0].Rules[0].Campaign = campaign // the one that reads geo.postcode
		loader := &edgetest.Rules{RuleLoader: edgetest.Loader(caseRules()), Doc: doc}
		engine := edge.New(edge.Options{Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
		if _, err := engine.Publish(marshalRelease(t, *doc)); err != nil {
			t.Fatal(err)
		}
		given := caseGiven{Granted: []string{"context"}, Refused: []string{"geo"}, Slots: []string{"place"}}
		beacon, request := given.message(t)
		var out edge.Outcome
		if err := engine.Decide(beacon, request, &out); err != nil || out.Decisions[0].Reason != want {
			t.Errorf("campaign %q: error %v, reason %s, want %s", campaign, err, out.Decisions[0].Reason, want)
		}
	}
}

// Who served before a roll-out stands in the rung where the rule that replaces it
// stands, for whoever it still serves.
func TestWhoServedBeforeKeepsItsPlaceInTheRung(t *testing.T) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 1), &doc); err != nil {
		t.Fatal(err)
	}
	rules := recordRules()
	rules["place@1.0.0"].seeks = "FR"
	doc.Compiled = &edge.Compiled{Hash: strings.Repeat("9", 64)}
	doc.Slots[0].Ladder = doc.Slots[0].Ladder[1:]
	modules := doc.Slots[0].Ladder[0].Rules
	for i, want := range []string{"written", "place@1.0.0"} {
		written := edge.RuleSpec{Name: "written", Score: "-7", Show: []edge.ShowSpec{{Variant: "phone"}}} // as the modules score
		doc.Slots[0].Ladder[0].Rules = slices.Insert(slices.Clone(modules), i, written)
		engine := edge.New(edge.Options{Locator: caseLocator{"FR"}, Loader: &edgetest.Rules{RuleLoader: rules, Doc: &doc}, Sealer: caseSealer(t)})
		if _, err := engine.Publish(marshalRelease(t, doc)); err != nil {
			t.Fatal(err)
		}
		if got := decideSlots(t, engine, "hero").Decisions[0].Rule; got != want {
			t.Errorf("the rule without code stands at %d and %s answers, want %s", i, got, want)
		}
	}
}

// However many slots a page has, their rules without code run once; where it has
// none of them, they do not run.
func TestRulesWithoutCodeRunOnceABeacon(t *testing.T) {
	engine, loader := codelessEngine(t)
	decideSlots(t, engine, "offer", "hero", "place", "offer", "nowhere")
	if n := loader.Decided.Load(); n != 1 {
		t.Errorf("they ran %d times", n)
	}
	decideSlots(t, engine, "nowhere")
	if n := loader.Decided.Load(); n != 1 {
		t.Errorf("they ran for a page without their slots")
	}
}

// A slot answers the same whichever others are asked for beside it.
func TestSlotsDoNotDisturbEachOther(t *testing.T) {
	engine, _ := codelessEngine(t)
	together := decideSlots(t, engine, "place", "offer", "hero").Decisions
	for i, name := range []string{"place", "offer", "hero"} {
		alone := decideSlots(t, engine, name).Decisions[0]
		if alone.Variant == "" || alone.Variant != together[i].Variant || alone.Rule != together[i].Rule {
			t.Errorf("%s alone is %q by %s, together %q by %s", name, alone.Variant, alone.Rule, together[i].Variant, together[i].Rule)
		}
	}
}

// An impression is counted for the campaign that showed it, on any node.
func TestAnImpressionTellsItsCampaign(t *testing.T) {
	engine, _ := codelessEngine(t)
	out := decideSlots(t, engine, "hero", "place")
	for i, campaign := range []string{"hats", ""} {
		id := out.Decisions[i].ID
		opened, err := caseSealer(t).OpenDecisionID("shop", id)
		if err != nil || opened.Campaign != campaign || opened.Rule != out.Decisions[i].Rule {
			t.Errorf("opened %+v, error %v", opened, err)
		}
		given := caseGiven{Granted: []string{"measure"}, Raw: []caseEvent{{ID: "p1.9", Name: "slot_click", Props: json.RawMessage(`{"decision":"` + id + `"}`)}}}
		beacon, request := given.message(t)
		var clicked edge.Outcome
		if err := engine.Decide(beacon, request, &clicked); err != nil || len(clicked.Events) != 1 {
			t.Fatalf("error %v, rejected %+v", err, clicked.Rejected)
		}
		var ev struct{ Decision map[string]any }
		if err := json.Unmarshal(clicked.Events[0].JSON(), &ev); err != nil {
			t.Fatal(err)
		}
		if got, has := ev.Decision["campaign"]; has != (campaign != "") || has && got != campaign {
			t.Errorf("decision %v, want campaign %q", ev.Decision, campaign)
		}
	}
}

// A change of modules leaves the rules without code where they are.
func TestAmendingPassesByRulesWithoutCode(t *testing.T) {
	d, before := codelessDocument(t), codelessDocument(t)
	next := edge.ModuleRef{Name: "by-device", Version: "2.0.0", Hash: strings.Repeat("a", 64)}
	place := func() error {
		return d.Place(edge.Placement{Module: next, Slot: "hero", Rung: "context", Rollout: 100})
	}
	if err := errors.Join(place(), d.Share("hero", "by-device", edge.Buckets), d.Remove("hero", "by-device")); err != nil {
		t.Fatal(err)
	}
	kept := slices.Delete(before.Slots[0].Ladder[1].Rules, 1, 2) // the module's goes
	before.Slots[0].Ladder[1].Rules = kept
	if got, want := asJSON(t, d.Slots), asJSON(t, before.Slots); got != want {
		t.Errorf("slots\n%s\nwant\n%s", got, want)
	}
	d.EachRule(func(r *edge.RuleSpec) { t.Errorf("EachRule found %q", r.Name) })
	if d.Runs(&kept[0], "") || d.Runs(&kept[0], kept[0].Name) {
		t.Error("a rule without code runs a module")
	}
}

// A decision of three slots with ten rules without code each allocates nothing.
func TestDecideRulesWithoutCodeAllocs(t *testing.T) {
	engine := tenRules(t)
	given := caseGiven{Granted: []string{"context"}, Device: "phone", Lang: "en", Slots: []string{"s0", "s1", "s2"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	got := testing.AllocsPerRun(200, func() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil || out.Decisions[2].Rule != "r9" {
			t.Fatalf("error %v, decisions %+v", err, out.Decisions)
		}
	})
	if got > 0 && !raceEnabled { // under the race detector a pool forgets at random
		t.Errorf("Decide allocates %v times, want 0", got)
	}
}

// tenRules serves three slots of ten rules, the last of which answers on a phone.
func tenRules(t testing.TB) *edge.Engine { return manyRules(t, 3, 10) }

// manyRules serves slots of rules of which the eighth and those after it hold on a
// phone, and the last one answers.
func manyRules(t testing.TB, slots, rules int) *edge.Engine {
	t.Helper()
	doc := codelessDocument(t)
	doc.Slots, doc.Variants, doc.Modules = nil, nil, nil
	for i := range slots {
		slot := edge.SlotSpec{Name: fmt.Sprint("s", i), Kind: "text", Ladder: []edge.RungSpec{{Rung: "context"}}}
		for n := range rules {
			when := `device.type == "desktop"`
			if n > 6 {
				when = `device.type == "phone"`
			}
			slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, edge.RuleSpec{Name: fmt.Sprint("r", n), When: when, Score: fmt.Sprint(n), Show: []edge.ShowSpec{{Variant: "plain"}}})
		}
		doc.Slots = append(doc.Slots, slot)
		doc.Variants = append(doc.Variants, edge.Variant{Slot: slot.Name, Name: "plain", State: "live", Content: map[string]json.RawMessage{"en": []byte(`{"text":"x"}`)}})
	}
	loader := &edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: doc}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
	if _, err := engine.Publish(marshalRelease(t, *doc)); err != nil {
		t.Fatal(err)
	}
	return engine
}

func BenchmarkDecide3Slots30RulesWithoutCode(b *testing.B) {
	engine := tenRules(b)
	given := caseGiven{Granted: []string{"context"}, Device: "phone", Lang: "en", Slots: []string{"s0", "s1", "s2"}}
	beacon, request := given.message(b)
	var out edge.Outcome
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			b.Fatal(err)
		}
	}
}

// A document without rules without code says nothing of them.
func TestADocumentWithoutThemDoesNotNameThem(t *testing.T) {
	release, err := edge.CompileRelease(caseRelease(t, nil), edgetest.Loader(caseRules()))
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"compiled", "audiences", "campaigns", "inputs", "when", "show"} {
		if bytes.Contains(release.Document(), []byte(`"`+member+`":`)) {
			t.Errorf("the document has a member %s", member)
		}
	}
}
