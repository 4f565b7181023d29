// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

func amendable(t *testing.T) *edge.ReleaseDocument {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 0), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Modules = []edge.ModuleRef{
		{Name: "history", Version: "1.0.0", Hash: strings.Repeat("a", 64)},
		{Name: "place", Version: "1.0.0", Hash: strings.Repeat("b", 64), Settings: json.RawMessage(`{"north":"summer"}`)},
	}
	doc.Slots[0].Ladder = []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{
		{Module: "place", Role: "slot", Priority: 3, Because: map[string]string{"en": "It suits the place."}},
	}}}
	return &doc
}

func version(n string) edge.ModuleRef {
	return edge.ModuleRef{Name: "place", Version: n, Hash: strings.Repeat(n[:1], 64)}
}

// ladder writes a slot's rules as rung:module[@share][<before][~], ~ being a
// shadow.
func ladder(doc *edge.ReleaseDocument) string {
	var b strings.Builder
	for _, rung := range doc.Slots[0].Ladder {
		b.WriteString(rung.Rung + ":")
		for _, r := range rung.Rules {
			b.WriteString(" " + r.Module)
			if r.Rollout != 0 {
				b.WriteString("/" + string(rune('0'+r.Rollout/1000)))
			}
			if r.Before != nil {
				b.WriteString("<" + r.Before.Module)
			}
			if r.Shadow {
				b.WriteString("~")
			}
		}
		b.WriteString("; ")
	}
	var names []string
	for _, m := range doc.Modules {
		names = append(names, m.ID())
	}
	return b.String() + strings.Join(names, " ")
}

