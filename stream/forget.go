// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// ErrNoForgetting reports a person whom nobody asked to forget: an edge.ErrNone.
var ErrNoForgetting error = missing("nobody asked to forget this visitor")

// A forgotten is what there is to know of a forgetting while events flow.
type forgotten struct {
	at     time.Time
	before uint64
	number uint64 // 0 until it is on disk
	dead   uint64 // letters that were deleted at once
	erased erasedValue
}

// The forgettings are kept in memory too, about 150 bytes each: each event on its
// way to a sink is asked about, and each visitor who comes back.
type forgettings struct {
	mu     sync.RWMutex
	of     map[edge.Person]forgotten
	number uint64        // of the newest
	moved  chan struct{} // closed at the next change; nil when nobody waits
}

// forgettingValue is what lies on disk under a person's key.
type forgettingValue struct {
	At     time.Time `json:"at"`
	Before uint64    `json:"before"`
}

// loadForgettings reads what is on disk.
func (s *Stream) loadForgettings(ctx context.Context) error {
	s.forgets.of = make(map[edge.Person]forgotten)
	err := s.broker.eachFlow(ctx, personPrefix, func(e jetstream.KeyValueEntry) error {
		p, v, err := openForgetting(e.Key(), e.Value())
		if err == nil {
			s.noteForgetting(p, v, e.Revision())
		}
		return err
	})
	if err == nil {
		err = s.broker.eachFlow(ctx, erasedPrefix, func(e jetstream.KeyValueEntry) error {
			p, err := personOf(erasedPrefix, e.Key())
			if err != nil {
				return err
			}
			var v erasedValue
			if err := json.Unmarshal(e.Value(), &v); err != nil {
				return err
			}
			s.forgets.mu.Lock()
			defer s.forgets.mu.Unlock()
			if f, ok := s.forgets.of[p]; ok {
				f.erased = v
				s.forgets.of[p] = f
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("read forgettings: %w", err)
	}
	return nil
}

func openForgetting(key string, value []byte) (p edge.Person, v forgettingValue, err error) {
	if p, err = personOf(personPrefix, key); err != nil {
		return p, v, err
	}
	return p, v, json.Unmarshal(value, &v)
}

// noteForgetting takes up what is on disk, unless something newer is known, and
// wakes who waits.
func (s *Stream) noteForgetting(p edge.Person, v forgettingValue, number uint64) {
	s.forgets.mu.Lock()
	defer s.forgets.mu.Unlock()
	known := s.forgets.of[p]
	if known.number >= number {
		return
	}
	s.forgets.of[p] = forgotten{at: v.At, before: v.Before, number: number, erased: known.erased}
	s.forgets.number = max(s.forgets.number, number)
	if s.forgets.moved != nil {
		close(s.forgets.moved)
		s.forgets.moved = nil
	}
}

// Forget notes on disk that a person is to be erased: by all who read the log from
// a mark, which do their part now or when they run again, and from all that the
// Stream keeps, which EraseWaiting does. It deletes the dead letters about them and
// returns at once. From then on no reader is given what the person did, and what
// comes late of it is not stored. Asking again is safe; it begins anew, with what
// the person did since.
func (s *Stream) Forget(ctx context.Context, p edge.Person) (edge.Forgetting, error) {
	return s.ForgetAt(ctx, p, time.Now())
}

// ForgetAt is Forget for a person who asked at an earlier time, of a backup made
// before that: what the log holds was all done before.
func (s *Stream) ForgetAt(ctx context.Context, p edge.Person, at time.Time) (edge.Forgetting, error) {
	if !edge.ValidSite(p.Site) || p.Key == (edge.PersonKey{}) {
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", ErrInvalid)
	}
	v := forgettingValue{At: at.UTC().Add(time.Millisecond).Truncate(time.Millisecond)} // events tell no less
	undo := s.refuse(p, v.At)
	err := s.putForgetting(ctx, p, &v)
	if err != nil {
		undo()
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", err)
	}
	dropped, err := s.dropDeadOf(ctx, p, v.Before)
	if err != nil && !errors.Is(err, errNoRoom) { // then a pass does it
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", err)
	}
	s.forgets.mu.Lock()
	if f := s.forgets.of[p]; err == nil && f.at.Equal(v.At) {
		f.dead = dropped
		s.forgets.of[p] = f
	}
	s.forgets.mu.Unlock()
	return s.Forgetting(ctx, p)
}

// refuse makes late events of a person be refused before the forgetting is on
// disk, until undo is called because it will not be.
func (s *Stream) refuse(p edge.Person, at time.Time) (undo func()) {
	s.forgets.mu.Lock()
	defer s.forgets.mu.Unlock()
	known, ok := s.forgets.of[p]
	now := known
	if at.After(now.at) {
		now.at = at
	}
	s.forgets.of[p] = now
	return func() {
		s.forgets.mu.Lock()
		defer s.forgets.mu.Unlock()
		switch {
		case s.forgets.of[p] != now: // somebody else asked meanwhile
		case ok:
			s.forgets.of[p] = known
		default:
			delete(s.forgets.of, p)
		}
	}
}

// putForgetting stores a forgetting of all that was handed in so far.
func (s *Stream) putForgetting(ctx context.Context, p edge.Person, v *forgettingValue) error {
	s.mu.Lock()
	groups := []*group{s.storing, s.filling}
	s.mu.Unlock()
	for _, g := range groups {
		if g == nil || g == groups[1] && !s.isFilling(g) {
			continue
		}
		select {
		case <-g.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, newest, err := s.Ends(ctx)
	if err != nil {
		return err
	}
	v.Before = newest
	value, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, b *broker) error {
		number, err := b.flow.Put(ctx, personPrefix+p.Site+"."+p.Key.String(), value)
		if err == nil {
			s.noteForgetting(p, *v, number)
		}
		return err
	})
}

// isFilling reports whether a group has events, or had and is on its way: the
// fate of one without is never known.
func (s *Stream) isFilling(g *group) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g != s.filling || g.events > 0
}

// Forgetting returns how far the forgetting of a person is, or ErrNoForgetting.
// Its sinks are the readers that have a mark.
func (s *Stream) Forgetting(ctx context.Context, p edge.Person) (edge.Forgetting, error) {
	s.forgets.mu.RLock()
	f, ok := s.forgets.of[p]
	s.forgets.mu.RUnlock()
	if !ok || f.number == 0 {
		return edge.Forgetting{}, ErrNoForgetting
	}
	marks, err := s.Marks(ctx)
	if err != nil {
		return edge.Forgetting{}, err
	}
	out := edge.Forgetting{Person: p, At: f.at, Before: f.before, Number: f.number, Sinks: []edge.SinkForgetting{}}
	for name, mark := range marks {
		out.Sinks = append(out.Sinks, edge.SinkForgetting{Sink: name, Done: mark.Forgets >= f.number})
	}
	slices.SortFunc(out.Sinks, func(a, b edge.SinkForgetting) int { return strings.Compare(a.Sink, b.Sink) })
	return out, nil
}

// Forgotten reports whether what a person did in message seq is to be forgotten.
// Nobody, the zero key, never is.
func (s *Stream) Forgotten(p edge.Person, seq uint64) bool {
	if p.Key == (edge.PersonKey{}) {
		return false
	}
	s.forgets.mu.RLock()
	defer s.forgets.mu.RUnlock()
	f, ok := s.forgets.of[p]
	return ok && seq <= f.before
}

// Forgettings returns the forgettings with a number above after, by number, and
// a channel that is closed when there is another one. Their Sinks are nil.
func (s *Stream) Forgettings(after uint64) ([]edge.Forgetting, <-chan struct{}) {
	s.forgets.mu.Lock()
	defer s.forgets.mu.Unlock()
	if s.forgets.moved == nil {
		s.forgets.moved = make(chan struct{})
	}
	if s.forgets.number <= after {
		return nil, s.forgets.moved
	}
	var out []edge.Forgetting
	for p, f := range s.forgets.of {
		if f.number > after {
			out = append(out, edge.Forgetting{Person: p, At: f.at, Before: f.before, Number: f.number})
		}
	}
	slices.SortFunc(out, func(a, b edge.Forgetting) int { return cmp.Compare(a.Number, b.Number) })
	return out, s.forgets.moved
}

// dropForgotten ends what a crash left undone: the letters about persons who are
// forgotten. It also lets go of forgettings that are older than any event or state
// can be.
func (s *Stream) dropForgotten(ctx context.Context) error {
	b, now := s.held(), s.clock.now()
	var old []edge.Person
	s.forgets.mu.RLock()
	for p, f := range s.forgets.of {
		if now.Sub(f.at) > s.erasureAge() && f.erased.Number >= f.number {
			old = append(old, p)
		}
	}
	s.forgets.mu.RUnlock()
	for _, p := range old {
		for _, prefix := range []string{personPrefix, erasedPrefix} {
			if err := b.flow.Purge(ctx, prefix+p.Site+"."+p.Key.String(), jetstream.PurgeTTL(deletedAge)); err != nil {
				return fmt.Errorf("let go of old forgettings: %w", err)
			}
		}
		s.forgets.mu.Lock()
		delete(s.forgets.of, p)
		s.forgets.mu.Unlock()
	}
	var over []uint64
	err := b.readThrough(ctx, b.dead, position{subject: deadSubject + ">"}, func(m message) error {
		if d, err := openDead(m.subject, m.data); err == nil && s.over(&d) { // a damaged one is told of when it is listed
			over = append(over, m.seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err = s.wipe(ctx, b, deadStream, over); errors.Is(err, errNoRoom) {
		return nil // nobody is shown them
	}
	return err
}
