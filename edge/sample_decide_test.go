// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// sample reads a sample visit.
func sample(t testing.TB, raw string) *edge.SampleVisit {
	t.Helper()
	var s edge.SampleVisit
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestASampleVisitIsDecidedAsARealOne(t *testing.T) {
	const night = `"now":1795375800000` // when the cases happen
	tests := []struct {
		name, visit, slot, variant, lang, reason, rule string
	}{
		{"by the fullest rung", `{"granted":["personalise"],"fields":{"recent":["hat-1"],"lang":"fr",` + night + `}}`, "hero", "seen", "fr", "rule", "looked"},
		{"not by what is refused", `{"granted":["context"],"fields":{"recent":["hat-1"],"device.type":"desktop",` + night + `}}`, "hero", "desktop", "en", "rule", "by-device@1.0.0"},
		{"by what the site's settings say", `{"granted":["context"],"fields":{"device.type":"phone",` + night + `}}`, "hero", "phone", "en", "rule", "winter-phone"},
		{"by another value than the settings'", `{"granted":["context"],"fields":{"device.type":"phone","shop.season":"spring","geo.country":"FR",` + night + `}}`, "hero", "seen", "en", "rule", "in-france"},
		{"in the language of the page", `{"granted":["personalise"],"fields":{"recent":["hat-1"],"lang":"en","page.lang":"fr",` + night + `}}`, "hero", "seen", "fr", "rule", "looked"},
		{"at its own time", `{"granted":[],"fields":{"now":1795370000000}}`, "offer", "plain", "en", "rule", "ended"},
		{"at a time in words", `{"granted":[],"fields":{"now":"2026-11-22T17:53:20Z"}}`, "offer", "plain", "en", "rule", "ended"},
		{"by the shares of its visitor", `{"granted":["storage"],"fields":{"visitor.id":"AQIDAAAAAAAAAAAAAAAAAA",` + night + `}}`, "offer", "bold", "en", "rule", "split"},
		{"an empty text is none", `{"granted":["geo","context"],"fields":{"geo.postcode":"",` + night + `}}`, "place", "", "", "no-answer", ""},
	}
	engine, loader := codelessEngine(t)
	release, _ := engine.Release("shop")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := release.Sample(sample(t, tt.visit), []string{tt.slot})
			if err != nil {
				t.Fatal(err)
			}
			if d := got[0]; len(got) != 1 || d.Slot != tt.slot || d.Variant != tt.variant || d.Lang != tt.lang || d.Reason != tt.reason || d.Rule != tt.rule {
				t.Errorf("decided %s", asJSON(t, got))
			}
			if len(got[0].Why.Tried) == 0 {
				t.Error("it does not say why")
			}
		})
	}
	before := loader.Decided.Load()
	got, err := release.Sample(sample(t, `{"granted":["context"]}`), nil)
	if err != nil || len(got) != 3 || got[0].Slot != "hero" || got[2].Slot != "place" {
		t.Errorf("error %v, decided %s", err, asJSON(t, got))
	}
	if n := loader.Decided.Load() - before; n != 1 {
		t.Errorf("the rules without code ran %d times for one visit", n)
	}
}

