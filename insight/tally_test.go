// SPDX-License-Identifier: Apache-2.0

package insight_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/insight"
	"github.com/nearside/nearside/stream"
)

// A store is the real stream as a tally sees it. After some writes it fails, as
// a process that crashes does.
type store struct {
	*stream.Stream
	left atomic.Int64 // writes until it fails
}

var errCrash = errors.New("crashed")

func (s *store) Follow(ctx context.Context, after uint64, each func(insight.Position, *edge.StoredEvent) error) error {
	return s.Events(ctx, stream.Query{After: after, Follow: true}, func(e stream.LogEvent) error {
		return each(insight.Position{Seq: e.Seq, Index: e.Index}, &e.StoredEvent)
	})
}

func (s *store) PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if s.left.Add(-1) < 0 {
		return 0, errCrash
	}
	return s.Stream.PutNote(ctx, key, value, revision)
}

func newStore(t testing.TB) *store {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &store{Stream: log}
	s.left.Store(1 << 40)
	return s
}

// An act is a slot's event as the engine stores it.
type act struct {
	name, slot, variant, shown, reason string
	at                                 time.Time
}

var day = time.Now().UTC().Truncate(24 * time.Hour)

func impression(slot, variant string) act {
	return act{"slot_impression", slot, variant, "variant", "rule", day}
}

func click(slot, variant string) act { return act{"slot_click", slot, variant, "variant", "rule", day} }

var serial int

// publish stores acts in one message.
func (s *store) publish(t testing.TB, site string, acts ...act) {
	t.Helper()
	var events []edge.Event
	for _, a := range acts {
		serial++
		id := fmt.Sprint("e", serial)
		events = append(events, edgetest.Event(edgetest.EventSpec{
			Site: site, ID: id, Name: a.name, At: a.at, Expires: time.Now().Add(time.Hour),
			JSON: fmt.Appendf(nil, `{"v":1,"id":%q,"name":%q,"decision":{"slot":%q,"variant":%q,"reason":%q,"shown":%q}}`, id, a.name, a.slot, a.variant, a.reason, a.shown),
		}))
	}
	if err := s.Publish(events, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

// run runs a tally until it has counted shown impressions of a site in all, and
// returns its counts.
func (s *store) run(t testing.TB, o insight.Options, site string, shown uint64) []insight.Count {
	t.Helper()
	o.Log, o.Notes = s, s
	tally := insight.New(o)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- tally.Run(ctx) }()
	var counts []insight.Count
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		counts = tally.Counts(site, day)
		var sum uint64
		for _, c := range counts {
			sum += c.Shown
		}
		if sum >= shown {
			break
		}
	}
	time.Sleep(5 * time.Millisecond) // what should not come would
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	return tally.Counts(site, day)
}

