// SPDX-License-Identifier: Apache-2.0

// Package stream keeps what must not be lost: the event log, with the marks of
// its readers, whom they must forget and what they could not take; the releases,
// the modules that they name, the notes of whoever publishes them and an audit
// log; the catalogues of items; the sealing keys, which it cannot read; and, for a
// week, the records of decisions. All live in a NATS JetStream that runs inside the
// process and listens nowhere. Backup copies all of it while it is in use, Restore
// makes a directory of that.
//
// Publish gathers the events of many callers into commit groups. A group
// becomes one message per site, the server syncs each message before it
// answers, and only then does Publish return, or what Submit returned say so:
// acknowledged means on disk. An event that comes again within a day, by its id or as the same transaction, is
// recognised and not stored twice, across restarts too.
//
// When a write of events fails, nothing of it is kept: the callers get
// edge.ErrUnavailable, the server is replaced over the same directory, and
// whatever lies behind the last acknowledged message is deleted before anything
// new is taken. So a group is never stored twice, without message ids: the
// Stream is the log's only writer and knows what it was told is stored. While
// the disk takes nothing, what is stored can still be read.
//
// When the write of anything else fails, its caller is told, and the server is
// replaced while events wait in the queue.
//
// Decision records are stored beside the events, many at a time, and nobody waits
// for them: what does not fit or cannot be stored is dropped and counted.
//
// The package never looks into an event's JSON, a record or a module, never
// retries a group, and never drops an acknowledged event before its time: a
// full log refuses, unless Options.DropOldest says otherwise. What has been kept
// long enough goes with Expire, which a jump of the machine's clock does not
// mislead.
//
// A Stream is safe for concurrent use. Two goroutines of its own commit events
// and records; Close waits for them. A sync holds a processor of the Go
// scheduler while it lasts, so a program should run with GOMAXPROCS at the
// number of cores plus one at least; with two the runtime does not look for it either.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

// Options say where a Stream keeps its data and what it may use. Only Dir is
// required; a zero member gets its default.
type Options struct {
	// Dir is the data directory. It is made with mode 0700.
	Dir string
	// Node names this process in the server's own log, without spaces; default
	// "nearside".
	Node string
	// Window is the least time between two commits; default 2 ms. A group
	// that has grown to half a message does not wait for it.
	Window time.Duration
	// RecordWindow is the least time between two commits of decision records, for
	// which nobody waits; default 50 ms. With every group of events they would
	// cost a sync each.
	RecordWindow time.Duration
	// MaxQueuedBytes and MaxQueuedEvents bound what waits to be stored; default
	// 32 MiB and 65,536. Memory for it is about twice that. Decision records may
	// take a quarter of MaxQueuedBytes beside it.
	MaxQueuedBytes, MaxQueuedEvents int
	// DedupEvents is how many events are remembered to recognise repeats;
	// default 4,000,000, at most 170 MB. It is at least 16 times
	// MaxQueuedEvents. A transaction counts as one more.
	DedupEvents int
	// MaxLogBytes bounds the event log on disk; default 32 GiB. A full log
	// refuses events until old ones have expired.
	MaxLogBytes int64
	// DropOldest lets a full event log drop its oldest events to take new ones,
	// instead of refusing. They are counted in Stats, whoever has not read them
	// yet never will.
	DropOldest bool
	// MaxRecordsBytes bounds the decision records on disk; default 8 GiB. Past
	// it the oldest go before their time.
	MaxRecordsBytes int64
	// MaxLedgerBytes bounds the notes on disk, but for those of ReservedWord,
	// which have room of their own; default 1 GiB. A full ledger refuses.
	MaxLedgerBytes int64
	// MaxAge is how long events are kept at most; default 400 days. Expire deletes
	// what is older.
	MaxAge time.Duration
	// Logger gets state changes and the server's own log; default none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.Node, "nearside")
	setDefault(&o.Window, 2*time.Millisecond)
	setDefault(&o.RecordWindow, 50*time.Millisecond)
	setDefault(&o.MaxQueuedBytes, 32<<20)
	setDefault(&o.MaxQueuedEvents, 1<<16)
	setDefault(&o.DedupEvents, 4_000_000)
	setDefault(&o.MaxLogBytes, 32<<30)
	setDefault(&o.MaxRecordsBytes, 8<<30)
	setDefault(&o.MaxLedgerBytes, 1<<30)
	setDefault(&o.MaxAge, 400*24*time.Hour)
	setDefault(&o.Logger, slog.New(slog.DiscardHandler))
	o.DedupEvents = max(o.DedupEvents, 16*o.MaxQueuedEvents)
	return o
}

