// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// A hook sends events to a receiver as webhooks of the Standard Webhooks
// specification (https://www.standardwebhooks.com). A batch is dealt out to lanes
// by person; each lane sends one message after the other, so a person's events
// arrive in their order. The answer decides:
//
//	2xx                 the receiver has it
//	400, 413, 415, 422  it will never take it: a message of several events is
//	                    halved, a single event is tried maxTries times
//	410                 the receiver wants no more: the sink stops
//	any other           it is tried again, ever more slowly; a single event is given
//	                    up when the receiver takes others and not this one
//	none                it is tried again, ever more slowly
type hook struct {
	spec   *Spec
	client *http.Client
	notice func(error)
	now    func() time.Time // the machine's
	steady func() time.Time // by which events expire

	forgotten func(edge.Person, uint64) bool

	refused atomic.Int64 // events refused since one was taken
	taken   atomic.Int64 // messages
	parking
}

// A pause is how long to wait before an attempt: from min, doubling to max, with
// up to half of it left to chance so that receivers do not meet a herd.
type pause struct{ min, max time.Duration }

func (p pause) before(attempt int) time.Duration {
	d := p.max
	if shift := attempt - 1; shift < 20 && p.min<<shift < p.max {
		d = p.min << shift
	}
	return d/2 + rand.N(d/2+1)
}

const (
	// maxTries is how often a single event is sent to a receiver that refuses it.
	maxTries = 3
	// maxRefused is how many events in a row a receiver may refuse. One that takes
	// nothing at all is out of order, and its events wait.
	maxRefused = 100
	// maxRetryAfter bounds what a receiver may ask us to wait.
	maxRetryAfter = time.Hour
)

// Types of messages.
const (
	typeEvents  = "events.stored"
	typeDeleted = "person.deleted"
)

// openHook makes a hook; it calls nobody.
func openHook(_ context.Context, s *Spec, c Circumstances) (Sink, error) {
	client, err := newClient(s)
	if err != nil {
		return nil, err
	}
	return &hook{spec: s, client: client, notice: c.Notice, now: time.Now, steady: c.Now, forgotten: c.Forgotten}, nil
}

// Close implements Sink.
func (h *hook) Close() error {
	h.client.CloseIdleConnections()
	return nil
}

