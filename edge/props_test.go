// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// storedProps decides a beacon with one event and returns what is stored of it.
func storedProps(t *testing.T, granted consent.Purposes, name, props string) string {
	t.Helper()
	given := caseGiven{Granted: granted.Names(), Raw: []caseEvent{{ID: "p1.1", Name: name, Props: json.RawMessage(props)}}}
	beacon, request := given.message(t)
	request.Source.ClickID = ""
	var out edge.Outcome
	if err := caseEngine(t).Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Events) != 1 {
		t.Fatalf("%d events, rejected %+v", len(out.Events), out.Rejected)
	}
	return string(stable(t, out.Events[0].JSON()))
}

func TestPropsHoldNothingThatWasRefused(t *testing.T) {
	tests := []struct {
		name    string
		granted consent.Purposes
		event   string
		props   string
		not     string // must not be stored
		want    string // must be stored
	}{
		{"a link loses its query", consent.Measure, "click", `{"link_url":"https://x.example/a?email=jane@x.org#top"}`, "jane", `"link_url":"https://x.example/a"`},
		{"a relative link too", consent.Measure, "click", `{"link_url":"/a?token=SECRET"}`, "SECRET", `"/a"`},
		{"an escaped address too", consent.Measure, "click", `{"link_url":"https:\/\/x.example\/a?token=SECRET"}`, "SECRET", `https://x.example/a`},
		{"an address in an item too", consent.Measure, "view_item", `{"items":[{"item_id":"a","image":"https://x.example/i.png?user=SECRET"}]}`, "SECRET", `"item_id":"a"`},
		{"a question is no query", consent.Measure, "search", `{"search_term":"why? because"}`, "nothing at all", `why? because`},
		{"a click id needs share", consent.Measure, "click", `{"gclid":"SECRET","a":1}`, "SECRET", `"a":1`},
		{"a click id is kept under share", consent.Measure | consent.Share, "click", `{"gclid":"Cj0"}`, "nothing at all", `"gclid":"Cj0"`},
		{"a click id in an item needs share", consent.Measure, "view_item", `{"items":[{"item_id":"a","gclid":"SECRET"}]}`, "SECRET", `"item_id":"a"`},
		{"the page's address stands elsewhere, however it is spelled", consent.Measure, "click", `{"page\u005flocation":"https://a.example/SECRET","a":1}`, "SECRET", `"a":1`},
		{"a property of an own field needs the field's purpose", consent.Measure | consent.Storage, "view_item", `{"basket":4711,"a":1}`, "4711", `"a":1`},
		{"what needs personalise is never in the log", consent.All, "view_item", `{"basket":4711,"a":1}`, "4711", `"a":1`},
		{"of another event it is a property like any other", consent.Measure, "view_cart", `{"basket":4711}`, "nothing at all", `"basket":4711`},
		{"a number nobody can read becomes text", consent.Measure, "click", `{"n":1e9999,"ok":true,"no":null}`, ":1e9999", `"n":"1e9999"`},
		{"a value is a decimal string", consent.Measure, "purchase", `{"value":12.30}`, "nothing at all", `"value":"12.30"`},
		{"a value that is none stays a property", consent.Measure, "purchase", `{"value":{"a":1}}`, "nothing at all", `"props":{"value":{"a":1}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := storedProps(t, tt.granted, tt.event, tt.props)
			if strings.Contains(got, tt.not) || !strings.Contains(got, tt.want) {
				t.Errorf("stored %s\nwant %s and no %s", got, tt.want, tt.not)
			}
		})
	}
}

func TestTransactionsAreKnownByTheirOwnID(t *testing.T) {
	engine := caseEngine(t)
	for _, tt := range []struct{ name, props, want string }{
		{"purchase", `{"transaction_id":"t-1"}`, "t-1"},
		{"purchase", `{"transaction_id":4711}`, "4711"},
		{"refund", `{"transaction_id":"t-1"}`, "t-1"},
		{"refund", `{"transaction_id":"t-1","items":[{"item_id":"a"}]}`, ""},
		{"view_item", `{"transaction_id":"t-1"}`, ""},
	} {
		given := caseGiven{Granted: []string{"measure"}, Raw: []caseEvent{{ID: "p1.1", Name: tt.name, Props: json.RawMessage(tt.props)}}}
		beacon, request := given.message(t)
		var out edge.Outcome
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.Events[0].Transaction(); got != tt.want {
			t.Errorf("%s %s: transaction %q, want %q", tt.name, tt.props, got, tt.want)
		}
	}
}

// A beacon that comes again with the state it made counts its events once.
func TestAResentEventCountsOnceInTheState(t *testing.T) {
	engine := caseEngine(t)
	given := caseGiven{Granted: consent.All.Names(), Device: "phone", Lang: "en", Slots: []string{"offer"}, Why: true,
		Raw: []caseEvent{{ID: "p1.1", Name: "add_to_cart", Props: json.RawMessage(`{"items":[{"item_id":"hat-1"},{"item_id":"hat-2"}]}`)}}}
	state := ""
	for range 3 {
		beacon, request := given.message(t)
		request.State = state
		var out edge.Outcome
		if err := engine.Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
		if out.State != "" {
			state = out.State
		}
	}
	got, err := caseSealer(t).OpenState("shop", state)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range got.Items {
		if item.Quantity != 1 {
			t.Errorf("%s is in the cart %d times, want once", item.ID, item.Quantity)
		}
	}
	if len(got.Items) != 2 || got.Activity[0].Values != [3]float32{1, 1, 1} {
		t.Errorf("the state remembers %+v and %+v, want two items and one event", got.Items, got.Activity)
	}
}

// A small beacon cannot fill the log: each event repeats what all share.
func TestOneBeaconTakesABoundedPartOfTheLog(t *testing.T) {
	given := caseGiven{Granted: []string{"measure", "context"}}
	for i := range edge.MaxEvents {
		given.Raw = append(given.Raw, caseEvent{ID: fmt.Sprintf("p1.%d", i), Name: "click"})
	}
	beacon, request := given.message(t)
	beacon.Page.Title = strings.Repeat("<", edge.MaxTitleBytes)
	beacon.Page.Category = strings.Repeat("<", edge.MaxWordBytes)
	request.Path = "/" + strings.Repeat("<", edge.MaxURLBytes-1)
	var out edge.Outcome
	if err := caseEngine(t).Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for i := range out.Events {
		stored += len(out.Events[i].JSON())
	}
	if stored > edge.MaxStoredBytes || len(out.Events) == 0 || len(out.Events)+len(out.Rejected) != edge.MaxEvents {
		t.Errorf("%d events of %d bytes stored, %d rejected", len(out.Events), stored, len(out.Rejected))
	}
	for _, r := range out.Rejected {
		if r.Code != edge.RejectedSize {
			t.Errorf("rejected %+v, want %s", r, edge.RejectedSize)
		}
	}
}

// The longest names a release may have still make an id that an impression can
// bring back.
func TestTheLongestDecisionIDComesBack(t *testing.T) {
	long := strings.Repeat("a", edge.MaxNameBytes)
	document := strings.NewReplacer(`"hero"`, `"`+long+`"`, `"phone"`, `"`+long+`"`).Replace(string(caseRelease(t, nil)))
	rules := caseRules()
	rules["by-device"].Declares.Slots[0].Variants[0] = long
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: edgetest.Loader(rules), Sealer: caseSealer(t)})
	if _, err := engine.Publish([]byte(document)); err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: []string{"context", "measure"}, Device: "phone", Lang: "en", Slots: []string{long}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	given.Slots = nil
	given.Raw = []caseEvent{{ID: "p1.9", Name: "slot_impression", Props: json.RawMessage(`{"decision":"` + out.Decisions[0].ID + `"}`)}}
	beacon, request = given.message(t)
	out.Reset()
	if err := engine.Decide(beacon, request, &out); err != nil || len(out.Events) != 1 {
		t.Errorf("error %v, rejected %+v", err, out.Rejected)
	}
}
