// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// A Query says which events to read.
type Query struct {
	// Site keeps other sites' events out; "" means all sites.
	Site string
	// Since keeps events out that were stored before; zero means from the first.
	Since time.Time
	// After keeps out the message with this number and all before it; zero
	// means from the first. Who reads to the end and remembers the last Seq, or
	// while following the Seq before the last, goes on from there with no event
	// lost or twice.
	After uint64
	// Follow waits for more events after the last one.
	Follow bool
	// Gather is how long a follower that had all there was waits before it reads
	// on, for who need not know at once: reading many events together costs a
	// small part of reading them one by one. Zero is at once.
	Gather time.Duration
}

// A LogEvent is a stored event with its place in the log.
type LogEvent struct {
	// Seq is the number of the message that holds the event and Index the
	// event's place in it, from 0. Together they never change and never come
	// again. From one event to the next Seq grows, or stays and Index grows.
	Seq   uint64
	Index int
	// Received is when the event was stored.
	Received time.Time
	edge.StoredEvent
}

// Events calls fn for each stored event that q asks for, in the order in which
// they were stored, one at a time. Only acknowledged events are given. Events
// past their expiry are skipped, and those of a person who is forgotten; so is a damaged frame, which is logged and
// counted. The event's JSON is valid until fn returns.
//
// Events returns nil after the last event, the error of fn or ctx, or
// ErrClosed. With q.Follow it goes on until one of those ends it, also across a
// replaced server.
func (s *Stream) Events(ctx context.Context, q Query, fn func(LogEvent) error) error {
	if q.Site != "" && !edge.ValidSite(q.Site) {
		return fmt.Errorf("read events: %w: bad site", ErrEvent)
	}
	r := reader{s: s, follow: q.Follow, gather: q.Gather, fn: fn, since: q.Since, at: position{subject: eventSubject + "*", since: q.Since}}
	if q.After > 0 {
		r.at.seq = q.After + 1
	}
	if q.Site != "" {
		r.at.subject = eventSubject + q.Site
	}
	if err := s.scanWith(ctx, r.read); r.err == nil {
		return err
	}
	return r.err
}

// A reader is one call of Events.
type reader struct {
	s      *Stream
	at     position // the next message
	since  time.Time
	follow bool
	gather time.Duration
	fn     func(LogEvent) error
	frame  frameReader
	err    error // what fn returned
}

