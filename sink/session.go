// SPDX-License-Identifier: Apache-2.0

package sink

import (
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
	given  uint64          // the newest message of a batch that was written
	moved  <-chan struct{} // closed when somebody is to be forgotten
	stored Mark            // the mark on disk
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
	opened, err := Open(ctx, p.o.Spec, Circumstances{Newest: newest, Notice: p.notice})
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
	s.set(edge.SinkRunning, nil)
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
		s.count(uint64(len(events)-len(receipt.Refused)), skipped)
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

func (s *session) count(written uint64, skipped map[string]uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Written += written
	for why, n := range skipped {
		s.status.Skipped[why] += n
	}
}

// bury makes dead letters of what was refused and of what cannot be read. Until
// it is kept the mark does not move.
func (s *session) bury(ctx context.Context, events []Event, refused []Refusal) error {
	now := s.o.Now().UTC()
	var letters []edge.DeadLetter
	for _, r := range refused {
		letters = append(letters, s.letter(&events[r.Event], r, now))
	}
	for i := range s.frames {
		f := &s.frames[i]
		if f.Damaged && (len(s.o.Spec.Sites) == 0 || slices.Contains(s.o.Spec.Sites, f.Site)) {
			letters = append(letters, edge.DeadLetter{
				Site: f.Site, Sink: s.o.Spec.Name, Seq: f.Seq, Index: -1, Reason: edge.DeadUndecodable,
				Detail: "the rest of the message is damaged", Tries: 1, First: now, Last: now, Received: f.Received,
			})
		}
	}
	for _, d := range letters {
		if err := s.putDead(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) letter(e *Event, r Refusal, now time.Time) edge.DeadLetter {
	return edge.DeadLetter{
		Site: e.Site, Sink: s.o.Spec.Name, Seq: e.Seq, Index: e.Index, Reason: r.Reason, Detail: r.Detail, Tries: r.Tries, First: now, Last: now,
		Event: e.ID, Name: e.Name, Transaction: e.Transaction, Person: e.Visitor, Purposes: e.Purposes,
		EventAt: e.At, Received: e.Received, Expires: e.Expires, Body: e.JSON,
	}
}

// putDead keeps a letter, however long it takes.
func (s *session) putDead(ctx context.Context, d edge.DeadLetter) error {
	for {
		err := s.o.Ledger.PutDead(ctx, d)
		if err == nil {
			s.mu.Lock()
			s.status.Dead++
			s.mu.Unlock()
			s.o.Logger.Warn("an event is a dead letter", "sink", d.Sink, "seq", d.Seq, "index", d.Index, "reason", d.Reason)
			return nil
		}
		s.notice(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(ledgerPause):
		}
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
func (s *session) forget(ctx context.Context) error {
	s.mu.Lock()
	after := s.mark.Forgets
	s.mu.Unlock()
	var all []edge.Forgetting
	all, s.moved = s.o.Persons.Forgettings(after)
	for _, f := range all {
		if len(s.o.Spec.Sites) == 0 || slices.Contains(s.o.Spec.Sites, f.Site) {
			if err := s.sink.Forget(ctx, f); err != nil {
				return fmt.Errorf("forget a person: %w", err)
			}
		}
		s.mu.Lock()
		s.mark.Forgets = f.Number
		s.mu.Unlock()
		if err := s.putMark(ctx, true); err != nil {
			return err
		}
	}
	return nil
}

// replay writes what was gathered, and then a dead letter's event. The error is
// the session's; the letter's own goes to who asked.
func (s *session) replay(ctx context.Context, r replay) error {
	if _, err := s.write(ctx, false); err != nil {
		r.done <- err
		return err
	}
	d := &r.letter
	e := Event{Seq: d.Seq, Index: d.Index, Received: d.Received, StoredEvent: d.Stored()}
	if s.withheld(&e, s.o.Now()) != "" {
		r.done <- ErrWithheld
		return nil
	}
	receipt, err := s.interruptible(ctx, func(ctx context.Context) (Receipt, error) {
		return s.sink.Write(ctx, Batch{Events: []Event{e}, End: s.given, Now: true})
	})
	switch {
	case errors.Is(err, errMoved):
		r.done <- err
		return s.forget(ctx)
	case err != nil:
		r.done <- err
		return err
	case len(receipt.Refused) > 0:
		again := receipt.Refused[0]
		d.Reason, d.Detail, d.Tries, d.Last = again.Reason, again.Detail, d.Tries+again.Tries, s.o.Now().UTC()
		r.done <- errors.Join(ErrRefused, s.o.Ledger.PutDead(ctx, *d))
		return nil
	}
	s.count(1, nil)
	r.done <- nil
	return nil
}