func TestAPromptsAnswersAreCountedByVersion(t *testing.T) {
	s := newStore(t)
	answer := func(version, answer string, at time.Time) {
		serial++
		id := fmt.Sprint("e", serial)
		e := edgetest.Event(edgetest.EventSpec{Site: "shop", ID: id, Name: edge.PromptEvent, At: at, Expires: time.Now().Add(time.Hour),
			JSON: fmt.Appendf(nil, `{"v":1,"id":%q,"name":%q,"props":{"answer":%q,"prompt":%q}}`, id, edge.PromptEvent, answer, version)})
		if err := s.Publish([]edge.Event{e}, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{"shown", "shown", "shown", "accepted", "chosen", "refused", "refused", "nonsense"} {
		answer("2026-11", word, day)
	}
	answer("2026-12", "shown", day)
	answer("2026-11", "shown", day.AddDate(0, 0, -3))
	answer("", "shown", day)
	s.publish(t, "shop", impression("hero", "sun"))
	want := []insight.PromptCount{{"2026-11", 3, 1, 1, 2}, {"2026-12", 1, 0, 0, 0}}
	for round := range 2 { // the second one reads what the first one wrote
		tally := insight.New(insight.Options{Log: s, Notes: s})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tally.Run(ctx) }()
		for end := time.Now().Add(10 * time.Second); len(tally.Counts("shop", day)) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := tally.Prompts("shop", day); !slices.Equal(got, want) {
			t.Errorf("round %d: counted %+v, want %+v", round, got, want)
		}
		if got := tally.Counts("shop", day); len(got) != 1 || got[0].Slot != "hero" {
			t.Errorf("round %d: a prompt counts as a slot: %+v", round, got)
		}
	}
}

func TestWhatIsCounted(t *testing.T) {
	s := newStore(t)
	late := impression("hero", "sun")
	late.shown = "late"
	preview := impression("hero", "sun")
	preview.reason = "preview"
	old := impression("hero", "sun")
	old.at = day.AddDate(0, 0, -1)
	s.publish(t, "shop",
		impression("hero", "sun"), impression("hero", "sun"), click("hero", "sun"), impression("hero", "rain"), late,
		act{"page_view", "hero", "sun", "variant", "rule", day}, act{"slot_impression", "", "", "", "", day}, preview, old,
		act{"slot_impression", "offer", "", "default", "no-consent", day}, click("offer", ""))
	s.publish(t, "blog", impression("hero", "moon"))
	got := s.run(t, insight.Options{}, "shop", 5)
	want := []insight.Count{
		{Slot: "hero", Variant: "", Shown: 1}, {Slot: "hero", Variant: "rain", Shown: 1}, {Slot: "hero", Variant: "sun", Shown: 2, Clicked: 1},
		{Slot: "offer", Variant: "", Shown: 1, Clicked: 1},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Wherever a tally crashes, the next one counts every event once.
func TestEveryEventIsCountedOnceAcrossCrashes(t *testing.T) {
	for crash := range int64(8) {
		t.Run(fmt.Sprintf("after %d writes", crash), func(t *testing.T) {
			s := newStore(t)
			options := insight.Options{Every: time.Hour} // it writes at its end
			total := uint64(0)
			for range 3 {
				for _, site := range []string{"shop", "blog"} {
					s.publish(t, site, impression("hero", "sun"), impression("offer", "a"), click("hero", "sun"))
				}
				s.publish(t, "shop", impression("hero", "rain"))
				total += 3
				s.left.Store(crash)
				s.run(t, options, "shop", total)
				s.left.Store(1 << 40)
			}
			got := s.run(t, options, "shop", total)
			want := []insight.Count{
				{Slot: "hero", Variant: "rain", Shown: 3}, {Slot: "hero", Variant: "sun", Shown: 3, Clicked: 3}, {Slot: "offer", Variant: "a", Shown: 3},
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			// The log is not read from its beginning again.
			if again := s.run(t, options, "shop", total); !slices.Equal(again, want) {
				t.Errorf("then %+v", again)
			}
		})
	}
}

// Once it was in trouble, a tally writes what it holds.
func TestATallyWritesWhenTheStoreIsBack(t *testing.T) {
	s := newStore(t)
	s.left.Store(0)
	tally := insight.New(insight.Options{Log: s, Notes: s, Every: 5 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tally.Run(ctx) }()
	s.publish(t, "shop", impression("hero", "sun"))
	time.Sleep(30 * time.Millisecond)
	if notes, err := s.Notes(t.Context(), "counts"); err != nil || len(notes) != 0 {
		t.Fatalf("%d notes while the store fails, %v", len(notes), err)
	}
	s.left.Store(1 << 40)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if notes, err := s.Notes(t.Context(), "counts"); err == nil && len(notes) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no notes after 10 s")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A tally that broke off counts on when it is run again.
func TestATallyRunsAgain(t *testing.T) {
	s := newStore(t)
	s.publish(t, "shop", impression("hero", "sun"), click("hero", "sun"))
	tally := insight.New(insight.Options{Log: s, Notes: s})
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tally.Run(ctx) }()
		for end := time.Now().Add(10 * time.Second); len(tally.Counts("shop", day)) == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got, want := tally.Counts("shop", day), (insight.Count{Slot: "hero", Variant: "sun", Shown: 1, Clicked: 1}); len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestOldDaysAreDropped(t *testing.T) {
	s := newStore(t)
	old := impression("hero", "old")
	old.at = day.AddDate(0, 0, -2)
	s.publish(t, "shop", old, impression("hero", "sun"))
	s.run(t, insight.Options{}, "shop", 1)
	if notes, err := s.Notes(t.Context(), "counts.day"); err != nil || len(notes) != 2 {
		t.Fatalf("%d notes, %v; want 2", len(notes), err)
	}
	s.run(t, insight.Options{Days: 1}, "shop", 1)
	notes, err := s.Notes(t.Context(), "counts.day")
	if err != nil || len(notes) != 1 {
		t.Fatalf("%d notes, %v; want 1", len(notes), err)
	}
}

// A note stays small, whatever is shown.
func TestManyVariantsAreCountedTogether(t *testing.T) {
	s := newStore(t)
	var acts []act
	for i := range 600 {
		acts = append(acts, impression("hero", fmt.Sprint("variant-", i)))
	}
	s.publish(t, "shop", acts...)
	counts := s.run(t, insight.Options{}, "shop", 600)
	if len(counts) != 501 || counts[0].Variant != "*" || counts[0].Shown != 100 {
		t.Errorf("%d rows, the first %+v; want 501 and * with 100", len(counts), counts[0])
	}
}
