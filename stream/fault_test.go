// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// breakBroker makes the server's answers to commits stay out, and waits until
// the Stream has replaced it.
func breakBroker(t testing.TB, s *Stream) {
	t.Helper()
	before := s.Stats().Replaced
	b := s.held()
	b.commitConn.Close()
	if err := s.Publish([]edge.Event{event("shop", fmt.Sprintf("lost-%p", b))}, wait); !errors.Is(err, edge.ErrUnavailable) {
		t.Fatalf("without a connection: error %v, want ErrUnavailable", err)
	}
	eventually(t, "the server is replaced", func() bool { return s.Stats().Replaced > before && s.Ready() == nil })
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", wait, what)
		}
	}
}

func large(id string, bytes int) edge.Event {
	return edgetest.Event(edgetest.EventSpec{Site: "shop", ID: id, Name: "page_view", JSON: []byte(`"` + noise(bytes) + `"`)})
}

func TestFullLogRefusesAndRecoversWhenThereIsRoom(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxLogBytes: 100_000})
	var kept []string
	var err error
	for i := range 20 {
		id := fmt.Sprintf("e%d", i)
		if err = s.Publish([]edge.Event{large(id, 10_000)}, wait); err != nil {
			break
		}
		kept = append(kept, id)
	}
	if !errors.Is(err, edge.ErrUnavailable) || len(kept) < 5 {
		t.Fatalf("after %d events: error %v, want ErrUnavailable", len(kept), err)
	}
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "maximum bytes") {
		t.Errorf("Ready() = %v, want that the log is full", err)
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, kept) {
		t.Errorf("a full log holds %v, acknowledged were %v", got, kept)
	}
	refused := large(fmt.Sprintf("e%d", len(kept)), 10_000)
	if err := s.Publish([]edge.Event{refused}, wait); !errors.Is(err, edge.ErrUnavailable) {
		t.Errorf("a refused event sent again: error %v, want ErrUnavailable", err)
	}
	publish(t, s, large(kept[0], 10_000)) // a repeat is kept already
	if err := s.broker.events.Purge(t.Context(), jetstream.WithPurgeSequence(4)); err != nil {
		t.Fatal(err)
	}
	publish(t, s, refused)
	if err := s.Ready(); err != nil {
		t.Errorf("with room again: Ready() = %v", err)
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, append(kept[3:], refused.ID())) {
		t.Errorf("read %v", got)
	}
	if st := s.Stats(); st.Replaced != 0 || st.Failed != 2 {
		t.Errorf("%d servers replaced and %d groups failed, want 0 and 2", st.Replaced, st.Failed)
	}
}

func TestWhatWasNotAcknowledgedIsDeletedBeforeItCanComeAgain(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "e1"))
	// On disk, but the Stream never heard of it, as when the answer is lost.
	e := event("shop", "e2")
	if _, err := s.broker.commits.Publish(t.Context(), eventSubject+"shop", sealFrame(appendEvent(newFrame(nil, frameVersion), &e), 1)); err != nil {
		t.Fatal(err)
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1"}) {
		t.Errorf("read %v, want only what was acknowledged", got)
	}
	breakBroker(t, s)
	publish(t, s, e)
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("read %v, want e2 once", got)
	}
}

func TestEventsInFlightShareTheFateOfALostGroup(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
	publish(t, s, event("shop", "e0")) // the window has begun
	results := make(chan error, 8)
	for i := range cap(results) {
		go func() { results <- s.Publish([]edge.Event{event("shop", fmt.Sprintf("e%d", 1+i%2))}, wait) }()
	}
	eventually(t, "all are queued", func() bool { st := s.Stats(); return st.QueuedEvents == 2 && st.Repeats == 6 })
	s.broker.commitConn.Close()
	signal(s.hurry)
	for range cap(results) {
		if err := <-results; !errors.Is(err, edge.ErrUnavailable) {
			t.Errorf("error %v, want ErrUnavailable", err)
		}
	}
	eventually(t, "the server is replaced", func() bool { return s.Ready() == nil })
	signal(s.hurry)
	if err := s.Publish([]edge.Event{event("shop", "e1"), event("shop", "e2")}, wait); err != nil {
		t.Errorf("sent again: %v", err)
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e0", "e1", "e2"}) {
		t.Errorf("read %v", got)
	}
}

