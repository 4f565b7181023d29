// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
)

// testDocument is a document of one slot hero with rules on one rung.
func testDocument(rules ...edge.RuleSpec) *edge.ReleaseDocument {
	return &edge.ReleaseDocument{
		Fields: testOwn, Audiences: testAudiences,
		Slots: []edge.SlotSpec{{Name: "hero", Ladder: []edge.RungSpec{{Rung: "context", Rules: rules}}}},
	}
}

func TestCheckDocumentRefuses(t *testing.T) {
	one := []edge.ShowSpec{{Variant: "a"}}
	audience := func(name, when string) func(*edge.ReleaseDocument) {
		return func(d *edge.ReleaseDocument) {
			d.Audiences = append(slices.Clone(d.Audiences), edge.Audience{Name: name, When: when})
		}
	}
	tests := []struct {
		name   string
		rule   edge.RuleSpec
		change func(*edge.ReleaseDocument)
		want   []string
	}{
		{"a fault in a condition", edge.RuleSpec{Name: "r", When: `lang = "fr"`, Show: one}, nil,
			[]string{`slots: hero: rule r: when:1:6: '=' cannot stand here; write == to compare`}},
		{"a score with a point", edge.RuleSpec{Name: "r", Score: `shop.score * 2.0`, Show: one}, nil,
			[]string{`slots: hero: rule r: score:1:12: this is of type double, want int; write int(...) around it`}},
		{"weights that are all 0", edge.RuleSpec{Name: "r", Show: []edge.ShowSpec{{Variant: "a"}, {Variant: "b"}}}, nil,
			[]string{`slots: hero: rule r: show: all weights are 0; give each variant a weight, as in 50 and 50`}},
		{"a negative weight", edge.RuleSpec{Name: "r", Show: []edge.ShowSpec{{Variant: "a", Weight: -1}}}, nil,
			[]string{`slots: hero: rule r: show: weight -1 of a, want 0 to 1000000`}},
		{"a roll-out beyond the buckets", edge.RuleSpec{Name: "r", Rollout: 10001, Show: one}, nil,
			[]string{`slots: hero: rule r: rollout 10001, want 0 to 10000`}},
		{"an audience with a fault, unused", edge.RuleSpec{Name: "r", Show: one}, audience("broken", "1 +"),
			[]string{`audiences: broken: when:1:4: it ends too early`}},
		{"an audience that is told by way of itself", edge.RuleSpec{Name: "r", Show: one}, audience("round", `inAudience("round") || true`),
			[]string{`audiences: round: when: the audience is told by way of itself, or of more than 15 others in a row; take one of its inAudience(...) out`}},
		{"audiences in a long row", edge.RuleSpec{Name: "r", Show: one}, func(d *edge.ReleaseDocument) {
			when := "true"
			for i := range maxAudienceDepth + 1 {
				name := fmt.Sprint("a", i)
				audience(name, when)(d)
				when = fmt.Sprintf("inAudience(%q) || lang == %q", name, name)
			}
		}, []string{`audiences: a16: when: the audience is told by way of itself, or of more than 15 others in a row; take one of its inAudience(...) out`}},
		{"two audiences of one name", edge.RuleSpec{Name: "r", Show: one}, audience("buyers", `true`),
			[]string{`audiences: buyers: there are two audiences of this name`}},
		{"too many variants in a slot", edge.RuleSpec{Name: "r", Show: slices.Repeat([]edge.ShowSpec{{Variant: "a", Weight: 1}}, 256)}, nil,
			[]string{`slots: hero: the slot's rules show 256 variants, at most 255`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := testDocument(tt.rule)
			if tt.change != nil {
				tt.change(doc)
			}
			_, err := checkDocument(doc)
			if err == nil {
				t.Fatal("the document was taken")
			}
			var got []string
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				var fault *edge.RuleError
				if !errors.As(e, &fault) {
					t.Fatalf("%T is no RuleError", e)
				}
				got = append(got, fault.Error())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
