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
func (e *Engine) learn(d *decider, b *Beacon, r *Request) {
	now := r.Now
	s, c := d.visit.State, d.live.counting
	var clock countClock
	if d.granted.Has(consent.Personalise) && (len(s.Counters) > 0 || c != nil && len(c.events) > 0) {
		clock = d.live.countClock(now)
		d.changed = s.keepCounters(c, clock, s.Last, d.isNew) || d.changed
	}
	l := learning{d: d, clock: clock}
	of := latelyOf{d.release.Site(), &s.Visitor}
	remembers := !s.Known.is() // a known person's profile learns besides
	if remembers && !d.isNew {
		e.catchUp(&l, of, now)
	}
	remembers = remembers && !r.Ahead // else perhaps nobody does it
	for i := range d.events {
		ev := &d.events[i]
		next := lesson{ev, keyOf(ev), eventTime(b, ev, now), d.shown[i]}
		if l.learn(&next) && remembers {
			e.lately.add(of, &next, now)
		}
	}
	for i := range d.late {
		ev := &d.late[i]
		l.learn(&lesson{ev, keyOf(ev), eventTime(b, ev, now), DecisionID{}})
	}
	if n := len(s.Counted) - max(l.latest, minCountedKeys); l.latest > 0 && n > 0 {
		s.Counted = slices.Delete(s.Counted, 0, n)
	}
}

// A learning is a state's learning of one beacon.
type learning struct {
	d      *decider
	clock  countClock
	latest int // of the keys in Counted those of this beacon
}

// A lesson is an event with the key that it is known again by, when it happened, and what
// its decision's token says.
type lesson struct {
	ev    *BeaconEvent
	key   uint32
	at    time.Time
	shown DecisionID
}

// catchUp has the state learn of what another answer to the visitor had, which the
// browser did not keep.
func (e *Engine) catchUp(l *learning, of latelyOf, now time.Time) {
	d := l.d
	e.lately.missing(&d.recall, of, d.visit.State.Counted, now)
	for i := range d.recall.events {
		m := &d.recall.events[i]
		var shown DecisionID
		if m.name == "slot_impression" {
			// It was opened before, so it can be.
			shown, d.tokens, _ = e.sealer.openDecisionID(d.tokens, of.site, tokenMember(m.props))
		}
		d.recall.event = BeaconEvent{Name: m.name, Props: m.props}
		l.learn(&lesson{&d.recall.event, m.key, m.at, shown})
	}
}

// learn has the state learn of an event and reports whether it did not know it.
func (l *learning) learn(next *lesson) (isNews bool) {
	d, s, ev, at := l.d, l.d.visit.State, next.ev, next.at
	isPersonal := d.granted.Has(consent.Personalise)
	counter := s.counter(ev.Name)
	isShown := wasShown(ev, &next.shown)
	if counter == nil && !isShown && !(isPersonal && learns(ev.Name)) {
		return false
	}
	if i := slices.Index(s.Counted, next.key); i >= 0 {
		s.Counted = append(slices.Delete(s.Counted, i, i+1), next.key)
		l.latest++
		return false
	}
	isNews = counter != nil && counter.add(dayOf(at, l.clock.zone))
	if isNews {
		counter.forget(l.clock.today - Day(d.live.counting.longest(ev.Name)) + 1) // it may have come very late
	}
	isNews = isShown && d.learnShown(&next.shown, minuteOf(at)) || isNews
	if isPersonal && d.live.answers {
		d.live.attributes(&told{BeaconEvent: ev, at: at, granted: d.granted}, func(a Attribute) { s.tell(a) })
		s.limitAttributes(MaxStateAttributes, maxStateAttrBytes)
	}
	isNews = isPersonal && s.learn(ev, minuteOf(at)) || isNews
	if isPersonal && isShown {
		v, ok := d.live.variationOf(&next.shown, minuteOf(at))
		isNews = ok && s.assign(v, d.live.weightKeys) || isNews
	}
	if isNews {
		d.changed = true
		s.Counted = append(s.Counted, next.key)
		l.latest++
	}
	return isNews
}

// keyOf returns what an event is known again by: its id or, as in the log, the
// transaction of a purchase or refund.
func keyOf(ev *BeaconEvent) uint32 {
	if key := transactionKey(ev); key != 0 {
		return key
	}
	return eventKey(ev.ID)
}

// transactionKey returns what a transaction is known again by, 0 for an event without
// one.
func transactionKey(ev *BeaconEvent) uint32 {
	if txn := transaction(ev); txn != "" {
		return eventKey(ev.Name) ^ eventKey(txn)
	}
	return 0
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

// wasShown reports whether an event is a slot_impression of the variant that was decided.
func wasShown(ev *BeaconEvent, id *DecisionID) bool {
	if ev.Name != "slot_impression" || id.Variant == "" {
		return false
	}
	shown, ok := stringMember(ev.Props, "shown")
	return !ok || shown == "variant"
}
