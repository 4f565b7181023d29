// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A recordRule knows its view by the encoded record alone, as a module does. It answers variant 1 where the record holds a text.
type recordRule struct {
	declares edge.Manifest
	seeks    string
	fuel     int64
	because  string
	fails    error
	calls    int
}

func (r *recordRule) Manifest() *edge.Manifest { return &r.declares }

func (r *recordRule) Choose(view *edge.View, _ int) (edge.Answer, error) {
	r.calls++
	if r.fails != nil {
		return edge.Answer{}, r.fails
	}
	record := view.Record(edgetest.EncodeView)
	if !bytes.Contains(record, []byte(r.seeks)) {
		return edge.Answer{Fuel: r.fuel}, nil
	}
	return edge.Answer{Variant: 1, Score: -7, Fuel: r.fuel, Because: r.because}, nil
}

// decodeRecorded reads a view that edgetest.EncodeView encoded.
func decodeRecorded(record []byte, own []edge.Type) ([]edge.Value, error) {
	return edgetest.DecodeView(record, len(own))
}

type recordLoader map[string]*recordRule

func (l recordLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	return edgetest.NoRules{}.LoadRules(site, c, bind)
}

func (l recordLoader) Load(_ string, ref edge.ModuleRef, _ map[string]int) (edge.Rule, error) {
	if r, ok := l[ref.ID()]; ok {
		return r, nil
	}
	return nil, errors.New("no such rule")
}

// recordRules read all there is, each needing its own purposes.
func recordRules() recordLoader {
	rule := func(name, version, seeks string, needs consent.Purposes, reads ...string) *recordRule {
		return &recordRule{seeks: seeks, fuel: 111, because: "found " + seeks, declares: edge.Manifest{
			ABI: 1, Name: name, Version: version, Needs: consent.Set(needs), Reads: reads,
			Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"phone"}}},
		}}
	}
	var all []string
	for _, f := range edge.Fields() {
		if !f.Internal() {
			all = append(all, f.Name)
		}
	}
	return recordLoader{
		"history@1.0.0": rule("history", "1.0.0", "hat-1", consent.Personalise, all...),
		"place@1.0.0":   rule("place", "1.0.0", "nowhere", consent.Context, "geo.country"),
		"place@2.0.0":   rule("place", "2.0.0", "FR", consent.Context, "geo.country", "device.type"),
	}
}