// A sample visit whose fields are those of a real visit is decided alike.
func TestASampleVisitIsInARollOutAsARealOne(t *testing.T) {
	document := caseRelease(t, nil)
	document = []byte(strings.Replace(string(document), `"rollout":1`, `"rollout":5000`, 1))
	loader := codelessLoader(t, document, edgetest.Loader(caseRules()))
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
	release, err := engine.Publish(document)
	if err != nil {
		t.Fatal(err)
	}
	reached := 0
	for visitor := range byte(40) {
		state := &edge.State{Visitor: [16]byte{visitor}, First: caseNow, Started: caseNow, Last: caseNow, Visits: 1}
		given := caseGiven{Granted: consent.All.Names(), Device: "phone", Lang: "en", Slots: []string{"tenth"}}
		beacon, request := given.message(t)
		request.State = caseSealer(t).SealState("shop", state)
		var out edge.Outcome
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
		id, err := json.Marshal(state.VisitorID())
		if err != nil {
			t.Fatal(err)
		}
		s := sample(t, `{"granted":["context","storage"],"fields":{"device.type":"phone","visitor.id":`+string(id)+`}}`)
		got, err := release.Sample(s, []string{"tenth"})
		if err != nil || got[0].Variant != out.Decisions[0].Variant {
			t.Errorf("visitor %d: error %v, the sample gets %q, the visit %q", visitor, err, got[0].Variant, out.Decisions[0].Variant)
		}
		if got[0].Variant != "" {
			reached++
		}
		s.Granted = consent.Set(consent.Context)
		if got, err := release.Sample(s, []string{"tenth"}); err != nil || got[0].Variant != "" {
			t.Errorf("visitor %d: error %v; without storage the id tells a bucket", visitor, err)
		}
	}
	if reached == 0 || reached == 40 {
		t.Errorf("%d of 40 reached: the test proves nothing", reached)
	}
}

func TestASampleVisitThatCannotBeIsRefused(t *testing.T) {
	engine, _ := codelessEngine(t)
	release, _ := engine.Release("shop")
	tests := []struct{ name, visit, slot, want string }{
		{"a field that is not there", `{"fields":{"shop.mood":"good"}}`, "hero", `field "shop.mood"`},
		{"a value of another type", `{"fields":{"device.type":3}}`, "hero", `field "device.type"`},
		{"a time that is none", `{"fields":{"now":"tomorrow"}}`, "hero", `field "now": want a time, like "2026-12-24T18:00:00Z"`},
		{"a language that is no text", `{"fields":{"page.lang":3}}`, "hero", `field "page.lang"`},
		{"a slot that is not there", `{}`, "zero", `slot "zero"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := release.Sample(sample(t, tt.visit), []string{tt.slot}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %s", err, tt.want)
			}
		})
	}
}

func TestInputsAreWhatASlotDependsOn(t *testing.T) {
	engine, _ := codelessEngine(t)
	release, _ := engine.Release("shop")
	set := func(p consent.Purposes) consent.Set { return consent.Set(p) }
	want := map[string]edge.SlotInputs{
		"hero": {
			Purposes: set(consent.Context | consent.Personalise),
			Reads:    []string{"complaint", "device.type", "geo.country", "now", "page.lang", "recent", "shop.season"},
		},
		"offer": {Purposes: set(consent.Storage | consent.Personalise), Reads: []string{"complaint", `hash("offer/split/show")`, "now", "variations"}},
		"place": {Purposes: set(consent.Context | consent.Geo), Reads: []string{"geo.city", "geo.postcode"}},
	}
	if got := release.Inputs(); asJSON(t, got) != asJSON(t, want) {
		t.Errorf("inputs %s\nwant %s", asJSON(t, got), asJSON(t, want))
	}
	modules, _ := caseEngine(t).Release("shop")
	got := modules.Inputs()
	if offer := got["offer"]; consent.Purposes(offer.Purposes) != consent.Storage|consent.Personalise|consent.Context|consent.Geo ||
		strings.Join(offer.Reads, " ") != "device.type geo.country geo.lat now recent visitor.visits" {
		t.Errorf("inputs of offer %s", asJSON(t, offer))
	}
	if tenth := got["tenth"]; strings.Join(tenth.Reads, " ") != `device.type geo.country hash("tenth/by-device")` || !consent.Purposes(tenth.Purposes).Has(consent.Storage) {
		t.Errorf("inputs of tenth %s", asJSON(t, tenth))
	}
	if bare, ok := got["bare"]; !ok || len(bare.Reads) != 0 || bare.Purposes != 0 {
		t.Errorf("inputs of bare %s", asJSON(t, bare))
	}
}