func setDefault[T comparable](v *T, def T) {
	if *v == *new(T) {
		*v = def
	}
}

// ErrClosed reports a Stream that has been closed.
var ErrClosed = errors.New("event log is closed")

// A Stream is an open data directory.
type Stream struct {
	o    Options
	seed uint64
	lock *os.File

	mu       sync.Mutex
	closed   bool
	down     error // why the broker cannot write just now
	refusing error // why the log refused the last group
	broker   *broker
	stored   uint64        // the newest acknowledged message
	mended   int           // how often unacknowledged messages were deleted
	moved    chan struct{} // closed at the next change of stored, broker or closed; nil when nobody waits
	front    uint64        // the oldest message that DropOldest had not dropped, when it was last looked at
	index    *index
	filling  *group
	storing  *group // nil between commits
	frames   frameMaker
	recorder recorder
	forgets  forgettings

	rewrittenEvents, rewrittenRecords rewrites
	queued                            struct{ events, bytes int }
	stats                             Stats

	wake     chan struct{}      // the filling group has its first event
	hurry    chan struct{}      // the filling group is large
	suspect  chan struct{}      // something could not be written: look at the broker
	renew    chan chan struct{} // the broker is to be replaced; closes what it is sent when that is done
	closing  chan struct{}
	finished chan struct{}

	auditReads chan struct{} // one for each who reads the audit log

	// One change at a time, each of its own kind.
	releases, modules, ledger, audits, catalogues, rings sync.Mutex

	erasing sync.Mutex // one pass at a time
	wiping  sync.Mutex // one wipe file
	unsure  bool       // a pass failed: what was written anew must be read again; with erasing held

	// What tests change: how much room the disk has, how long an erasure waits for
	// what is under way, and what a pass does at each step.
	room  func(dir string) (uint64, error)
	calm  time.Duration
	reach func(step string) error

	tickets sync.Pool
	clock   *steadyClock
}

var _ edge.Publisher = (*Stream)(nil)

// Open opens the data directory o.Dir, or makes it. It reads the last day of
// events to know them when they come again: about 10 µs per message, of which
// there are as many as there were commit groups, and at most DedupEvents. The
// error is ErrLocked when another process has the directory and ErrFormat when
// a newer program wrote it.
func Open(o Options) (*Stream, error) {
	if o.Dir == "" {
		return nil, errors.New("open event log: no data directory given")
	}
	o = o.withDefaults()
	lock, err := openDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stream{
		o:        o,
		seed:     rand.Uint64(),
		lock:     lock,
		index:    newIndex(o.DedupEvents),
		wake:     make(chan struct{}, 1),
		hurry:    make(chan struct{}, 1),
		suspect:  make(chan struct{}, 1),
		renew:    make(chan chan struct{}),
		closing:  make(chan struct{}),
		finished: make(chan struct{}),

		auditReads: make(chan struct{}, maxAuditReads),
	}
	s.room, s.calm, s.reach = freeBytes, calmTime, func(string) error { return nil }
	s.recorder.wake, s.recorder.hurry = make(chan struct{}, 1), make(chan struct{}, 1)
	s.recorder.pause = recordRetryMin
	s.tickets.New = func() any { return &ticket{hash: hasher{seed: s.seed}} }
	if err := s.start(); err != nil {
		if s.broker != nil {
			s.broker.close()
		}
		return nil, errors.Join(err, lock.Close())
	}
	go s.run()
	return s, nil
}

