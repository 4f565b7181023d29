// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// wait is longer than any commit should take, also on a busy machine.
const wait = 20 * time.Second

// open opens a Stream that the test closes, unless the test did.
func open(t testing.TB, o Options) *Stream {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStream(t, s) })
	return s
}

func closeStream(t testing.TB, s *Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func event(site, id string) edge.Event {
	return edgetest.Event(edgetest.EventSpec{Site: site, ID: id, Name: "page_view"})
}

func publish(t testing.TB, s *Stream, events ...edge.Event) {
	t.Helper()
	if err := s.Publish(events, wait); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// read returns what q finds.
func read(t testing.TB, s *Stream, q Query) []LogEvent {
	t.Helper()
	var out []LogEvent
	if err := s.Events(t.Context(), q, func(r LogEvent) error {
		r.JSON = slices.Clone(r.JSON)
		out = append(out, r)
		return nil
	}); err != nil {
		t.Fatalf("Events(%+v): %v", q, err)
	}
	return out
}

func ids(records []LogEvent) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

func TestPublishedEventsAreReadBackWhole(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	at := time.UnixMilli(1795305600123).UTC()
	give := edge.StoredEvent{
		Site: "shop", ID: "p1.0", Name: "purchase", Transaction: "T-1", Visitor: [16]byte{1, 2, 3},
		Purposes: consent.Measure | consent.Context, At: at, Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(),
		JSON: []byte(`{"v":1,"id":"p1.0"}`),
	}
	before := time.Now()
	publish(t, s, give.Event())
	got := read(t, s, Query{})
	if len(got) != 1 {
		t.Fatalf("read %d events, want 1", len(got))
	}
	r := got[0]
	if r.Received.Before(before.Add(-time.Second)) || r.Received.After(time.Now().Add(time.Second)) {
		t.Errorf("Received = %v, stored at %v", r.Received, before)
	}
	if fmt.Sprintf("%+v", r.StoredEvent) != fmt.Sprintf("%+v", give) {
		t.Errorf("read %+v\nwant %+v", r.StoredEvent, give)
	}
	if r.Seq != 1 || r.Index != 0 {
		t.Errorf("at %d.%d, want 1.0", r.Seq, r.Index)
	}
}

func TestReadingKeepsTheOrderOfPublishing(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var want []string
	for i := range 100 {
		id := fmt.Sprintf("e%d", i)
		want = append(want, id)
		publish(t, s, event("shop", id))
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
}

func TestAGroupIsOneMessagePerSite(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
	publish(t, s, event("shop", "first")) // the window has begun
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			publish(t, s, event("shop", fmt.Sprintf("s%d", i)), event("blog", fmt.Sprintf("b%d", i)))
		})
	}
	eventually(t, "all are queued", func() bool { return s.Stats().QueuedEvents == 40 })
	signal(s.hurry)
	wg.Wait()
	s.mu.Lock()
	newest := s.stored
	s.mu.Unlock()
	if st := s.Stats(); st.Groups != 2 || st.Frames != 3 || newest != 3 || st.Stored != 41 || st.QueuedBytes != 0 {
		t.Errorf("%+v, newest message %d; want 2 groups in 3 frames with 41 events", st, newest)
	}
	for _, site := range []string{"shop", "blog"} {
		got := read(t, s, Query{Site: site, Since: time.Time{}})
		if site == "shop" {
			got = got[1:]
		}
		if len(got) != 20 {
			t.Fatalf("site %s has %d events, want 20", site, len(got))
		}
		for i, r := range got {
			if r.Seq != got[0].Seq || r.Index != i {
				t.Errorf("site %s: event %d is at %d.%d, want one message", site, i, r.Seq, r.Index)
			}
		}
	}
}

