// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"errors"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

func TestConditionsAreStatedWithoutAPageView(t *testing.T) {
	doc := &edge.ReleaseDocument{
		Audiences: []edge.Audience{{Name: "near", When: `1 == 1 || geo.lat > 45`}},
		Slots: []edge.SlotSpec{{Name: "hero", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{
			{Name: "spring", When: `inAudience("near") && !(visitor.visits > 3)`, Rollout: 2000, Show: []edge.ShowSpec{{Variant: "a"}}},
			{Name: "rest", Show: []edge.ShowSpec{{Variant: "b"}}},
		}}}}, {Name: "empty"}},
	}
	got, err := lang.Conditions(doc)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Rules) != 1 || len(got.Rules["hero"]) != 1 || len(got.Audiences) != 1 {
		t.Fatalf("got %+v", got)
	}
	sameJSON(t, got.Rules["hero"]["spring"], `{
	 "text": "inAudience(\"near\") && !(visitor.visits > 3)", "words": "the visitor is in the audience near and visitor.visits is not more than 3", "op": "and", "verdict": "",
	 "parts": [
	  {"text": "inAudience(\"near\")", "words": "the visitor is in the audience near", "op": "audience", "values": ["near"], "verdict": ""},
	  {"text": "!(visitor.visits > 3)", "words": "visitor.visits is not more than 3", "op": "not", "verdict": "",
	   "parts": [{"text": "visitor.visits > 3", "words": "visitor.visits is more than 3", "op": "more-than", "field": "visitor.visits", "values": ["3"], "verdict": ""}]}]}`)
	sameJSON(t, got.Audiences["near"], `{
	 "text": "1 == 1 || geo.lat > 45", "words": "1 is 1 or geo.lat is more than 45", "op": "or", "verdict": "",
	 "parts": [
	  {"text": "1 == 1", "words": "1 is 1", "op": "other", "verdict": ""},
	  {"text": "geo.lat > 45", "words": "geo.lat is more than 45", "op": "more-than", "field": "geo.lat", "values": ["45"], "verdict": ""}]}`)

	doc.Audiences[0].When = "geo.lat"
	var wrong *edge.RuleError
	if _, err := lang.Conditions(doc); !errors.As(err, &wrong) || wrong.Audience != "near" {
		t.Errorf("a wrong audience gives %v", err)
	}
}
