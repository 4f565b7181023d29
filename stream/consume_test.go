// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// consume reads messages behind after until n events have come.
func consume(t testing.TB, s *Stream, after uint64, n int) (ids []string, frames []LogFrame) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for len(ids) < n {
		f, err := s.Next(ctx, after)
		if err != nil {
			t.Fatalf("Next(%d) after %v: %v", after, ids, err)
		}
		if f.Seq <= after {
			t.Fatalf("Next(%d) gives message %d", after, f.Seq)
		}
		after = f.Seq
		frames = append(frames, f)
		for _, e := range f.Events {
			ids = append(ids, e.Site+"/"+e.ID)
		}
	}
	return ids, frames
}

func TestNextGivesEachMessageOnceAndWaitsForMore(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var want []string
	for i := range 20 {
		site := []string{"shop", "blog"}[i%2]
		publish(t, s, event(site, fmt.Sprint("e", i)))
		want = append(want, fmt.Sprintf("%s/e%d", site, i))
	}
	got, frames := consume(t, s, 0, 20)
	if !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	half, _ := consume(t, s, frames[9].Seq, 10)
	if !slices.Equal(half, want[10:]) {
		t.Errorf("from the middle %v, want %v", half, want[10:])
	}
	later := make(chan LogFrame, 1)
	go func() {
		f, err := s.Next(t.Context(), frames[19].Seq)
		if err != nil {
			t.Error(err)
		}
		later <- f
	}()
	time.Sleep(20 * time.Millisecond)
	publish(t, s, event("shop", "late"))
	if f := <-later; len(f.Events) != 1 || f.Events[0].ID != "late" {
		t.Errorf("the one who waited got %+v", f)
	}
}

func TestNextEndsWithItsContextAndWithTheStream(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Next(t.Context(), 0)
		ended <- err
	}()
	closeStream(t, s)
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestNextGoesOnAcrossAReplacedServerAndNeverShowsWhatWasNotAcknowledged(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "e1"))
	e := event("shop", "ghost")
	if _, err := s.broker.commits.Publish(t.Context(), eventSubject+"shop", sealFrame(appendEvent(newFrame(nil, frameVersion), &e), 1)); err != nil {
		t.Fatal(err)
	}
	got, frames := consume(t, s, 0, 1)
	after := frames[len(frames)-1].Seq
	result := make(chan []string, 1)
	go func() {
		more, _ := consume(t, s, after, 1)
		result <- append(got, more...)
	}()
	breakBroker(t, s)
	publish(t, s, event("shop", "e2"))
	if got := <-result; !slices.Equal(got, []string{"shop/e1", "shop/e2"}) {
		t.Errorf("read %v", got)
	}
}

func TestADamagedMessageIsGivenWithWhatCouldBeRead(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "e1"))
	seq, err := s.broker.commits.Publish(t.Context(), eventSubject+"shop", []byte("no frame"))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, event("shop", "e2"))
	_, frames := consume(t, s, 0, 2)
	if len(frames) != 3 || frames[1].Seq != seq.Sequence || frames[1].Damaged == nil || frames[0].Damaged != nil || frames[2].Damaged != nil {
		t.Errorf("frames %+v", frames)
	}
}

func TestMessagesThatLeftTheLogAreCounted(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for i := range 10 {
		publish(t, s, event("shop", fmt.Sprint("e", i)))
	}
	backlog := func(after uint64) Backlog {
		t.Helper()
		b, err := s.Backlog(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if b := backlog(4); b.Messages != 6 || time.Since(b.Oldest) > wait {
		t.Errorf("backlog %+v, want 6 messages", b)
	}
	if b := backlog(10); b != (Backlog{}) {
		t.Errorf("backlog %+v at the end", b)
	}
	// As retention does: from the beginning. And one in the midst by itself.
	if err := s.broker.events.Purge(t.Context()); err == nil {
		publish(t, s, event("shop", "f0"), event("blog", "f1"))
	}
	first, newest, err := s.Ends(t.Context())
	if err != nil || first != 11 || newest != 12 {
		t.Fatalf("the log's ends are %d, %d, %v", first, newest, err)
	}
	publish(t, s, event("shop", "f2"))
	if err := s.broker.events.DeleteMsg(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	_, frames := consume(t, s, 4, 2)
	if frames[0].Lost != 6 || frames[0].Seq != 11 || frames[1].Lost != 0 || frames[1].Seq != 13 {
		t.Errorf("frames %+v, want 6 lost before 11, none before 13", frames)
	}
	if b := backlog(4); b.Messages != 3 {
		t.Errorf("backlog %+v, want 3 numbers from 11 on", b)
	}
}

func putMark(t testing.TB, s *Stream, reader string, m Mark) {
	t.Helper()
	if err := s.PutMark(t.Context(), reader, m); err != nil {
		t.Fatal(err)
	}
}

func TestAMarkOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if _, err := s.MarkOf(t.Context(), "files"); !errors.Is(err, ErrNoMark) || !errors.Is(err, edge.ErrNone) {
		t.Errorf("error %v, want ErrNoMark", err)
	}
	if err := s.PutMark(t.Context(), "no.sink", Mark{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
	putMark(t, s, "files", Mark{Seq: 3})
	putMark(t, s, "hook", Mark{Seq: 5, Forgets: 2})
	putMark(t, s, "files", Mark{Seq: 7})
	breakBroker(t, s)
	putMark(t, s, "old", Mark{Seq: 1})
	if err := s.DropMark(t.Context(), "old"); err != nil {
		t.Error(err)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	marks, err := s.Marks(t.Context())
	if err != nil || len(marks) != 2 || marks["files"] != (Mark{Seq: 7}) || marks["hook"] != (Mark{Seq: 5, Forgets: 2}) {
		t.Errorf("marks %v, %v", marks, err)
	}
	if m, err := s.MarkOf(t.Context(), "files"); m.Seq != 7 || err != nil {
		t.Errorf("mark %+v, %v", m, err)
	}
}
