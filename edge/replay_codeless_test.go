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

// codelessRecord decides a page view and returns the engine, the outcome and
// the loader, whose rules are changed for a replay.
func codelessRecord(t testing.TB, granted consent.Purposes) (*edge.Engine, *edge.Outcome, *edgetest.Rules) {
	t.Helper()
	engine, loader := codelessEngine(t)
	given := caseGiven{Granted: granted.Names(), Refused: (consent.All &^ granted).Names(), Country: "FR", Device: "phone", Lang: "en",
		State: "returning", Slots: []string{"hero", "offer", "place", "hero"}}
	beacon, request := given.message(t)
	out := &edge.Outcome{}
	if err := engine.Decide(beacon, request, out); err != nil {
		t.Fatal(err)
	}
	if out.Record == nil {
		t.Fatal("no record")
	}
	return engine, out, loader
}

func TestRulesWithoutCodeReplayToTheSameAnswer(t *testing.T) {
	for _, granted := range []consent.Purposes{consent.All, consent.Measure | consent.Context, consent.Measure, consent.Measure | consent.Geo | consent.Storage} {
		engine, out, _ := codelessRecord(t, granted)
		release, _ := engine.Release("shop")
		replay, err := release.Replay(out.Record.Bytes(), out.Decisions[1].ID, decodeRecorded)
		if err != nil {
			t.Fatal(err)
		}
		if !replay.Same || len(replay.Decisions) != 3 || !replay.Decisions[1].Asked {
			t.Errorf("%s: replay %s", granted, asJSON(t, replay))
		}
		for i := range replay.Decisions {
			if got, want := replay.Decisions[i].Now.Variant, out.Decisions[i].Variant; got != want {
				t.Errorf("%s: replay shows %q in %s, the page %q", granted, got, out.Decisions[i].Slot, want)
			}
		}
	}
}

// The rules of a rung are told one by one, from what was recorded and nothing
// else, and what they say is what the page was told.
func TestAReplayExplainsRulesWithoutCode(t *testing.T) {
	engine, out, _ := codelessRecord(t, consent.All&^consent.Personalise)
	release, _ := engine.Release("shop")
	replay, err := release.Replay(out.Record.Bytes(), "", decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	tried := replay.Decisions[0].Tried
	if len(tried) != 3 || tried[0].Rule != "rules" || tried[0].Module != strings.Repeat("0", 63)+"9" || tried[0].Then.Reason != "no-consent" {
		t.Fatalf("tried %s", asJSON(t, tried))
	}
	if saw := tried[0].Saw; slices.ContainsFunc(saw, func(s edge.Saw) bool { return s.Field == "recent" || s.Field == "visitor.id" }) || len(saw) == 0 {
		t.Errorf("saw %s", asJSON(t, saw))
	}
	given := caseGiven{Granted: (consent.All &^ consent.Personalise).Names(), Refused: []string{"personalise"}, Country: "FR", Device: "phone", Lang: "en",
		State: "returning", Slots: []string{"hero", "offer", "place"}, Why: true}
	beacon, request := given.message(t)
	var told edge.Outcome
	if err := engine.Decide(beacon, request, &told); err != nil {
		t.Fatal(err)
	}
	for i := range told.Decisions {
		var now, page []edge.Try
		for _, try := range replay.Decisions[i].Tried {
			now = append(now, try.Rules...)
		}
		for _, try := range told.Decisions[i].Why.Tried {
			if !strings.Contains(try.Rule, "@") {
				page = append(page, try)
			}
		}
		if len(now) == 0 || now[0].Condition == nil || asJSON(t, now) != asJSON(t, page) {
			t.Errorf("the replay tells of %s\n%s\nthe page was told\n%s", told.Decisions[i].Slot, asJSON(t, now), asJSON(t, page))
		}
	}
}

// What was held back in a rung above the one that answered is told as the page was told.
func TestAReplayTellsWhatWasHeldBackInARungAbove(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		rules := d.Slots[0].Ladder[0].Rules
		d.Slots[0].Ladder = []edge.RungSpec{{Rung: "session", Rules: rules[:1]}, {Rung: "context", Rules: rules[1:]}}
	}))
	hero, _ := s.ask(nil, s.event("add_to_cart", items("hat-1")))
	release, _ := s.engine.Release("shop")
	replay, err := release.Replay(s.out.Record.Bytes(), "", decodeRecorded)
	if err != nil || len(replay.Decisions[0].Tried) != 2 {
		t.Fatalf("error %v, replay %s", err, asJSON(t, replay))
	}
	tried := append(replay.Decisions[0].Tried[0].Rules, replay.Decisions[0].Tried[1].Rules...)
	if tried[0].Reason != "suppressed" || asJSON(t, tried) != asJSON(t, hero.Why.Tried) {
		t.Errorf("the replay tells\n%s\nthe page was told\n%s", asJSON(t, tried), asJSON(t, hero.Why.Tried))
	}
}

