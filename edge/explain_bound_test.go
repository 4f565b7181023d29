// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// TestAPageIsExplainedSoManyConditions: anybody may ask why, so how much is worked
// out for it has a bound. People with a role see all.
func TestAPageIsExplainedSoManyConditions(t *testing.T) {
	const slots, rules, most = 3, 80, 200
	engine := manyRules(t, slots, rules)
	release, _ := engine.Release("shop")
	sampled, err := release.Sample(sample(t, `{"granted":["context"],"fields":{"device.type":"phone"}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"s0", "s1", "s2"}, Why: true}
	beacon, request := given.message(t)
	for range 2 { // the second page is explained as much as the first
		out := &edge.Outcome{}
		if err := engine.Decide(beacon, request, out); err != nil {
			t.Fatal(err)
		}
		tries, explained := 0, 0
		for _, d := range out.Decisions {
			for _, try := range d.Why.Tried {
				if tries++; try.Condition != nil {
					explained++
				}
			}
		}
		if tries != slots*rules || explained != most {
			t.Errorf("of %d rules %d are explained, want %d of %d", tries, explained, most, slots*rules)
		}
	}
	for _, d := range sampled {
		for _, try := range d.Why.Tried {
			if try.Condition == nil {
				t.Fatalf("slot %s: a sample does not explain rule %s", d.Slot, try.Rule)
			}
		}
	}
}