// Write implements Sink. It returns when the receiver has every event of the batch
// that it neither refuses nor fails at; those are parked, and tried again by later
// calls.
func (h *hook) Write(ctx context.Context, b Batch) (Receipt, error) {
	if !b.Replay {
		if err := h.retryParked(ctx); err != nil {
			return Receipt{}, err
		}
	}
	lanes := make([]lane, h.spec.Concurrency)
	for i := range lanes {
		lanes[i] = lane{hook: h, batch: b.Events, replay: b.Replay, held: h.persons()}
	}
	todo := make([][]int, len(lanes))
	for i := range b.Events {
		n := laneOf(&b.Events[i], len(lanes))
		todo[n] = append(todo[n], i)
	}
	bound, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range lanes {
		wg.Go(func() {
			if err := lanes[i].send(bound, todo[i]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := cmp.Or(ctx.Err(), context.Cause(bound)); err != nil {
		return Receipt{}, err // what was parked meanwhile comes again
	}
	out := Receipt{Durable: b.End}
	if !b.Replay {
		out.Refused, h.buried = h.buried, nil
	}
	for i := range lanes {
		out.Refused = append(out.Refused, lanes[i].refused...)
		h.park(b.Events, lanes[i].parked)
	}
	if len(h.parked) > 0 {
		out.Durable = h.parked[0].Seq - 1
	}
	for _, r := range h.buried { // a replay tells nothing of them
		out.Durable = min(out.Durable, r.Parked.Seq-1)
	}
	return out, nil
}

// laneOf returns an event's lane. The events of nobody have no order to keep.
func laneOf(e *Event, lanes int) int {
	key := e.Visitor
	if edge.PersonKey(key) == (edge.PersonKey{}) {
		return (e.Index + int(e.Seq%1024)) % lanes
	}
	return int(key[0]) % lanes // a key is a hash
}

// A lane sends some of a batch's events, in order.
type lane struct {
	hook    *hook
	batch   []Event
	replay  bool              // somebody waits for it
	parking bool              // its events are parked ones
	full    bool              // more is parked than may be
	held    map[[16]byte]bool // persons of whom an event is parked
	parked  []trial
	refused []Refusal
}

// send sends events in as few messages as the bounds allow.
func (l *lane) send(ctx context.Context, events []int) error {
	spec := l.hook.spec
	for {
		if events = l.parkHeld(events); len(events) == 0 {
			return nil
		}
		n, size := 0, 0
		for n < len(events) && n < spec.MaxEvents {
			size += lineBytes(&l.batch[events[n]])
			if size > spec.MaxBytes-messageExtra && n > 0 {
				break
			}
			n++
		}
		if l.tooLarge(events[0]) {
			n = 1
		} else if err := l.deliver(ctx, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
}

// tooLarge refuses an event that no message holds.
func (l *lane) tooLarge(event int) bool {
	most := l.hook.spec.MaxBytes
	if lineBytes(&l.batch[event]) <= most-messageExtra {
		return false
	}
	l.refuse(event, Refusal{Reason: edge.DeadTooLarge, Detail: fmt.Sprintf("more than %d bytes", most), Tries: 1})
	return true
}

// lineBytes is at most what an event takes in a message.
func lineBytes(e *Event) int { return len(e.JSON) + lineExtra }

func (l *lane) refuse(event int, r Refusal) {
	r.Event = event
	l.refused = append(l.refused, r)
}

const (
	lineExtra    = 160 // at most, what appendLine adds, and a comma
	messageExtra = 128 // at most, what is around the events
)

// deliver sends one message until the receiver has it, or its events one by one
// are given up.
func (l *lane) deliver(ctx context.Context, events []int) error {
	switch len(events) {
	case 0:
		return nil
	case 1:
		return l.untangle(ctx, events)
	}
	h := l.hook
	failures := 0
	for attempt := 1; ; attempt++ {
		m := h.eventMessage(l.batch, events)
		if m == nil {
			return nil
		}
		answer := h.post(ctx, m)
		switch {
		case answer.taken():
			h.took()
			return nil
		case answer.status == http.StatusGone:
			return ErrStopped
		case answer.refused():
			half := len(events) / 2
			if err := l.deliver(ctx, events[:half]); err != nil {
				return err
			}
			return l.deliver(ctx, l.parkHeld(events[half:]))
		case answer.failed():
			if failures++; failures == maxTries { // one of them may be what it fails of
				return l.untangle(ctx, events)
			}
		}
		if err := h.wait(ctx, attempt, answer); err != nil {
			return err
		}
	}
}

// took notes that the receiver has a message.
func (h *hook) took() {
	h.refused.Store(0)
	h.taken.Add(1)
	h.notice(nil)
}

// wait tells that a message was not taken, and waits before the next attempt.
func (h *hook) wait(ctx context.Context, attempt int, a answer) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.notice(a.problem())
	timer := time.NewTimer(max(h.spec.pause.before(attempt), min(a.after, maxRetryAfter)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Forget implements Sink: it tells the receiver, until that has heard.
func (h *hook) Forget(ctx context.Context, f edge.Forgetting) error {
	gone := func(e *Event) bool { return e.Site == f.Site && e.Visitor == f.Key && e.Seq <= f.Before }
	h.parked = slices.DeleteFunc(h.parked, func(p parkedEvent) bool { return gone(&p.Event) })
	h.buried = slices.DeleteFunc(h.buried, func(r Refusal) bool { return gone(r.Parked) })
	m, err := h.deletionMessage(f)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		answer := h.post(ctx, m)
		switch {
		case answer.taken():
			h.notice(nil)
			return nil
		case answer.status == http.StatusGone:
			return ErrStopped
		}
		if err := h.wait(ctx, attempt, answer); err != nil {
			return err
		}
	}
}

func (h *hook) deletionMessage(f edge.Forgetting) (*message, error) {
	body, err := json.Marshal(map[string]any{
		"type": typeDeleted, "timestamp": f.At.UTC().Format(time.RFC3339Nano),
		"data": map[string]any{"site": f.Site, "person": f.Key, "before": f.Before},
	})
	return &message{id: messageID(h.spec.Name, fmt.Sprint("forget ", f.Number)), body: body}, err
}

// A message is what is sent at once. Its id is the same at each attempt.
type message struct {
	id   string
	body []byte
}

// eventMessage makes a message of those events that have not expired while they
// waited, and whose person has not been forgotten; nil of none.
func (h *hook) eventMessage(batch []Event, events []int) *message {
	now := h.steady()
	hash := sha256.New()
	fmt.Fprintf(hash, "%s", h.spec.Name)
	body := fmt.Appendf(nil, `{"type":"%s","timestamp":"%s","data":{"events":[`, typeEvents, batch[events[0]].Received.UTC().Format(time.RFC3339Nano))
	n := 0
	for _, i := range events {
		e := &batch[i]
		if !e.Expires.IsZero() && !now.Before(e.Expires) || h.forgotten(edge.Person{Site: e.Site, Key: e.Visitor}, e.Seq) {
			continue
		}
		if n > 0 {
			body = append(body, ',')
		}
		body = appendLine(body, e)
		fmt.Fprintf(hash, "\n%d %d", e.Seq, e.Index)
		n++
	}
	if n == 0 {
		return nil
	}
	return &message{id: messageIDOf(hash.Sum(nil)), body: append(body, "]}}"...)}
}

func messageID(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%s\n", part)
	}
	return messageIDOf(hash.Sum(nil))
}

func messageIDOf(sum []byte) string { return "msg_" + hex.EncodeToString(sum[:16]) }
