// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

const (
	// hurryBytes: a group of this size is committed without waiting for the
	// window; past it a sync costs little beside the bytes.
	hurryBytes = MaxFrameBytes / 2
	// maxUnanswered bounds the frames handed to the server and not yet
	// acknowledged, and so the copies in its memory.
	maxUnanswered = 8
	// healthEvery is how often a commit that gets no answer asks why.
	healthEvery = 250 * time.Millisecond
	// commitWait is how long a healthy server may take for one frame. A disk
	// that stalls longer is treated as broken.
	commitWait = 15 * time.Second
	// mendMin and mendMax bound the pause between attempts to replace a broken
	// broker.
	mendMin = 100 * time.Millisecond
	mendMax = 5 * time.Second
)

// run commits groups until the Stream is closed and nothing is left. It waits
// for the goroutine that stores records.
func (s *Stream) run() {
	defer close(s.finished)
	var records sync.WaitGroup
	records.Go(s.runRecords)
	defer records.Wait()
	window := time.NewTimer(0)
	defer window.Stop()
	var again <-chan time.Time // nil never comes
	for {
		select {
		case <-s.wake:
		case <-s.suspect:
			again = time.After(0)
			continue
		case <-again:
			again = nil
			if !s.examine() {
				again = time.After(mendMax)
			}
			continue
		case done := <-s.renew:
			s.renewBroker()
			close(done)
			continue
		case <-s.closing:
			for s.commit() {
			}
			return
		}
		select {
		case <-window.C:
		case <-s.hurry:
		case <-s.closing:
		}
		window.Reset(s.o.Window)
		s.commit()
	}
}

// examine replaces the broker if it says that one of its streams cannot be
// written, without a word to who publishes events: they wait. It returns false
// when it should be called again, because the disk takes nothing just now.
func (s *Stream) examine() bool {
	if s.writable() != nil {
		return true
	}
	if s.held().health() == nil {
		s.mu.Lock()
		s.recordsUp()
		s.mu.Unlock()
		return true
	}
	s.commit() // if it is the event log, this finds out
	err := s.held().health()
	if err == nil {
		return true
	}
	if probeDisk(s.o.Dir) != nil {
		return false // events may fit where the other thing did not
	}
	s.o.Logger.Warn("embedded server is replaced", "error", err)
	s.mu.Lock()
	s.stats.Replaced++
	s.mu.Unlock()
	if err := s.mend(); err != nil {
		s.replace(nil, err)
	}
	return true
}

// commit stores the filling group and tells its fate. It returns false when
// there was nothing to store, or nothing to store it in.
func (s *Stream) commit() bool {
	s.mu.Lock()
	g, b := s.filling, s.broker
	if s.down != nil {
		s.mu.Unlock()
		return false
	}
	if g.events == 0 {
		s.mu.Unlock()
		return false
	}
	s.filling, s.storing = s.newGroup(g.seq+1), g
	clear(s.frames.open)
	s.mu.Unlock()

	last, err := store(b, eventLog, g.frames)
	if lost := (*lostError)(nil); errors.As(err, &lost) {
		s.settle(g, last, nil)
		s.replace(g, err)
		return true
	}
	s.settle(g, last, err)
	s.finish(g)
	return true
}

// A lostError says that the log's answer to a frame will never come, so it may
// be stored or not.
type lostError struct{ err error }

func (e *lostError) Error() string { return "event log gave no answer: " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// store hands frames to the server and waits until each is on disk. It marks
// those that are, and returns the newest one's sequence number. The error is a
// lostError, or the reason why the log refused a frame.
func store(b *broker, to target, frames []*frame) (last uint64, err error) {
	var acks [maxUnanswered]jetstream.PubAckFuture
	var refused error
	for i := range len(frames) + maxUnanswered {
		if at := i - maxUnanswered; at >= 0 && at < len(frames) {
			seq, err := awaitAck(b, to, acks[at%maxUnanswered])
			lost := (*lostError)(nil)
			switch {
			case errors.As(err, &lost):
				return last, err
			case err != nil:
				refused = err
			default:
				last, frames[at].stored = seq, true
			}
		}
		if i < len(frames) {
			f := frames[i]
			acks[i%maxUnanswered], err = b.commits.PublishMsgAsync(&nats.Msg{Subject: to.subject + f.site, Data: f.seal()})
			if err != nil {
				return last, &lostError{err}
			}
		}
	}
	return last, refused
}

// awaitAck waits for the answer to one frame: its sequence number once it is
// on disk, the server's reason when it refused the frame, or a lostError. The
// server leaves a publisher without an answer when the disk failed.
func awaitAck(b *broker, to target, ack jetstream.PubAckFuture) (uint64, error) {
	ask := time.NewTimer(healthEvery)
	defer ask.Stop()
	var waited time.Duration
	for {
		select {
		case a := <-ack.Ok():
			return a.Sequence, nil
		case err := <-ack.Err():
			if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) {
				return 0, fmt.Errorf("event log refused: %w", err)
			}
			return 0, &lostError{err}
		case <-ask.C:
			if err := b.healthOf(to.stream); err != nil {
				return 0, &lostError{err}
			}
			if waited += healthEvery; waited >= commitWait {
				return 0, &lostError{fmt.Errorf("none within %v", commitWait)}
			}
			ask.Reset(healthEvery)
		}
	}
}

