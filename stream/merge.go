// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lastNumber is no message's.
const lastNumber = 1<<64 - 1

// A logScan is a scan of a log that gives each message under its number, whether
// it was written anew or not.
type logScan struct {
	*scan
	s     *Stream
	log   target
	site  string    // "" for all
	since time.Time // what was written anew and stored before is left out
	next  uint64    // the smallest number that was not given
	// left is told of a message that was written anew and is in the log still;
	// nil for nobody.
	left func(number uint64)
}

// scanLog starts reading a log at a position.
func (s *Stream) scanLog(ctx context.Context, b *broker, log target, at position) (*logScan, error) {
	l := &logScan{s: s, log: log, site: strings.TrimPrefix(at.subject, log.subject)}
	if l.site == "*" {
		l.site = ""
	}
	var err error
	if at.seq == 0 && !at.since.IsZero() {
		if at.seq, err = b.firstSince(ctx, log, at.since); err != nil {
			return nil, err
		}
		l.next, l.since = 1, at.since
	} else {
		l.next = max(1, at.seq)
	}
	l.scan, err = b.scan(ctx, b.streamOf(log), at)
	return l, err
}

// firstSince returns the number at which a log's messages that were stored since
// a time begin. The server's own search goes astray where the newest message of a
// block file was erased: after a crash it takes the file for one of 1970.
func (b *broker) firstSince(ctx context.Context, log target, since time.Time) (uint64, error) {
	stream := b.streamOf(log)
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	first, end := max(1, info.State.FirstSeq), info.State.LastSeq+1
	for first < end {
		middle := first + (end-first)/2
		msg, err := stream.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(log.subject+"*"))
		switch {
		case err == nil && msg.Time.Before(since):
			first = msg.Sequence + 1
		case err == nil || errors.Is(err, jetstream.ErrMsgNotFound):
			end = middle
		default:
			return 0, fmt.Errorf("look for a time: %w", err)
		}
	}
	return first, nil
}

// batch is scan's.
func (l *logScan) batch(ctx context.Context, fn func(message) error) (int, error) {
	return l.scan.batch(ctx, func(m message) error {
		if m.seq < l.next {
			return nil
		}
		if err := l.give(ctx, m.seq, fn); err != nil {
			return err
		}
		if m.seq < l.next {
			if l.left != nil {
				l.left(m.seq)
			}
			return nil
		}
		if err := fn(m); err != nil {
			return err
		}
		l.next = m.seq + 1
		return nil
	})
}

// give calls fn for what was written anew of the numbers that come next, up to
// upTo.
func (l *logScan) give(ctx context.Context, upTo uint64, fn func(message) error) error {
	for {
		r, ok := l.s.rewritesOf(l.log).from(l.next, upTo, l.site)
		if !ok {
			return nil
		}
		if r.at().Before(l.since) {
			l.next = r.number + 1
			continue
		}
		m, ok, err := l.s.newestRewrite(ctx, l.b, l.log, r.number)
		if err != nil {
			return err
		}
		if ok {
			if err := fn(m); err != nil {
				return err
			}
		}
		l.next = r.number + 1
	}
}

// end calls fn for what was written anew behind the last message that the log
// holds. It is called when nothing is pending: no message is written anew in the
// moment in which the log's readers might not see its neighbours yet.
func (l *logScan) end(ctx context.Context, fn func(message) error) error {
	return l.give(ctx, lastNumber, fn)
}

// rest is scan's.
func (l *logScan) rest(ctx context.Context, fn func(message) error) error {
	if err := drain(ctx, l, fn); err != nil {
		return exceptEnd(err)
	}
	return exceptEnd(l.end(ctx, fn))
}

// readLog is readAll of a log, with what was written anew.
func (s *Stream) readLog(ctx context.Context, b *broker, log target, at *position, upTo uint64, fn func(message) error) error {
	l, err := s.scanLog(ctx, b, log, *at)
	if err != nil {
		return err
	}
	defer l.close()
	return l.rest(ctx, func(m message) error {
		if m.seq > upTo {
			return errEnd
		}
		return fn(m)
	})
}
