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

// A LogFrame is one message of the event log: the events of one site and commit
// group. The receiver owns it.
type LogFrame struct {
	// Seq is the message's number. It never changes and never comes again.
	Seq  uint64
	Site string
	// Received is when the message was stored.
	Received time.Time
	// Events are the message's, those past their expiry too, and the places of those
	// that were erased. Their JSON is one piece of memory.
	Events []edge.StoredEvent
	// Damaged says that the message could not be read, or not behind Events.
	Damaged error
	// Lost is how many messages left the log by age since the one asked for.
	Lost uint64
}

// Next returns the first message behind the one with number after, waiting for
// it if need be. Only acknowledged messages are given. It costs a message's bytes
// and holds nothing between two calls: a reader that stops for a day is as good
// as none.
//
// The error is ctx's, or ErrClosed. Next goes on across a replaced server.
func (s *Stream) Next(ctx context.Context, after uint64) (LogFrame, error) {
	for {
		s.mu.Lock()
		stored, closed, moved := s.stored, s.closed, s.movement()
		s.mu.Unlock()
		if stored > after {
			f, err := s.frameBehind(ctx, after, stored)
			if err == nil || !errors.Is(err, jetstream.ErrMsgNotFound) {
				return f, err
			}
		}
		if closed {
			return LogFrame{}, ErrClosed
		}
		select {
		case <-moved:
		case <-time.After(askAgain):
		case <-ctx.Done():
			return LogFrame{}, ctx.Err()
		}
	}
}

// frameBehind reads the first message behind after, up to upTo. The error is
// ErrMsgNotFound when there is none yet.
func (s *Stream) frameBehind(ctx context.Context, after, upTo uint64) (f LogFrame, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		m, err := s.eventFrom(ctx, b, after+1)
		switch {
		case err != nil:
			return err
		case m.seq > upTo:
			return jetstream.ErrMsgNotFound // not acknowledged yet
		}
		f = s.openLogFrame(&m)
		if m.seq > after+1 {
			info, err := b.events.Info(ctx)
			if err != nil {
				return fmt.Errorf("ask event log: %w", err)
			}
			// The others between were deleted one by one.
			if first := min(info.State.FirstSeq, m.seq); first > after+1 {
				f.Lost = first - after - 1
			}
		}
		return nil
	})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return f, err
}

// eventFrom reads the first message of the event log with a number of seq at
// least, as it is now.
func (s *Stream) eventFrom(ctx context.Context, b *broker, seq uint64) (message, error) {
	for {
		msg, err := b.events.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(eventSubject+"*"))
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return message{}, fmt.Errorf("read event log: %w", err)
		}
		// Asked after the log: a message can be found before it is deleted there.
		r, ok := s.rewrittenEvents.from(seq, lastNumber, "")
		if !ok || err == nil && msg.Sequence < r.number {
			if err != nil {
				return message{}, err
			}
			return message{seq: msg.Sequence, subject: msg.Subject, stored: msg.Time.UTC(), data: msg.Data}, nil
		}
		m, ok, err := s.newestRewrite(ctx, b, eventLog, r.number)
		if err != nil || ok {
			return m, err
		}
		seq = r.number + 1 // its time is over
	}
}

// openLogFrame reads a message of the event log.
func (s *Stream) openLogFrame(m *message) LogFrame {
	f := LogFrame{Seq: m.seq, Site: strings.TrimPrefix(m.subject, eventSubject), Received: m.stored}
	var frame frameReader // its memory goes with the events
	err := frame.openEvents(m.data)
	for err == nil {
		var e edge.StoredEvent
		var more bool
		if more, err = frame.next(&e); !more {
			break
		}
		e.Site = f.Site
		f.Events = append(f.Events, e)
	}
	if err != nil {
		f.Damaged = err
		s.damaged(*m, err)
	}
	return f
}

// A Backlog is what lies behind a place in the log.
type Backlog struct {
	// Messages counts them; where some were deleted one by one, it is too high.
	Messages uint64
	// Oldest is when the first of them was stored; zero without any.
	Oldest time.Time
}

// Backlog returns what lies behind message after.
func (s *Stream) Backlog(ctx context.Context, after uint64) (Backlog, error) {
	s.mu.Lock()
	stored := s.stored
	s.mu.Unlock()
	var out Backlog
	if stored <= after {
		return out, nil
	}
	err := s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		m, err := s.eventFrom(ctx, b, after+1)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.seq > stored:
			return nil
		case err == nil:
			out = Backlog{stored - m.seq + 1, m.stored}
		}
		return err
	})
	return out, err
}

// Ends returns the number of the first message that the event log holds, and of
// the newest one that was acknowledged; first is newest+1 in an empty log.
func (s *Stream) Ends(ctx context.Context) (first, newest uint64, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		info, err := b.events.Info(ctx)
		if err != nil {
			return fmt.Errorf("ask event log: %w", err)
		}
		s.mu.Lock()
		newest = s.stored
		s.mu.Unlock()
		first = max(info.State.FirstSeq, 1)
		if r, ok := s.rewrittenEvents.from(0, lastNumber, ""); ok {
			first = min(first, r.number)
		}
		first = min(first, newest+1)
		return nil
	})
	return first, newest, err
}
