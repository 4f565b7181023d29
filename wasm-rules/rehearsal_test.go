// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"testing"
)

// TestARehearsalCountsNowhere: what fails in a replay, however often, takes no
// module out, and what is out is replayed all the same.
func TestARehearsalCountsNowhere(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source, Instances: 1})
	live := mustLoad(t, h, source)
	rehearsed, err := h.Rehearsal().Load("shop", source.ref(), bindAll(source.manifest))
	if err != nil {
		t.Fatal(err)
	}
	view, score, trap := echoView(source), source.manifest.Slot("score"), source.manifest.Slot("trap")
	for range 2 * tripFaults {
		if _, err := rehearsed.Choose(view, trap); !errors.Is(err, ErrTrap) {
			t.Fatalf("got %v", err)
		}
	}
	if s := live.status(); s.Calls != 0 || s.Failed() != 0 || s.Instances != 1 {
		t.Errorf("counted: %+v", s)
	}
	want, err := live.Choose(view, score)
	if err != nil {
		t.Fatal(err)
	}
	for range tripFaults {
		_, _ = live.Choose(view, trap)
	}
	if _, err := live.Choose(view, score); !errors.Is(err, ErrQuarantined) {
		t.Fatalf("got %v", err)
	}
	if got, err := rehearsed.Choose(view, score); err != nil || got.Score != want.Score || got.Fuel != want.Fuel {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := rehearsed.Choose(view, len(source.manifest.Slots)); err == nil {
		t.Error("a slot that the module does not have was answered")
	}
}
