// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

func caseEngine(t testing.TB) *edge.Engine {
	t.Helper()
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: edgetest.Loader(caseRules()), Sealer: caseSealer(t)})
	if _, err := engine.Publish(caseRelease(t, nil)); err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestDecideRefusesAnUnknownSite(t *testing.T) {
	var out edge.Outcome
	err := caseEngine(t).Decide(&edge.Beacon{Site: "nobody"}, &edge.Request{Now: caseNow}, &out)
	if !errors.Is(err, edge.ErrUnknownSite) {
		t.Errorf("error %v, want ErrUnknownSite", err)
	}
}

// A decision's id comes back with an impression and says what was shown.
func TestAnImpressionTellsWhatWasShown(t *testing.T) {
	engine := caseEngine(t)
	given := caseGiven{Granted: []string{"context", "measure"}, Device: "phone", Lang: "en", Slots: []string{"hero"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	id := out.Decisions[0].ID
	given.Slots = nil
	given.Raw = []caseEvent{{ID: "p1.9", Name: "slot_impression", Props: json.RawMessage(`{"decision":"` + id + `","shown":"late"}`)}}
	beacon, request = given.message(t)
	out.Reset()
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Events) != 1 {
		t.Fatalf("%d events, rejected %+v", len(out.Events), out.Rejected)
	}
	var ev struct {
		Decision struct{ Slot, Variant, Rule, Reason, Shown string }
	}
	if err := json.Unmarshal(out.Events[0].JSON(), &ev); err != nil {
		t.Fatal(err)
	}
	if d := ev.Decision; d.Slot != "hero" || d.Variant != "phone" || d.Rule != "by-device@1.0.0" || d.Reason != "rule" || d.Shown != "late" {
		t.Errorf("decision = %+v in %s", d, out.Events[0].JSON())
	}
	if strings.Contains(string(out.Events[0].JSON()), id) {
		t.Error("the stored event repeats the token it was opened from")
	}
}

// A higher score wins; priority breaks a tie; order breaks the rest.
func TestAnswersCompeteInsideARung(t *testing.T) {
	// Two copies of one module cannot stand in a release: two modules compete.
	rules := caseRules()
	two := *rules["by-device"]
	two.Declares.Name = "by-place"
	two.Cases = []edgetest.Case{{Variant: 2}}
	one := *rules["by-device"]
	one.Cases = []edgetest.Case{{Variant: 1}}
	rules["by-device"], rules["by-place"] = &one, &two
	var doc map[string]any
	if err := json.Unmarshal(caseRelease(t, nil), &doc); err != nil {
		t.Fatal(err)
	}
	doc["modules"] = append(doc["modules"].([]any), map[string]any{"name": "by-place", "version": "1.0.0", "hash": strings.Repeat("3", 64)})
	tests := []struct {
		name                 string
		scoreOne, scoreTwo   int64
		firstPrio, secondPro int
		want                 string
	}{
		{"a higher score wins", 1, 2, 9, 0, "desktop"},
		{"priority breaks a tie of scores", 5, 5, 0, 1, "desktop"},
		{"order breaks what is left", 5, 5, 1, 1, "phone"},
		{"a negative score loses", -1, -2, 0, 0, "phone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one.Cases[0].Score, two.Cases[0].Score = tt.scoreOne, tt.scoreTwo
			doc["slots"].([]any)[0].(map[string]any)["ladder"] = []any{map[string]any{"rung": "context", "rules": []any{
				map[string]any{"module": "by-device", "role": "slot", "priority": tt.firstPrio},
				map[string]any{"module": "by-place", "role": "slot", "priority": tt.secondPro},
			}}}
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			engine := edge.New(edge.Options{Locator: caseLocator{}, Loader: edgetest.Loader(rules), Sealer: caseSealer(t)})
			if _, err := engine.Publish(raw); err != nil {
				t.Fatal(err)
			}
			given := caseGiven{Granted: []string{"context"}, Device: "phone", Lang: "en", Slots: []string{"hero"}}
			beacon, request := given.message(t)
			var out edge.Outcome
			if err := engine.Decide(beacon, request, &out); err != nil {
				t.Fatal(err)
			}
			if got := out.Decisions[0].Variant; got != tt.want {
				t.Errorf("variant %q, want %q", got, tt.want)
			}
		})
	}
}

// Many requests and new releases at once: no request sees a half-made release.
func TestHammerDecideWhilePublishing(t *testing.T) {
	engine := caseEngine(t)
	document := caseRelease(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			given := caseGiven{Granted: []string{"storage", "measure", "context", "profile", "personalise"}, Device: "phone", Lang: "en", State: "returning",
				Slots: []string{"hero", "offer"}, Raw: []caseEvent{{ID: "p1.1", Name: "page_view"}}}
			beacon, request := given.message(t)
			var out edge.Outcome
			for range 300 {
				out.Reset()
				if err := engine.Decide(beacon, request, &out); err != nil || out.Decisions[1].Variant != "seen" || len(out.Events) != 1 {
					t.Errorf("error %v, outcome %+v", err, out)
					return
				}
			}
		})
	}
	for range 20 {
		if _, err := engine.Publish(document); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// plainEngine has rules that answer without looking, so that what is measured
// is the engine.
func plainEngine(t testing.TB) *edge.Engine {
	t.Helper()
	rules := caseRules()
	for _, r := range rules {
		r.Cases = []edgetest.Case{{Variant: 1}}
	}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: edgetest.Loader(rules), Sealer: caseSealer(t), Profiles: &edgetest.People{}})
	if _, err := engine.Publish(caseRelease(t, nil)); err != nil {
		t.Fatal(err)
	}
	return engine
}

