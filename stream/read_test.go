// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/edgetest"
)

func TestQueryNarrowsWhatIsRead(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "s1"), event("blog", "b1"), event("shop", "s2"))
	publish(t, s, edgetest.Event(edgetest.EventSpec{Site: "shop", ID: "old", Name: "page_view", At: time.Now().Add(-time.Hour), Expires: time.Now().Add(-time.Second)}))
	time.Sleep(5 * time.Millisecond)
	later := time.Now()
	publish(t, s, event("blog", "b2"), event("shop", "s3"))
	tests := []struct {
		name string
		give Query
		want []string
	}{
		{"one site, without what has expired", Query{Site: "shop"}, []string{"s1", "s2", "s3"}},
		{"another site", Query{Site: "blog"}, []string{"b1", "b2"}},
		{"a site without events", Query{Site: "none"}, nil},
		{"from a time on", Query{Since: later, Site: "shop"}, []string{"s3"}},
		{"from a time to come", Query{Since: time.Now().Add(time.Hour)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(read(t, s, tt.give)); !slices.Equal(got, tt.want) {
				t.Errorf("read %v, want %v", got, tt.want)
			}
		})
	}
	if err := s.Events(t.Context(), Query{Site: "*"}, nil); !errors.Is(err, ErrEvent) {
		t.Errorf("a wildcard for a site: error %v", err)
	}
}

func TestReadingGoesOnAfterWhatWasRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, event("shop", "s1"), event("blog", "b1"), event("shop", "s2"))
	var sites []string
	for _, r := range read(t, s, Query{}) {
		sites = append(sites, fmt.Sprint(r.Site, r.Seq, r.Index))
	}
	if want := []string{"shop1 0", "shop1 1", "blog2 0"}; !slices.Equal(sites, want) {
		t.Fatalf("read %v, want %v", sites, want)
	}
	later := time.Now()
	publish(t, s, event("shop", "s3"))
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	publish(t, s, event("blog", "b2"), event("shop", "s4"))
	tests := []struct {
		name string
		give Query
		want []string
	}{
		{"after the first message", Query{After: 1}, []string{"b1", "s3", "b2", "s4"}},
		{"of one site", Query{After: 1, Site: "shop"}, []string{"s3", "s4"}},
		{"after another site's message", Query{After: 2, Site: "shop"}, []string{"s3", "s4"}},
		{"after the last", Query{After: 5}, nil},
		{"after what is still to come", Query{After: 99}, nil},
		{"and since a time", Query{After: 1, Since: later}, []string{"s3", "b2", "s4"}},
		{"since a time that is earlier", Query{After: 4, Since: later}, []string{"s4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(read(t, s, tt.give)); !slices.Equal(got, tt.want) {
				t.Errorf("read %v, want %v", got, tt.want)
			}
		})
	}
	// A tally that remembers the last number it saw counts each event once.
	var tally []string
	var seen uint64
	for i := range 5 {
		publish(t, s, event("shop", fmt.Sprint("t", i)), event("blog", fmt.Sprint("u", i)))
		for _, r := range read(t, s, Query{After: seen}) {
			tally, seen = append(tally, r.ID), r.Seq
		}
		if i == 2 {
			breakBroker(t, s)
		}
	}
	if all := ids(read(t, s, Query{})); !slices.Equal(tally, all) {
		t.Errorf("counted %v, stored are %v", tally, all)
	}
}

func TestReadingAnEmptyLogEnds(t *testing.T) {
	if got := read(t, open(t, Options{Dir: t.TempDir()}), Query{}); len(got) != 0 {
		t.Errorf("read %v", got)
	}
}

func TestTheReadersErrorEndsReading(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "e1"), event("shop", "e2"))
	stop := errors.New("enough")
	n := 0
	err := s.Events(t.Context(), Query{}, func(LogEvent) error { n++; return stop })
	if err != stop || n != 1 {
		t.Errorf("error %v after %d events, want the reader's own after 1", err, n)
	}
}

