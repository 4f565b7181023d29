// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

func TestAReplayIsPrintedWithEachRuleWithoutCode(t *testing.T) {
	held := &edge.Condition{Words: "geo.country is FR", Verdict: edge.VerdictHeld}
	replay := &edge.Replay{Site: "shop", Decisions: []edge.ReplayedDecision{{
		Slot: "hero", Then: edge.ReplayedShown{Variant: "plain", Reason: "rule", Rule: "in-france"},
		Tried: []edge.ReplayedTry{{Rule: "rules", Rung: "context", Module: strings.Repeat("a", 64), Rules: []edge.Try{
			{Rule: "in-france", Reason: "rule", Condition: held},
			{Rule: "a-tenth", Reason: "no-answer", Condition: held, Outside: "share"},
			{Rule: "spring", Reason: "no-answer", Condition: held, Outside: "campaign"},
			{Rule: "everybody", Reason: "no-answer", Condition: &edge.Condition{Verdict: edge.VerdictHeld}, Outside: "variant"},
		}}},
	}}}
	var out strings.Builder
	if err := printReplay(stdio{out: &out}, replay); err != nil {
		t.Fatal(err)
	}
	printed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"in-france rule geo.country is FR: held",
		"a-tenth no-answer geo.country is FR: held; the visitor is not in its share",
		"spring no-answer geo.country is FR: held; its campaign is not live",
		"everybody no-answer its variant is not live",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}