// recordRelease has one slot with a profile rung and a context rung in which a
// second version is rolled out to a share of the visitors.
func recordRelease(t testing.TB, share int) []byte {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(caseRelease(t, nil), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Number = 7
	hash := func(c string) string { return strings.Repeat(c, 64) }
	doc.Modules = []edge.ModuleRef{
		{Name: "history", Version: "1.0.0", Hash: hash("a"), Settings: json.RawMessage(`{"x":1}`)},
		{Name: "place", Version: "1.0.0", Hash: hash("b")}, {Name: "place", Version: "2.0.0", Hash: hash("c")},
	}
	doc.Variants = doc.Variants[:1] // phone, of hero
	doc.Slots = []edge.SlotSpec{{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{
		{Rung: "profile", Rules: []edge.RuleSpec{{Module: "history", Role: "slot"}}},
		{Rung: "context", Rules: []edge.RuleSpec{{
			Module: "place@2.0.0", Role: "slot", Rollout: share, Before: &edge.RuleSpec{Module: "place@1.0.0", Role: "slot"},
		}}},
	}}}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// recorded decides one page view and returns its engine, record and decision.
func recorded(t testing.TB, rules recordLoader, share int, granted consent.Purposes) (*edge.Engine, *edge.Outcome) {
	t.Helper()
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	if _, err := engine.Publish(recordRelease(t, share)); err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: granted.Names(), Refused: (consent.All &^ granted).Names(), Country: "FR", Device: "phone", Lang: "en", State: "returning", Slots: []string{"hero"}}
	beacon, request := given.message(t)
	out := &edge.Outcome{}
	if err := engine.Decide(beacon, request, out); err != nil {
		t.Fatal(err)
	}
	return engine, out
}

func TestADecisionReplaysToTheSameAnswer(t *testing.T) {
	for _, share := range []int{1, edge.Buckets - 1, edge.Buckets} {
		for _, granted := range []consent.Purposes{consent.All, consent.Measure | consent.Context, consent.Measure} {
			engine, out := recorded(t, recordRules(), share, granted)
			if out.Record == nil {
				t.Fatal("no record")
			}
			id := out.Decisions[0].ID
			if !edge.RecordHolds(out.Record.Bytes(), id) || edge.RecordHolds(out.Record.Bytes(), strings.Repeat("x", 40)) {
				t.Error("the record does not tell its own decision from another")
			}
			release, _ := engine.Release("shop")
			replay, err := release.Replay(out.Record.Bytes(), id, decodeRecorded)
			if err != nil {
				t.Fatal(err)
			}
			if !replay.Same || len(replay.Decisions) != 1 || !replay.Decisions[0].Asked {
				t.Errorf("share %d, %s: replay %s", share, granted, asJSON(t, replay))
			}
			if got, want := replay.Decisions[0].Now.Variant, out.Decisions[0].Variant; got != want {
				t.Errorf("share %d, %s: replay shows %q, the page %q", share, granted, got, want)
			}
		}
	}
}

func TestAReplayTellsWhatEachRuleSaw(t *testing.T) {
	engine, out := recorded(t, recordRules(), edge.Buckets, consent.Measure|consent.Context)
	release, _ := engine.Release("shop")
	replay, err := release.Replay(out.Record.Bytes(), out.Decisions[0].ID, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	tried := replay.Decisions[0].Tried
	if len(tried) != 2 || tried[0].Then.Reason != "no-consent" || len(tried[0].Saw) != 0 {
		t.Fatalf("tried %s", asJSON(t, tried))
	}
	if place := tried[1]; len(place.Saw) != 2 || place.Saw[0].Field != "device.type" || place.Saw[1].Field != "geo.country" ||
		place.Then.Fuel != 111 || place.Then.Output == "" || place.Module != strings.Repeat("c", 64) {
		t.Errorf("tried %s", asJSON(t, place))
	}
}

// What runs now is compared with what ran then, by every thing a rule can do.
func TestAReplayTellsAModuleThatAnswersOtherwise(t *testing.T) {
	changes := map[string]func(*recordRule){
		"another answer": func(r *recordRule) { r.seeks = "nowhere" },
		"other fuel":     func(r *recordRule) { r.fuel++ },
		"other words":    func(r *recordRule) { r.because += "!" },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			_, out := recorded(t, recordRules(), edge.Buckets, consent.Measure|consent.Context)
			rules := recordRules()
			change(rules["place@2.0.0"])
			release, err := edge.CompileRelease(recordRelease(t, edge.Buckets), rules)
			if err != nil {
				t.Fatal(err)
			}
			replay, err := release.Replay(out.Record.Bytes(), out.Decisions[0].ID, decodeRecorded)
			if err != nil {
				t.Fatal(err)
			}
			if replay.Same {
				t.Errorf("replay finds no difference: %s", asJSON(t, replay))
			}
		})
	}
}

// The same module stands in two rungs, in one of them for a share: each replays
// as it was at its own place.
func TestAModuleInTwoRungsReplays(t *testing.T) {
	rules := recordRules()
	rules["place@2.0.0"].seeks = "nowhere"
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 1), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Slots[0].Ladder[0].Rules = []edge.RuleSpec{{Module: "place@2.0.0", Role: "slot"}}
	doc.Modules = doc.Modules[1:]
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	release, err := engine.Publish(marshalRelease(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", State: "returning", Slots: []string{"hero", "hero"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	replay, err := release.Replay(out.Record.Bytes(), out.Decisions[0].ID, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	if !replay.Same || len(replay.Decisions) != 1 || len(replay.Decisions[0].Tried) != 2 {
		t.Errorf("replay %s", asJSON(t, replay))
	}
}

// A rule that could not be run then says nothing about the module: it is not
// run for the replay either.
func TestARuleThatWasNotRunIsNotRunAgain(t *testing.T) {
	rules := recordRules()
	rules["place@2.0.0"].fails = edge.ErrNotRun
	_, out := recorded(t, rules, edge.Buckets, consent.Measure|consent.Context)
	if out.Decisions[0].Reason != edge.ReasonFailed {
		t.Fatalf("decision %+v", out.Decisions[0])
	}
	release, err := edge.CompileRelease(recordRelease(t, edge.Buckets), recordRules())
	if err != nil {
		t.Fatal(err)
	}
	replay, err := release.Replay(out.Record.Bytes(), out.Decisions[0].ID, decodeRecorded)
	if err != nil || !replay.Same {
		t.Errorf("error %v, replay %s", err, asJSON(t, replay))
	}
}

