// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	// maxDoubted is how often a receiver may fail at an event, each time after it has
	// taken another: then it is the event.
	maxDoubted = 8
	// maxFailing is how long a receiver may fail at an event without a word on
	// others: there may be none. A day is what senders of webhooks give a receiver.
	maxFailing = 24 * time.Hour
	// maxMisses is how many events in a row a receiver may fail at before it is let
	// alone for a while.
	maxMisses = 3
	// maxParked is how many events may wait aside, beside those of one batch, before
	// all wait.
	maxParked = 1000
)

// A trial is an event that is sent alone.
type trial struct {
	event    int       // its place
	refusals int       // how often the receiver refused it
	tries    int       // how often it was answered at all
	since    time.Time // when the receiver failed at it first
	taken    int64     // how much it had taken by the last time
	doubted  int       // how often it failed after it had taken something else
}

// untangle sends events one by one until the receiver has each, refuses it, or has
// failed at what is left again and again: that is parked.
func (l *lane) untangle(ctx context.Context, events []int) error {
	left := make([]trial, len(events))
	for i, event := range events {
		left[i].event = event
	}
	for from, attempt := 0, 0; ; {
		still, next, failed, err := l.pass(ctx, left, from)
		if err != nil || len(still) == 0 {
			return err
		}
		if attempt++; len(still) < len(left) {
			attempt = 1
		}
		if attempt > maxTries && !l.replay && failed.failed() {
			for _, t := range still {
				l.hold(t)
			}
			return nil
		}
		left, from = still, next
		if err := l.hook.wait(ctx, attempt, failed); err != nil {
			return err
		}
	}
}

// hold parks an event, and with it what its person did next.
func (l *lane) hold(t trial) {
	l.parked = append(l.parked, t)
	if key := l.batch[t.event].Visitor; key != [16]byte{} {
		l.held[key] = true
	}
}

// parkHeld parks the events of those of whom an earlier one is parked, and returns
// the others. A replay comes behind nothing.
func (l *lane) parkHeld(events []int) []int {
	if l.replay || len(l.held) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(event int) bool {
		held := l.held[l.batch[event].Visitor]
		if held {
			l.hold(trial{event: event})
		}
		return held
	})
}

// A parking holds the events that the receiver failed at and those of their persons
// that come behind, in the log's order. Others overtake them, so that it shows
// whether it is the event or the receiver.
type parking struct {
	parked []parkedEvent
	buried []Refusal // of parked events, not told yet
	turn   int       // which is tried next
	tried  int       // how often in a row without any success
	due    time.Time // not before
}

type parkedEvent struct {
	Event
	trial
}

// persons are those of whom an event is parked.
func (p *parking) persons() map[[16]byte]bool {
	all := map[[16]byte]bool{}
	for i := range p.parked {
		if key := p.parked[i].Visitor; key != [16]byte{} {
			all[key] = true
		}
	}
	return all
}

// park adds a batch's events.
func (p *parking) park(batch []Event, trials []trial) {
	for _, t := range trials {
		e := batch[t.event]
		e.JSON = slices.Clone(e.JSON)
		e.Site, e.ID, e.Name, e.Transaction = strings.Clone(e.Site), strings.Clone(e.ID), strings.Clone(e.Name), strings.Clone(e.Transaction)
		p.parked = append(p.parked, parkedEvent{e, t})
	}
	if len(trials) > 0 {
		slices.SortStableFunc(p.parked, func(a, b parkedEvent) int {
			return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Index, b.Index))
		})
		p.turn = 0
	}
}

// retryParked tries what is parked, if it is time, and until there is room.
func (h *hook) retryParked(ctx context.Context) error {
	for len(h.parked) > 0 && (!time.Now().Before(h.due) || len(h.parked) > maxParked) {
		if pause := time.Until(h.due); pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l := lane{hook: h}
		left := make([]trial, len(h.parked))
		for i := range h.parked {
			l.batch = append(l.batch, h.parked[i].Event)
			left[i] = h.parked[i].trial
			left[i].event = i
		}
		still, next, failed, err := l.pass(ctx, left, h.turn%len(left))
		if err != nil {
			return err
		}
		for _, r := range l.refused {
			r.Parked = &l.batch[r.Event]
			h.buried = append(h.buried, r)
		}
		if h.tried++; len(still) < len(left) {
			h.tried = 1
		}
		h.parked, h.turn = h.parked[:0], next
		for _, t := range still {
			h.parked = append(h.parked, parkedEvent{l.batch[t.event], t})
		}
		h.due = time.Now().Add(max(h.spec.pause.before(h.tried), min(failed.after, maxRetryAfter)))
	}
	return nil
}

// pass tries events once, from one of them on and around, and returns what is left,
// where to go on, and an answer that was not good.
func (l *lane) pass(ctx context.Context, left []trial, from int) (still []trial, next int, failed answer, err error) {
	done := make([]bool, len(left))
	behind := map[[16]byte]bool{} // persons of whom an earlier event is left
	for i := range from {
		behind[l.batch[left[i].event].Visitor] = true
	}
	misses := 0
	for n := range left {
		i := (from + n) % len(left)
		if i == 0 {
			behind = map[[16]byte]bool{}
		}
		t := &left[i]
		key := l.batch[t.event].Visitor
		hasPerson := key != [16]byte{}
		if hasPerson && behind[key] {
			continue
		}
		answer, gone, err := l.try(ctx, t)
		switch {
		case err != nil:
			return nil, 0, answer, err
		case gone:
			done[i], misses = true, 0
			continue
		}
		failed, behind[key] = answer, true
		if misses++; misses == maxMisses {
			from = i + 1
			break
		}
	}
	for i := range left {
		if done[i] {
			if i < from {
				next--
			}
			continue
		}
		still = append(still, left[i])
	}
	if next += from; len(still) > 0 {
		next %= len(still)
	}
	return still, next, failed, nil
}

// try sends an event and reports whether nothing of it is left to do.
func (l *lane) try(ctx context.Context, t *trial) (a answer, done bool, err error) {
	h := l.hook
	m := h.eventMessage(l.batch, []int{t.event})
	if m == nil {
		return a, true, nil
	}
	a = h.post(ctx, m)
	if a.status != 0 {
		t.tries++
	}
	switch {
	case a.taken():
		h.took()
		return a, true, nil
	case a.status == http.StatusGone:
		return a, false, ErrStopped
	case a.refused():
		if t.refusals++; t.refusals < maxTries || h.refused.Load() >= maxRefused {
			return a, false, nil
		}
		h.refused.Add(1)
		l.refuse(t.event, Refusal{Reason: edge.DeadRefused, Detail: fmt.Sprintf("the receiver answers %d", a.status), Tries: t.refusals})
		return a, true, nil
	case a.failed() && l.isHopeless(t):
		l.refuse(t.event, Refusal{Reason: edge.DeadFailed, Detail: fmt.Sprintf("the receiver answers %d, again and again", a.status), Tries: t.tries})
		return a, true, nil
	}
	return a, false, nil
}

// isHopeless notes that the receiver failed at an event, and reports whether that is
// for the event's sake, or has gone on for too long. Of a replay the letter is there
// already, so it is told soon.
func (l *lane) isHopeless(t *trial) bool {
	now, taken := l.hook.now(), l.hook.taken.Load()
	switch {
	case t.since.IsZero():
		t.since = now
	case taken > t.taken:
		t.doubted++
	}
	t.taken = taken
	return t.doubted >= maxDoubted || now.Sub(t.since) >= maxFailing || l.replay && t.tries >= maxTries
}