// start brings the broker up and fills the index.
func (s *Stream) start() (err error) {
	if err := syncStored(s.o.Dir); err != nil {
		return err
	}
	if s.stats.Damaged, err = salvage(s.o.Dir, s.o.Logger); err != nil {
		return err
	}
	s.finishWiping()
	if s.broker, err = openBroker(&s.o); err != nil {
		return err
	}
	ctx := context.Background()
	log, err := s.broker.logState(ctx)
	if err != nil {
		return err
	}
	if err := s.loadRewrites(ctx, s.broker); err != nil {
		return err
	}
	s.stored, s.front, s.stats.LogBytes = log.LastSeq, max(1, log.FirstSeq), log.Bytes
	newest := s.newestTime(log.LastTime)
	s.clock = newSteadyClock(systemClock(), newest, s.o.Logger)
	if err := s.loadForgettings(ctx); err != nil {
		return err
	}
	if err := s.dropForgotten(ctx); err != nil {
		return err
	}
	seq, err := s.rememberStored(ctx, newest)
	s.filling = s.newGroup(seq)
	return err
}

// newestTime is when the newest event was stored. Of a message that was erased
// the server no longer knows it after a crash, and says 1970.
func (s *Stream) newestTime(last time.Time) time.Time {
	if last.Unix() > 0 {
		return last
	}
	if r, ok := s.rewrittenEvents.last(); ok {
		return r.at()
	}
	return time.Time{}
}

// Close stores what has been accepted and closes the directory; Publish
// refuses from the first moment on. ctx bounds the wait for that: when it ends
// first, what was not stored is lost with an error, and none of it was
// acknowledged.
func (s *Stream) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	if first {
		s.closed = true
		close(s.closing)
		s.announce()
	}
	s.mu.Unlock()
	var err error
	select {
	case <-s.finished:
	case <-ctx.Done():
		err = fmt.Errorf("flush event log: %w", ctx.Err())
	}
	if !first {
		return err
	}
	s.held().close() // ends a commit that still waits
	<-s.finished
	s.held().close() // one that was put in its place meanwhile
	return errors.Join(err, s.lock.Close())
}

// held returns the broker, working or not.
func (s *Stream) held() *broker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broker
}

// Ready returns nil when events are being stored, and otherwise why not. The
// reason is for who runs the node: it can name files.
func (s *Stream) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble()
}

// trouble is Ready with s.mu held.
func (s *Stream) trouble() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.down != nil:
		return s.down
	}
	return s.refusing
}

// writable returns why nothing can be written just now, or nil.
func (s *Stream) writable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// current returns a broker that can read, waiting while there is none.
func (s *Stream) current(ctx context.Context) (*broker, error) {
	for {
		s.mu.Lock()
		b, closed, moved := s.broker, s.closed, s.movement()
		s.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		if !b.gone() {
			return b, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for event log: %w", ctx.Err())
		}
	}
}

// withBroker calls do with the broker, and again with the next one when that
// breaks off in between. do's ctx ends with its broker.
func (s *Stream) withBroker(ctx context.Context, do func(context.Context, *broker) error) error {
	for {
		b, err := s.current(ctx)
		if err != nil {
			return err
		}
		bound, cancel := b.bound(ctx)
		err = do(bound, b)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !b.gone() {
			if b.conn.IsClosed() {
				signal(s.suspect)
			}
			return err
		}
	}
}

// write is withBroker for what changes something: it fails while the log is
// down, and a failure makes the Stream look whether its broker still works.
func (s *Stream) write(ctx context.Context, do func(context.Context, *broker) error) error {
	return s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		if err := s.writable(); err != nil {
			return err
		}
		err := do(ctx, b)
		if err != nil && !errors.Is(err, edge.ErrChanged) {
			signal(s.suspect)
		}
		return err
	})
}

// movement returns a channel that the next announce closes. s.mu is held.
func (s *Stream) movement() <-chan struct{} {
	if s.moved == nil {
		s.moved = make(chan struct{})
	}
	return s.moved
}

// announce wakes who waits for a change. s.mu is held.
func (s *Stream) announce() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}
