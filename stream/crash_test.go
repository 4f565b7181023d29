// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestKilledUnderLoadLosesNothing kills a writing process again and again.
// Every event it acknowledged must be there once, and none twice, also after
// all were sent again; and so must what it wrote beside them. A decision record
// may be lost, but not come twice or torn.
func TestKilledUnderLoadLosesNothing(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	noted := map[string]string{}
	for round := range 4 {
		t.Setenv("STREAM_TEST_ROUND", fmt.Sprint(round))
		got, notes := killWriter(t, dir, 150*time.Millisecond*time.Duration(round+1))
		for _, n := range notes {
			noted["killed."+n[0]] = n[1]
		}
		if len(got) < 100 {
			t.Fatalf("round %d: only %d events were acknowledged before the kill", round, len(got))
		}
		for _, id := range got {
			acknowledged[id] = true
		}
		s := open(t, Options{Dir: dir})
		stored := countStored(t, s)
		for id := range acknowledged {
			if stored[id] != 1 {
				t.Errorf("round %d: %s was acknowledged and is there %d times", round, id, stored[id])
			}
		}
		checkNoted(t, s, noted)
		checkRecords(t, s)
		// The browser sends again what it does not know to be kept, and more.
		for _, id := range got[max(0, len(got)-500):] {
			publish(t, s, writerEvent(id))
		}
		for id, n := range countStored(t, s) {
			if n != 1 {
				t.Errorf("round %d: %s is there %d times", round, id, n)
			}
			if stored[id] == 0 {
				t.Errorf("round %d: %s was stored by sending a kept event again", round, id)
			}
		}
		t.Logf("round %d: %d acknowledged, %d stored in all", round, len(got), len(stored))
		closeStream(t, s)
	}
}

// checkNoted looks for the notes that were acknowledged, with the hash of the
// module stored with each and an audit entry that names it.
func checkNoted(t *testing.T, s *Stream, noted map[string]string) {
	t.Helper()
	audited := map[string]bool{}
	if err := s.Audit(t.Context(), "shop", func(_ uint64, _ time.Time, entry []byte) error {
		audited[string(entry)] = true
		return nil
	}); err != nil {
		t.Error(err)
	}
	for key, hash := range noted {
		value, _, err := s.Note(t.Context(), key)
		if string(value) != hash || err != nil {
			t.Errorf("note %s was acknowledged as %s and is %s, %v", key, hash, value, err)
		}
		if _, err := s.Module(t.Context(), strings.Trim(hash, `"`)); err != nil {
			t.Error(err)
		}
		if !audited[hash] {
			t.Errorf("entry %s was acknowledged and is gone", hash)
		}
	}
}

// checkRecords looks at the records that there are.
func checkRecords(t *testing.T, s *Stream) {
	t.Helper()
	seen := map[string]bool{}
	all := allRecords(t, s)
	for _, id := range all {
		if seen[id] || !strings.HasPrefix(id, "r") {
			t.Errorf("record %q is there twice, or torn", id)
		}
		seen[id] = true
	}
	if len(all) == 0 {
		t.Error("no record was stored")
	}
}

func countStored(t *testing.T, s *Stream) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, r := range read(t, s, Query{}) {
		n[r.ID]++
	}
	return n
}

// killWriter starts a writer, kills it after it has written for a while and
// returns the ids and the notes it acknowledged.
func killWriter(t *testing.T, dir string, after time.Duration) (ids []string, notes [][2]string) {
	t.Helper()
	cmd := child(t, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	killed := make(chan error, 1)
	armed := false
	for lines.Scan() {
		if key, hash, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "noted "), " "); ok && strings.HasPrefix(lines.Text(), "noted ") {
			notes = append(notes, [2]string{key, hash})
			continue
		}
		id, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			continue
		}
		ids = append(ids, strings.Fields(id)...)
		if !armed && len(ids) >= 300 { // a busy machine takes longer
			armed = true
			time.AfterFunc(after, func() { killed <- cmd.Process.Kill() })
		}
	}
	if ids == nil {
		t.Fatalf("the writer wrote nothing: %v", cmd.Wait())
	}
	if err := <-killed; err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return ids, notes
}

// writerEvent is the writer's event with an id; the b's are another site's.
func writerEvent(id string) edge.Event {
	if strings.HasSuffix(id, "b") {
		return event("blog", id)
	}
	return event("shop", id)
}

// writeUntilKilled publishes from many goroutines and prints what was
// acknowledged, a line at a time: a write of a short line to a pipe is whole.
func writeUntilKilled(t *testing.T, dir string) {
	s := open(t, Options{Dir: dir})
	round := os.Getenv("STREAM_TEST_ROUND")
	for p := range 16 {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("r%s-p%d-%d", round, p, n)
				record(s, "shop", id, time.Now())
				events := []edge.Event{writerEvent(id + "a"), writerEvent(id + "b"), writerEvent(id + "c")}
				if s.Publish(events, wait) != nil {
					continue
				}
				if _, err := os.Stdout.WriteString("kept " + id + "a " + id + "b " + id + "c\n"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	go noteUntilKilled(t, s, round)
	time.Sleep(time.Minute)
	t.Error("nobody killed the writer")
}

// noteUntilKilled stores modules, notes and audit entries, one of each for each
// line that it prints.
func noteUntilKilled(t *testing.T, s *Stream, round string) {
	for n := 0; ; n++ {
		key := fmt.Sprintf("r%s-%d", round, n)
		hash, err := s.PutModule(t.Context(), []byte(strings.Repeat(key, 40_000)))
		if err == nil {
			_, err = s.PutNote(t.Context(), "killed."+key, fmt.Appendf(nil, "%q", hash), 0)
		}
		if err == nil {
			err = s.AppendAudit(t.Context(), "shop", fmt.Appendf(nil, "%q", hash))
		}
		if err == nil {
			_, err = fmt.Fprintf(os.Stdout, "noted %s %q\n", key, hash)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
