// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// eraseBatch is how many messages of one site are overwritten before the log is
// looked at again.
const eraseBatch = 1000

// Expire deletes from disk what has been kept long enough: events older than
// MaxAge, or than keep of their site if that is less and not zero, dead letters
// older than MaxAge or expired with their event, decision records older than edge.RecordAge, and copies of
// damaged files older than 30 days. Age counts from when an event was stored.
// Nothing is deleted because the machine's clock has jumped, until the clock has
// stayed there for a day.
//
// What every site's time is over for goes first, by whole files. A site with a
// shorter time than the others has its messages overwritten one by one.
//
// Call it every hour or so, one call at a time. It returns the first error, which
// can be ctx's; what is left goes with the next call.
func (s *Stream) Expire(ctx context.Context, keep func(site string) time.Duration) error {
	now := s.clock.now()
	err := s.write(ctx, func(ctx context.Context, b *broker) error {
		if err := s.expireFront(ctx, b, b.records, expiry{now, edge.RecordAge}); err != nil {
			return err
		}
		if err := s.expireFront(ctx, b, b.dead, expiry{now, s.o.MaxAge}); err != nil {
			return err
		}
		if err := b.expireDead(ctx, now); err != nil {
			return err
		}
		if err := s.expireRewritten(ctx, b, now, keep); err != nil {
			return err
		}
		if err := s.dropForgotten(ctx); err != nil {
			return err
		}
		if err := expireDamaged(s.o.Dir, now); err != nil {
			return err
		}
		sites, longest, err := s.ages(ctx, b, keep)
		if err != nil {
			return err
		}
		if err := s.expireFront(ctx, b, b.events, expiry{now, longest}); err != nil {
			return err
		}
		for subject, age := range sites {
			if age >= longest {
				continue
			}
			if err := s.eraseDue(ctx, b, subject, expiry{now, age}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete what was kept long enough: %w", err)
	}
	return nil
}

// ages returns how long each subject of the event log is kept, and the longest of
// these times.
func (s *Stream) ages(ctx context.Context, b *broker, keep func(string) time.Duration) (subjects map[string]time.Duration, longest time.Duration, err error) {
	info, err := b.events.Info(ctx, jetstream.WithSubjectFilter(eventSubject+"*"))
	if err != nil {
		return nil, 0, err
	}
	subjects = make(map[string]time.Duration, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		age := s.age(keep, strings.TrimPrefix(subject, eventSubject))
		subjects[subject], longest = age, max(longest, age)
	}
	return subjects, longest, nil
}

// age is how long the events of a site are kept.
func (s *Stream) age(keep func(site string) time.Duration, site string) time.Duration {
	if age := keep(site); age > 0 {
		return min(age, s.o.MaxAge)
	}
	return s.o.MaxAge
}

// expireRewritten deletes what was written anew and has been kept long enough.
func (s *Stream) expireRewritten(ctx context.Context, b *broker, now time.Time, keep func(site string) time.Duration) error {
	for of, age := range map[*rewrites]func(*rewrite) time.Duration{
		&s.rewrittenRecords: func(*rewrite) time.Duration { return edge.RecordAge },
		&s.rewrittenEvents:  func(r *rewrite) time.Duration { return s.age(keep, r.site) },
	} {
		for _, r := range of.which(func(r *rewrite) bool { return r.at().Before(now.Add(-age(r))) }) {
			if err := b.rewritten.SecureDeleteMsg(ctx, r.seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return err
			}
			of.drop(r)
			s.expired(b.rewritten, 0, 1)
		}
	}
	return nil
}

// An expiry says what is due: what was stored more than age before now.
type expiry struct {
	now time.Time
	age time.Duration
}

// due calls found for each of the oldest messages on a subject that are due, and
// stops at the first one that is not. A message from the future was stamped while
// the clock was wrong: it is as old as the ones behind it.
func (x expiry) due(ctx context.Context, b *broker, from jetstream.Stream, subject string, found func(seq uint64) error) error {
	var future []uint64
	at := position{subject: subject, seq: 1, heads: true}
	sc, err := b.scan(ctx, from, at)
	if err != nil {
		return err
	}
	defer sc.close()
	return sc.rest(ctx, func(m message) error {
		switch {
		case m.stored.After(x.now.Add(jumpMost)):
			future = append(future, m.seq)
			return nil
		case !m.stored.Before(x.now.Add(-x.age)):
			return errEnd
		}
		for _, seq := range append(future, m.seq) {
			if err := found(seq); err != nil {
				return err
			}
		}
		future = future[:0]
		return nil
	})
}

// expireFront deletes a log's oldest messages, as far as they are due.
func (s *Stream) expireFront(ctx context.Context, b *broker, from jetstream.Stream, x expiry) error {
	var last, n uint64
	err := x.due(ctx, b, from, "", func(seq uint64) error {
		last = seq
		n++
		return nil
	})
	if err != nil || n == 0 {
		return err
	}
	if err := from.Purge(ctx, jetstream.WithPurgeSequence(last+1)); err != nil {
		return err
	}
	s.expired(from, last+1, n)
	return nil
}

// eraseDue overwrites a site's messages that are due.
func (s *Stream) eraseDue(ctx context.Context, b *broker, subject string, x expiry) error {
	for {
		var seqs []uint64
		err := x.due(ctx, b, b.events, subject, func(seq uint64) error {
			if seqs = append(seqs, seq); len(seqs) == eraseBatch {
				return errEnd
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if err := b.events.SecureDeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return err
			}
		}
		s.expired(b.events, 0, uint64(len(seqs)))
		if len(seqs) < eraseBatch {
			return nil
		}
	}
}

// expired counts n messages that were deleted. first is the number that a log now
// begins with at least, or 0 for unchanged.
func (s *Stream) expired(from jetstream.Stream, first, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Expired += n
	if from.CachedInfo().Config.Name == eventStream {
		s.front = max(s.front, first)
	}
}

// noteFront counts the messages that the event log let go to make room for newer
// ones: those before first, its oldest, that did not expire. s.mu is held.
func (s *Stream) noteFront(first uint64) {
	if !s.o.DropOldest || first <= s.front {
		return
	}
	if s.stats.Dropped == 0 {
		s.o.Logger.Warn("the event log is full; its oldest events give way to newer ones", "max_bytes", s.o.MaxLogBytes)
	}
	s.stats.Dropped += first - s.front - s.rewrittenEvents.between(s.front, first)
	s.front = first
}