func TestALargeGroupIsSeveralMessages(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
	publish(t, s, event("shop", "first"))
	var events []edge.Event
	for i := range 50 {
		events = append(events, large(fmt.Sprintf("e%d", i), 100_000))
	}
	publish(t, s, events...)
	st := s.Stats()
	if st.Frames != 1+10 || st.Groups != 2 {
		t.Errorf("%d frames in %d groups, want 11 in 2", st.Frames, st.Groups)
	}
	if got := ids(read(t, s, Query{})); len(got) != 51 || got[50] != "e49" {
		t.Errorf("read %v", got)
	}
}

func TestPublishingNothingIsNoWork(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s)
	if st := s.Stats(); st.Groups != 0 {
		t.Errorf("%d groups", st.Groups)
	}
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		give Options
	}{
		{"by number", Options{MaxQueuedEvents: 10}},
		{"by bytes", Options{MaxQueuedBytes: 10 * 1100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.give.Dir, tt.give.Window = t.TempDir(), time.Hour
			s := open(t, tt.give)
			publish(t, s, event("shop", "first"))
			for i := range 10 {
				if err := s.Publish([]edge.Event{large(fmt.Sprint("e", i), 1000)}, -1); !errors.Is(err, edge.ErrUnavailable) {
					t.Fatal(err)
				}
			}
			if st := s.Stats(); st.QueuedEvents != 10 || st.Refused != 0 {
				t.Fatalf("%+v; want 10 queued and none refused", st)
			}
			t0 := time.Now()
			err := s.Publish([]edge.Event{large("more", 1000)}, time.Minute)
			if took := time.Since(t0); !errors.Is(err, edge.ErrUnavailable) || took > time.Second {
				t.Errorf("error %v after %v, want ErrUnavailable at once", err, took)
			}
			if st := s.Stats(); st.Refused != 1 || st.QueuedEvents != 10 {
				t.Errorf("%+v; want 1 refused", st)
			}
			signal(s.hurry)
			eventually(t, "the queue is empty", func() bool { return s.Stats().QueuedEvents == 0 })
			eventually(t, "the refused event is taken", func() bool {
				signal(s.hurry)
				return s.Publish([]edge.Event{large("more", 1000)}, 100*time.Millisecond) == nil
			})
			if got := ids(read(t, s, Query{})); len(got) != 12 {
				t.Errorf("read %v, want 12 events", got)
			}
		})
	}
}

func TestCloseStoresWhatWasAccepted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Window: time.Hour})
	publish(t, s, event("shop", "first"))
	results := make(chan error, 10)
	for i := range cap(results) {
		go func() { results <- s.Publish([]edge.Event{event("shop", fmt.Sprint("e", i))}, wait) }()
	}
	eventually(t, "all are queued", func() bool { return s.Stats().QueuedEvents == cap(results) })
	closeStream(t, s)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Errorf("accepted before Close: %v", err)
		}
	}
	if err := s.Publish([]edge.Event{event("shop", "late")}, wait); !errors.Is(err, edge.ErrUnavailable) {
		t.Errorf("after Close: error %v, want ErrUnavailable", err)
	}
	if err := s.Ready(); !errors.Is(err, ErrClosed) {
		t.Errorf("Ready() = %v, want ErrClosed", err)
	}
	if got := ids(read(t, open(t, Options{Dir: dir}), Query{})); len(got) != 11 {
		t.Errorf("read %v, want 11 events", got)
	}
}

// TestPublishAllocs counts everything, the commits behind included.
func TestPublishAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, Options{Dir: t.TempDir(), MaxQueuedEvents: 1 << 17, MaxQueuedBytes: 1 << 28})
	const runs = 4000
	calls := make([][]edge.Event, runs+1)
	for i := range calls {
		for j := range 3 {
			calls[i] = append(calls[i], large(fmt.Sprintf("e%d-%d", i, j), 400))
		}
	}
	n := 0
	allocs := testing.AllocsPerRun(runs, func() {
		_ = s.Publish(calls[n], -1)
		n++
	})
	t.Logf("%.2f allocations a call of 3 events", allocs)
	if allocs > 3 {
		t.Errorf("%.2f allocations a call, want at most 3", allocs)
	}
	eventually(t, "all are stored", func() bool { return s.Stats().Stored == 3*(runs+1) })
}