// Whatever rules would do otherwise now is found, though what is shown stays.
func TestAReplayTellsRulesWithoutCodeThatAnswerOtherwise(t *testing.T) {
	rules := func(d *edge.ReleaseDocument) []edge.RuleSpec { return d.Slots[0].Ladder[1].Rules }
	changes := map[string]func(*edge.ReleaseDocument){
		"another condition of the winner": func(d *edge.ReleaseDocument) { rules(d)[2].When = `geo.country == "DE"` },
		"a loser that no longer holds":    func(d *edge.ReleaseDocument) { rules(d)[0].When = `device.type == "tv"` },
		"a loser of another score":        func(d *edge.ReleaseDocument) { rules(d)[0].Score = "-3" },
		"a rung that was not reached":     func(d *edge.ReleaseDocument) { d.Slots[1].Ladder[1].Rules[1].When = `device.type == "tv"` },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			_, out, _ := codelessRecord(t, consent.All&^consent.Personalise)
			document := editRelease(t, "codeless", nil)
			loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
			change(loader.Doc)
			release, err := edge.CompileRelease(document, loader)
			if err != nil {
				t.Fatal(err)
			}
			replay, err := release.Replay(out.Record.Bytes(), "", decodeRecorded)
			if err != nil {
				t.Fatal(err)
			}
			if replay.Same {
				t.Errorf("replay finds no difference: %s", asJSON(t, replay))
			}
		})
	}
}

// Rules that were not loaded then are not run now; rules that failed then are.
func TestRulesThatWereNotRunAreNotRunAgain(t *testing.T) {
	for _, tt := range []struct {
		fails error
		same  bool
	}{{edge.ErrNotRun, true}, {errors.New("out of order"), false}} {
		document := editRelease(t, "codeless", nil)
		loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
		engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
		release, err := engine.Publish(document)
		if err != nil {
			t.Fatal(err)
		}
		loader.Fails = tt.fails
		out := decideSlots(t, engine, "place", "offer")
		if out.Decisions[0].Reason != edge.ReasonFailed {
			t.Fatalf("decision %+v", out.Decisions[0])
		}
		loader.Fails = nil
		replay, err := release.Replay(out.Record.Bytes(), "", decodeRecorded)
		if err != nil || replay.Same != tt.same {
			t.Errorf("failed with %v: error %v, replay %s", tt.fails, err, asJSON(t, replay))
		}
	}
}

