// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// bury makes dead letters of what was refused and of what cannot be read. Until
// it is kept the mark does not move.
func (s *session) bury(ctx context.Context, events []Event, refused []Refusal) error {
	now := s.o.Now().UTC()
	var letters []edge.DeadLetter
	for _, r := range refused {
		e := r.Parked
		if e == nil {
			e = &events[r.Event]
		}
		if !s.o.Persons.Forgotten(edge.Person{Site: e.Site, Key: e.Visitor}, e.Seq) {
			letters = append(letters, s.letter(e, r, now))
		}
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
		return s.sink.Write(ctx, Batch{Events: []Event{e}, End: s.given, Now: true, Replay: true})
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
