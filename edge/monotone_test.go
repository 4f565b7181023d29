// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// Whatever is refused beside, a field is absent or what it is with more consent:
// no refusal makes another value, with which a rule could hold that did not hold
// before.
func TestARefusalOnlyHides(t *testing.T) {
	_, state := listen(t, consent.All, "", []caseEvent{{ID: "p0.1", Name: "search", AgeSec: 24 * 60 * 60},
		{ID: "p0.2", Name: "view_item", AgeSec: 60 * 60, Props: json.RawMessage(`{"items":[{"item_id":"hat-1","item_category":"hats"}]}`)}})
	tests := []struct {
		name, state string
		events      []caseEvent
	}{
		{"a visitor of an hour ago who does nothing", state, []caseEvent{{ID: "p1.1", Name: "page_view"}}},
		{"a visitor of an hour ago who looks again", state, []caseEvent{{ID: "p1.1", Name: "view_item", Props: json.RawMessage(`{"items":[{"item_id":"hat-2"}]}`)}}},
		{"a visitor of last week in a new session", caseState(t, "returning"), []caseEvent{{ID: "p1.1", Name: "page_view"}}},
		{"a visitor of last week who looks, searches and buys", caseState(t, "returning"), []caseEvent{
			{ID: "p1.1", Name: "view_item", Props: json.RawMessage(`{"basket":3,"items":[{"item_id":"hat-2","item_category":"caps"}]}`)},
			{ID: "p1.2", Name: "search"},
			{ID: "p1.3", Name: "purchase", Props: json.RawMessage(`{"items":[{"item_id":"hat-1"}]}`)}}},
		{"a new visitor who searches", "", []caseEvent{{ID: "p1.1", Name: "search"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var saw [consent.All + 1]map[string]string
			for granted := range saw {
				saw[granted], _ = listen(t, consent.Purposes(granted), tt.state, tt.events)
			}
			if len(saw[consent.All]) < 30 || len(saw[0]) != 2 {
				t.Fatalf("%d fields seen with full consent, %d with none: the test proves nothing", len(saw[consent.All]), len(saw[0]))
			}
			for less := range saw {
				for more := range saw {
					if less&^more != 0 {
						continue
					}
					if name := unlike(saw[less], saw[more]); name != "" {
						t.Fatalf("%s is %s under %s and %q under %s", name, saw[less][name],
							consent.Purposes(less).Names(), saw[more][name], consent.Purposes(more).Names())
					}
				}
			}
		})
	}
}

// unlike returns a field that has another value with less consent than with more,
// "" for none.
func unlike(less, more map[string]string) string {
	for name, value := range less {
		switch {
		case value == more[name]:
		case name == "counts" && within(value, more[name]): // a missing window is not known
		default:
			return name
		}
	}
	return ""
}

// within reports whether the entries of a map are another's too.
func within(part, whole string) bool {
	var p, w map[string]float64
	if json.Unmarshal([]byte(part), &p) != nil || json.Unmarshal([]byte(whole), &w) != nil {
		return false
	}
	for key, value := range p {
		if with, ok := w[key]; !ok || with != value {
			return false
		}
	}
	return true
}

// A listener is a set of rules without code that reads every field and notes what
// it was given.
type listener struct {
	edge.RuleSet
	saw map[string]string
}

func (l *listener) Reads() (names []string) {
	for _, f := range edge.Fields() {
		names = append(names, f.Name)
	}
	return names
}

func (l *listener) Slots() []edge.RuleSetSlot {
	slots := slices.Clone(l.RuleSet.Slots())
	for i := range slots {
		slots[i].Candidates = slices.Clone(slots[i].Candidates)
		for j := range slots[i].Candidates {
			slots[i].Candidates[j].Reads = l.Reads()
		}
	}
	return slots
}

func (l *listener) Decide(view *edge.View, slots []int, held []edge.Held) error {
	for _, f := range edge.Fields() {
		if v := view.Value(f.Number); v.Known() {
			l.saw[f.Name] = string(v.AppendJSON(nil))
		}
	}
	return l.RuleSet.Decide(view, slots, held)
}

type listeningLoader struct {
	edge.RuleLoader
	listener *listener
}

func (l listeningLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	set, err := l.RuleLoader.LoadRules(site, c, bind)
	l.listener.RuleSet = set
	return l.listener, err
}

// listen returns the fields that rules without code see, which run whatever is
// granted, and the new state.
func listen(t *testing.T, granted consent.Purposes, state string, events []caseEvent) (saw map[string]string, after string) {
	t.Helper()
	l := &listener{saw: map[string]string{}}
	document := watchedRelease(t)
	rules := codelessLoader(t, document, edgetest.Loader(caseRules()))
	rules.Windows = []edge.EventWindow{{Event: "view_item", Days: 30}, {Event: "search", Days: 7}}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Sealer: caseSealer(t), Loader: listeningLoader{rules, l}})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: granted.Names(), Refused: (consent.All &^ granted).Names(), Country: "FR", Device: "phone", Lang: "en",
		Slots: []string{"counted"}, Raw: events}
	beacon, request := given.message(t)
	request.State = state
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if state == "" {
		delete(l.saw, "visitor.id") // of a new visitor it is another each time
	}
	return l.saw, out.State
}
