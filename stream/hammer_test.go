// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestHammer has writers, readers, releases and broken servers at once, and
// counts every event at the end: each is stored once, and the follower saw it
// once.
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
			time.Sleep(10 * time.Millisecond)
		}
	})
	for w := range writers {
		work.Go(func() {
			for i := range each {
				hammerEvents(s, event("shop", fmt.Sprintf("w%d-%d", w, i)), event("blog", fmt.Sprintf("b%d-%d", w, i)), event("shop", fmt.Sprintf("shared-%d", i)))
			}
		})
	}
	work.Go(func() { hammerReleases(t, s) })
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
	followed.once(t, "followed", want)
}

// hammerEvents publishes until the events are kept.
func hammerEvents(s *Stream, events ...edge.Event) {
	for s.Publish(events, time.Second) != nil {
		time.Sleep(time.Millisecond)
	}
}

// hammerReleases publishes ten releases, each until it is live.
func hammerReleases(t *testing.T, s *Stream) {
	for i := range uint64(10) {
		for {
			err := s.PutRelease(t.Context(), "shop", i, i+1, fmt.Appendf(nil, `{"release":%d}`, i))
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
