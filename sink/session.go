// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	// batchBytes is when a batch is full; with one more message it bounds what a
	// Pump holds in memory.
	batchBytes = 1 << 20
	// gatherTime is how long a batch waits for more after its first message.
	gatherTime = 100 * time.Millisecond
	// tick is how often a sink that gathers looks at its clock.
	tick = time.Second
	// markEvery is the least time between two marks: each is a sync of the disk
	// that events wait for too.
	markEvery = time.Second
	// ledgerPause is the wait before a dead letter is written again that the ledger
	// did not take.
	ledgerPause = time.Second
	// closeWait bounds the last mark's time.
	closeWait = 5 * time.Second
)

// Why an event is not given to a sink.
const (
	skippedSite      = "site"
	skippedConsent   = "consent"
	skippedExpired   = "expired"
	skippedForgotten = "forgotten"
)

// Reasons returns why events may be skipped, as edge.SinkStatus has it.
func Reasons() []string {
	return []string{skippedConsent, skippedExpired, skippedForgotten, skippedSite}
}

// A session is a Pump with its sink open.
type session struct {
	*Pump
	sink   Sink
	frames []Frame // gathered
	bytes  int
	given  uint64           // the newest message of a batch that was written
	moved  <-chan struct{}  // closed when somebody is to be forgotten
	left   error            // why a deletion is not done, nil when all are
	lefts  int              // how often in a row
	again  <-chan time.Time // when what is left is tried again
	stored Mark             // the mark on disk
	marked time.Time
}

// session runs the sink until something fails.
func (p *Pump) session(ctx context.Context) error {
	_, newest, err := p.o.Log.Ends(ctx)
	if err != nil {
		return err
	}
	if !p.opened {
		newest = min(newest, p.o.Newest)
	}
	if err := p.begin(ctx, newest); err != nil {
		return err
	}
	opened, err := Open(ctx, p.o.Spec, Circumstances{Newest: newest, Notice: p.notice, Now: p.o.Now, Forgotten: p.o.Persons.Forgotten})
	if err != nil {
		return err
	}
	p.opened = true
	p.mu.Lock()
	s := &session{Pump: p, sink: opened, given: p.mark.Seq, stored: p.mark}
	p.mu.Unlock()
	err = s.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
	defer cancel()
	return errors.Join(err, s.putMark(last, true), opened.Close())
}

// begin reads the mark, or makes a new sink's. No mark lies behind newest.
func (p *Pump) begin(ctx context.Context, newest uint64) error {
	if p.known {
		return nil
	}
	mark, err := p.o.Ledger.MarkOf(ctx, p.o.Spec.Name)
	if errors.Is(err, edge.ErrNone) {
		first, _, endsErr := p.o.Log.Ends(ctx)
		if endsErr != nil {
			return endsErr
		}
		mark.Seq = newest
		if p.o.Spec.FromStart {
			mark.Seq = first - 1
		}
		// Who was forgotten before is skipped, and the sink has nothing of them.
		if all, _ := p.o.Persons.Forgettings(0); len(all) > 0 {
			mark.Forgets = all[len(all)-1].Number
		}
		err = p.o.Ledger.PutMark(ctx, p.o.Spec.Name, mark)
	}
	if err != nil {
		return err
	}
	if mark.Seq > newest {
		p.o.Logger.Error("the log is shorter than what the sink has seen; it goes on at the log's end", "sink", p.o.Spec.Name)
		mark.Seq = newest
		if err := p.o.Ledger.PutMark(ctx, p.o.Spec.Name, mark); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mark, p.known = mark, true
	return nil
}

// run reads the log and feeds the sink.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	frames, ended := make(chan Frame), make(chan error, 1)
	after := s.given
	wg.Go(func() { ended <- s.read(ctx, after, frames) })
	if err := s.forget(ctx); err != nil {
		return err
	}
	if _, err := s.write(ctx, false); err != nil { // it works, as far as that can be told without events
		return err
	}
	s.set(edge.SinkRunning, s.left)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	var full <-chan time.Time // when what was gathered is written
	for {
		var err error
		select {
		case f := <-frames:
			if full == nil {
				full = time.After(gatherTime)
			}
			if s.gather(f); s.bytes < batchBytes {
				continue
			}
			full = nil
			_, err = s.write(ctx, false)
		case <-full:
			full = nil
			_, err = s.write(ctx, false)
		case <-clock.C:
			if full == nil {
				_, err = s.write(ctx, false)
			}
		case <-s.moved:
			err = s.forget(ctx)
		case <-s.again:
			err = s.forget(ctx)
		case r := <-s.replays:
			full = nil
			err = s.replay(ctx, r)
		case err = <-ended:
		}
		if err != nil {
			return err
		}
	}
}