// Asking for a slot many times costs no more than asking once.
func TestASlotIsDecidedOnceABeacon(t *testing.T) {
	rules := recordRules()
	engine, _ := recorded(t, rules, edge.Buckets, consent.All)
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero", "hero", "bare", "hero"}}
	beacon, request := given.message(t)
	before := rules["place@2.0.0"].calls
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if n := rules["place@2.0.0"].calls - before; n != 1 {
		t.Errorf("the slot's rule was called %d times", n)
	}
	if d := out.Decisions; len(d) != 4 || d[1].ID != d[0].ID || d[3].ID != d[0].ID || d[2].Slot != "bare" {
		t.Errorf("decisions %+v", d)
	}
}

func TestWithoutMeasureNothingIsRecorded(t *testing.T) {
	if _, out := recorded(t, recordRules(), 1, consent.All&^consent.Measure); out.Record != nil {
		t.Errorf("a record of %d bytes", len(out.Record.Bytes()))
	}
}

// Each purpose hides its fields from the record, and storage the visitor.
func TestARecordHoldsWhatWasGrantedAndNothingElse(t *testing.T) {
	marks := map[consent.Purposes][]string{
		consent.Context:     {`"FR"`, `"phone"`, `"felt"`},
		consent.Storage:     {"24=", "23="},
		consent.Personalise: {"hat-1"},
		consent.Share:       {"gclid-marker"},
		consent.Geo:         {"48.85", "75001"},
		consent.Device:      {"Model-X", "17.1", "390x844"},
	}
	for purpose, texts := range marks {
		t.Run(purpose.String(), func(t *testing.T) {
			rules := recordRules()
			rules["history@1.0.0"].declares.Needs = consent.Set(consent.Measure) // so that it runs and sees all there is
			_, all := recorded(t, rules, 1, consent.All)
			_, without := recorded(t, rules, 1, consent.All&^purpose)
			for _, text := range texts {
				if !bytes.Contains(all.Record.Bytes(), []byte(text)) {
					t.Errorf("with every purpose the record lacks %s", text)
				}
				if bytes.Contains(without.Record.Bytes(), []byte(text)) {
					t.Errorf("without %s the record holds %s", purpose, text)
				}
			}
			if got := without.Record.Visitor() != [16]byte{}; got != (purpose != consent.Storage) {
				t.Errorf("without %s the record names a visitor: %v", purpose, got)
			}
		})
	}
}

func TestABotIsNotRecorded(t *testing.T) {
	engine, _ := recorded(t, recordRules(), 1, consent.All)
	given := caseGiven{Granted: consent.All.Names(), Bot: true, Slots: []string{"hero"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil || out.Record != nil {
		t.Errorf("record %v, error %v", out.Record, err)
	}
}

func TestARecordOfAnotherReleaseIsRefused(t *testing.T) {
	_, out := recorded(t, recordRules(), 1, consent.All)
	document := bytes.Replace(recordRelease(t, 1), []byte(`"number":7`), []byte(`"number":8`), 1)
	release, err := edge.CompileRelease(document, recordRules())
	if err != nil {
		t.Fatal(err)
	}
	if release.Number() != 8 {
		t.Fatalf("it is release %d", release.Number())
	}
	if _, err := release.Replay(out.Record.Bytes(), "", decodeRecorded); !errors.Is(err, edge.ErrRecord) {
		t.Errorf("error %v, want ErrRecord", err)
	}
}

func FuzzReplay(f *testing.F) {
	engine, out := recorded(f, recordRules(), 1, consent.All)
	f.Add(bytes.Clone(out.Record.Bytes()))
	release, _ := engine.Release("shop")
	f.Fuzz(func(t *testing.T, record []byte) {
		_, _ = release.Replay(record, "", func(record []byte, own []edge.Type) ([]edge.Value, error) {
			return make([]edge.Value, edge.BuiltinFields+len(own)), nil
		})
		edge.RecordHolds(record, strings.Repeat("x", 40))
	})
}
