// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/stream"
)

// wait is longer than anything here takes, also on a busy machine.
const wait = 20 * time.Second

// streamLog is the real log as a Pump reads it.
type streamLog struct{ *stream.Stream }

func (l streamLog) Next(ctx context.Context, after uint64) (Frame, error) {
	f, err := l.Stream.Next(ctx, after)
	if errors.Is(err, stream.ErrClosed) {
		err = edge.ErrEnded
	}
	return Frame{Seq: f.Seq, Site: f.Site, Received: f.Received, Events: f.Events, Damaged: f.Damaged != nil, Lost: f.Lost}, err
}

func (l streamLog) Backlog(ctx context.Context, after uint64) (uint64, time.Time, error) {
	b, err := l.Stream.Backlog(ctx, after)
	return b.Messages, b.Oldest, err
}

func (l streamLog) MarkOf(ctx context.Context, sink string) (Mark, error) {
	m, err := l.Stream.MarkOf(ctx, sink)
	return Mark(m), err
}

func (l streamLog) PutMark(ctx context.Context, sink string, m Mark) error {
	return l.Stream.PutMark(ctx, sink, stream.Mark(m))
}

func openLog(t testing.TB, dir string) streamLog {
	t.Helper()
	s, err := stream.Open(stream.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, streamLog{s}) })
	return streamLog{s}
}

func closeLog(t testing.TB, l streamLog) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

// personOf is the visitor key of a made-up person, zero for "".
func personOf(name string) (key edge.PersonKey) {
	if name != "" {
		key = edge.PersonKeyOf("shop", name)
	}
	return key
}

// anEvent is a purchase of a person of the shop, with every purpose granted.
func anEvent(id, person string) edge.Event { return eventOf(edge.StoredEvent{ID: id}, person) }

func eventOf(e edge.StoredEvent, person string) edge.Event {
	e.Visitor = personOf(person)
	if e.Site == "" {
		e.Site = "shop"
	}
	if e.Name == "" {
		e.Name = "purchase"
	}
	if e.Purposes == 0 {
		e.Purposes = consent.All
	}
	if e.At.IsZero() {
		e.At = time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	}
	if e.Expires.IsZero() {
		e.Expires = e.At.Add(30 * 24 * time.Hour)
	}
	if e.JSON == nil {
		e.JSON = fmt.Appendf(nil, `{"v":1,"id":%q,"name":%q,"at":%d,"site":%q,"origin":"first","value":"19.99","currency":"EUR","props":{"who":"marker-%s"}}`,
			e.ID, e.Name, e.At.UnixMilli(), e.Site, person)
	}
	return edgetest.Event(e)
}

func publish(t testing.TB, l streamLog, events ...edge.Event) {
	t.Helper()
	if err := l.Publish(events, wait); err != nil {
		t.Fatal(err)
	}
}

// parse reads one sink's description.
func parse(t testing.TB, text string) *Spec {
	t.Helper()
	specs, err := Parse("sinks.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 1 {
		t.Fatalf("%d sinks", len(specs))
	}
	return specs[0]
}

// start runs a pump until the test, or the returned function, ends it.
func start(t testing.TB, l streamLog, spec *Spec) (*Pump, func()) {
	t.Helper()
	_, newest, err := l.Ends(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Spec: spec, Newest: newest, Log: l, Ledger: l, Persons: l, Logger: slog.New(slog.DiscardHandler)})
	p.pause = pause{10 * time.Millisecond, 50 * time.Millisecond}
	p.leftPause = p.pause
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return p, stop
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v until %s", wait, what)
}

// caughtUp waits until a sink has everything.
func caughtUp(t testing.TB, l streamLog, p *Pump) edge.SinkStatus {
	t.Helper()
	_, newest, err := l.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sink has everything", func() bool { return p.Status(t.Context()).Position >= newest })
	return p.Status(t.Context())
}

// linesIn returns the lines of the files below a directory, finished ones only.
func linesIn(t testing.TB, dir string) (lines []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "day=*", "site=*", "*.jsonl*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasSuffix(name, partSuffix) {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			zip, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if content, err = io.ReadAll(zip); err != nil {
				t.Fatal(err)
			}
		}
		for in := bufio.NewScanner(bytes.NewReader(content)); in.Scan(); {
			lines = append(lines, in.Text())
		}
	}
	return lines
}

// A told is a line as its reader understands it.
type told struct {
	ID, Site string
	Log      struct {
		Seq     uint64
		Index   int
		Person  string
		Expires int64
	}
}

