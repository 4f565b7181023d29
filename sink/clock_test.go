// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestTheMachinesClockAloneTakesNothing: a machine whose clock has jumped months
// ahead keeps files and sends events that expire in between, as the log's clock
// says.
func TestTheMachinesClockAloneTakesNothing(t *testing.T) {
	before := time.Now().Add(-90 * 24 * time.Hour) // by the log's clock it is not later
	steady := func() time.Time { return before }
	e := logged(1, 0, eventOf(edge.StoredEvent{ID: "a1", At: before.Add(-time.Hour), Expires: before.Add(48 * time.Hour)}, "ann"))

	s := testFolderSpec(t)
	files, err := Open(t.Context(), s, Circumstances{Newest: 100, Now: steady})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	if _, err := files.Write(t.Context(), Batch{End: 1, Now: true, Events: []Event{e}}); err != nil {
		t.Fatal(err)
	}
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("files hold %v", got)
	}

	r := receive(t, takeAll)
	hook, err := Open(t.Context(), r.spec(""), Circumstances{Now: steady})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hook.Close() })
	if _, err := hook.Write(t.Context(), Batch{End: 1, Events: []Event{e}}); err != nil {
		t.Fatal(err)
	}
	if got := idsOf(r.events()); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("the receiver has %v", got)
	}
}

// TestAFileThatSomebodyTookAwayIsNoFault: whoever reads the files may move them
// away at any moment, also while a person is forgotten.
func TestAFileThatSomebodyTookAwayIsNoFault(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	put(t, d, Batch{End: 1, Now: true, Events: []Event{logged(1, 0, anEvent("a1", "ann"))}})
	names, err := filepath.Glob(escapeGlob(s.Dir) + "/day=*/site=*/*.jsonl")
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.rewrite(names[0], func(string, uint64) bool { return true }); err != nil {
		t.Error(err)
	}
	if err := discard(names[0]); err != nil {
		t.Error(err)
	}
}
