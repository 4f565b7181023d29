// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A history is the plain reference: everything that a browser's events ever were,
// by id, with the day each was counted on.
type history map[string]struct {
	name string
	day  Day
}

func (h history) with(events []BeaconEvent, sent int64, now time.Time, zone *time.Location) history {
	all := maps.Clone(h)
	for _, ev := range events {
		if _, known := all[ev.ID]; !known {
			all[ev.ID] = struct {
				name string
				day  Day
			}{ev.Name, dayOf(now.Add(-time.Duration(sent-ev.AtMillis)*time.Millisecond), zone)}
		}
	}
	return all
}

func (h history) count(w EventWindow, today Day) (n float64) {
	for _, e := range h {
		if e.name == w.Event && e.day <= today && e.day > today-Day(w.Days) {
			n++
		}
	}
	return n
}

// Whatever happens to a browser, the state fits, and a number that it tells is
// the number of a reference that keeps everything. It may be that a number is not
// known; most are.
func TestRandomHistoriesFitAndTellNoWrongNumber(t *testing.T) {
	known, missing, largest := 0, 0, 0
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := walk{t: t, seed: seed, random: random, browser: newBrowser(t, "Europe/Berlin"), done: history{}}
		w.zone, _ = time.LoadLocation("Europe/Berlin")
		w.newWindows()
		for range 150 {
			w.step()
		}
		known, missing, largest = known+w.known, missing+w.missing, max(largest, w.largest)
	}
	t.Logf("%d numbers known, %d not; the largest state has %d characters", known, missing, largest)
	if known < missing/2 || missing == 0 || largest < MaxStateBytes*9/10 {
		t.Errorf("%d numbers known, %d not, the largest state %d characters: the test proves little", known, missing, largest)
	}
}

// A walk is one random history.
type walk struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	browser *browser
	zone    *time.Location
	windows []EventWindow
	done    history
	visitor string
	again   []BeaconEvent // whose answer was lost

	furthest time.Time

	known, missing, largest int
}

// names are short and as long as they may be.
func (w *walk) name() string {
	names := [...]string{"search", "view_item", "purchase", "add_to_cart", "click", "x"}
	n := w.random.IntN(12)
	if n < len(names) {
		return names[n]
	}
	return fmt.Sprint("long_", n, strings.Repeat("_", MaxNameBytes-7))
}

func (w *walk) newWindows() {
	w.windows = nil
	for range w.random.IntN(MaxEventWindows + 1) {
		w.windows = append(w.windows, EventWindow{w.name(), [...]int{1, 2, 7, 30, MaxWindowDays}[w.random.IntN(5)]})
	}
	counting, err := newCounting(w.windows)
	if err != nil {
		w.t.Fatal(err)
	}
	release, _ := w.browser.engine.Release("shop")
	release.counting = counting
}

// pass lets time pass: mostly a while, now and then days, or backwards, though
// never by more than a counter waits for.
func (w *walk) pass() {
	b, hours := w.browser, time.Duration(w.random.IntN(24))*time.Hour
	switch n := w.random.IntN(40); {
	case len(w.again) > 0:
		b.now = b.now.Add(time.Minute)
	case n == 0:
		b.now = later(b.now.Add(-3*hours), w.furthest.Add(-(daySlack-2)*24*time.Hour))
	case n == 1:
		b.now = b.now.Add(60 * hours)
	case n < 30:
		b.now = b.now.Add(hours)
	}
	w.furthest = later(w.furthest, b.now)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *walk) beacon() []BeaconEvent {
	events := w.again
	for range w.random.IntN(4) {
		ev := w.browser.event(w.name(), 0)
		if w.random.IntN(8) == 0 {
			ev.AtMillis -= w.random.Int64N(MaxEventAge.Milliseconds())
		}
		if hasItems(ev.Name) {
			item := strings.Repeat("i", 1+w.random.IntN(maxStateItem))
			ev.Props = fmt.Appendf(nil, `{"items":[{"item_id":%q,"item_category":"category-%d","price":%d}]}`, item, w.random.IntN(50), w.random.IntN(1e6))
		}
		events = append(events, ev)
	}
	return events[max(0, len(events)-MaxEvents):]
}

func (w *walk) step() {
	w.pass()
	if w.random.IntN(40) == 0 {
		w.newWindows()
	}
	b, events := w.browser, w.beacon()
	counts, state := b.send(events...)
	w.checkState(state)
	now := w.done.with(events, b.now.UnixMilli(), b.now, w.zone)
	w.checkCounts(counts, now)
	if w.again = nil; w.random.IntN(6) == 0 {
		w.again = events // the answer is lost: the browser keeps its state and sends all of it again
		return
	}
	w.done, b.state = now, state
}

// checkState checks that a state fits. Where it is another visitor's, for the one
// before was too old, history begins anew.
func (w *walk) checkState(state string) {
	w.t.Helper()
	w.largest = max(w.largest, len(state))
	s, err := w.browser.engine.sealer.OpenState("shop", state)
	if err != nil || len(state) > MaxStateBytes {
		w.t.Fatalf("seed %d: %d characters, %v", w.seed, len(state), err)
	}
	if id := s.VisitorID(); id != w.visitor {
		w.visitor, w.done = id, history{}
	}
}

func (w *walk) checkCounts(counts string, all history) {
	w.t.Helper()
	var got map[string]float64
	if err := json.Unmarshal([]byte(counts), &got); err != nil {
		w.t.Fatal(err)
	}
	for _, window := range w.windows {
		n, ok := got[window.Key()]
		if !ok {
			w.missing++
			continue
		}
		w.known++
		if want := all.count(window, dayOf(w.browser.now, w.zone)); n != want {
			w.t.Fatalf("seed %d, %s: %s is %v, want %v", w.seed, w.browser.now, window.Key(), n, want)
		}
	}
}
