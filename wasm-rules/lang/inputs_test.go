// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
)

func TestInputs(t *testing.T) {
	tests := []struct {
		name, when, score string
		inputs, reads     []string
	}{
		{"nothing", `true`, ``, nil, nil},
		{"what is decided reads nothing", `true || geo.country == "FR"`, ``, nil, nil},
		{"nor does what never holds", `false && geo.country == "FR"`, `visitor.visits`, nil, nil},
		{"nor a part that cannot help", `lang == "fr" || (geo.country == "FR" && 1 / 0 == 1)`, ``, []string{"lang"}, []string{"lang"}},
		{"nor what lowerAscii can never be", `lang.lowerAscii() == "FR" || geo.country == "FR"`, ``, []string{"geo.country"}, []string{"geo.country"}},
		{"a condition and a score", `geo.country == "FR"`, `visitor.visits`, []string{"geo.country", "visitor.visits"}, []string{"geo.country", "visitor.visits"}},
		{"keys of a map", `interests["hats"] > 1 && "shoes" in interests && interests.bags > 2`, ``,
			[]string{`interests["bags"]`, `interests["hats"]`, `interests["shoes"]`}, []string{"interests"}},
		{"a map as a whole", `interests["hats"] > 1 && size(interests) > 2`, ``, []string{"interests"}, []string{"interests"}},
		{"a key that is told from a field", `interests[page.category] > 1`, ``, []string{"interests", "page.category"}, []string{"interests", "page.category"}},
		{"counts and buckets", `count("view_item", "7d") > 1 && hash("spring") < 5`, ``,
			[]string{`count("view_item", "7d")`, `hash("spring")`}, []string{"counts", "visitor.id"}},
		{"functions", `seen("a") && bought("b") && distanceKm(1.0, 2.0) < 3`, ``,
			[]string{"bought", "geo.lat", "geo.lon", "recent"}, []string{"bought", "geo.lat", "geo.lon", "recent"}},
		{"audiences", `inAudience("vip.eu")`, ``, []string{"bought", "geo.country"}, []string{"bought", "geo.country"}},
		{"own fields", `shop.tier == "gold" && now > timestamp("2026-01-01T00:00:00Z")`, ``, []string{"now", "shop.tier"}, []string{"now", "shop.tier"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Read(must(Compile(testDocument(edge.RuleSpec{Name: "r", When: tt.when, Score: tt.score, Show: oneVariant}))))
			if err != nil {
				t.Fatal(err)
			}
			s := p.Slots()[0]
			if !slices.Equal(s.Inputs, tt.inputs) || !slices.Equal(s.Candidates[0].Reads, tt.reads) {
				t.Errorf("inputs %q, reads %q, want %q and %q", s.Inputs, s.Candidates[0].Reads, tt.inputs, tt.reads)
			}
			if got := slices.Sorted(slices.Values(p.Reads())); !slices.Equal(got, tt.reads) {
				t.Errorf("the module reads %q, want %q", got, tt.reads)
			}
		})
	}
}

func TestRolloutsAndWeightsAreInputs(t *testing.T) {
	doc := testDocument(edge.RuleSpec{Name: "r", Rollout: 100, Show: []edge.ShowSpec{{Variant: "a", Weight: 1}, {Variant: "b", Weight: 1}}})
	p, err := Read(must(Compile(doc)))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`hash("hero/r")`, `hash("hero/r/show")`}; !slices.Equal(p.Slots()[0].Inputs, want) {
		t.Errorf("inputs %q, want %q", p.Slots()[0].Inputs, want)
	}
}

func TestCounts(t *testing.T) {
	p, err := Read(must(Compile(testDocument(
		edge.RuleSpec{Name: "a", When: `count("view_item", "7d") > 1 || count("add_to_cart", "30d") > 2`, Show: oneVariant},
		edge.RuleSpec{Name: "b", When: `count("view_item", "7d") > 3 && count("view_item", "1d") > 3`, Show: oneVariant},
		edge.RuleSpec{Name: "c", When: `false && count("purchase", "7d") > 3`, Show: oneVariant},
	))))
	if err != nil {
		t.Fatal(err)
	}
	want := []edge.EventWindow{{Event: "add_to_cart", Days: 30}, {Event: "view_item", Days: 1}, {Event: "view_item", Days: 7}}
	if !slices.Equal(p.Counts(), want) {
		t.Errorf("counts %v, want %v", p.Counts(), want)
	}
}
