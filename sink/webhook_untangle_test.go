// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// hook opens a sink that sends to the receiver.
func (r *receiver) hook() *hook {
	opened, err := Open(r.t.Context(), r.spec(""), Circumstances{})
	if err != nil {
		r.t.Fatal(err)
	}
	return opened.(*hook)
}

// failsAt is a receiver's answer that fails at events whose id begins with bad.
func failsAt(status int, on *atomic.Bool) func(int, received) (int, map[string]string) {
	return func(_ int, m received) (int, map[string]string) {
		for _, e := range m.Data.Events {
			if on.Load() && strings.HasPrefix(e.ID, "bad") {
				if status == http.StatusTooManyRequests {
					return status, map[string]string{"Retry-After": "3600"}
				}
				return status, nil
			}
		}
		return http.StatusOK, nil
	}
}

// An event that a receiver fails at, and takes others, is a dead letter in the end;
// what its person did next arrives, and what others did arrives meanwhile.
func TestAnEventThatTheReceiverFailsAtIsADeadLetter(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusForbidden} {
		for _, concurrency := range []int{1, 4} {
			t.Run(fmt.Sprint(status, " ", concurrency), func(t *testing.T) {
				t.Parallel()
				var fails atomic.Bool
				fails.Store(true)
				r := receive(t, failsAt(status, &fails))
				l := openLog(t, t.TempDir())
				publish(t, l, anEvent("bad-1", "bob"), anEvent("b1", "bob"), anEvent("a1", "ann"), anEvent("bad-2", "cyd"), anEvent("bad-3", "dan"), anEvent("bad-4", "eve"),
					anEvent("a2", "ann"), anEvent("b2", "bob"), anEvent("n1", ""), anEvent("bad-5", ""), anEvent("c1", "cyd"))
				p, _ := start(t, l, r.spec(fmt.Sprintf(", concurrency: %d", concurrency)))
				// Others have events now and then, which show that it is not the receiver.
				more := 0
				eventually(t, "the receiver has what it takes", func() bool {
					more++
					publish(t, l, anEvent(fmt.Sprintf("more-%03d", more), "fay"))
					time.Sleep(20 * time.Millisecond)
					return p.Status(t.Context()).Dead == 5
				})
				status := caughtUp(t, l, p)
				got := idsOf(r.events())
				if status.Dead != 5 || int(status.Written) != 6+more || len(got) != 6+more {
					t.Errorf("the receiver got %v of %d; status %+v", got, 6+more, status)
				}
				for _, order := range [][2]string{{"a1", "a2"}, {"b1", "b2"}} {
					if slices.Index(got, order[0]) > slices.Index(got, order[1]) {
						t.Errorf("%v are out of order in %v", order, got)
					}
				}
				var letter edge.DeadLetter
				if err := l.Dead(t.Context(), "", "hook", func(d edge.DeadLetter) error {
					if d.Reason != edge.DeadFailed || d.Tries <= maxDoubted {
						t.Errorf("letter %s: %s after %d tries", d.Event, d.Reason, d.Tries)
					}
					letter = d
					letter.Body = slices.Clone(d.Body)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if err := p.Replay(t.Context(), letter); err == nil {
					t.Error("a replay that fails is told to be good")
				}
				fails.Store(false)
				if err := p.Replay(t.Context(), letter); err != nil {
					t.Error(err)
				}
				if got := idsOf(r.events()); !slices.Contains(got, letter.Event) {
					t.Errorf("after the replay %v", got)
				}
			})
		}
	}
}

// A receiver that takes nothing is waited for, however long that is; and then
// everything arrives in its order.
func TestAReceiverThatFailsAtAllIsWaitedFor(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	fails.Store(true)
	r := receive(t, failsAt(http.StatusInternalServerError, &fails))
	l := openLog(t, t.TempDir())
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("bad-%02d", i))
		publish(t, l, anEvent(want[i], []string{"ann", "bob"}[i%2]))
	}
	p, _ := start(t, l, r.spec(", concurrency: 1"))
	eventually(t, "it has been tried often", func() bool { return r.asked() > 25 })
	fails.Store(false)
	if status := caughtUp(t, l, p); status.Dead != 0 {
		t.Errorf("status %+v", status)
	}
	got := idsOf(r.events())
	for _, odd := range []int{0, 1} {
		var of, to []string
		for i, id := range want {
			if i%2 == odd {
				of = append(of, id)
			}
		}
		for _, id := range got {
			if slices.Contains(of, id) {
				to = append(to, id)
			}
		}
		if !slices.Equal(of, to) {
			t.Errorf("one person's events came as %v", to)
		}
	}
}

// Where there is no other event that could show whether it is the receiver, an event
// is given up after a day.
func TestAReceiverIsGivenADay(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	fails.Store(true)
	r := receive(t, failsAt(http.StatusInternalServerError, &fails))
	var ahead atomic.Int64
	h := r.hook()
	h.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	// Its clock is only that of patience here: signatures would be out of date.
	skew := r.skew
	r.skew = func() time.Duration { return skew() + time.Duration(ahead.Load()) }
	write := func(events ...Event) Receipt {
		receipt, err := h.Write(t.Context(), Batch{Events: events, End: 1})
		if err != nil {
			t.Fatal(err)
		}
		return receipt
	}
	receipt := write(Event{Seq: 1, StoredEvent: edge.StoredEvent{ID: "bad", JSON: []byte(`{"v":1,"id":"bad"}`)}})
	for asked := r.asked(); r.asked() < asked+3*maxDoubted; receipt = write() {
		if len(receipt.Refused) > 0 || receipt.Durable != 0 {
			t.Fatalf("given up: %+v", receipt)
		}
	}
	ahead.Store(int64(maxFailing))
	eventually(t, "it is given up", func() bool { receipt = write(); return len(receipt.Refused) > 0 })
	if got := receipt.Refused[0]; got.Reason != edge.DeadFailed || got.Parked == nil || got.Parked.ID != "bad" || receipt.Durable != 1 {
		t.Errorf("receipt %+v", receipt)
	}
}

