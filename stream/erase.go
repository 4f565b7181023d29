// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

const (
	// calmTime is how long an erasure waits before it looks through the logs, so
	// that what was under way is there and can be seen by all, and what is asked
	// meanwhile is done by the same look.
	calmTime = 3 * time.Second
	// eraseRetryMin and eraseRetryMax bound the pause before an erasure that failed
	// is tried again.
	eraseRetryMin = 10 * time.Second
	eraseRetryMax = 10 * time.Minute
	// eraseShare and eraseRest: after a look through the logs the next one waits for
	// as many times as long, and at most so long.
	eraseShare = 9
	eraseRest  = time.Hour
	// EraseWithin is how long an erasure may take in a node that can write.
	EraseWithin = 24 * time.Hour
)

// erasureAge is how long it is kept on disk that a person was erased: longer than
// the events that a backup may bring back, and than a state that may come back.
func (s *Stream) erasureAge() time.Duration {
	return max(s.o.MaxAge, edge.StateMaxAge) + 2*believeAfter
}

// Erased implements edge.Erasures.
func (s *Stream) Erased(p edge.Person, at time.Time) bool {
	if p.Key == (edge.PersonKey{}) {
		return false
	}
	s.forgets.mu.RLock()
	defer s.forgets.mu.RUnlock()
	f, ok := s.forgets.of[p]
	return ok && !at.After(f.at)
}

// Erasures calls fn for each erasure that is kept, in no order.
func (s *Stream) Erasures(fn func(p edge.Person, at time.Time)) {
	s.forgets.mu.RLock()
	defer s.forgets.mu.RUnlock()
	for p, f := range s.forgets.of {
		fn(p, f.at)
	}
}

// Erasure returns how far the erasing of a person is in what the Stream keeps, or
// ErrNoForgetting.
func (s *Stream) Erasure(p edge.Person) (edge.Erasure, error) {
	s.forgets.mu.RLock()
	f, ok := s.forgets.of[p]
	s.forgets.mu.RUnlock()
	if !ok {
		return edge.Erasure{}, ErrNoForgetting
	}
	place := func(name string, removed uint64) edge.ErasurePlace {
		if f.erased.Number < f.number {
			return edge.ErasurePlace{Place: name, State: edge.ErasurePending, Due: f.at.Add(EraseWithin)}
		}
		return edge.ErasurePlace{Place: name, State: edge.ErasureAbsent, At: f.erased.At, Removed: removed}
	}
	return edge.Erasure{Person: p, At: f.at, Places: []edge.ErasurePlace{
		place(storeNames[eventStream], f.erased.Events), place(storeNames[recordStream], f.erased.Records),
		place(storeNames[deadStream], f.erased.Dead), place(damagedDir, 0),
		{Place: "erasures", State: edge.ErasureKept, At: f.at, Due: f.at.Add(s.erasureAge())},
	}}, nil
}

// An erasedValue is what lies on disk of an erasure that is done.
type erasedValue struct {
	// Number is that of the forgetting.
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	// What the look removed that ended it; others may have been killed before.
	Events  uint64 `json:"events"`
	Records uint64 `json:"records"`
	Dead    uint64 `json:"dead"` // letters
}

// unerased returns the erasures that are not done.
func (s *Stream) unerased() map[edge.Person]*forgotten {
	s.forgets.mu.RLock()
	defer s.forgets.mu.RUnlock()
	out := map[edge.Person]*forgotten{}
	for p, f := range s.forgets.of {
		if f.number > f.erased.Number {
			out[p] = &f
		}
	}
	return out
}

