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
	// taken another: then it is the event. It has leastPauses of the longest pauses for
	// it, though: half an hour.
	maxDoubted  = 8
	leastPauses = 6
	// maxFailing is how long a receiver may fail at an event without a word on
	// others: there may be none. A day is what senders of webhooks give a receiver.
	maxFailing = 24 * time.Hour
	// maxMisses is how many events in a row a receiver may fail at before it is let
	// alone for a while.
	maxMisses = 3
	// maxParked and maxParkedBytes are how much should wait aside, and maxBehind how
	// much of it behind one event. Above, one doubt is enough. At stalled times as much,
	// beside what one batch adds, all wait: then it is the receiver.
	maxParked      = 1000
	maxParkedBytes = 8 << 20
	maxBehind      = 100
	stalled        = 4
)

// A trial is an event that is sent alone.
type trial struct {
	event    int       // its place
	refusals int       // how often the receiver refused it
	attempts int       // how often it was sent
	tries    int       // how often that was answered
	behind   int       // how many events of its person wait behind it
	since    time.Time // when it was not taken first
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
		if l.replay {
			failed.after = 0 // somebody waits
		}
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
		if held && !l.tooLarge(event) {
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
	}
}

// isOver reports whether so many times more waits aside than should.
func (p *parking) isOver(times int) bool {
	bytes := 0
	for i := range p.parked {
		bytes += lineBytes(&p.parked[i].Event)
	}
	return len(p.parked) > times*maxParked || bytes > times*maxParkedBytes
}

// retryParked tries what is parked, if it is time, and while it is too much.
func (h *hook) retryParked(ctx context.Context) error {
	for len(h.parked) > 0 && (!time.Now().Before(h.due) || h.isOver(stalled)) {
		select {
		case <-time.After(time.Until(h.due)):
		case <-ctx.Done():
			return ctx.Err()
		}
		l := lane{hook: h, parking: true, full: h.isOver(1)}
		left := make([]trial, len(h.parked))
		first := map[[16]byte]int{}
		for i := range h.parked {
			l.batch = append(l.batch, h.parked[i].Event)
			left[i] = h.parked[i].trial
			left[i].event, left[i].behind = i, 0
			if key := h.parked[i].Visitor; key != [16]byte{} {
				if at, known := first[key]; known {
					left[at].behind++
				} else {
					first[key] = i
				}
			}
		}
		still, next, failed, err := l.pass(ctx, left, h.turn%len(left))
		if err != nil {
			return err
		}
		for _, r := range l.refused {
			r.Parked = &l.batch[r.Event]
			h.buried = append(h.buried, r)
		}
		progress := len(still) < len(left)
		if h.tried++; progress {
			h.tried = 1
		}
		was := h.parked
		h.parked, h.turn = h.parked[:0], next
		for _, t := range still {
			h.parked = append(h.parked, parkedEvent{l.batch[t.event], t})
		}
		clear(was[len(h.parked):])
		if h.isOver(stalled) {
			h.notice(failed.problem())
		}
		h.due = time.Now()
		if after := min(failed.after, maxRetryAfter); !progress || after > 0 {
			h.due = h.due.Add(max(h.spec.pause.before(h.tried), after))
		}
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
		if key != [16]byte{} && behind[key] {
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
		if misses++; misses == maxMisses || l.parking && answer.status == 0 { // the batch waits meanwhile
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
	if ctx.Err() != nil {
		return a, false, ctx.Err()
	}
	if t.attempts++; a.status != 0 {
		t.tries++
	}
	switch {
	case a.taken():
		h.took()
		return a, true, nil
	case a.status == http.StatusGone:
		return a, false, ErrStopped
	case a.refused():
		if t.refusals++; t.refusals >= maxTries && h.refused.Load() < maxRefused {
			h.refused.Add(1)
			l.refuse(t.event, Refusal{Reason: edge.DeadRefused, Detail: fmt.Sprintf("the receiver answers %d", a.status), Tries: t.refusals})
			return a, true, nil
		}
	}
	if l.isHopeless(t, a) {
		l.refuse(t.event, Refusal{Reason: edge.DeadFailed, Detail: fmt.Sprint("again and again: ", a.problem()), Tries: max(t.tries, 1)})
		return a, true, nil
	}
	return a, false, nil
}

// isHopeless notes that an event was not taken, and reports whether that is for the
// event's sake, or has gone on for too long. Silence says nothing of an event, unless
// it is parked: then the receiver has taken others. Of a replay the letter is there
// already, so it is told soon.
func (l *lane) isHopeless(t *trial, a answer) bool {
	if l.replay {
		return t.attempts >= maxTries
	}
	now, taken := l.hook.now(), l.hook.taken.Load()
	failed := a.failed() || l.parking && a.status == 0
	switch {
	case t.since.IsZero() && failed:
		t.since, t.taken = now, taken
	case failed && taken > t.taken:
		t.doubted++
		t.taken = taken
	}
	if t.since.IsZero() {
		return false
	}
	age := now.Sub(t.since)
	return t.doubted >= maxDoubted && age >= leastPauses*l.hook.spec.pause.max || age >= maxFailing ||
		l.parking && t.doubted > 0 && (l.full || t.behind >= maxBehind)
}