// settle notes what became of a group's frames: those stored count, the others
// are forgotten, so that their events can come again. refused is why some were
// not stored.
func (s *Stream) settle(g *group, last uint64, refused error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range g.frames {
		if !f.stored {
			g.err = edge.ErrUnavailable
			for _, k := range f.keys {
				s.index.remove(k, g.seq)
			}
			continue
		}
		s.stats.Stored += uint64(f.count)
		s.stats.Frames++
	}
	s.stats.Groups++
	if g.err != nil {
		s.stats.Failed++
	}
	if last > 0 {
		s.stored = last
	}
	switch {
	case refused != nil && s.refusing == nil:
		s.o.Logger.Error("events are refused", "error", refused)
	case refused == nil && s.refusing != nil && g.err == nil:
		s.o.Logger.Info("events are stored again")
	case refused == nil && g.err != nil:
		return // the caller has a worse state to tell
	}
	s.refusing = refused
}

// finish lets those who wait for a group go.
func (s *Stream) finish(g *group) {
	s.mu.Lock()
	s.queued.events -= g.events
	s.queued.bytes -= g.bytes
	s.frames.recycle(g.frames)
	g.frames = nil
	if s.storing == g {
		s.storing = nil
	}
	s.announce()
	s.mu.Unlock()
	close(g.done)
}

// replace puts a new broker in place of one that cannot write any more. Until
// that one can, Publish refuses, and what was in flight is refused too. g is
// the group whose fate is unknown, or nil.
func (s *Stream) replace(g *group, cause error) {
	s.mu.Lock()
	b := s.broker
	s.down = cause
	s.stats.Replaced++
	waiting := s.filling
	s.filling = s.newGroup(waiting.seq + 1)
	clear(s.frames.open)
	s.mu.Unlock()
	s.o.Logger.Error("event log is down", "error", cause)
	if g != nil {
		s.finish(g)
	}
	if waiting.events > 0 {
		s.settle(waiting, 0, nil)
	}
	s.finish(waiting)
	b.close()
	for pause := mendMin; ; pause = min(2*pause, mendMax) {
		select {
		case <-s.closing:
			return
		case <-time.After(pause):
		}
		if err := s.mend(); err != nil {
			s.o.Logger.Debug("event log stays down", "error", err)
			continue
		}
		s.o.Logger.Info("event log is up again")
		return
	}
}

// mend starts a server if there is none that works, so that what is stored can
// be read, and takes events again once the disk does.
func (s *Stream) mend() error {
	s.mu.Lock()
	b, acknowledged := s.broker, s.stored
	s.mu.Unlock()
	if b.gone() || b.health() != nil {
		b.close()
		if err := syncStored(s.o.Dir); err != nil {
			return err
		}
		s.finishWiping()
		next, err := openBroker(&s.o)
		if err != nil {
			return err
		}
		b = next
		s.mu.Lock()
		s.broker = b
		s.announce()
		s.mu.Unlock()
	}
	if err := probeDisk(s.o.Dir); err != nil {
		return err
	}
	last, err := s.dropUnacknowledged(b, acknowledged)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.down, s.refusing = last, nil, nil
	s.recordsUp()
	s.mended++
	s.announce()
	return nil
}

// dropUnacknowledged deletes what came behind the last acknowledged message and
// returns the log's newest sequence number. Who sent the deleted events was told
// that they are not kept, and may have sent them again.
func (s *Stream) dropUnacknowledged(b *broker, acknowledged uint64) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(b.life, commitWait)
	defer cancel()
	log, err := b.logState(ctx)
	if err != nil {
		return 0, err
	}
	last = log.LastSeq
	if last < acknowledged {
		s.o.Logger.Error("the disk lost acknowledged events", "kept_to", last, "acknowledged_to", acknowledged)
	}
	for seq := acknowledged + 1; seq <= last; seq++ {
		_, err := b.events.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err = errors.Join(err, b.events.DeleteMsg(ctx, seq)); err != nil {
			return 0, fmt.Errorf("delete unacknowledged message: %w", err)
		}
	}
	return last, b.health()
}