func tellLines(t testing.TB, lines []string) (all []told) {
	t.Helper()
	for _, line := range lines {
		var one told
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

func idsOf(all []told) (ids []string) {
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids
}

func TestLinesGoToFilesByDayAndSite(t *testing.T) {
	t.Parallel()
	for _, zip := range []string{"false", "true"} {
		t.Run("gzip "+zip, func(t *testing.T) {
			l, dir := openLog(t, t.TempDir()), t.TempDir()
			yesterday := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Millisecond)
			publish(t, l, anEvent("e1", "ann"), eventOf(edge.StoredEvent{ID: "e2", At: yesterday}, ""), eventOf(edge.StoredEvent{ID: "e3", Site: "blog"}, "ann"))
			p, _ := start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s, gzip: "+zip+"}"))
			status := caughtUp(t, l, p)
			if status.State != edge.SinkRunning || status.Written != 3 || status.Backlog != 0 || !status.Oldest.IsZero() {
				t.Errorf("status %+v", status)
			}
			lines := linesIn(t, dir)
			got := tellLines(t, lines)
			ids := idsOf(got)
			slices.Sort(ids)
			if !slices.Equal(ids, []string{"e1", "e2", "e3"}) {
				t.Fatalf("files hold %v", lines)
			}
			for _, one := range got {
				if person := personOf("ann").String(); one.ID == "e1" && one.Log.Person != person || one.ID == "e2" && one.Log.Person != "" || one.Log.Expires == 0 || one.Log.Seq == 0 {
					t.Errorf("line %+v", one)
				}
			}
			for _, want := range []string{
				"day=" + time.Now().Add(-time.Minute).UTC().Format(dayFormat) + "/site=blog", "day=" + yesterday.Format(dayFormat) + "/site=shop",
			} {
				if found, _ := filepath.Glob(filepath.Join(dir, want, "*-until-*")); len(found) != 1 {
					t.Errorf("%s has the files %v, want one", want, found)
				}
			}
		})
	}
}

func TestANewSinkBeginsNowUnlessItIsToldOtherwise(t *testing.T) {
	t.Parallel()
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	publish(t, l, anEvent("before", ""))
	p, stop := start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', rotateAfter: 1s}"))
	eventually(t, "it runs", func() bool { return p.Status(t.Context()).State == edge.SinkRunning })
	publish(t, l, anEvent("after", ""))
	caughtUp(t, l, p)
	stop()
	publish(t, l, anEvent("while-away", ""))
	p, _ = start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', rotateAfter: 1s}"))
	caughtUp(t, l, p)
	if got := idsOf(tellLines(t, linesIn(t, dir))); !slices.Equal(got, []string{"after", "while-away"}) {
		t.Errorf("files hold %v", got)
	}
}

// Each purpose that a sink needs is withdrawn once, and so is everything else that
// keeps an event back.
func TestASinkGetsOnlyWhatItMayHave(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind string
		want []string
	}{
		{"needs: [measure]", []string{"all", "no-profile", "no-share"}},
		{"", []string{"all", "no-profile", "no-share"}},
		{"needs: [share]", []string{"all", "no-profile"}},
		{"needs: [share, profile]", []string{"all"}},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			l, dir := openLog(t, t.TempDir()), t.TempDir()
			for id, granted := range map[string]consent.Purposes{
				"all": consent.All, "no-share": consent.All &^ consent.Share, "no-profile": consent.All &^ consent.Profile, "no-measure": consent.All &^ consent.Measure,
			} {
				publish(t, l, eventOf(edge.StoredEvent{ID: id, Purposes: granted}, "ann"))
			}
			old := time.Now().Add(-48 * time.Hour)
			publish(t, l, eventOf(edge.StoredEvent{ID: "expired", At: old, Expires: old.Add(time.Hour)}, "ann"), eventOf(edge.StoredEvent{ID: "other", Site: "blog"}, "ann"))
			needs := tt.kind
			if needs != "" {
				needs += ", "
			}
			p, _ := start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', "+needs+"from: start, rotateAfter: 1s, sites: [shop]}"))
			status := caughtUp(t, l, p)
			got := idsOf(tellLines(t, linesIn(t, dir)))
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("files hold %v, want %v", got, tt.want)
			}
			if s := status.Skipped; s[skippedConsent] != uint64(4-len(tt.want)) || s[skippedExpired] != 1 || s[skippedSite] != 1 {
				t.Errorf("skipped %v", s)
			}
		})
	}
}

