// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// ruleRelease is release number of a site with two slots of ten rules each, whose
// last one holds and shows the variant with the release's number. The module that
// its rules are compiled to is put on the shelf.
func ruleRelease(t testing.TB, modules *shelf, number uint64) []byte {
	t.Helper()
	word := fmt.Sprintf("v%d", number)
	doc := ruleDocument("true")
	doc.Number, doc.Variants = number, nil
	for s := range doc.Slots {
		slot := &doc.Slots[s]
		doc.Variants = append(doc.Variants, edge.Variant{
			Slot: slot.Name, Name: word, State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"` + word + `"}`)},
		})
		var rules []edge.RuleSpec
		for i := range 10 {
			when := fmt.Sprintf(`page.path == "/%d/%d" || shop.season == "none"`, number, i)
			if i == 9 {
				when = `page.path.startsWith("/hats") || geo.country in ["FR", "DE"]`
			}
			rules = append(rules, edge.RuleSpec{Name: fmt.Sprint("rule-", i), When: when, Score: fmt.Sprint(i), Show: []edge.ShowSpec{{Variant: word}}})
		}
		slot.Ladder[0].Rules = rules
	}
	source := compiled(t, doc)
	modules.put(source)
	doc.Compiled = &edge.Compiled{Hash: source.hash}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestHammerSwapToNewRules swaps 200 times to rules that were never loaded, under
// load, while those they replace are released.
func TestHammerSwapToNewRules(t *testing.T) {
	const swaps = 200
	modules := &shelf{}
	host := newHost(t, Options{Source: modules})
	engine, sealer := newEngine(t, host)
	load := func(number uint64) uint64 {
		return publish(t, engine, ruleRelease(t, modules, number)).Number()
	}
	check := func(decisions []edge.Decision) (release uint64, fault string) {
		for i, d := range decisions {
			id, err := sealer.OpenDecisionID("shop", d.ID)
			if err != nil {
				return 0, err.Error()
			}
			word := fmt.Sprintf("v%d", id.Release)
			switch {
			case i > 0 && id.Release != release:
				return 0, fmt.Sprintf("one beacon was answered by releases %d and %d", release, id.Release)
			case d.Reason != edge.ReasonRule, d.Rule != "rule-9", d.Variant != word, string(d.Content) != `{"text":"`+word+`"}`:
				return 0, fmt.Sprintf("release %d: %s answered %s with %s, reason %s", id.Release, d.Rule, d.Variant, d.Content, d.Reason)
			}
			release = id.Release
		}
		return release, ""
	}
	load(1)
	hammerSlots(t, engine, check, func(pause func(release uint64)) {
		for i := range uint64(swaps) {
			pause(load(i + 2))
		}
	}, "hero", "promo")
	loaded := 0
	for range 10 {
		runtime.GC()
		if loaded = len(host.Status()); loaded == 1 {
			break
		}
	}
	if loaded != 1 {
		t.Errorf("%d rule sets are still loaded, want 1", loaded)
	}
	runtime.KeepAlive(engine)
}

// TestDecideOfAnEngineAllocs: with real compiled rules a whole decision allocates
// for the decisions' ids only.
func TestDecideOfAnEngineAllocs(t *testing.T) {
	modules := &shelf{}
	engine, _ := newEngine(t, newHost(t, Options{Source: modules}))
	publish(t, engine, ruleRelease(t, modules, 1))
	beacon, request := beaconOf("hero", "promo"), &edge.Request{Now: time.Now(), Lang: "en", PageLang: "en", Path: "/hats"}
	beacon.Consent.Owner.Granted = consent.Context // a state and a record would be made of more
	var out edge.Outcome
	const budget = 2 // one id for each slot
	got := testing.AllocsPerRun(200, func() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil || out.Decisions[1].Rule != "rule-9" {
			t.Fatalf("error %v, decisions %+v", err, out.Decisions)
		}
	})
	if got > budget {
		t.Errorf("Decide allocates %v times, budget %d", got, budget)
	}
}