// read reads until there is no more, fn fails, or ctx ends, as it does with the
// broker.
func (r *reader) read(ctx context.Context, b *broker) error {
	s := r.s
	s.mu.Lock()
	last, mended := s.stored, s.mended
	s.mu.Unlock()
	scan, err := s.scanLog(ctx, b, eventLog, r.at)
	if err != nil {
		return err
	}
	defer scan.close()
	each := func(m message) error {
		if r.follow {
			if err := s.awaitStored(ctx, m.seq, mended); err != nil {
				return err
			}
		} else if m.seq > last {
			return errEnd
		}
		r.at.seq = m.seq + 1
		if m.stored.Before(r.since) {
			return nil
		}
		return r.emit(m)
	}
	for {
		s.mu.Lock()
		moved, closed := s.movement(), s.closed
		s.mu.Unlock()
		n, err := scan.batch(ctx, each)
		switch {
		case errors.Is(err, errEnd):
			return nil
		case err != nil:
			return err
		case n > 0:
			continue
		}
		// A busy server may have more than it answered with.
		more, err := scan.pending(ctx)
		if err == nil && more == 0 {
			err = scan.end(ctx, each)
		}
		switch {
		case errors.Is(err, errEnd):
			return nil
		case err != nil:
			return err
		case more > 0:
			continue
		case !r.follow:
			return nil
		case closed:
			return ErrClosed
		}
		select {
		case <-moved:
		case <-time.After(askAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(r.gather):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// askAgain is the longest that a follower waits without asking. The server
// acknowledges a message a moment before its readers can see it: a follower that
// looks in between sees nothing, and the news of the message is over.
const askAgain = 250 * time.Millisecond

// emit hands the events of one message to the reader's function.
func (r *reader) emit(m message) error {
	err := r.frame.openEvents(m.data)
	now := r.s.clock.now()
	for i := 0; err == nil; i++ {
		rec := LogEvent{Seq: m.seq, Index: i, Received: m.stored}
		var more bool
		if more, err = r.frame.next(&rec.StoredEvent); !more {
			break
		}
		if rec.Erased() {
			continue
		}
		if !rec.Expires.IsZero() && !now.Before(rec.Expires) {
			continue
		}
		rec.Site = strings.TrimPrefix(m.subject, eventSubject)
		if r.s.Forgotten(edge.Person{Site: rec.Site, Key: rec.Visitor}, m.seq) {
			continue
		}
		if r.err = r.fn(rec); r.err != nil {
			return errEnd
		}
	}
	if err != nil {
		r.s.damaged(m, err)
	}
	return nil
}

// awaitStored waits until message seq is acknowledged. A reader can be faster
// than the answer to the writer. A message that never gets one is deleted when
// the log is mended; then the reader has to look again.
func (s *Stream) awaitStored(ctx context.Context, seq uint64, mended int) error {
	for {
		s.mu.Lock()
		stored, changed, moved := s.stored >= seq, s.mended != mended, s.movement()
		s.mu.Unlock()
		switch {
		case changed:
			return errScan
		case stored:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// damaged notes a frame that cannot be read. What was read of it counts.
func (s *Stream) damaged(m message, err error) {
	s.mu.Lock()
	s.stats.Damaged++
	s.mu.Unlock()
	s.o.Logger.Error("a stored frame is unreadable", "seq", m.seq, "subject", m.subject, "error", err)
}

// rememberLeast is how many messages the index is filled from at least, however
// old they say they are: their times are of a clock that may have jumped since.
const rememberLeast = 20_000

// rememberStored fills the index with the events of the day before last, when the
// newest one was stored, and returns the number of the next group. They are
// remembered as long as if that was now: how long ago it was a clock that may have
// jumped does not say.
func (s *Stream) rememberStored(ctx context.Context, last time.Time) (next uint32, err error) {
	now := time.Now() // with a reading of the clock that never jumps
	at := position{subject: eventSubject + "*", since: earlier(now, last).Add(-remember)}
	scan, err := s.scanLog(ctx, s.broker, eventLog, at)
	if err != nil {
		return 0, err
	}
	defer func() {
		if scan != nil {
			scan.close()
		}
	}()
	// Each message holds an event at least, so older than DedupEvents would be
	// forgotten.
	if n := min(max(scan.found, rememberLeast), uint64(s.o.DedupEvents)); n != scan.found && n < s.stored {
		scan.close()
		at.seq = s.stored - n + 1
		if scan, err = s.scanLog(ctx, s.broker, eventLog, at); err != nil {
			return 0, err
		}
	}
	h := hasher{seed: s.seed}
	var frame frameReader
	next = 1
	for {
		err = scan.rest(ctx, func(m message) error {
			at.seq = m.seq + 1
			s.index.open(next, now.Add(min(0, m.stored.Sub(last))))
			s.rememberFrame(&h, &frame, m, next)
			next++
			return nil
		})
		if !errors.Is(err, errScan) {
			return next, err
		}
		scan.close()
		if scan, err = s.scanLog(ctx, s.broker, eventLog, at); err != nil {
			return 0, err
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (s *Stream) rememberFrame(h *hasher, frame *frameReader, m message, group uint32) {
	site := strings.TrimPrefix(m.subject, eventSubject)
	add := func(k key) {
		if _, known := s.index.find(k); !known {
			s.index.add(k, group)
		}
	}
	err := frame.openEvents(m.data)
	for err == nil {
		var e edge.StoredEvent
		var more bool
		if more, err = frame.next(&e); !more {
			break
		}
		if e.Erased() {
			continue
		}
		add(h.event(site, e.ID))
		if e.Transaction != "" {
			add(h.transaction(site, e.Name, e.Transaction))
		}
	}
	if err != nil {
		s.damaged(m, err)
	}
}