// TestACutOffStoreComesBackWithoutRefusingEvents closes the connection that
// everything but commits uses.
func TestACutOffStoreComesBackWithoutRefusingEvents(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	revision := putNote(t, s, "a", `1`, 0)
	put(t, s, "shop", 0, 1, "one")
	hash := putModule(t, s, []byte("module"))
	appendAudit(t, s, "shop", `1`)
	for name, do := range map[string]func() error{
		"reading a note":    func() error { _, _, err := s.Note(t.Context(), "a"); return err },
		"listing notes":     func() error { _, err := s.Notes(t.Context(), ""); return err },
		"changing a note":   func() error { _, err := s.PutNote(t.Context(), "a", []byte(`2`), revision); return err },
		"reading a module":  func() error { _, err := s.Module(t.Context(), hash); return err },
		"storing a module":  func() error { _, err := s.PutModule(t.Context(), []byte("other")); return err },
		"reading a release": func() error { _, _, err := s.Release(t.Context(), "shop"); return err },
		"telling the audit": func() error { return s.AppendAudit(t.Context(), "shop", []byte(`2`)) },
		"reading the audit": func() error { _, err := audit(t, s, "shop"); return err },
		"reading records": func() error {
			from, to := always()
			return s.Records(t.Context(), "shop", from, to, func(edge.StoredRecord) error { return nil })
		},
		"reading events": func() error { return s.Events(t.Context(), Query{}, func(LogEvent) error { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			before := timesMended(s)
			s.held().conn.Close()
			if err := do(); err == nil {
				t.Fatal("it works without a connection")
			}
			// Until it is through: to close the next connection before is to break
			// what is being mended.
			for i := 0; timesMended(s) == before; i++ {
				publish(t, s, event("shop", fmt.Sprint(name, i)))
			}
			eventually(t, "it works again", func() bool { return do() == nil })
		})
	}
	if st := s.Stats(); st.Refused != 0 || st.Failed != 0 {
		t.Errorf("%d events refused and %d groups failed, want none", st.Refused, st.Failed)
	}
}

// timesMended is how often a broken broker has been replaced and the log looked
// through.
func timesMended(s *Stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mended
}

// TestAnAnswerThatIsLateIsWaitedFor asks the server for its health as a commit
// does that waits long, before and after a write error of another stream.
func TestAnAnswerThatIsLateIsWaitedFor(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir()}).held()
	for stream := range storeNames {
		if err := b.healthOf(stream); err != nil {
			t.Errorf("health of %s: %v", stream, err)
		}
	}
	if err := b.healthOf("NONE"); err == nil {
		t.Error("a stream that is not there is healthy")
	}
	b.commitConn.Close()
	if err := b.healthOf(eventStream); err == nil {
		t.Error("without a connection the event log is healthy")
	}
}

// childEnv makes the test binary do a test's part of a process that dies.
const childEnv = "STREAM_TEST_CHILD"

// child runs the same test in a process of its own.
func child(t *testing.T, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestDiskThatTakesNoMoreBytes makes writing fail for real: a limit on the size
// of files ends a write half-way, as a full disk does. The limit is the
// process's, so a child does it.
func TestDiskThatTakesNoMoreBytes(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		diskThatTakesNoMoreBytes(t, dir)
		return
	}
	dir := t.TempDir()
	if out, err := child(t, dir).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := open(t, Options{Dir: dir})
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("e%d", i))
	}
	got := ids(read(t, s, Query{}))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("read %v\nwant %v", got, want)
	}
}

func diskThatTakesNoMoreBytes(t *testing.T, dir string) {
	s := open(t, Options{Dir: dir})
	for i := range 10 {
		publish(t, s, large(fmt.Sprintf("e%d", i), 50_000))
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = largestFile(t, dir, eventStream) + 30_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := 10; i < 30; i++ {
		wg.Go(func() {
			if err := s.Publish([]edge.Event{large(fmt.Sprintf("e%d", i), 50_000)}, wait); !errors.Is(err, edge.ErrUnavailable) {
				t.Errorf("on a full disk: error %v, want ErrUnavailable", err)
			}
		})
	}
	wg.Wait()
	if s.Ready() == nil {
		t.Error("Ready() = nil on a full disk")
	}
	t0 := time.Now()
	if err := s.Publish([]edge.Event{event("shop", "refused")}, wait); !errors.Is(err, edge.ErrUnavailable) || time.Since(t0) > time.Second {
		t.Errorf("on a full disk: error %v after %v, want ErrUnavailable at once", err, time.Since(t0))
	}
	if got := read(t, s, Query{}); len(got) != 10 {
		t.Errorf("on a full disk %d events can be read, want the 10 that were acknowledged", len(got))
	}
	if err := s.PutRelease(t.Context(), "shop", 0, edge.Published{Number: 1}, []byte("doc")); err == nil {
		t.Error("on a full disk a release is published")
	}
	if _, _, err := s.Release(t.Context(), "shop"); !errors.Is(err, ErrNoRelease) {
		t.Errorf("on a full disk: Release: %v, want ErrNoRelease", err)
	}
	if _, err := s.PutModule(t.Context(), []byte("module")); err == nil {
		t.Error("on a full disk a module is stored")
	}
	if _, err := s.PutNote(t.Context(), "a", []byte(`1`), 0); err == nil {
		t.Error("on a full disk a note is stored")
	}
	if err := s.AppendAudit(t.Context(), "shop", []byte(`1`)); err == nil {
		t.Error("on a full disk the audit log takes an entry")
	}
	time.Sleep(700 * time.Millisecond) // a few attempts fail
	if s.Ready() == nil {
		t.Error("Ready() = nil on a full disk, after attempts to mend it")
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is up again", func() bool { return s.Ready() == nil })
	for i := 10; i < 30; i++ {
		publish(t, s, large(fmt.Sprintf("e%d", i), 50_000))
	}
	putModule(t, s, []byte("module"))
	putNote(t, s, "a", `1`, 0)
	appendAudit(t, s, "shop", `1`)
	if got, err := audit(t, s, "shop"); len(got) != 1 || err != nil {
		t.Errorf("the audit log tells %v, %v", got, err)
	}
}

// largestFile returns the size of a stream's largest block.
func largestFile(t *testing.T, dir, stream string) (size uint64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, serverDir, "*", "streams", stream, "msgs", "*.blk"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no blocks: %v", err)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size = max(size, uint64(info.Size()))
	}
	return size
}
