// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// acceptEvents sorts the beacon's events into those that may be believed and
// those that are refused, and remembers the commerce events in the state.
// Without measure nothing of them is believed.
func (e *Engine) acceptEvents(d *decider, b *Beacon, r *Request, out *Outcome) {
	for i := range b.Events {
		ev := &b.Events[i]
		if code, field := d.refuse(b, i); code != "" {
			out.Rejected = append(out.Rejected, Rejection{ID: ev.ID, Code: code, Field: field})
			continue
		}
		var shown DecisionID
		if slotEvent(ev.Name) {
			var err error
			if shown, d.tokens, err = e.sealer.openDecisionID(d.tokens, b.Site, tokenMember(ev.Props)); err != nil {
				out.Rejected = append(out.Rejected, Rejection{ID: ev.ID, Code: RejectedDecision, Field: "props.decision"})
				continue
			}
		}
		d.events, d.shown = append(d.events, *ev), append(d.shown, shown)
	}
	if d.visit.State == nil {
		return
	}
	if !d.granted.Has(consent.Storage | consent.Profile | consent.Measure) {
		d.untold = b.Events
	}
	d.visit.Untold = slices.ContainsFunc(d.untold, func(ev BeaconEvent) bool { return stateCode(ev.Name) != 0 })
	if !d.granted.Has(consent.Storage | consent.Profile) {
		return
	}
	for i := range d.events {
		d.remember(&d.events[i], eventTime(b, &d.events[i], r.Now))
	}
	d.countEvents(b, r.Now)
}

// refuse returns the code and field for which an event is refused, or "".
func (d *decider) refuse(b *Beacon, i int) (code, field string) {
	ev := &b.Events[i]
	switch age := b.SentMillis - ev.AtMillis; {
	case !d.granted.Has(consent.Measure):
		return RejectedNoConsent, ""
	case !validID(ev.ID):
		return RejectedID, "id"
	case !tellable(ev.Name):
		return RejectedName, "name"
	case age > MaxEventAge.Milliseconds():
		return RejectedTooOld, "at"
	case age < -maxEventAhead.Milliseconds():
		return RejectedFuture, "at"
	case len(ev.Props) > MaxPropsBytes:
		return RejectedProps, "props"
	}
	for j := range i {
		if b.Events[j].ID == ev.ID {
			return RejectedRepeat, "id"
		}
	}
	return "", ""
}

// eventTime is when an event happened by our clock: as long before its arrival
// as the browser says it happened before the beacon left.
func eventTime(b *Beacon, ev *BeaconEvent, now time.Time) time.Time {
	age := max(0, b.SentMillis-ev.AtMillis)
	return now.Add(-time.Duration(age) * time.Millisecond)
}

func validID(id string) bool {
	return id != "" && len(id) <= MaxIDBytes && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	})
}

func validEventName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && name[0] >= 'a' && name[0] <= 'z' &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
		})
}

// tellable reports whether an event of that name may come from outside. What
// consent leaves behind is the engine's own to tell.
func tellable(name string) bool {
	return validEventName(name) && name != ReceiptEvent && name != PromptEvent
}

func slotEvent(name string) bool { return name == "slot_impression" || name == "slot_click" }

// remember notes a commerce event's items in the state.
func (d *decider) remember(ev *BeaconEvent, at time.Time) {
	code := stateCode(ev.Name)
	if code == 0 {
		return
	}
	members(ev.Props, func(key, value []byte) bool {
		if string(key) != "items" {
			return true
		}
		elements(value, func(item []byte) bool {
			e := StateEvent{Key: eventKey(ev.ID), At: at, Code: code, Quantity: 1}
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
			d.changed = d.visit.State.add(e) || d.changed
			return true
		})
		return false
	})
}