func benchmarkMessage(t testing.TB) (*edge.Beacon, *edge.Request) {
	given := caseGiven{Granted: []string{"context"}, Device: "phone", Lang: "en", Slots: []string{"hero", "offer", "bare"}}
	return given.message(t)
}

// A decision without events and state allocates nothing.
func TestDecideAllocs(t *testing.T) {
	engine := plainEngine(t)
	beacon, request := benchmarkMessage(t)
	var out edge.Outcome
	got := testing.AllocsPerRun(200, func() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 && !raceEnabled { // under the race detector a pool forgets at random
		t.Errorf("Decide allocates %v times, want 0", got)
	}
}

// Nor does a page view with everything: a state to open and to seal, an
// impression with its decision's token, something looked at, a record.
func TestDecidePageViewAllocs(t *testing.T) {
	engine := plainEngine(t)
	beacon, request := pageView(t, engine)
	var out edge.Outcome
	got := testing.AllocsPerRun(200, func() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
	})
	if len(out.Events) != 3 || out.State == "" || out.Record == nil || len(out.Rejected) > 0 {
		t.Fatalf("the page view has %d events, state %q and a record %t; rejected: %v", len(out.Events), out.State, out.Record != nil, out.Rejected)
	}
	if got > 0 && !raceEnabled {
		t.Errorf("Decide allocates %v times, want 0", got)
	}
}

// pageView is a whole page view of a returning visitor.
func pageView(t testing.TB, engine *edge.Engine) (*edge.Beacon, *edge.Request) {
	t.Helper()
	given := caseGiven{
		Granted: []string{"storage", "measure", "context", "profile", "personalise"}, Device: "phone", Lang: "en", State: "returning",
		Slots: []string{"hero", "offer"},
	}
	beacon, request := given.message(t)
	var first edge.Outcome
	if err := engine.Decide(beacon, request, &first); err != nil {
		t.Fatal(err)
	}
	beacon.Events = []edge.BeaconEvent{
		{ID: "p1.1", Name: "page_view", AtMillis: beacon.SentMillis},
		{ID: "p1.2", Name: "view_item", AtMillis: beacon.SentMillis, Props: []byte(`{"items":[{"item_id":"hat-9","item_category":"hats","price":49.9,"quantity":2}],"value":49.9,"currency":"EUR","method":"grid"}`)},
		{ID: "p1.3", Name: "slot_impression", AtMillis: beacon.SentMillis, Props: []byte(`{"decision":"` + first.Decisions[0].ID + `","shown":"variant"}`)},
	}
	return beacon, request
}

func BenchmarkDecide3Slots(b *testing.B) {
	engine := plainEngine(b)
	beacon, request := benchmarkMessage(b)
	var out edge.Outcome
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecidePageView(b *testing.B) {
	engine := plainEngine(b)
	beacon, request := pageView(b, engine)
	var out edge.Outcome
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			b.Fatal(err)
		}
	}
}

// The engine reads a TC string by the day of the request and by the release's own
// setting, for a browser's beacon and a server's events alike, and remembers it for
// neither longer than it counts nor for a site that reads it otherwise.
func TestTheEngineReadsTCStrings(t *testing.T) {
	var c struct {
		Signals struct{ TCF string }
	}
	text, err := os.ReadFile("consent/testdata/strings/a-tc-string-that-agrees-to-everything-grants-everything.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	signals := consent.Signals{Claimed: consent.All, GDPR: consent.Yes, TCF: c.Signals.TCF}
	day := batchNow
	engine := caseEngine(t)
	verdict := func(now time.Time) consent.Verdict {
		var out edge.Outcome
		if err := engine.Decide(&edge.Beacon{Site: "shop", Consent: signals}, &edge.Request{Now: now}, &out); err != nil {
			t.Fatal(err)
		}
		return out.Verdict
	}
	for range 2 {
		if v := verdict(day); v.Granted != consent.All || v.Authority != consent.ByTCF {
			t.Errorf("granted %v by %v, %q", v.Granted, v.Authority, v.Reason)
		}
		if v := verdict(day.AddDate(2, 0, 0)); v.Granted != 0 || v.Reason != consent.Stale {
			t.Errorf("two years later: granted %v, %q", v.Granted, v.Reason)
		}
	}
	batch := edge.Batch{Site: "shop", Consents: []consent.Signals{signals}, Events: []edge.BatchEvent{told("login", "")}}
	for now, kept := range map[time.Time]int{day: 1, day.AddDate(2, 0, 0): 0} {
		var out edge.BatchOutcome
		batch.Events[0].AtMillis = now.UnixMilli()
		if err := engine.Accept(&batch, now, &out); err != nil || len(out.Events) != kept {
			t.Errorf("on %v %d events are kept, want %d: %+v, %v", now, len(out.Events), kept, out.Rejected, err)
		}
	}
	if _, err := engine.Publish(caseRelease(t, map[string]any{"consent": map[string]any{"tcf": 8}})); err != nil {
		t.Fatal(err)
	}
	if v := verdict(day); v.Granted != 0 || v.Reason != consent.VendorNotDisclosed {
		t.Errorf("read for vendor 8: granted %v, %q", v.Granted, v.Reason)
	}
}
