// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A Day is a calendar day in a site's time zone, counted from 1 January 1970. It
// is not negative.
type Day int32

// dayOf returns the day on which a moment falls in a zone, whatever the clocks
// there were put forward or back.
func dayOf(t time.Time, zone *time.Location) Day {
	_, ahead := t.In(zone).Zone()
	return max(0, Day((t.Unix()+int64(ahead))/(24*60*60)))
}

const (
	// daySlack is how many days ahead of our clock a counter may be, for a clock
	// that was wrong or two nodes that do not pass midnight together: what was
	// counted on those days waits for them. Beyond it the counter begins anew, or it
	// might wait for ever.
	daySlack = 7
	// maxCountDays bounds the days of a counter: the longest window and the slack.
	maxCountDays = MaxWindowDays + daySlack
)

// An EventCount is how often an event happened, by day.
type EventCount struct {
	Event string
	// From is the first of the days of which every event was counted. It is 0 for
	// a counter that began with its state: before that there was nothing.
	From Day
	// Days are the days from From on on which the event happened, in order.
	Days []DayCount
}

// A DayCount is how often an event happened on a day, at least once.
type DayCount struct {
	Day   Day
	Count uint32
}

// within returns how often the event happened in the latest days, today included.
// It is not known while the counter is younger than that.
func (c *EventCount) within(days int, today Day) (n uint64, known bool) {
	first := today - Day(days) + 1
	if first < c.From || c.jumped(today) {
		return 0, false
	}
	for _, d := range c.Days {
		if d.Day >= first && d.Day <= today {
			n += uint64(d.Count)
		}
	}
	return n, true
}

// jumped reports whether the counter was written by a clock far ahead of ours:
// one of them is wrong, so nothing is known.
func (c *EventCount) jumped(today Day) bool {
	last := c.From
	if n := len(c.Days); n > 0 {
		last = c.Days[n-1].Day
	}
	return last > today+daySlack
}

// add counts an event of a day and reports whether the day is one of those that
// are counted.
func (c *EventCount) add(day Day) bool {
	if day < c.From {
		return false
	}
	i, found := slices.BinarySearchFunc(c.Days, day, func(d DayCount, day Day) int { return cmp.Compare(d.Day, day) })
	switch {
	case !found:
		c.Days = slices.Insert(c.Days, i, DayCount{day, 1})
	case c.Days[i].Count < math.MaxUint32:
		c.Days[i].Count++
	}
	if n := len(c.Days) - maxCountDays; n > 0 {
		c.forget(c.Days[n].Day)
	}
	return true
}

// forget drops the days before first. What was dropped is not known any more.
func (c *EventCount) forget(first Day) {
	n := 0
	for n < len(c.Days) && c.Days[n].Day < first {
		n++
	}
	if n > 0 {
		c.From = c.Days[n-1].Day + 1
		c.Days = slices.Delete(c.Days, 0, n)
	}
}

// A counting is what the rules of a release count. It is immutable.
type counting struct {
	events  []EventWindow   // each event with its longest window, by name
	windows []countedWindow // by key
}

type countedWindow struct {
	EventWindow
	key string
}

// newCounting checks what rules count.
func newCounting(windows []EventWindow) (*counting, error) {
	if n := len(windows); n > MaxEventWindows {
		return nil, fmt.Errorf("counts: %d pairs of an event and a window, at most %d", n, MaxEventWindows)
	}
	c := &counting{}
	for _, w := range windows {
		if !validEventName(w.Event) {
			return nil, fmt.Errorf("counts: %q is no name of an event", w.Event)
		}
		if w.Days < 1 || w.Days > MaxWindowDays {
			return nil, fmt.Errorf("counts: %s: %d days, want 1 to %d", w.Event, w.Days, MaxWindowDays)
		}
		c.windows = append(c.windows, countedWindow{w, w.Key()})
		if i := slices.IndexFunc(c.events, func(e EventWindow) bool { return e.Event == w.Event }); i >= 0 {
			c.events[i].Days = max(c.events[i].Days, w.Days)
		} else {
			c.events = append(c.events, w)
		}
	}
	slices.SortFunc(c.windows, func(a, b countedWindow) int { return cmp.Compare(a.key, b.key) })
	c.windows = slices.CompactFunc(c.windows, func(a, b countedWindow) bool { return a.key == b.key })
	slices.SortFunc(c.events, func(a, b EventWindow) int { return cmp.Compare(a.Event, b.Event) })
	return c, nil
}

// longest returns how many days of an event must be kept, 0 where it is not
// counted. Without a counting, for the rules are not loaded, what there is stays.
func (c *counting) longest(event string) int {
	if c == nil {
		return MaxWindowDays
	}
	for i := range c.events {
		if c.events[i].Event == event {
			return c.events[i].Days
		}
	}
	return 0
}

// A countClock is a site's time, by which its events are counted.
type countClock struct {
	zone  *time.Location
	key   uint32 // of the zone's name
	today Day
}

// countClock is the clock of the release's site at a moment.
func (r *Release) countClock(now time.Time) countClock {
	return countClock{r.zone, r.zoneKey, dayOf(now, r.zone)}
}

// counter returns the counter of an event, nil without one.
func (h *History) counter(event string) *EventCount {
	for i := range h.Counters {
		if h.Counters[i].Event == event {
			return &h.Counters[i]
		}
	}
	return nil
}

// keepCounters drops the counters of events that the release does not count and
// begins those that it does. Those of a state that begins with them know all that
// ever was; others know the next day first, since of this one, by whichever clock
// was ahead, they missed a part. It reports whether a counter began: dropping one
// can wait for the next write. Last is when the history went on last.
func (h *History) keepCounters(c *counting, clock countClock, last time.Time, isNew bool) (began bool) {
	if h.CountZone != clock.key {
		h.Counters, h.CountZone = nil, clock.key // its days were other days
	}
	h.Counters = slices.DeleteFunc(h.Counters, func(e EventCount) bool {
		return c.longest(e.Event) == 0 || e.jumped(clock.today)
	})
	for i := range h.Counters {
		h.Counters[i].forget(clock.today - Day(c.longest(h.Counters[i].Event)) + 1)
	}
	if c == nil {
		return false
	}
	for _, e := range c.events {
		if h.counter(e.Event) != nil {
			continue
		}
		fresh := EventCount{Event: e.Event, From: max(clock.today, dayOf(last, clock.zone)) + 1}
		if isNew {
			fresh.From = 0
		}
		h.Counters, began = append(h.Counters, fresh), true
	}
	if began {
		slices.SortFunc(h.Counters, func(a, b EventCount) int { return cmp.Compare(a.Event, b.Event) })
	}
	return began
}

// fillCounts says what is known of the windows that the release's rules use. A
// window is missing while its counter is younger, and where untold, which are the
// events of this beacon that the state may not learn of, would be in it: a refusal
// must not make a smaller number true.
func (r *Release) fillCounts(v *Visit, untold []BeaconEvent) {
	v.Counts = v.Counts[:0]
	if v.State == nil || r.counting == nil || len(r.counting.windows) == 0 {
		return
	}
	clock := r.countClock(v.Now)
	if v.State.CountZone != clock.key {
		return
	}
	for i := range r.counting.windows {
		w := &r.counting.windows[i]
		c := v.State.counter(w.Event)
		if c == nil || slices.ContainsFunc(untold, func(e BeaconEvent) bool { return e.Name == w.Event }) {
			continue
		}
		if n, known := c.within(w.Days, clock.today); known {
			v.Counts = append(v.Counts, Entry{Key: w.key, Value: float64(n), Purpose: consent.Personalise})
		}
	}
}
