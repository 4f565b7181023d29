// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"
)

// minCountedKeys is how many events a state knows again by key at least. It knows
// all those of the latest beacon, for it is what is sent again when its answer was
// not read.
const minCountedKeys = 8

// learn has the state learn of the accepted events of a beacon, of each once.
func (d *decider) learn(b *Beacon, now time.Time) {
	s, c := d.visit.State, d.live.counting
	var clock countClock
	if len(s.Counters) > 0 || c != nil && len(c.events) > 0 {
		clock = newCountClock(d.live.zone, now)
		d.changed = s.keepCounters(c, clock, d.isNew) || d.changed
	}
	latest := 0
	for i := range d.events {
		ev := &d.events[i]
		counter := s.counter(ev.Name)
		if counter == nil && !learns(ev.Name) {
			continue
		}
		key := eventKey(ev.ID)
		if at := slices.Index(s.Counted, key); at >= 0 {
			s.Counted = append(slices.Delete(s.Counted, at, at+1), key)
			latest++
			continue
		}
		at := eventTime(b, ev, now)
		isNews := counter != nil && counter.add(dayOf(at, clock.zone))
		if isNews {
			counter.forget(clock.today - Day(c.longest(ev.Name)) + 1) // it may have come very late
		}
		if s.learn(ev, minuteOf(at)) || isNews {
			d.changed = true
			s.Counted = append(s.Counted, key)
			latest++
		}
	}
	if n := len(s.Counted) - max(latest, minCountedKeys); n > 0 {
		s.Counted = slices.Delete(s.Counted, 0, n)
	}
}

// learn adds an event to the history and reports whether that changed.
func (h *History) learn(ev *BeaconEvent, at Minute) bool {
	if !learns(ev.Name) {
		return false
	}
	changed := h.note(ev.Name, at)
	if !hasItems(ev.Name) {
		return changed
	}
	members(ev.Props, func(key, value []byte) bool {
		if string(key) != "items" {
			return true
		}
		elements(value, func(item []byte) bool {
			changed = h.add(ev.Name, at, parseItem(item)) || changed
			return true
		})
		return false
	})
	return changed
}

// parseItem reads one of GA4's items.
func parseItem(item []byte) ItemEvent {
	e := ItemEvent{Quantity: 1}
	members(item, func(key, value []byte) bool {
		switch string(key) {
		case "item_id":
			e.Item = parseValue(TypeString, value).Str
		case "item_category":
			e.Category = parseValue(TypeString, value).Str
		case "price":
			e.Price = parseValue(TypeFloat, value).Float
		case "quantity":
			e.Quantity = uint8(max(1, min(parseValue(TypeInt, value).Int, 255)))
		}
		return true
	})
	return e
}
