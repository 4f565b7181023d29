// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// historyFields are those that hold what a state remembers.
var historyFields = []edge.FieldNumber{
	edge.FieldInterests, edge.FieldCounters, edge.FieldRecent, edge.FieldBought, edge.FieldCart, edge.FieldCounts,
}

func TestWhatIsKnownToBeEmptyIsPresent(t *testing.T) {
	tests := []struct {
		name    string
		state   *edge.State
		granted consent.Purposes
		want    string // of each of historyFields; null is absent
		tags    string
	}{
		{"a new visitor has bought nothing", &edge.State{}, consent.All, `{} {} [] [] [] {}`, `[]`},
		{"without a state nothing is known", nil, consent.All, `null null null null null null`, `[]`},
		{"a refusal hides that there is nothing", &edge.State{}, consent.All &^ (consent.Personalise | consent.Context), `null null null null null null`, `null`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			declared := edge.Mask{}.With(edge.FieldPageTags)
			for _, n := range historyFields {
				declared = declared.With(n)
			}
			view := edge.NewView(&edge.Visit{State: tt.state}, declared, tt.granted)
			got := ""
			for _, n := range historyFields {
				v := view.Value(n)
				if known := string(v.AppendJSON(nil)) != "null"; known != v.Known() {
					t.Errorf("field %d: Known is %t, JSON says %t", n, v.Known(), known)
				}
				got += " " + string(v.AppendJSON(nil))
			}
			if got[1:] != tt.want {
				t.Errorf("got %s, want %s", got[1:], tt.want)
			}
			if got := string(view.Value(edge.FieldPageTags).AppendJSON(nil)); got != tt.tags {
				t.Errorf("page.tags is %s, want %s", got, tt.tags)
			}
		})
	}
}

// What is left of a map or items when one entry is refused would let a refusal
// make "not among them" true.
func TestOneRefusedEntryHidesAllOfThem(t *testing.T) {
	entries := edge.Value{Type: edge.TypeMap, Map: []edge.Entry{{Key: "a", Purpose: consent.Context}, {Key: "b", Purpose: consent.Geo}}}
	items := edge.Value{Type: edge.TypeItems, Items: []edge.Item{{ID: "a"}, {ID: "b", Purpose: consent.Geo}}}
	visit := &edge.Visit{Own: []edge.OwnValue{{Value: entries}, {Value: items}}}
	for _, granted := range []consent.Purposes{consent.All, consent.All &^ consent.Geo} {
		for i := range visit.Own {
			n := edge.FieldNumber(edge.BuiltinFields + i)
			v := edge.NewView(visit, edge.Mask{}.With(n), granted).Value(n)
			if got := len(v.Map) + len(v.Items); v.Known() != granted.Has(consent.Geo) || v.Known() && got != 2 || !v.Known() && got != 0 {
				t.Errorf("granted %s: field %d is %+v", granted, n, v)
			}
		}
	}
}

func TestEventsHoldNothingEmpty(t *testing.T) {
	given := caseGiven{Granted: consent.All.Names(), Raw: []caseEvent{{ID: "p1.1", Name: "page_view"}}}
	beacon, request := given.message(t)
	beacon.Page.Tags = nil
	var out edge.Outcome
	if err := caseEngine(t).Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	var ev struct{ Page map[string]json.RawMessage }
	if err := json.Unmarshal(out.Events[0].JSON(), &ev); err != nil {
		t.Fatal(err)
	}
	if _, ok := ev.Page["tags"]; ok || ev.Page["type"] == nil {
		t.Errorf("stored %s", out.Events[0].JSON())
	}
}

// A visit whose list, items and map fields all hold something, two of a type with
// other things in them.
func visitWithHistory() *edge.Visit {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	state := &edge.State{Visits: 2, Started: now}
	state.Learn("view_item", now, edge.ItemEvent{Item: "hat-1", Category: "hats"})
	state.Learn("view_item", now, edge.ItemEvent{Item: "hat-2", Category: "hats"})
	state.Learn("add_to_cart", now, edge.ItemEvent{Item: "shoe-1", Category: "shoes", Quantity: 2, Price: 80})
	state.Learn("purchase", now, edge.ItemEvent{Item: "sock-1", Category: "socks", Price: 4})
	return &edge.Visit{
		Now:    now,
		Page:   edge.Page{Path: "/hats", Tags: []string{"felt", "wool"}},
		State:  state,
		Counts: []edge.Entry{{Key: "view_item/7d", Value: 2}},
	}
}

func everyField() (m edge.Mask) {
	for _, f := range edge.Fields() {
		m = m.With(f.Number)
	}
	return m
}

func TestPeekAgreesWithValueAndOverwritesNoValue(t *testing.T) {
	visit := visitWithHistory()
	view := edge.NewView(visit, everyField(), consent.All)
	var values []edge.Value
	var said []string
	for _, f := range edge.Fields() {
		peeked := string(view.Peek(f.Number).AppendJSON(nil))
		value := view.Value(f.Number)
		if got := string(value.AppendJSON(nil)); got != peeked {
			t.Errorf("%s: Value is %s, Peek %s", f.Name, got, peeked)
		}
		values, said = append(values, value), append(said, peeked)
	}
	for i, f := range edge.Fields() { // again, after everything was written over
		if got := string(values[i].AppendJSON(nil)); got != said[i] {
			t.Errorf("%s: the value became %s, was %s", f.Name, got, said[i])
		}
	}
	if got := string(view.Value(edge.FieldRecent).AppendJSON(nil)); got != `["hat-2","hat-1"]` {
		t.Errorf("recent is %s", got)
	}
	if visit.Page.Tags[0] != "felt" || visit.Counts[0].Key != "view_item/7d" {
		t.Errorf("the visit was written to: %v, %v", visit.Page.Tags, visit.Counts)
	}
}

func TestAReusedViewIsEncodedAnew(t *testing.T) {
	hats := edge.NewView(&edge.Visit{Page: edge.Page{Path: "/hats"}}, everyField(), consent.All)
	encode := func(v *edge.View, dst []byte) []byte { return append(dst, v.Value(edge.FieldPagePath).Str...) }
	var view edge.View
	view.Reuse(hats)
	if got := string(view.Record(encode)); got != "/hats" {
		t.Errorf("the record is %q", got)
	}
	view.Reuse(edge.NewView(visitWithHistory(), edge.Mask{}, 0))
	if got := string(view.Record(encode)); got != "" || view.Granted() != 0 || view.Mask() != (edge.Mask{}) {
		t.Errorf("the record is %q, granted %v", got, view.Granted())
	}
	if got := string(hats.Record(encode)); got != "/hats" {
		t.Errorf("the other view's record is %q", got)
	}
}

func TestPeekAllocs(t *testing.T) {
	view := edge.NewView(visitWithHistory(), everyField(), consent.All)
	got := testing.AllocsPerRun(100, func() {
		for n := range edge.FieldNumber(edge.BuiltinFields) {
			view.Peek(n)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// Whoever reads fields as nested objects must not find a value where a group is.
func TestNoFieldIsAnothersGroup(t *testing.T) {
	names := map[string]bool{}
	for _, f := range edge.Fields() {
		names[f.Name] = true
	}
	for name := range names {
		if group, _, grouped := strings.Cut(name, "."); grouped && names[group] {
			t.Errorf("%s is in the group of a field %s", name, group)
		}
	}
}