// RunErasures does what Forget asks for, soon after, until ctx ends. A failure is
// logged, and it is tried again.
func (s *Stream) RunErasures(ctx context.Context) error {
	pause := eraseRetryMin
	for ctx.Err() == nil {
		_, moved := s.Forgettings(1<<64 - 1)
		began := time.Now()
		err := s.EraseWaiting(ctx)
		switch {
		case errors.Is(err, ErrClosed) || ctx.Err() != nil:
			return nil
		case err != nil:
			s.o.Logger.Error("erasures wait; they are tried again", "waiting", len(s.unerased()), "after", pause, "error", err)
			sleep(ctx, pause)
			pause = min(2*pause, eraseRetryMax)
			continue
		}
		pause = eraseRetryMin
		sleep(ctx, min(eraseShare*time.Since(began), eraseRest))
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
	return nil
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// EraseWaiting does the erasures that wait, in one look through the logs, while
// they are read and written by others. When it returns nil, nothing of those
// persons that they did before is in any file of the Stream, but for the note that
// they were erased. What it did of a part stays done when it fails or is killed.
func (s *Stream) EraseWaiting(ctx context.Context) error {
	s.erasing.Lock()
	defer s.erasing.Unlock()
	if len(s.unerased()) == 0 {
		return nil
	}
	sleep(ctx, s.calm)
	pass := erasePass{s: s, persons: s.unerased(), done: map[edge.Person]*erasedValue{}}
	for p, f := range pass.persons {
		pass.done[p] = &erasedValue{Number: f.number, Dead: f.dead}
	}
	if err := pass.run(ctx); err != nil {
		s.unsure = true
		signal(s.suspect) // a write that failed may have broken a store
		return fmt.Errorf("erase persons: %w", err)
	}
	return nil
}

// An erasePass is one look through the logs.
type erasePass struct {
	s       *Stream
	persons map[edge.Person]*forgotten
	done    map[edge.Person]*erasedValue
	b       *broker // that it used last
}

func (e *erasePass) run(ctx context.Context) error {
	s := e.s
	if err := s.awaitRecords(ctx); err != nil {
		return err
	}
	sites := map[string]bool{}
	for p := range e.persons {
		sites[p.Site] = true
	}
	for site := range sites {
		for _, log := range []target{eventLog, recordLog} {
			c := compaction{erasePass: e, log: log, site: site, at: position{subject: log.subject + site, seq: 1}}
			if err := s.scanWith(ctx, c.read); err != nil {
				return err
			}
		}
	}
	for p, f := range e.persons {
		n, err := s.dropDeadOf(ctx, p, f.before)
		if err != nil {
			return err
		}
		e.done[p].Dead += n
	}
	if n, err := s.dropDamagedCopies(); err != nil {
		return err
	} else if n > 0 {
		s.o.Logger.Warn("copies of damaged files are deleted: they may hold a person who was erased", "copies", n)
	}
	if err := e.wipeLeftovers(ctx); err != nil {
		return err
	}
	return e.finish(ctx)
}

// finish notes on disk that the erasures are done.
func (e *erasePass) finish(ctx context.Context) error {
	if err := e.s.reach("finish"); err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for p, v := range e.done {
		v.At = now
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := e.s.write(ctx, func(ctx context.Context, b *broker) error {
			_, err := b.flow.Put(ctx, erasedPrefix+p.Site+"."+p.Key.String(), value)
			return err
		}); err != nil {
			return err
		}
		e.s.forgets.mu.Lock()
		if f, ok := e.s.forgets.of[p]; ok {
			f.erased = *v
			e.s.forgets.of[p] = f
		}
		e.s.forgets.mu.Unlock()
	}
	return nil
}

// awaitRecords waits until the decision records that came before are stored.
func (s *Stream) awaitRecords(ctx context.Context) error {
	s.mu.Lock()
	taken := s.recorder.taken
	s.mu.Unlock()
	for {
		s.mu.Lock()
		done, closed := s.recorder.settled >= taken, s.closed
		s.mu.Unlock()
		switch {
		case done:
			return nil
		case closed:
			return ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		}
		sleep(ctx, 10*time.Millisecond)
	}
}

// FollowErasures takes up what other nodes ask for, until ctx ends.
func (s *Stream) FollowErasures(ctx context.Context) error {
	for {
		err := s.withBroker(ctx, func(ctx context.Context, b *broker) error {
			return b.watchFlow(ctx, personPrefix, func(e jetstream.KeyValueEntry) (bool, error) {
				if e == nil {
					return true, nil
				}
				p, v, err := openForgetting(e.Key(), e.Value())
				if err == nil {
					s.noteForgetting(p, v, e.Revision())
				}
				return true, err
			})
		})
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrClosed):
			return nil
		case err != nil:
			s.o.Logger.Warn("following erasures broke off", "error", err)
		}
		sleep(ctx, watchRetry)
	}
}

// personOf reads a key of the flow's store.
func personOf(prefix, key string) (p edge.Person, err error) {
	site, person, _ := strings.Cut(strings.TrimPrefix(key, prefix), ".")
	p.Site = site
	p.Key, err = edge.ParsePersonKey(person)
	return p, err
}