func TestAmend(t *testing.T) {
	place := func(v string, share int, shadow bool) func(*edge.ReleaseDocument) error {
		return func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version(v), Slot: "hero", Rung: "context", Rollout: share, Shadow: shadow})
		}
	}
	share := func(n int) func(*edge.ReleaseDocument) error {
		return func(d *edge.ReleaseDocument) error { return d.Share("hero", "place", n) }
	}
	type steps []func(*edge.ReleaseDocument) error
	tests := []struct {
		name  string
		steps steps
		want  string
	}{
		{"a version takes the place of the one before, which goes", steps{place("2.0.0", 0, false)},
			"context: place@2.0.0; history@1.0.0 place@2.0.0"},
		{"a share keeps the one before", steps{place("2.0.0", 1000, false)},
			"context: place@2.0.0/1<place@1.0.0; history@1.0.0 place@1.0.0 place@2.0.0"},
		{"a larger share keeps it too", steps{place("2.0.0", 1000, false), share(5000)},
			"context: place@2.0.0/5<place@1.0.0; history@1.0.0 place@1.0.0 place@2.0.0"},
		{"all of them complete the release", steps{place("2.0.0", 1000, false), share(edge.Buckets)},
			"context: place@2.0.0; history@1.0.0 place@2.0.0"},
		{"none of them take it back", steps{place("2.0.0", 1000, false), share(0)},
			"context: place@1.0.0; history@1.0.0 place@1.0.0"},
		{"a third version goes on from what served all", steps{place("2.0.0", 1000, false), place("3.0.0", 2000, false)},
			"context: place@3.0.0/2<place@1.0.0; history@1.0.0 place@1.0.0 place@3.0.0"},
		{"the one before can come back over a share", steps{place("2.0.0", 1000, false), func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: edge.ModuleRef{Name: "place", Version: "1.0.0", Hash: strings.Repeat("b", 64)}, Slot: "hero", Rung: "context"})
		}}, "context: place@1.0.0; history@1.0.0 place@1.0.0"},
		{"a shadow stands beside", steps{place("2.0.0", 0, true)},
			"context: place@1.0.0 place@2.0.0~; history@1.0.0 place@1.0.0 place@2.0.0"},
		{"a shadow replaces a shadow", steps{place("2.0.0", 0, true), place("3.0.0", 0, true)},
			"context: place@1.0.0 place@3.0.0~; history@1.0.0 place@1.0.0 place@3.0.0"},
		{"publishing ends the shadow", steps{place("2.0.0", 0, true), place("2.0.0", 0, false)},
			"context: place@2.0.0; history@1.0.0 place@2.0.0"},
		{"a shadow can end alone", steps{place("2.0.0", 0, true), func(d *edge.ReleaseDocument) error { return d.EndShadows("hero", "place") }},
			"context: place@1.0.0; history@1.0.0 place@1.0.0"},
		{"a missing rung is made in its place", steps{func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version("2.0.0"), Slot: "hero", Rung: "profile"})
		}}, "profile: place@2.0.0; context: place@1.0.0; history@1.0.0 place@1.0.0 place@2.0.0"},
		{"removing takes rules and shadows", steps{place("2.0.0", 0, true), func(d *edge.ReleaseDocument) error { return d.Remove("hero", "place") }},
			"context:; history@1.0.0"},
		{"removing a version brings back the one before", steps{place("2.0.0", 1000, false), func(d *edge.ReleaseDocument) error { return d.Remove("hero", "place@2.0.0") }},
			"context: place@1.0.0; history@1.0.0 place@1.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := amendable(t)
			for _, step := range tt.steps {
				if err := step(doc); err != nil {
					t.Fatal(err)
				}
			}
			if got := ladder(doc); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// What a marketer has set stays with the slot when the module's version moves.
func TestAPlacementKeepsWhatItDoesNotSay(t *testing.T) {
	doc := amendable(t)
	if err := doc.Place(edge.Placement{Module: version("2.0.0"), Slot: "hero", Rung: "context"}); err != nil {
		t.Fatal(err)
	}
	rule := doc.Slots[0].Ladder[0].Rules[0]
	if rule.Role != "slot" || rule.Priority != 3 || rule.Because["en"] == "" || string(rule.Settings) != `{"north":"summer"}` {
		t.Errorf("rule %+v", rule)
	}
}

func TestAnAmendmentThatCannotBeLeavesTheDocument(t *testing.T) {
	other := version("1.0.0")
	other.Hash = strings.Repeat("d", 64)
	tests := []struct {
		name, field string
		do          func(*edge.ReleaseDocument) error
	}{
		{"no such slot", "slot", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version("2.0.0"), Slot: "nowhere", Rung: "context"})
		}},
		{"no such rung", "rung", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version("2.0.0"), Slot: "hero", Rung: "top"})
		}},
		{"no module", "module", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Slot: "hero", Rung: "context"})
		}},
		{"a version that is another module already", "module", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: other, Slot: "hero", Rung: "context"})
		}},
		{"a share beyond all", "rollout", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version("2.0.0"), Slot: "hero", Rung: "context", Rollout: edge.Buckets + 1})
		}},
		{"a shadow with a share", "rollout", func(d *edge.ReleaseDocument) error {
			return d.Place(edge.Placement{Module: version("2.0.0"), Slot: "hero", Rung: "context", Rollout: 5, Shadow: true})
		}},
		{"a share of what is not there", "module", func(d *edge.ReleaseDocument) error { return d.Share("hero", "nothing", 5) }},
		{"a share of no slot", "slot", func(d *edge.ReleaseDocument) error { return d.Share("nowhere", "place", 5) }},
		{"removing what is not there", "module", func(d *edge.ReleaseDocument) error { return d.Remove("hero", "nothing") }},
		{"ending what is not there", "module", func(d *edge.ReleaseDocument) error { return d.EndShadows("hero", "place") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := amendable(t)
			err := tt.do(doc)
			amend, ok := errors.AsType[*edge.AmendError](err)
			if !ok || amend.Field != tt.field {
				t.Errorf("error %v, want one of %s", err, tt.field)
			}
			if want := amendable(t); !reflect.DeepEqual(doc, want) {
				t.Errorf("the document is now %+v", doc)
			}
		})
	}
}
