// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
)

// A rejected event is counted under its own code, the newest one too.
func TestEveryRejectionHasALabelOfItsOwn(t *testing.T) {
	m := newMetrics()
	for _, code := range append(edge.RejectionCodes(), RejectedEvent, RejectedTime, RejectedSurplus) {
		m.rejected.add(code)
		if i := slices.Index(m.rejected.labels, code); i < 0 || m.rejected.counts[i].Load() != 1 {
			t.Errorf("%s is not counted under its own label", code)
		}
	}
	if !slices.Contains(edge.RejectionCodes(), edge.RejectedSize) {
		t.Errorf("%s is missing from the list", edge.RejectedSize)
	}
}
