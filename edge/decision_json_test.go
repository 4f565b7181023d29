// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"testing"

	"github.com/nearside/nearside/edge"
)

// checkWire compares what decisions are answered as, most of which was made at publishing,
// with what is written of their members one by one.
func checkWire(t testing.TB, decisions []edge.Decision) {
	t.Helper()
	for i := range decisions {
		d := &decisions[i]
		bare := edge.Decision{
			ID: d.ID, Slot: d.Slot, Variant: d.Variant, Kind: d.Kind, Lang: d.Lang, Dir: d.Dir, Reason: d.Reason,
			Rule: d.Rule, Campaign: d.Campaign, Because: d.Because, Content: d.Content, Why: d.Why,
		}
		for _, html := range []bool{false, true} {
			if got, want := string(d.AppendJSON(nil, html)), string(bare.AppendJSON(nil, html)); got != want {
				t.Errorf("answered\n%s\nwant\n%s", got, want)
			}
		}
	}
}
