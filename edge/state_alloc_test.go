// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Under the race detector pools drop what they are given.

package edge

import (
	"testing"
	"time"
)

// A state that a request opens and seals is in memory of the work space, also with
// a ring of keys of which one waits for its time.
func TestStateAllocs(t *testing.T) {
	sealer, s := testSealer(t), busyState(time.Now())
	sealed := sealer.SealState("shop", s)
	ring, err := sealer.Rotate(rotated(t, sealer, sealer.FirstRing(time.Now()), 2), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	sealer.SetRing(ring, false)
	var space stateSpace
	var text []byte
	for name, work := range map[string]func(){
		"seal": func() { text = sealer.appendState(text[:0], "shop", s) },
		"open": func() {
			if _, err := sealer.openState(&space, "shop", sealed); err != nil {
				t.Fatal(err)
			}
		},
		"ask whether it is outdated": func() {
			if !sealer.isOutdated(sealed) {
				t.Fatal("it is not")
			}
		},
	} {
		if got := testing.AllocsPerRun(100, work); got > 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
}
