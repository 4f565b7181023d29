// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A module that cannot be loaded costs its own answers: the rungs below it, and
// who served before its roll-out, go on.
func TestAModuleThatCannotBeLoadedHarmsOnlyItself(t *testing.T) {
	rules := recordRules()
	delete(rules, "history@1.0.0")
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: rules, Sealer: caseSealer(t)})
	if _, err := engine.Publish(recordRelease(t, edge.Buckets)); err == nil {
		t.Fatal("a release with a module that cannot be loaded was published whole")
	}
	_, missing, err := engine.PublishPartly(recordRelease(t, edge.Buckets))
	if err != nil || missing == nil || !strings.Contains(missing.Error(), "history") {
		t.Fatalf("missing %v, error %v", missing, err)
	}
	given := caseGiven{Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Why: true, Slots: []string{"hero"}}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	d := out.Decisions[0]
	if d.Rule != "place@2.0.0" || d.Reason != edge.ReasonRule || d.Why.Tried[0].Reason != "failed" || d.Why.Tried[0].Rule != "history@1.0.0" {
		t.Errorf("decision %s", asJSON(t, d))
	}
}

func TestAnythingElseThatIsWrongIsRefusedWhole(t *testing.T) {
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: recordLoader{}, Sealer: caseSealer(t)})
	_, _, err := engine.PublishPartly([]byte(strings.Replace(string(recordRelease(t, 100)), `"rung":"context"`, `"rung":"top"`, 1)))
	if err == nil {
		t.Error("a release with an unknown rung is live")
	}
	if _, ok := engine.Release("shop"); ok {
		t.Error("something is live")
	}
}
