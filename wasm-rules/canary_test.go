// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func TestCanaryVisitsCoverEveryFieldAndPurpose(t *testing.T) {
	visits, err := CanaryVisits()
	if err != nil {
		t.Fatal(err)
	}
	var nobody, everybody bool
	said := map[string]bool{}
	names := map[string]bool{}
	for _, v := range visits {
		nobody = nobody || v.Granted == 0
		everybody = everybody || consent.Purposes(v.Granted) == consent.All
		if names[v.Name] {
			t.Errorf("two canary visits are called %q", v.Name)
		}
		names[v.Name] = true
		for name := range v.Fields {
			said[name] = true
		}
		view, err := v.ViewOf(everything(0), nil)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if record := encodeRecord(view, nil); len(record) > MaxRecordBytes {
			t.Errorf("%s: a record of %d bytes", v.Name, len(record))
		}
	}
	if !nobody || !everybody {
		t.Error("no canary visit grants nothing, or none grants everything")
	}
	for _, f := range edge.Fields() {
		if !said[f.Name] && !f.Internal() {
			t.Errorf("no canary visit has a value for %s", f.Name)
		}
	}
}

// TestTheBudgetFollowsTheCanaries loads modules that spend what a test wants.
func TestTheBudgetFollowsTheCanaries(t *testing.T) {
	tests := []struct {
		name     string
		declared int64
		spent    int64
		want     int64
	}{
		{"a cheap module gets the least", 0, 100, minBudget},
		{"a dearer one ten times what it spent", 0, 50_000, 500_000},
		{"a dear one the most", 0, 300_000, edge.MaxBudget},
		{"a manifest may say less", 5_000, 100, 5_000},
		{"or more", 700_000, 100, 700_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			canaries := []edge.Canary{{Fuel: 1}, {Fuel: tt.spent}, {Fuel: 2}}
			if got := calibrate(&edge.Manifest{Budget: tt.declared}, canaries); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestEverySlotAnswersEveryCanaryVisit(t *testing.T) {
	for _, language := range languages(t) {
		source := echo(t, language)
		r := mustLoad(t, newHost(t, Options{Source: source}), source)
		visits, err := CanaryVisits()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(r.template.canaries), len(visits)*len(source.manifest.Slots); got != want {
			t.Errorf("%s: %d canaries, want %d", language, got, want)
		}
		i := slices.IndexFunc(r.template.canaries, func(c edge.Canary) bool {
			return c.Slot == "fields" && c.Visit == "context alone, on a phone in France"
		})
		if c := r.template.canaries[i]; c.Variant != "one" || !strings.HasPrefix(c.Because, "/category/hats|-|felt,wool,winter|-|FR|") || c.Fuel == 0 {
			t.Errorf("%s: %+v", language, c)
		}
		for _, c := range r.template.canaries {
			if c.Fuel < 0 || c.Fuel > r.template.budget {
				t.Errorf("%s: canary %q, slot %q spent %d of %d", language, c.Visit, c.Slot, c.Fuel, r.template.budget)
			}
		}
	}
}
