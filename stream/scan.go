// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A position is where in a stream to start: at message seq, or, when that is 0,
// with what was stored since.
type position struct {
	subject string
	seq     uint64
	since   time.Time
	heads   bool // without the messages' data
}

// A message is one message of a stream. Its data is the receiver's.
type message struct {
	seq     uint64
	subject string
	stored  time.Time
	header  nats.Header
	data    []byte
}

const (
	// scanBatch is how many messages are asked for at once; with
	// MaxFrameBytes it bounds a reader's memory to 64 MB.
	scanBatch = 128
	// scanIdle is when the server forgets a reader that does not ask.
	scanIdle = 5 * time.Minute
)

// errScan reports that a scan has to start again where it was: the server
// forgot it, or skipped a message.
var errScan = errors.New("reading stored messages was interrupted")

// errEnd ends a scan: all was read, or the reader's function has failed.
var errEnd = errors.New("end of the scan")

// scanWith calls read, which scans, with the broker, and again when it was
// interrupted: read goes on from where it ended.
func (s *Stream) scanWith(ctx context.Context, read func(context.Context, *broker) error) error {
	for {
		err := s.withBroker(ctx, read)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errScan) {
			return err
		}
	}
}

// A scan reads messages in order. It is one goroutine's.
type scan struct {
	b     *broker
	from  jetstream.Stream
	cons  jetstream.Consumer
	found uint64 // messages there were at the start
	count uint64 // messages received
}

// scan starts reading a stream at a position's message; scanLog knows of times.
func (b *broker) scan(ctx context.Context, from jetstream.Stream, at position) (*scan, error) {
	cfg := jetstream.ConsumerConfig{
		FilterSubject:     at.subject,
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		InactiveThreshold: scanIdle,
		MemoryStorage:     true,
		HeadersOnly:       at.heads,
	}
	if at.seq > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, at.seq
	}
	cons, err := from.CreateConsumer(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("read stored messages: %w", err)
	}
	return &scan{b: b, from: from, cons: cons, found: cons.CachedInfo().NumPending}, nil
}

// batch calls fn for the messages that are there, at most scanBatch, and
// returns how many. None does not mean that there are no more: a busy server
// may answer late.
func (sc *scan) batch(ctx context.Context, fn func(message) error) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	batch, err := sc.cons.FetchNoWait(scanBatch)
	if err != nil {
		return 0, sc.interrupted(err)
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return n, fmt.Errorf("read stored messages: %w", err)
		}
		sc.count++
		if meta.Sequence.Consumer != sc.count {
			return n, errScan
		}
		m := message{seq: meta.Sequence.Stream, subject: msg.Subject(), stored: meta.Timestamp.UTC(), header: msg.Headers(), data: msg.Data()}
		if err := fn(m); err != nil {
			return n, err
		}
		n++
	}
	if err := batch.Error(); err != nil {
		return n, sc.interrupted(err)
	}
	return n, nil
}

// pending returns how many messages are still to come, once batch has none. The
// error is errScan when some were sent that never came.
func (sc *scan) pending(ctx context.Context) (uint64, error) {
	info, err := sc.cons.Info(ctx)
	if err != nil {
		return 0, sc.interrupted(err)
	}
	// A client gives a request up after a second without a message, and what the
	// server sends for it afterwards is lost.
	if info.Delivered.Consumer > sc.count {
		return 0, errScan
	}
	return info.NumPending, nil
}

// interrupted tells the errors that a new scan mends from the others.
func (sc *scan) interrupted(err error) error {
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, nats.ErrNoResponders) {
		return errScan
	}
	return fmt.Errorf("read stored messages: %w", err)
}

// close lets the server forget the scan.
func (sc *scan) close() {
	ctx, cancel := context.WithTimeout(sc.b.life, brokerWait)
	defer cancel()
	// If it does not hear of it, it forgets it after scanIdle.
	_ = sc.from.DeleteConsumer(ctx, sc.cons.CachedInfo().Name)
}

// readAll calls fn for each message from at on, up to upTo. fn is told in at
// where it would be next and moves it behind the message.
func (b *broker) readAll(ctx context.Context, from jetstream.Stream, at *position, upTo uint64, fn func(message) error) error {
	sc, err := b.scan(ctx, from, *at)
	if err != nil {
		return err
	}
	defer sc.close()
	return sc.rest(ctx, func(m message) error {
		if m.seq > upTo {
			return errEnd
		}
		return fn(m)
	})
}

// readThrough is readAll that goes on when it was interrupted, and moves at itself.
func (b *broker) readThrough(ctx context.Context, from jetstream.Stream, at position, fn func(message) error) error {
	for {
		err := b.readAll(ctx, from, &at, 1<<64-1, func(m message) error {
			if err := fn(m); err != nil {
				return err
			}
			at.seq = m.seq + 1
			return nil
		})
		if !errors.Is(err, errScan) || ctx.Err() != nil {
			return err
		}
	}
}

// rest calls fn for each message that is still to come, until there is none or
// fn returns errEnd.
func (sc *scan) rest(ctx context.Context, fn func(message) error) error {
	return exceptEnd(drain(ctx, sc, fn))
}

// drain calls fn for each message that a scan still has, until it has none or fn fails.
func drain(ctx context.Context, from interface {
	batch(ctx context.Context, fn func(message) error) (int, error)
	pending(ctx context.Context) (uint64, error)
}, fn func(message) error) error {
	for {
		n, err := from.batch(ctx, fn)
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if more, err := from.pending(ctx); err != nil || more == 0 {
			return err
		}
	}
}

// exceptEnd returns an error but errEnd.
func exceptEnd(err error) error {
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}