func TestFollowGivesEventsAsTheyAreStored(t *testing.T) {
	for name, gather := range map[string]time.Duration{"at once": 0, "gathered": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) { testFollow(t, gather) })
	}
}

func testFollow(t *testing.T, gather time.Duration) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "before"))
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Events(ctx, Query{Site: "shop", Follow: true, Gather: gather}, func(r LogEvent) error { got <- r.ID; return nil })
	}()
	next := func(want string) {
		t.Helper()
		select {
		case id := <-got:
			if id != want {
				t.Fatalf("got %s, want %s", id, want)
			}
		case <-time.After(wait):
			t.Fatalf("%s did not come", want)
		}
	}
	next("before")
	publish(t, s, event("blog", "other"), event("shop", "e1"))
	next("e1")
	breakBroker(t, s)
	publish(t, s, event("shop", "e2"))
	next("e2")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	go func() {
		ended <- s.Events(t.Context(), Query{Follow: true, Since: time.Now()}, func(LogEvent) error { return nil })
	}()
	time.Sleep(20 * time.Millisecond)
	closeStream(t, s)
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("closing ended it with %v, want ErrClosed", err)
	}
}

func TestDamagedFrameIsSkippedAndReported(t *testing.T) {
	var log bytes.Buffer
	dir := t.TempDir()
	o := Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))}
	s := open(t, o)
	publish(t, s, event("shop", "e1"))
	bad := frameOf(sampleEvents()[0])
	bad[len(bad)-1] ^= 1
	if _, err := s.broker.commits.Publish(t.Context(), eventSubject+"shop", bad); err != nil {
		t.Fatal(err)
	}
	publish(t, s, event("shop", "e2"))
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("read %v, want e1 and e2", got)
	}
	if n := s.Stats().Damaged; n != 1 {
		t.Errorf("%d counted as damaged, want 1", n)
	}
	if text := log.String(); !strings.Contains(text, "seq=2") {
		t.Errorf("the log does not name the message: %q", text)
	}
	closeStream(t, s)
	s = open(t, o)
	if n := s.Stats().Damaged; n != 1 {
		t.Errorf("%d counted as damaged by opening, want 1", n)
	}
	publish(t, s, event("shop", "e2"), event("shop", "e3"))
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1", "e2", "e3"}) {
		t.Errorf("after opening again: read %v", got)
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	// One event a message, as with few visitors: the slowest log to read.
	const messages = 20_000
	for i := range messages {
		e := event("shop", fmt.Sprint(i))
		frame := sealFrame(appendEvent(newFrame(nil, frameVersion), &e), 1)
		if _, err := s.broker.commits.PublishAsync(eventSubject+"shop", frame); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-s.broker.commits.PublishAsyncComplete()
		}
	}
	closeStream(b, s)
	b.ResetTimer()
	for b.Loop() {
		s, err := Open(Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if n := s.Stats().Remembered; n != messages {
			b.Fatalf("%d remembered", n)
		}
		b.StopTimer()
		closeStream(b, s)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/messages, "µs/message")
}

// TestMessagesThatNeverCameAreMissed: a client on a busy machine gives a request up
// whose messages are on their way, and when they were the last ones nothing behind
// them tells that they are missing.
func TestMessagesThatNeverCameAreMissed(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for i := range 5 {
		publish(t, s, event("shop", fmt.Sprint("e", i)))
	}
	sc, err := s.broker.scan(t.Context(), s.broker.events, position{subject: eventSubject + "*", seq: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.close()
	gone, err := sc.cons.Fetch(5)
	if err != nil {
		t.Fatal(err)
	}
	for range gone.Messages() {
	}
	if err := sc.rest(t.Context(), func(message) error { return nil }); !errors.Is(err, errScan) {
		t.Errorf("error %v, want errScan", err)
	}
}