// A page with more rules leaves no larger record: what is kept is what was seen,
// and one try for each rung.
func TestARecordDoesNotGrowWithTheRules(t *testing.T) {
	size := func(bend func(*edge.ReleaseDocument)) int {
		doc := codelessDocument(t)
		doc.Slots = doc.Slots[2:]
		doc.Variants = doc.Variants[len(doc.Variants)-1:]
		bend(doc)
		loader := &edgetest.Rules{RuleLoader: edgetest.Loader(caseRules()), Doc: doc}
		engine := edge.New(edge.Options{Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
		if _, err := engine.Publish(marshalRelease(t, *doc)); err != nil {
			t.Fatal(err)
		}
		return len(decideSlots(t, engine, "place").Record.Bytes())
	}
	few := size(func(*edge.ReleaseDocument) {})
	many := size(func(d *edge.ReleaseDocument) {
		for i := range 100 {
			rule := d.Slots[0].Ladder[0].Rules[1]
			rule.Name = "capital-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			d.Slots[0].Ladder[0].Rules = append(d.Slots[0].Ladder[0].Rules, rule)
		}
	})
	if many != few {
		t.Errorf("%d bytes with 2 rules, %d with 102", few, many)
	}
}

// To ask for the reason changes nothing of what is kept.
func TestARecordIsTheSameWithAnExplanation(t *testing.T) {
	engine, _ := codelessEngine(t)
	var bodies [][]byte
	for _, why := range []bool{false, true} {
		given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", State: "returning", Slots: []string{"offer"}, Why: why}
		beacon, request := given.message(t)
		var out edge.Outcome
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
		key := out.Decisions[0].ID[:16]
		bodies = append(bodies, bytes.Replace(out.Record.Bytes(), []byte(key), nil, 1))
	}
	if !bytes.Equal(bodies[0], bodies[1]) {
		t.Error("the record is another one")
	}
}

// A record that was kept before the latest built-in fields came replays, though
// the site's own fields have other numbers now.
func TestARecordOfTheFirstVersionReplays(t *testing.T) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, edge.Buckets), &doc); err != nil {
		t.Fatal(err)
	}
	rules := recordRules()
	seeker := rules["place@2.0.0"]
	seeker.declares.Reads, seeker.seeks = []string{"geo.country", "shop.season"}, "winter"
	doc.Slots[0].Ladder = doc.Slots[0].Ladder[1:]
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	release, err := engine.Publish(marshalRelease(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	out := decideSlots(t, engine, "hero")
	if out.Decisions[0].Variant != "phone" {
		t.Fatalf("decision %+v", out.Decisions[0])
	}
	record := olderRecord(t, out.Record.Bytes(), 1, &doc)
	replay, err := release.Replay(record, out.Decisions[0].ID, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	saw := replay.Decisions[0].Tried[0].Saw
	if !replay.Same || !replay.Decisions[0].Asked || len(saw) != 2 || saw[1].Field != "shop.season" || string(saw[1].Value) != `"winter"` {
		t.Errorf("replay %s", asJSON(t, replay))
	}
	seeker.seeks = "summer"
	if replay, err := release.Replay(record, "", decodeRecorded); err != nil || replay.Same {
		t.Errorf("error %v, replay finds no difference", err)
	}
}

func TestARecordOfALaterVersionIsRefused(t *testing.T) {
	engine, out, _ := codelessRecord(t, consent.All)
	release, _ := engine.Release("shop")
	later := bytes.Clone(out.Record.Bytes())
	later[0]++
	more := bytes.Clone(out.Record.Bytes())
	more[bytes.IndexByte(more, byte(edge.BuiltinFields))]++
	for want, record := range map[string][]byte{"version 6": later, fmt.Sprintf("%d built-in fields", edge.BuiltinFields+1): more} {
		if _, err := release.Replay(record, "", decodeRecorded); !errors.Is(err, edge.ErrRecord) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}

func FuzzReplayRulesWithoutCode(f *testing.F) {
	engine, out, _ := codelessRecord(f, consent.All)
	f.Add(bytes.Clone(out.Record.Bytes()))
	release, _ := engine.Release("shop")
	f.Fuzz(func(_ *testing.T, record []byte) {
		_, _ = release.Replay(record, "", decodeRecorded)
	})
}

// A record holds what rules without code read only as far as it was granted.
func TestARecordOfRulesWithoutCodeHoldsWhatWasGranted(t *testing.T) {
	marks := map[consent.Purposes]string{
		consent.Storage:     "AQIDAAAAAAAAAAAAAAAAAA", // the id that tells the shares
		consent.Personalise: "hat-1",
		consent.Geo:         "75001",
		consent.Context:     "Paris",
	}
	_, all, _ := codelessRecord(t, consent.All)
	for purpose, mark := range marks {
		if !bytes.Contains(all.Record.Bytes(), []byte(mark)) {
			t.Errorf("with every purpose the record lacks %s: the test proves nothing", mark)
		}
		_, without, _ := codelessRecord(t, consent.All&^purpose)
		if bytes.Contains(without.Record.Bytes(), []byte(mark)) {
			t.Errorf("without %s the record holds %s", purpose, mark)
		}
	}
}
