// SPDX-License-Identifier: Apache-2.0

package stream

import (
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
	number uint64
}

// The forgettings are kept in memory too, about 100 bytes each: each event on its
// way to a sink is asked about.
type forgettings struct {
	mu     sync.Mutex
	of     map[edge.Person]forgotten
	number uint64        // of the newest
	moved  chan struct{} // closed at the next change; nil when nobody waits
}

// forgettingValue is what lies on disk under a person's key.
type forgettingValue struct {
	At     time.Time `json:"at"`
	Before uint64    `json:"before"`
}

// loadForgettings reads what is on disk, and ends what a crash left undone.
func (s *Stream) loadForgettings(ctx context.Context) error {
	of := make(map[edge.Person]forgotten)
	var newest uint64
	err := s.broker.eachFlow(ctx, personPrefix, func(e jetstream.KeyValueEntry) error {
		site, key, _ := strings.Cut(strings.TrimPrefix(e.Key(), personPrefix), ".")
		person := edge.Person{Site: site}
		var err error
		if person.Key, err = edge.ParsePersonKey(key); err != nil {
			return err
		}
		var v forgettingValue
		if err := json.Unmarshal(e.Value(), &v); err != nil {
			return err
		}
		of[person] = forgotten{v.At, v.Before, e.Revision()}
		newest = max(newest, e.Revision())
		return nil
	})
	if err != nil {
		return fmt.Errorf("read forgettings: %w", err)
	}
	s.forgets.mu.Lock()
	s.forgets.of, s.forgets.number = of, newest
	s.forgets.mu.Unlock()
	return nil
}

// Forget notes on disk that a person is to be forgotten by all who read the log
// from a mark, deletes the dead letters about them, and returns at once: the
// readers do their part, now or when they run again. Asking again is safe; it
// begins the forgetting anew, with what the person did since.
func (s *Stream) Forget(ctx context.Context, p edge.Person) (edge.Forgetting, error) {
	if !edge.ValidSite(p.Site) || p.Key == (edge.PersonKey{}) {
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", ErrInvalid)
	}
	_, newest, err := s.Ends(ctx)
	if err != nil {
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", err)
	}
	v := forgettingValue{At: time.Now().UTC().Truncate(time.Millisecond), Before: newest}
	value, err := json.Marshal(v)
	if err != nil {
		return edge.Forgetting{}, err
	}
	var number uint64
	err = s.write(ctx, func(ctx context.Context, b *broker) (err error) {
		number, err = b.flow.Put(ctx, personKey(p), value)
		return err
	})
	if err != nil {
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", err)
	}
	s.forgets.mu.Lock()
	if s.forgets.of[p].number < number {
		s.forgets.of[p] = forgotten{v.At, v.Before, number}
	}
	s.forgets.number = max(s.forgets.number, number)
	if s.forgets.moved != nil {
		close(s.forgets.moved)
		s.forgets.moved = nil
	}
	s.forgets.mu.Unlock()
	if err := s.dropDeadOf(ctx, p, v.Before); err != nil {
		return edge.Forgetting{}, fmt.Errorf("forget visitor: %w", err)
	}
	return s.Forgetting(ctx, p)
}

func personKey(p edge.Person) string { return personPrefix + p.Site + "." + p.Key.String() }

// Forgetting returns how far the forgetting of a person is, or ErrNoForgetting.
// Its sinks are the readers that have a mark.
func (s *Stream) Forgetting(ctx context.Context, p edge.Person) (edge.Forgetting, error) {
	s.forgets.mu.Lock()
	f, ok := s.forgets.of[p]
	s.forgets.mu.Unlock()
	if !ok {
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
	s.forgets.mu.Lock()
	defer s.forgets.mu.Unlock()
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
	slices.SortFunc(out, func(a, b edge.Forgetting) int {
		if a.Number < b.Number {
			return -1
		}
		return 1
	})
	return out, s.forgets.moved
}

// dropForgotten ends what a crash left undone: the letters about persons who are
// forgotten. It also lets go of forgettings that are older than any event can
// be.
func (s *Stream) dropForgotten(ctx context.Context) error {
	now := s.clock.now()
	s.forgets.mu.Lock()
	var old []edge.Person
	for p, f := range s.forgets.of {
		if now.Sub(f.at) > s.o.MaxAge {
			old = append(old, p)
			delete(s.forgets.of, p)
		}
	}
	s.forgets.mu.Unlock()
	for _, p := range old {
		if err := s.broker.flow.Purge(ctx, personKey(p), jetstream.PurgeTTL(deletedAge)); err != nil {
			return fmt.Errorf("let go of old forgettings: %w", err)
		}
	}
	at := position{subject: deadSubject + ">"}
	return s.broker.readThrough(ctx, s.broker.dead, at, func(m message) error {
		d, err := openDead(m.subject, m.data)
		if err != nil || !s.over(&d) {
			return nil // a damaged one is told of when it is listed
		}
		err = s.broker.dead.SecureDeleteMsg(ctx, m.seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			err = nil
		}
		return err
	})
}
