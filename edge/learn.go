// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// minCountedKeys is how many events a state knows again by key at least. It knows
// all those of the latest beacon that had any, for it is what is sent again when its
// answer was not read.
const minCountedKeys = 16

// learn has the state learn of the accepted events of a beacon, of each once. Without
// personalise that is only which capped variants were shown.
func (d *decider) learn(b *Beacon, now time.Time) {
	s, c := d.visit.State, d.live.counting
	var clock countClock
	if d.granted.Has(consent.Personalise) && (len(s.Counters) > 0 || c != nil && len(c.events) > 0) {
		clock = newCountClock(d.live.zone, now)
		d.changed = s.keepCounters(c, clock, s.Last, d.isNew) || d.changed
	}
	l := learning{d: d, beacon: b, now: now, clock: clock}
	for i := range d.events {
		l.event(&d.events[i], &d.shown[i])
	}
	for i := range d.late {
		l.event(&d.late[i], &DecisionID{})
	}
	if n := len(s.Counted) - max(l.latest, minCountedKeys); l.latest > 0 && n > 0 {
		s.Counted = slices.Delete(s.Counted, 0, n)
	}
}

// A learning is a state's learning of one beacon.
type learning struct {
	d      *decider
	beacon *Beacon
	now    time.Time
	clock  countClock
	latest int // of the keys in Counted those of this beacon
}

// event has the state learn of an event, of whose decision shown tells.
func (l *learning) event(ev *BeaconEvent, shown *DecisionID) {
	d, s := l.d, l.d.visit.State
	isPersonal := d.granted.Has(consent.Personalise)
	counter := s.counter(ev.Name)
	isShown := ev.Name == "slot_impression" && shown.Variant != "" && wasShown(ev)
	if counter == nil && !isShown && !(isPersonal && learns(ev.Name)) {
		return
	}
	key := keyOf(ev)
	if at := slices.Index(s.Counted, key); at >= 0 {
		s.Counted = append(slices.Delete(s.Counted, at, at+1), key)
		l.latest++
		return
	}
	at := eventTime(l.beacon, ev, l.now)
	isNews := counter != nil && counter.add(dayOf(at, l.clock.zone))
	if isNews {
		counter.forget(l.clock.today - Day(d.live.counting.longest(ev.Name)) + 1) // it may have come very late
	}
	isNews = isShown && d.learnShown(shown, minuteOf(at)) || isNews
	if isPersonal && d.live.answers {
		d.live.attributes(&told{BeaconEvent: ev, at: at, granted: d.granted}, func(a Attribute) { s.tell(a) })
		s.limitAttributes(MaxStateAttributes, maxStateAttrBytes)
	}
	isNews = isPersonal && s.learn(ev, minuteOf(at)) || isNews
	if isNews {
		d.changed = true
		s.Counted = append(s.Counted, key)
		l.latest++
	}
}

// keyOf returns what an event is known again by: its id or, as in the log, the
// transaction of a purchase or refund.
func keyOf(ev *BeaconEvent) uint32 {
	if txn := transaction(ev); txn != "" {
		return eventKey(ev.Name) ^ eventKey(txn)
	}
	return eventKey(ev.ID)
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
	eachItem(ev, func(item ItemEvent) { changed = h.add(ev.Name, at, item) || changed })
	return changed
}

// eachItem calls fn with each item of an event; its texts are views of the event.
func eachItem(ev *BeaconEvent, fn func(ItemEvent)) {
	members(ev.Props, func(key, value []byte) bool {
		if string(key) != "items" {
			return true
		}
		elements(value, func(item []byte) bool {
			fn(parseItem(item))
			return true
		})
		return false
	})
}

// parseItem reads one of GA4's items.
func parseItem(item []byte) ItemEvent {
	e := ItemEvent{Quantity: 1}
	members(item, func(key, value []byte) bool {
		switch string(key) {
		case "item_id":
			if e.Item = parseValue(TypeString, value).Str; e.Item == "" && isPlainNumber(value) {
				e.Item = textOf(value)
			}
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

// wasShown reports whether a slot_impression is of the variant that was decided.
func wasShown(ev *BeaconEvent) bool {
	shown, ok := stringMember(ev.Props, "shown")
	return !ok || shown == "variant"
}