// A power cut took the log's end after a sink had it: the numbers come again, for
// other events.
func TestASinkThatIsAheadOfTheLogMissesNothing(t *testing.T) {
	t.Parallel()
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	spec := "- {name: lines, kind: jsonl, dir: '" + dir + "', from: start, rotateAfter: 1s}"
	publish(t, l, anEvent("e1", "ann"))
	p, stop := start(t, l, parse(t, spec))
	caughtUp(t, l, p)
	stop()
	state, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	state = bytes.Replace(state, []byte(`"durable":1`), []byte(`"durable":9`), 1)
	if err := os.WriteFile(filepath.Join(dir, stateFile), state, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.PutMark(t.Context(), "lines", Mark{Seq: 9}); err != nil {
		t.Fatal(err)
	}
	p = New(Options{Spec: parse(t, spec), Newest: 1, Log: l, Ledger: l, Persons: l, Logger: slog.New(slog.DiscardHandler)})
	for i := range 12 { // before it runs
		publish(t, l, anEvent(fmt.Sprintf("n%02d", i), "ann"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	caughtUp(t, l, p)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := storedIDs(t, dir); len(got) != 13 || got[0] != "e1" || got[1] != "n00" {
		t.Errorf("files hold %v", got)
	}
}

func TestABrokenServerAndABrokenFolderCostNothing(t *testing.T) {
	t.Parallel()
	l, dir := openLog(t, t.TempDir()), filepath.Join(t.TempDir(), "files")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the directory should be
		t.Fatal(err)
	}
	p, _ := start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	publish(t, l, anEvent("e1", "ann"))
	eventually(t, "the sink waits", func() bool {
		s := p.Status(t.Context())
		return s.State == edge.SinkWaiting && s.Problem != "" && s.Retries > 1 && s.Backlog == 1 && time.Since(s.Oldest) < wait
	})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, l, p)
	publish(t, l, anEvent("e2", "ann"))
	caughtUp(t, l, p)
	if got := idsOf(tellLines(t, linesIn(t, dir))); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("files hold %v", got)
	}
}

// A poisoned event becomes a dead letter, does not stop those behind it, and can
// be replayed once the sink takes it.
func TestAPoisonedEventBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	bad := eventOf(edge.StoredEvent{ID: "bad", JSON: []byte(`{"v":1,"broken`)}, "ann")
	publish(t, l, anEvent("e1", "ann"), bad, anEvent("e2", "ann"))
	p, stop := start(t, l, parse(t, "- {name: lines, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	if status := caughtUp(t, l, p); status.Dead != 1 || status.Written != 2 {
		t.Errorf("status %+v", status)
	}
	if got := idsOf(tellLines(t, linesIn(t, dir))); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("files hold %v", got)
	}
	d, err := l.DeadLetter(t.Context(), "shop", "lines.1.1")
	if err != nil || d.Reason != edge.DeadUndecodable || d.Tries != 1 || d.Event != "bad" || d.Purposes != consent.All || d.Expires.IsZero() || d.Person != personOf("ann") {
		t.Fatalf("dead letter %+v, %v", d, err)
	}
	if err := p.Replay(t.Context(), d); !errors.Is(err, ErrRefused) {
		t.Errorf("replayed: %v, want ErrRefused", err)
	}
	if d, err = l.DeadLetter(t.Context(), "shop", "lines.1.1"); err != nil || d.Tries != 2 {
		t.Errorf("after that %+v, %v", d, err)
	}
	d.Body = []byte(`{"v":1,"id":"bad"}`) // as if the sink took it by now
	if err := p.Replay(t.Context(), d); err != nil {
		t.Error(err)
	}
	if got := idsOf(tellLines(t, linesIn(t, dir))); !slices.Equal(got, []string{"e1", "e2", "bad"}) {
		t.Errorf("files hold %v", got)
	}
	withheld := d
	withheld.Purposes &^= consent.Measure
	if err := p.Replay(t.Context(), withheld); !errors.Is(err, ErrWithheld) {
		t.Errorf("without consent: %v, want ErrWithheld", err)
	}
	if err := p.Replay(t.Context(), edge.DeadLetter{Index: -1}); !errors.Is(err, ErrNothing) {
		t.Errorf("without an event: %v, want ErrNothing", err)
	}
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Replay(ctx, d); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a sink that does not run: %v", err)
	}
}

