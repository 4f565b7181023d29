// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

func TestRepeatsAreStoredOnce(t *testing.T) {
	purchase := func(site, id, name, txn string) edge.Event {
		return edgetest.Event(edgetest.EventSpec{Site: site, ID: id, Name: name, Transaction: txn})
	}
	tests := []struct {
		name   string
		first  edge.Event
		second edge.Event
		want   int
	}{
		{"the same id", event("shop", "e"), event("shop", "e"), 1},
		{"the same id of another site", event("shop", "e"), event("blog", "e"), 2},
		{"another id", event("shop", "e"), event("shop", "f"), 2},
		{"the same purchase from two sources", purchase("shop", "e", "purchase", "T1"), purchase("shop", "f", "purchase", "T1"), 1},
		{"the refund of a purchase", purchase("shop", "e", "purchase", "T1"), purchase("shop", "f", "refund", "T1"), 2},
		{"another purchase", purchase("shop", "e", "purchase", "T1"), purchase("shop", "f", "purchase", "T2"), 2},
		{"the same purchase of another site", purchase("shop", "e", "purchase", "T1"), purchase("blog", "f", "purchase", "T1"), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, Options{Dir: dir})
			publish(t, s, tt.first, tt.second)
			publish(t, s, tt.second)
			if st := s.Stats(); st.Repeats != uint64(3-tt.want) {
				t.Errorf("%d repeats, want %d", st.Repeats, 3-tt.want)
			}
			closeStream(t, s)
			s = open(t, Options{Dir: dir})
			publish(t, s, tt.second)
			if st := s.Stats(); st.Repeats != 1 {
				t.Errorf("after a restart: %d repeats, want 1", st.Repeats)
			}
			if got := ids(read(t, s, Query{})); len(got) != tt.want {
				t.Errorf("read %v, want %d", got, tt.want)
			}
		})
	}
}

func TestARepeatOfAnEventInFlightWaitsForIt(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
	publish(t, s, event("shop", "first"))
	results := make(chan error, 5)
	for range cap(results) {
		go func() { results <- s.Publish([]edge.Event{event("shop", "e")}, wait) }()
	}
	eventually(t, "one is queued and four know it", func() bool { st := s.Stats(); return st.QueuedEvents == 1 && st.Repeats == 4 })
	select {
	case err := <-results:
		t.Fatalf("a call returned %v before the event was on disk", err)
	case <-time.After(20 * time.Millisecond):
	}
	signal(s.hurry)
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"first", "e"}) {
		t.Errorf("read %v", got)
	}
}

// Who sends a new event and one that is being stored waits for both, in whatever order,
// and is told of the worse.
func TestARepeatAndANewEventWaitForBoth(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events []edge.Event
		fails  bool // the group that is being stored
	}{
		{"the repeat first", []edge.Event{event("shop", "old"), event("shop", "new")}, false},
		{"the new one first", []edge.Event{event("shop", "new"), event("shop", "old")}, false},
		{"the repeat first, which is not stored", []edge.Event{event("shop", "old"), event("shop", "new")}, true},
		{"the new one first, the other not stored", []edge.Event{event("shop", "new"), event("shop", "old")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
			publish(t, s, event("shop", "first")) // the window begins
			if _, err := s.Submit(tt.events[slices.IndexFunc(tt.events, func(e edge.Event) bool { return e.ID() == "old" }):][:1]); err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			older := s.filling
			s.storing, s.filling = older, s.newGroup(older.seq+1)
			clear(s.frames.open)
			s.mu.Unlock()
			both, err := s.Submit(tt.events)
			if err != nil {
				t.Fatal(err)
			}
			if tt.fails {
				older.err = edge.ErrUnavailable
			}
			s.finish(older)
			select {
			case <-both.Done():
				t.Fatal("the new event's group is not on its way yet")
			case <-time.After(20 * time.Millisecond):
			}
			signal(s.hurry)
			<-both.Done()
			if err := both.Err(); (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWhoCannotWaitMaySendAgain(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour})
	publish(t, s, event("shop", "first"))
	for _, short := range []time.Duration{-1, 0, time.Millisecond} {
		if err := s.Publish([]edge.Event{event("shop", "e")}, short); !errors.Is(err, edge.ErrUnavailable) {
			t.Errorf("wait of %v: error %v, want ErrUnavailable", short, err)
		}
	}
	signal(s.hurry)
	publish(t, s, event("shop", "e"))
	if err := s.Publish([]edge.Event{event("shop", "e")}, 0); err != nil {
		t.Errorf("kept already, wait of 0: %v", err)
	}
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"first", "e"}) {
		t.Errorf("read %v", got)
	}
	if st := s.Stats(); st.Late != 3 {
		t.Errorf("%d calls counted as late, want 3", st.Late)
	}
}

func TestIndexBoundHoldsAcrossARestart(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, MaxQueuedEvents: 100, DedupEvents: 1} // raised to 1600
	s := open(t, o)
	for i := range 100 {
		var events []edge.Event
		for j := range 30 {
			events = append(events, event("shop", fmt.Sprintf("e%d-%d", i, j)))
		}
		publish(t, s, events...)
	}
	st := s.Stats()
	if st.Remembered > 1600 || st.Remembered < 1200 || st.Forgotten != uint64(3000-st.Remembered) {
		t.Errorf("%d remembered and %d forgotten of 3000, the bound is 1600", st.Remembered, st.Forgotten)
	}
	closeStream(t, s)
	s = open(t, o)
	if again := s.Stats().Remembered; again > 1600 || again < 1200 {
		t.Errorf("after a restart %d are remembered, the bound is 1600", again)
	}
	publish(t, s, event("shop", "e99-29"), event("shop", "e70-0"))
	if n := s.Stats().Repeats; n != 2 {
		t.Errorf("%d of the newest two are known", n)
	}
}
