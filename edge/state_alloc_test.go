// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Under the race detector pools drop what they are given.

package edge

import (
	"testing"
	"time"
)

// A state that a request opens and seals is in memory of the work space.
func TestStateAllocs(t *testing.T) {
	sealer, s := testSealer(t), busyState(time.Now())
	sealed := sealer.SealState("shop", s)
	var space stateSpace
	var text []byte
	for name, work := range map[string]func(){
		"seal": func() { text = sealer.appendState(text[:0], "shop", s) },
		"open": func() {
			if _, err := sealer.openState(&space, "shop", sealed); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if got := testing.AllocsPerRun(100, work); got > 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}