func TestAForgottenPersonIsInNoFile(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"jsonl", "jsonl, gzip: true", "parquet"} {
		t.Run(kind, func(t *testing.T) {
			l, dir := openLog(t, t.TempDir()), t.TempDir()
			spec := "- {name: files, kind: " + kind + ", dir: '" + dir + "', from: start, rotateAfter: 1s}"
			p, stop := start(t, l, parse(t, spec))
			publish(t, l, anEvent("a1", "ann"), anEvent("b1", "bob"))
			caughtUp(t, l, p)
			publish(t, l, anEvent("a2", "ann")) // a file of its own
			caughtUp(t, l, p)
			publish(t, l, anEvent("a3", "ann"), anEvent("b2", "bob")) // gathered, or in the backlog
			f, err := l.Forget(t.Context(), edge.Person{Site: "shop", Key: personOf("ann")})
			if err != nil {
				t.Fatal(err)
			}
			publish(t, l, anEvent("late", "ann"), // it was told before, and comes now
				eventOf(edge.StoredEvent{ID: "a4", At: time.Now().Add(time.Second)}, "ann")) // ann came back
			eventually(t, "ann is forgotten", func() bool {
				f, err = l.Forgetting(t.Context(), f.Person)
				return err == nil && len(f.Sinks) == 1 && f.Sinks[0].Done
			})
			caughtUp(t, l, p)
			stop()
			if got := storedIDs(t, dir); !slices.Equal(got, []string{"a4", "b1", "b2"}) {
				t.Errorf("files hold %v", got)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*"+wipeSuffix)); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
			// Again, and by a sink that was not there: nothing changes.
			if _, err := l.Forget(t.Context(), edge.Person{Site: "blog", Key: personOf("bob")}); err != nil {
				t.Fatal(err)
			}
			p, _ = start(t, l, parse(t, spec))
			eventually(t, "nobody waits", func() bool { s := p.Status(t.Context()); return s.State == edge.SinkRunning && s.Forgetting == 0 })
			if got := storedIDs(t, dir); len(got) != 3 {
				t.Errorf("files hold %v", got)
			}
		})
	}
}

// TestADamagedFileHoldsUpNoNewEvents: the deletion that it holds up waits, is seen
// to wait, and is done once the file is whole again.
func TestADamagedFileHoldsUpNoNewEvents(t *testing.T) {
	t.Parallel()
	l, dir := openLog(t, t.TempDir()), t.TempDir()
	p, stop := start(t, l, parse(t, "- {name: files, kind: jsonl, dir: '"+dir+"', from: start, rotateAfter: 1s}"))
	publish(t, l, anEvent("a1", "ann"), anEvent("b1", "bob"))
	caughtUp(t, l, p)
	names, _ := filepath.Glob(filepath.Join(dir, "day=*", "site=*", "*.jsonl"))
	if len(names) != 1 {
		t.Fatalf("files %v, want one", names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	damage := func(with []byte) {
		if err := os.WriteFile(names[0], with, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage([]byte("{\n"))
	publish(t, l, anEvent("a2", "ann"), anEvent("b2", "bob"))
	caughtUp(t, l, p)
	for _, name := range []string{"ann", "bob"} { // and one that waits behind another
		if _, err := l.Forget(t.Context(), edge.Person{Site: "shop", Key: personOf(name)}); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, l, anEvent("c3", "cid"))
	s := caughtUp(t, l, p)
	eventually(t, "the deletions are seen to wait", func() bool {
		s = p.Status(t.Context())
		return s.State == edge.SinkRunning && s.Forgetting == 2 && strings.Contains(s.Problem, "a deletion is not done")
	})
	damage(whole)
	eventually(t, "both are done", func() bool { s = p.Status(t.Context()); return s.Forgetting == 0 && s.Problem == "" })
	stop()
	if got := storedIDs(t, dir); !slices.Equal(got, []string{"c3"}) {
		t.Errorf("files hold %v", got)
	}
}

// storedIDs returns the sorted ids in a folder's files.
func storedIDs(t testing.TB, dir string) (ids []string) {
	t.Helper()
	ids = idsOf(tellLines(t, linesIn(t, dir)))
	names, _ := filepath.Glob(filepath.Join(dir, "day=*", "site=*", "*.parquet"))
	for _, name := range names {
		for _, r := range rowsIn(t, name) {
			ids = append(ids, r.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func rowsIn(t testing.TB, name string) (rows []row) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := eachRow(f, func(r *row) error { rows = append(rows, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return rows
}