// read sends message after message until ctx or the log ends.
func (s *session) read(ctx context.Context, after uint64, to chan<- Frame) error {
	for {
		f, err := s.o.Log.Next(ctx, after)
		if err != nil {
			return err
		}
		select {
		case to <- f:
			after = f.Seq
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *session) gather(f Frame) {
	if f.Lost > 0 {
		s.mu.Lock()
		s.status.Lost += f.Lost
		s.mu.Unlock()
		s.o.Logger.Error("messages left the log before the sink had them", "sink", s.o.Spec.Name, "messages", f.Lost)
	}
	s.frames = append(s.frames, f)
	for i := range f.Events {
		s.bytes += len(f.Events[i].JSON)
	}
}

// choose returns the events that the sink may have of what was gathered, and how
// many it may not have, by why.
func (s *session) choose() (events []Event, skipped map[string]uint64) {
	skipped = map[string]uint64{}
	now := s.o.Now()
	for i := range s.frames {
		f := &s.frames[i]
		for j := range f.Events {
			e := Event{Seq: f.Seq, Index: j, Received: f.Received, StoredEvent: f.Events[j]}
			if why := s.withheld(&e, now); why != "" {
				skipped[why]++
				continue
			}
			events = append(events, e)
		}
	}
	return events, skipped
}

// withheld returns why the sink may not have an event, "" if it may.
func (s *session) withheld(e *Event, now time.Time) string {
	spec := s.o.Spec
	switch {
	case e.Erased():
		return skippedForgotten
	case len(spec.Sites) > 0 && !slices.Contains(spec.Sites, e.Site):
		return skippedSite
	case !e.Purposes.Has(spec.Needs):
		return skippedConsent
	case !e.Expires.IsZero() && !now.Before(e.Expires):
		return skippedExpired
	case s.o.Persons.Forgotten(edge.Person{Site: e.Site, Key: e.Visitor}, e.Seq):
		return skippedForgotten
	}
	return ""
}

// write gives the sink what was gathered, and moves the mark. When somebody is to
// be forgotten while a sink does not get on, that comes first, and the batch
// again without them.
func (s *session) write(ctx context.Context, now bool) (Receipt, error) {
	end := s.given
	if n := len(s.frames); n > 0 {
		end = s.frames[n-1].Seq
	}
	for {
		events, skipped := s.choose()
		receipt, err := s.interruptible(ctx, func(ctx context.Context) (Receipt, error) {
			return s.sink.Write(ctx, Batch{Events: events, End: end, Now: now})
		})
		if errors.Is(err, errMoved) {
			if err := s.forget(ctx); err != nil {
				return receipt, err
			}
			continue
		}
		if err != nil {
			return receipt, fmt.Errorf("write to sink: %w", err)
		}
		if err := s.bury(ctx, events, receipt.Refused); err != nil {
			return receipt, err
		}
		s.count(len(events)-len(receipt.Refused), skipped)
		s.given, s.frames, s.bytes = end, nil, 0
		s.mu.Lock()
		s.mark.Seq = max(s.mark.Seq, min(receipt.Durable, end))
		s.mu.Unlock()
		return receipt, s.putMark(ctx, false)
	}
}

// errMoved reports that somebody is to be forgotten.
var errMoved = errors.New("somebody is to be forgotten")

// interruptible calls do with a ctx that ends when somebody is to be forgotten;
// if it ended do, the error is errMoved.
func (s *session) interruptible(ctx context.Context, do func(context.Context) (Receipt, error)) (Receipt, error) {
	bound, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() {
		select {
		case <-s.moved:
			cancel(errMoved)
		case <-bound.Done():
		}
	})
	receipt, err := do(bound)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) && errors.Is(context.Cause(bound), errMoved) {
		err = errMoved
	}
	return receipt, err
}

// count adds to the status. written is below zero where events were refused of an
// earlier batch, with which they were counted.
func (s *session) count(written int, skipped map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Written += uint64(written)
	for why, n := range skipped {
		s.status.Skipped[why] += n
	}
}

// putMark writes the mark down, if it is time or now. A ledger that does not take
// it is no reason to stop: after a crash some events come twice.
func (s *session) putMark(ctx context.Context, now bool) error {
	s.mu.Lock()
	mark := s.mark
	s.mu.Unlock()
	at := s.o.Now()
	if mark == s.stored || !now && at.Sub(s.marked) < markEvery {
		return nil
	}
	s.marked = at
	if err := s.o.Ledger.PutMark(ctx, s.o.Spec.Name, mark); err != nil {
		s.o.Logger.Warn("the sink's mark is not kept", "sink", s.o.Spec.Name, "error", err)
		return nil
	}
	s.stored = mark
	return nil
}

// forget lets the sink forget whom it must, in the order in which it was asked.
// Where something is left the mark stays before that, so that it counts as
// waiting, and it and what was asked behind it is done again later.
func (s *session) forget(ctx context.Context) error {
	s.mu.Lock()
	after := s.mark.Forgets
	s.mu.Unlock()
	var all []edge.Forgetting
	all, s.moved = s.o.Persons.Forgettings(after)
	var left error
	for _, f := range all {
		if len(s.o.Spec.Sites) == 0 || slices.Contains(s.o.Spec.Sites, f.Site) {
			err := s.sink.Forget(ctx, f)
			if err != nil && !errors.Is(err, ErrLeft) {
				return fmt.Errorf("forget a person: %w", err)
			}
			left = cmp.Or(left, err)
		}
		if left != nil {
			continue
		}
		s.mu.Lock()
		s.mark.Forgets = f.Number
		s.mu.Unlock()
		if err := s.putMark(ctx, true); err != nil {
			return err
		}
	}
	s.leave(left)
	return nil
}

// leave notes why a deletion is not done, or with nil that all are.
func (s *session) leave(left error) {
	if left == nil && s.left == nil {
		return
	}
	s.left, s.again = left, nil
	s.set(edge.SinkRunning, left)
	if left == nil {
		s.lefts = 0
		s.o.Logger.Info("all deletions are done", "sink", s.o.Spec.Name)
		return
	}
	s.lefts++
	s.again = time.After(s.leftPause.before(s.lefts))
	s.o.Logger.Error("a deletion is not done; it is tried again, and new events go on", "sink", s.o.Spec.Name, "error", left)
}