// A parked event is not sent once its person is forgotten, nor is what waits behind
// it, and nothing keeps the mark back any more.
func TestAParkedEventIsForgotten(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	fails.Store(true)
	r := receive(t, failsAt(http.StatusInternalServerError, &fails))
	h := r.hook()
	event := func(seq uint64, id, who string) Event {
		return Event{Seq: seq, StoredEvent: edge.StoredEvent{Site: "shop", ID: id, Visitor: personOf(who), JSON: []byte(`{"v":1,"id":"` + id + `"}`)}}
	}
	for i, batch := range [][]Event{{event(1, "bad-1", "ann"), event(2, "a2", "ann"), event(3, "b3", "bob")}, {event(4, "a4", "ann"), event(5, "b5", "bob")}} {
		receipt, err := h.Write(t.Context(), Batch{Events: batch, End: uint64(3 + 2*i)})
		if err != nil || receipt.Durable != 0 {
			t.Fatalf("receipt %+v, %v", receipt, err)
		}
	}
	if got := idsOf(r.events()); !slices.Equal(got, []string{"b3", "b5"}) {
		t.Errorf("before, the receiver got %v", got)
	}
	if err := h.Forget(t.Context(), edge.Forgetting{Number: 1, Person: edge.Person{Site: "shop", Key: personOf("ann")}, Before: 4}); err != nil {
		t.Fatal(err)
	}
	fails.Store(false)
	receipt, err := h.Write(t.Context(), Batch{Events: []Event{event(6, "a6", "ann")}, End: 6})
	if err != nil || receipt.Durable != 6 || len(receipt.Refused) > 0 {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	if got := idsOf(r.events()); !slices.Equal(got, []string{"b3", "b5", "a6"}) {
		t.Errorf("afterwards, the receiver has %v", got)
	}
}

// Events that do not fit into one message together are sent one after the other.
func TestNeighboursThatDoNotFitTogether(t *testing.T) {
	t.Parallel()
	r := receive(t, takeAll)
	l := openLog(t, t.TempDir())
	var want []string
	for i := range 6 {
		want = append(want, fmt.Sprint("e", i))
		publish(t, l, eventOf(edge.StoredEvent{ID: want[i], JSON: fmt.Appendf(nil, `{"v":1,"id":"e%d","props":{"a":"%s"}}`, i, strings.Repeat("x", 420))}, "ann"))
	}
	p, _ := start(t, l, r.spec(", maxBytes: 1024"))
	if status := caughtUp(t, l, p); status.Dead != 0 || !slices.Equal(idsOf(r.events()), want) {
		t.Errorf("the receiver got %v; status %+v", idsOf(r.events()), status)
	}
}

// A message of which one half is put aside goes on without that person's events.
func TestHalvesKeepThePersonsOrder(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	fails.Store(true)
	failing := failsAt(http.StatusInternalServerError, &fails)
	r := receive(t, func(n int, m received) (int, map[string]string) {
		for _, e := range m.Data.Events {
			if strings.HasPrefix(e.ID, "refuse") {
				return http.StatusBadRequest, nil
			}
		}
		return failing(n, m)
	})
	l := openLog(t, t.TempDir())
	publish(t, l, anEvent("bad-1", "ann"), anEvent("x", ""), anEvent("refuse", "cyd"), anEvent("a2", "ann"))
	p, _ := start(t, l, r.spec(", concurrency: 1"))
	eventually(t, "the others are done", func() bool { return p.Status(t.Context()).Dead == 1 && len(r.events()) > 0 })
	fails.Store(false)
	caughtUp(t, l, p)
	if got := idsOf(r.events()); !slices.Equal(got, []string{"x", "bad-1", "a2"}) {
		t.Errorf("the receiver got %v", got)
	}
}

// A replay is told of itself alone, soon, whatever the receiver does, and what is
// parked meanwhile keeps the mark back.
func TestAReplayIsToldOfItselfAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusBadRequest, 0} {
		var fails atomic.Bool
		fails.Store(true)
		r := receive(t, failsAt(status, &fails))
		h := r.hook()
		event := func(seq uint64, id string) Event {
			return Event{Seq: seq, StoredEvent: edge.StoredEvent{ID: id, JSON: []byte(`{"v":1,"id":"` + id + `"}`)}}
		}
		parked := event(7, "bad-parked")
		h.parked = append(h.parked, parkedEvent{Event: parked})
		h.buried = append(h.buried, Refusal{Parked: &parked, Reason: edge.DeadFailed})
		receipt, err := h.Write(t.Context(), Batch{Events: []Event{event(3, "bad-replayed")}, End: 9, Now: true, Replay: true})
		if err != nil || len(receipt.Refused) != 1 || receipt.Refused[0].Parked != nil || receipt.Refused[0].Event != 0 || receipt.Durable != 6 || r.asked() != maxTries {
			t.Errorf("%d: receipt %+v, %v, after %d tries", status, receipt, err, r.asked())
		}
	}
}
