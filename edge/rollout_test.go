// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// serving returns which version serves a visitor at a share.
func serving(t *testing.T, engine *edge.Engine, visitor uint64) string {
	t.Helper()
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero"}}
	beacon, request := given.message(t)
	state := &edge.State{First: caseNow, Started: caseNow, Last: caseNow, Visits: 1}
	binary.LittleEndian.PutUint64(state.Visitor[:], visitor+1)
	request.State = caseSealer(t).SealState("shop", state)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	return out.Decisions[0].Rule
}

// As the share grows nobody who has the new version loses it, the shares are
// what they say, and the version after it begins with the same visitors.
func TestAGradualReleaseMovesNobodyBack(t *testing.T) {
	const visitors = 2000
	rules := recordRules()
	rules["place@1.0.0"].seeks = "FR"
	rules["place@3.0.0"] = &recordRule{seeks: "FR", declares: rules["place@2.0.0"].declares}
	rules["place@3.0.0"].declares.Version = "3.0.0"
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	reached := map[uint64]bool{}
	for _, share := range []int{100, 1000, 5000, edge.Buckets} {
		if _, err := engine.Publish(recordRelease(t, share)); err != nil {
			t.Fatal(err)
		}
		count := 0
		for v := range uint64(visitors) {
			is := serving(t, engine, v) == "place@2.0.0"
			if reached[v] && !is {
				t.Fatalf("visitor %d had the new version and lost it at a share of %d", v, share)
			}
			if is {
				count++
			}
			reached[v] = is
		}
		if got, want := float64(count)/visitors, float64(share)/edge.Buckets; got < want*0.7-0.005 || got > want*1.3+0.005 {
			t.Errorf("a share of %.2f reached %.3f", want, got)
		}
	}
	first := firstReached(t, engine, recordRelease(t, 1000), "place@2.0.0", visitors)
	next := strings.ReplaceAll(strings.ReplaceAll(string(recordRelease(t, 1000)), `"2.0.0"`, `"3.0.0"`), "place@2.0.0", "place@3.0.0")
	second := firstReached(t, engine, []byte(next), "place@3.0.0", visitors)
	if len(first) == 0 || asJSON(t, first) != asJSON(t, second) {
		t.Errorf("the next version begins with other visitors: %d and %d", len(first), len(second))
	}
}

func firstReached(t *testing.T, engine *edge.Engine, release []byte, rule string, visitors uint64) (out []uint64) {
	t.Helper()
	if _, err := engine.Publish(release); err != nil {
		t.Fatal(err)
	}
	for v := range visitors {
		if serving(t, engine, v) == rule {
			out = append(out, v)
		}
	}
	return out
}

// shadowed publishes a slot in which version 2 of place shadows version 1.
func shadowed(t *testing.T, rules recordLoader) *edge.Engine {
	t.Helper()
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	publishShadow(t, engine, 7)
	return engine
}

func publishShadow(t *testing.T, engine *edge.Engine, number uint64) {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 0), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Number = number
	doc.Slots[0].Ladder[1].Rules = []edge.RuleSpec{{Module: "place@1.0.0", Role: "slot"}, {Module: "place@2.0.0", Role: "slot", Shadow: true}}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Publish(raw); err != nil {
		t.Fatal(err)
	}
}

func TestAShadowShowsNothingAndCountsWhatItWouldChange(t *testing.T) {
	engine := shadowed(t, recordRules()) // version 1 never answers, version 2 does in France
	for range 3 {
		if rule := serving(t, engine, 1); rule != "" {
			t.Fatalf("the shadow showed itself: %s", rule)
		}
	}
	publishShadow(t, engine, 8) // another change of the site must not begin the count anew
	serving(t, engine, 1)
	reports := engine.Shadows("shop")
	if len(reports) != 1 || reports[0].Rules[0] != "place@2.0.0" {
		t.Fatalf("reports %+v", reports)
	}
	r := reports[0]
	want := edge.ShadowChange{From: "", To: "phone", FromReason: "no-answer", ToReason: "rule", Count: 4}
	if r.Decisions != 4 || r.Same != 0 || r.Faults != 0 || len(r.Changes) != 1 || r.Changes[0] != want {
		t.Errorf("report %+v", r)
	}
}

func TestAShadowThatAnswersAlikeIsTheSame(t *testing.T) {
	rules := recordRules()
	rules["place@1.0.0"].seeks = "FR"
	engine := shadowed(t, rules)
	serving(t, engine, 1)
	if r := engine.Shadows("shop")[0]; r.Decisions != 1 || r.Same != 1 || len(r.Changes) != 0 {
		t.Errorf("report %+v", r)
	}
}

// What a shadow does cannot spend the fuel of what is shown, nor that of the page's
// later slots.
func TestAShadowSpendsNothingOfWhatIsShown(t *testing.T) {
	rules := recordRules()
	rules["place@1.0.0"].seeks = "FR"
	rules["place@2.0.0"].fuel = 12_000_000 // more than a beacon has
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 0), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Slots[0].Ladder = []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{
		{Module: "place@2.0.0", Role: "slot", Shadow: true}, {Module: "place@1.0.0", Role: "slot"},
	}}}
	second, variant := doc.Slots[0], doc.Variants[0]
	second.Name, variant.Slot = "second", "second"
	doc.Slots, doc.Variants = append(doc.Slots, second), append(doc.Variants, variant)
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	if _, err := engine.Publish(raw); err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero", "second"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	for _, d := range out.Decisions {
		if d.Rule != "place@1.0.0" || d.Reason != edge.ReasonRule {
			t.Errorf("slot %s: %s by %q, want the live rule's answer", d.Slot, d.Reason, d.Rule)
		}
	}
	if rules["place@2.0.0"].calls == 0 {
		t.Error("the shadow did not run")
	}
}

func TestAShadowIsNotRecorded(t *testing.T) {
	engine := shadowed(t, recordRules())
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Slots: []string{"hero"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if out.Record == nil || strings.Contains(string(out.Record.Bytes()), "place@2.0.0") {
		t.Error("the record names the shadow, or there is none")
	}
}

// Rules that spend a great deal do not delay a page without end: the rest of
// the beacon's rules are not run, and the reason says so.
func TestABeaconHasABudget(t *testing.T) {
	rules := recordRules()
	rules["history@1.0.0"].fuel = 12_000_000
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero"}}
	engine, _ := recorded(t, rules, edge.Buckets, consent.All)
	beacon, request := given.message(t)
	var got edge.Outcome
	if err := engine.Decide(beacon, request, &got); err != nil {
		t.Fatal(err)
	}
	if d := got.Decisions[0]; d.Reason != edge.ReasonBudget || d.Variant != "" {
		t.Errorf("decision %+v", d)
	}
}
