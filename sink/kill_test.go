// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// childEnv makes the test binary do a test's part of a process that dies.
const childEnv = "SINK_TEST_CHILD"

// TestKilledWhileWritingFilesHoldEachEventOnce kills a process again and again
// that stores events and writes them to files. In the end every event that is in
// the log is in each sink's files once, but for those of a person who was
// forgotten meanwhile.
func TestKilledWhileWritingFilesHoldEachEventOnce(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	for round := range 5 {
		killChild(t, dir, 400*time.Millisecond+time.Duration(round)*370*time.Millisecond)
	}
	l := openLog(t, filepath.Join(dir, "data"))
	var pumps []*Pump
	for _, spec := range childSpecs(t, dir) {
		p, _ := start(t, l, spec)
		pumps = append(pumps, p)
	}
	forgotten, _ := l.Forgettings(0)
	if len(forgotten) != 1 {
		t.Fatalf("forgettings %+v, want ann's", forgotten)
	}
	want := map[string]bool{}
	for after := uint64(0); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		f, err := l.Next(ctx, after)
		cancel()
		if err != nil {
			break
		}
		after = f.Seq
		for i := range f.Events {
			e := &f.Events[i]
			want[e.ID] = !l.Forgotten(edge.Person{Site: e.Site, Key: e.Visitor}, f.Seq)
		}
	}
	for i, spec := range childSpecs(t, dir) {
		caughtUp(t, l, pumps[i])
		eventually(t, "ann is forgotten", func() bool { return pumps[i].Status(t.Context()).Forgetting == 0 })
		counts := map[string]int{}
		for _, id := range storedIDs(t, spec.Dir) {
			counts[id]++
		}
		missing, twice, left := 0, 0, 0
		for id, wanted := range want {
			switch n := counts[id]; {
			case wanted && n == 0:
				missing++
			case n > 1:
				twice++
			case !wanted && n > 0:
				left++
			}
		}
		t.Logf("%s: %d events in the log, %d in files, %d missing, %d twice, %d of who is forgotten", spec.Name, len(want), len(counts), missing, twice, left)
		if missing+twice+left > 0 || len(counts) < 100 {
			t.Errorf("%s does not hold each event once", spec.Name)
		}
	}
}

func childSpecs(t testing.TB, dir string) []*Spec {
	t.Helper()
	text := fmt.Sprintf("- {name: lines, kind: jsonl, dir: '%[1]s/lines', from: start, rotateBytes: 65536, rotateAfter: 1s}\n"+
		"- {name: columns, kind: parquet, dir: '%[1]s/columns', from: start, rotateBytes: 131072, rotateAfter: 1s}\n", dir)
	specs, err := Parse("sinks.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return specs
}

// killChild starts the writer and kills it a while after its first event.
func killChild(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, begun := bufio.NewScanner(out), false
	for lines.Scan() {
		if !begun && lines.Text() == "kept" {
			begun = true
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		if strings.Contains(lines.Text(), "FAIL") {
			t.Error(lines.Text())
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended by itself: %v", err)
	}
}

// writeUntilKilled stores events of three people, and lets the sinks forget one
// of them once.
func writeUntilKilled(t *testing.T, dir string) {
	l := openLog(t, filepath.Join(dir, "data"))
	_, newest, err := l.Ends(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range childSpecs(t, dir) {
		p := New(Options{Spec: spec, Newest: newest, Log: l, Ledger: l, Persons: l, Logger: slog.New(slog.DiscardHandler)})
		go func() {
			if err := p.Run(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	id := time.Now().UnixNano()
	for n := 0; ; n++ {
		var events []edge.Event
		for i, person := range []string{"ann", "bob", "", "cyd", "ann"} {
			day := time.Now().Add(-time.Duration(n%3) * 24 * time.Hour).UTC().Truncate(time.Millisecond)
			events = append(events, eventOf(edge.StoredEvent{ID: fmt.Sprintf("e%d-%d-%d", id, n, i), At: day}, person))
		}
		if err := l.Publish(events, wait); err != nil {
			t.Error(err)
		}
		fmt.Fprintln(os.Stdout, "kept")
		if all, _ := l.Forgettings(0); n == 60 && len(all) == 0 {
			if _, err := l.Forget(context.Background(), edge.Person{Site: "shop", Key: personOf("ann")}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}
