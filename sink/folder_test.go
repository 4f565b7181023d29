// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func openTestFolder(t *testing.T, s *Spec, newest uint64) *folder {
	t.Helper()
	opened, err := Open(t.Context(), s, Circumstances{Newest: newest})
	if err != nil {
		t.Fatal(err)
	}
	d := opened.(*folder)
	t.Cleanup(func() { d.Close() })
	return d
}

// logged is an event at a place of the log.
func logged(seq uint64, index int, e edge.Event) Event {
	return Event{Seq: seq, Index: index, Received: time.Now(), StoredEvent: edge.StoredEvent{
		Site: e.Site(), ID: e.ID(), Name: e.Name(), Visitor: e.Visitor(), Purposes: e.Purposes(), At: e.At(), Expires: e.Expires(), JSON: e.JSON(),
	}}
}

func put(t *testing.T, d *folder, b Batch) Receipt {
	t.Helper()
	r, err := d.Write(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testFolderSpec(t *testing.T) *Spec {
	t.Helper()
	return parse(t, "- {name: lines, kind: jsonl, dir: '"+t.TempDir()+"/[a]*', rotateAfter: 1h}")
}

func TestWhatIsNotDurableIsNoFile(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	if r := put(t, d, Batch{End: 3}); r.Durable != 3 {
		t.Errorf("with nothing to write durable is %d, want 3", r.Durable)
	}
	if r := put(t, d, Batch{Events: []Event{logged(4, 0, anEvent("e1", "ann"))}, End: 4}); r.Durable != 3 {
		t.Errorf("durable is %d before the file is one", r.Durable)
	}
	if _, err := Open(t.Context(), s, Circumstances{Newest: 100}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("opened twice: %v", err)
	}
	if found := linesIn(t, s.Dir); len(found) != 0 {
		t.Errorf("a file holds %v", found)
	}
	d.Close()
	d = openTestFolder(t, s, 100)
	if left, _ := filepath.Glob(escapeGlob(s.Dir) + "/day=*/site=*/*"); len(left) != 0 {
		t.Errorf("%v are left of a sink that was closed", left)
	}
	if r := put(t, d, Batch{Events: []Event{logged(4, 0, anEvent("e1", "ann"))}, End: 5, Now: true}); r.Durable != 5 {
		t.Errorf("durable is %d, want 5", r.Durable)
	}
	d.Close()
	// The same again, as after a mark that was not kept, and more.
	d = openTestFolder(t, s, 100)
	put(t, d, Batch{Events: []Event{logged(4, 0, anEvent("e1", "ann")), logged(6, 0, anEvent("e2", "ann"))}, End: 6})
	d.now = func() time.Time { return time.Now().Add(2 * time.Hour) } // it rotates
	put(t, d, Batch{End: 6})
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("files hold %v", got)
	}
}

func walkIDs(t *testing.T, dir string) []string {
	t.Helper()
	ids := idsOf(tellLines(t, linesIn(t, escapeGlob(dir))))
	slices.Sort(ids)
	return ids
}

// A batch may have more days than there are parts: its first half becomes files
// before the batch is through, and comes again after a crash.
func TestABatchOfManyDaysIsWrittenOnce(t *testing.T) {
	s := testFolderSpec(t)
	var events []Event
	var want []string
	for i := range maxParts + 10 {
		at := time.Now().Add(-time.Duration(i) * 24 * time.Hour).UTC()
		id := fmt.Sprintf("e%03d", i)
		events = append(events, logged(7, i, eventOf(edge.StoredEvent{ID: id, At: at, Expires: at.Add(1000 * 24 * time.Hour)}, "ann")))
		want = append(want, id)
	}
	d := openTestFolder(t, s, 100)
	if r := put(t, d, Batch{Events: events, End: 7}); r.Durable >= 7 {
		t.Errorf("durable is %d", r.Durable)
	}
	if n := len(walkIDs(t, s.Dir)); n != maxParts {
		t.Errorf("%d events are in files", n)
	}
	d.Close() // as a crash
	d = openTestFolder(t, s, 100)
	if r := put(t, d, Batch{Events: events, End: 7, Now: false}); r.Durable >= 7 {
		t.Errorf("durable is %d", r.Durable)
	}
	put(t, d, Batch{End: 7, Now: true})
	if got := walkIDs(t, s.Dir); !slices.Equal(got, want) {
		t.Errorf("files hold %v", got)
	}
}

// Each state that a crash can leave behind.
func TestACutOffChangeIsEnded(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	put(t, d, Batch{Events: []Event{logged(1, 0, anEvent("e1", "ann"))}, End: 1, Now: true})
	names, _ := filepath.Glob(escapeGlob(s.Dir) + "/day=*/site=*/*.jsonl")
	if len(names) != 1 {
		t.Fatal(names)
	}
	d.Close()
	name := names[0]
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what string
		do   func() error
	}{
		{"before it got its name", func() error { return os.Rename(name, name+partSuffix) }},
		{"while another was written", func() error { return os.WriteFile(name+"x"+partSuffix, []byte("half"), 0o600) }},
		{"while it was rewritten", func() error { return os.WriteFile(name+newSuffix, []byte("half"), 0o600) }},
		{"before the new one took its place", func() error { return os.Link(name, name+wipeSuffix) }},
		{"before the old one was overwritten", func() error { return os.WriteFile(name+wipeSuffix, []byte("old"), 0o600) }},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		d := openTestFolder(t, s, 100)
		left, _ := filepath.Glob(escapeGlob(s.Dir) + "/day=*/site=*/*")
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) || len(left) != 1 {
			t.Errorf("cut off %s: %v, %q, %v", tt.what, left, got, err)
		}
		d.Close()
	}
	if err := os.WriteFile(filepath.Join(s.Dir, stateFile), []byte(`{"version":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s, Circumstances{Newest: 100}); err == nil || !strings.Contains(err.Error(), "no state of version 1") {
		t.Errorf("a state of another version: %v", err)
	}
}

func TestAFolderOfAnotherLogGoesOnFromThere(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	put(t, d, Batch{Events: []Event{logged(90, 0, anEvent("old", "ann"))}, End: 90, Now: true})
	d.Close()
	for range 2 { // the second time as after a crash
		d = openTestFolder(t, s, 4)
		if r := put(t, d, Batch{Events: []Event{logged(5, 0, anEvent("new", "ann"))}, End: 5}); r.Durable != 4 {
			t.Errorf("durable is %d, want 4", r.Durable)
		}
		d.Close()
	}
	d = openTestFolder(t, s, 50)
	put(t, d, Batch{Events: []Event{logged(5, 0, anEvent("new", "ann"))}, End: 5, Now: false})
	put(t, d, Batch{End: 5, Now: true})
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("files hold %v", got)
	}
	s.Name = "other"
	d.Close()
	if _, err := Open(t.Context(), s, Circumstances{}); err == nil || !strings.Contains(err.Error(), `belongs to the sink "lines"`) {
		t.Errorf("another sink's folder: %v", err)
	}
}

func TestAFileGoesWhenItsLastDayIsOver(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	soon, later := time.Now().Add(48*time.Hour), time.Now().Add(96*time.Hour)
	put(t, d, Batch{End: 1, Now: true, Events: []Event{
		logged(1, 0, eventOf(edge.StoredEvent{ID: "soon", Expires: soon}, "ann")), logged(1, 1, eventOf(edge.StoredEvent{ID: "later", Expires: later}, "ann")),
	}})
	d.now = func() time.Time { return soon } // its last day
	put(t, d, Batch{End: 1})
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"later", "soon"}) {
		t.Errorf("on the last day files hold %v", got)
	}
	d.now = func() time.Time { return soon.Add(24 * time.Hour) }
	put(t, d, Batch{End: 1})
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"later"}) {
		t.Errorf("a day later files hold %v", got)
	}
}

// What is deleted is overwritten: another name of the same file has zeros.
func TestDeletedBytesAreOverwritten(t *testing.T) {
	s := testFolderSpec(t)
	d := openTestFolder(t, s, 100)
	put(t, d, Batch{End: 1, Now: true, Events: []Event{logged(1, 0, anEvent("a1", "ann")), logged(1, 1, anEvent("b1", "bob"))}})
	names, _ := filepath.Glob(escapeGlob(s.Dir) + "/day=*/site=*/*.jsonl")
	witness := filepath.Join(t.TempDir(), "witness")
	if err := os.Link(names[0], witness); err != nil {
		t.Fatal(err)
	}
	if err := d.Forget(t.Context(), edge.Forgetting{Person: edge.Person{Site: "shop", Key: personOf("ann")}, Before: 1}); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(witness)
	if err != nil || len(old) == 0 || len(bytes.Trim(old, "\x00")) != 0 {
		t.Errorf("the old bytes are %q, %v", old, err)
	}
	if got := walkIDs(t, s.Dir); !slices.Equal(got, []string{"b1"}) {
		t.Errorf("files hold %v", got)
	}
}

// A damaged file does not end the process, and a deletion that meets it is not
// done rather than pass it over.
func TestADamagedFileFailsADeletion(t *testing.T) {
	for _, kind := range []string{"parquet", "jsonl", "jsonl, gzip: true"} {
		s := parse(t, "- {name: files, dir: '"+t.TempDir()+"', kind: "+kind+"}")
		d := openTestFolder(t, s, 100)
		put(t, d, Batch{End: 1, Now: true, Events: []Event{logged(1, 0, anEvent("a1", "ann"))}})
		names, _ := filepath.Glob(s.Dir + "/day=*/site=*/*")
		for _, name := range []string{names[0], names[0] + wipeSuffix} {
			if err := os.WriteFile(name, bytes.Repeat([]byte("PAR1\n{"), 50), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Forget(t.Context(), edge.Forgetting{Person: edge.Person{Site: "shop", Key: personOf("ann")}, Before: 1}); !errors.Is(err, ErrLeft) {
			t.Errorf("%s: error %v over a damaged file, want ErrLeft", kind, err)
		}
		if left, _ := filepath.Glob(s.Dir + "/day=*/site=*/*" + wipeSuffix); len(left) > 0 {
			t.Errorf("%s: what was to be overwritten is still there", kind)
		}
		put(t, d, Batch{End: 2, Now: true, Events: []Event{logged(2, 0, anEvent("b1", "bob"))}}) // it goes on
	}
}
