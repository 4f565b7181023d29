// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	// maxDoubted is how often a receiver may fail at an event after it has taken
	// another since it failed at this one first: then it is the event.
	maxDoubted = 5
	// maxFailing is how long a receiver may fail at an event without a word on
	// others: there may be none. A day is what senders of webhooks give a receiver.
	maxFailing = 24 * time.Hour
	// maxMisses is how many events in a row a receiver may fail at before it is let
	// alone for a while.
	maxMisses = 3
)

// A trial is an event that is sent alone.
type trial struct {
	event    int
	refusals int       // how often the receiver refused it
	tries    int       // how often it was answered at all
	since    time.Time // when the receiver failed at it first
	taken    int64     // how much it had taken then
	doubted  int       // how often it failed since it took something else
}

// untangle sends events one by one until the receiver has each, or it is given up.
// One that the receiver fails at holds up its person's alone, so that it shows
// whether it is the event or the receiver.
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
		left, from = still, next
		if err := l.hook.wait(ctx, attempt, failed); err != nil {
			return err
		}
	}
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
		hasPerson := edge.PersonKey(key) != edge.PersonKey{}
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
		t.since, t.taken = now, taken
	case taken > t.taken:
		t.doubted++
	}
	return t.doubted >= maxDoubted || now.Sub(t.since) >= maxFailing || l.replay && t.tries >= maxTries
}
