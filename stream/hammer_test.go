// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestHammer has writers, readers, releases, notes, records and broken servers
// at once, and counts at the end: each event is stored once, and the follower
// saw it once; each note counts all its changes; the audit log is whole.
func TestHammer(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxQueuedEvents: 200})
	const writers, each = 8, 60
	ctx, cancel := context.WithCancel(t.Context())
	followed := counter{n: map[string]int{}}
	var readers, work sync.WaitGroup
	readers.Go(func() { _ = s.Events(ctx, Query{Follow: true}, followed.count) })
	readers.Go(func() { _ = s.WatchReleases(ctx, func(ReleaseUpdate) {}) })
	readers.Go(func() {
		for ctx.Err() == nil {
			s.Stats()
			_ = s.Ready()
			_, _ = s.Notes(ctx, "")
			from, to := always()
			_ = s.Records(ctx, "", from, to, func(edge.StoredRecord) error { return nil })
			time.Sleep(10 * time.Millisecond)
		}
	})
	for w := range writers {
		work.Go(func() {
			for i := range each {
				record(s, "shop", fmt.Sprintf("w%d-%d", w, i), time.Now())
				hammerEvents(s, event("shop", fmt.Sprintf("w%d-%d", w, i)), event("blog", fmt.Sprintf("b%d-%d", w, i)), event("shop", fmt.Sprintf("shared-%d", i)))
			}
		})
	}
	work.Go(func() { hammerReleases(t, s) })
	var unsure atomic.Int64
	for range 3 {
		work.Go(func() { unsure.Add(int64(hammerNotes(t, s))) })
	}
	work.Go(func() {
		for range 3 {
			time.Sleep(40 * time.Millisecond)
			s.held().commitConn.Close()
		}
	})
	work.Wait()
	stored := counter{n: map[string]int{}}
	for _, r := range read(t, s, Query{}) {
		_ = stored.count(r)
	}
	const want = writers*each*2 + each
	eventually(t, "the follower has seen all", func() bool { return followed.len() >= want })
	cancel()
	readers.Wait()
	stored.once(t, "stored", want)
	value, _, err := s.Note(t.Context(), "count")
	if n, _ := strconv.ParseInt(string(value), 10, 64); n < 30 || n > 30+unsure.Load() || err != nil {
		t.Errorf("30 changes of a note, and up to %d more, count %s, %v", unsure.Load(), value, err)
	}
	// An entry whose answer was lost may be there twice.
	if got, err := audit(t, s, "shop"); len(got) < 30 || err != nil {
		t.Errorf("%d audit entries of 30, %v", len(got), err)
	}
	eventually(t, "each record is stored or dropped", func() bool {
		st := s.Stats()
		return st.RecordsStored+st.RecordsDropped == writers*each && st.RecordBytesQueued == 0
	})
	followed.once(t, "followed", want)
}

// hammerEvents publishes until the events are kept.
func hammerEvents(s *Stream, events ...edge.Event) {
	for s.Publish(events, time.Second) != nil {
		time.Sleep(time.Millisecond)
	}
}

// hammerNotes counts up a note ten times, tells the audit log and stores a
// module each time, until each is done. It returns how many errors left open
// whether the note was changed.
func hammerNotes(t *testing.T, s *Stream) (unsure int) {
	for n := 0; n < 10; {
		value, revision, err := s.Note(t.Context(), "count")
		if err != nil && !errors.Is(err, ErrNoNote) {
			t.Error(err)
			return unsure
		}
		count, _ := strconv.Atoi(string(value))
		if _, err := s.PutNote(t.Context(), "count", strconv.AppendInt(nil, int64(count)+1, 10), revision); err != nil {
			if !errors.As(err, new(*NoteConflictError)) {
				unsure++
			}
			time.Sleep(time.Millisecond)
			continue
		}
		n++
		for s.AppendAudit(t.Context(), "shop", []byte(`1`)) != nil {
			time.Sleep(time.Millisecond)
		}
		for {
			if _, err := s.PutModule(t.Context(), bytes.Repeat([]byte{byte(count), 1}, 100_000)); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	return unsure
}

// hammerReleases publishes ten releases, each until it is live.
func hammerReleases(t *testing.T, s *Stream) {
	for i := range uint64(10) {
		for {
			err := s.PutRelease(t.Context(), "shop", i, edge.Published{Number: i + 1}, fmt.Appendf(nil, `{"release":%d}`, i))
			if err == nil {
				break
			}
			if errors.As(err, new(*ConflictError)) {
				t.Error(err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// A counter counts events by id.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) count(r LogEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[r.ID]++
	return nil
}

func (c *counter) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.n)
}

func (c *counter) once(t *testing.T, what string, want int) {
	t.Helper()
	if len(c.n) != want {
		t.Errorf("%d events were %s, want %d", len(c.n), what, want)
	}
	for id, n := range c.n {
		if n != 1 {
			t.Errorf("%s was %s %d times", id, what, n)
		}
	}
}
