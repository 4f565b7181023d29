// SPDX-License-Identifier: Apache-2.0

package collector

import "github.com/nearside/nearside/edge"

// The codes of events that are refused here, beside those the engine gives.
const (
	RejectedEvent   = "bad_event"       // is not an object
	RejectedTime    = "bad_time"        // at is missing or not a time in milliseconds
	RejectedSurplus = "too_many_events" // stands beyond edge.MaxEvents in its beacon
)

// events reads the list of events. Each is judged alone: the good ones are
// kept, the others listed as rejected.
func (d *Decoder) events(b *edge.Beacon) fault {
	s := &d.scan
	b.Events = b.Events[:0]
	d.rejected = d.rejected[:0]
	in, f := s.enter('[')
	for n := 0; in && s.element(); n++ {
		if n == edge.MaxEvents+maxRefusedEvents {
			return faultMany
		}
		var event edge.BeaconEvent
		verdict := d.event(&event)
		switch {
		case s.fault != faultNone:
			return d.trail.at(n, s.fault)
		case n >= edge.MaxEvents:
			verdict = eventFault{RejectedSurplus, ""}
			fallthrough
		case verdict.code != "":
			d.rejected = append(d.rejected, edge.Rejection{ID: event.ID, Code: verdict.code, Field: verdict.field})
		default:
			b.Events = append(b.Events, event)
		}
	}
	return first(f, s.fault)
}

// An eventFault is why an event is refused, and its wire name. The zero value
// is none.
type eventFault struct{ code, field string }

// event reads one event and reports the first thing that is wrong with it.
func (d *Decoder) event(e *edge.BeaconEvent) (verdict eventFault) {
	s := &d.scan
	note := func(ok bool, code, field string) {
		if !ok && verdict.code == "" {
			verdict = eventFault{code, field}
		}
	}
	in, f := s.enter('{')
	if f != faultNone {
		return eventFault{RejectedEvent, ""}
	}
	timed := false
	for in && s.member() {
		switch string(s.key) {
		case "id":
			note(s.text(&e.ID, edge.MaxIDBytes) == faultNone, edge.RejectedID, "id")
		case "name":
			note(s.text(&e.Name, edge.MaxNameBytes) == faultNone, edge.RejectedName, "name")
		case "at":
			timed = true
			note(s.integer(&e.AtMillis, 0, maxExact) == faultNone, RejectedTime, "at")
		case "props":
			note(d.props(&e.Props), edge.RejectedProps, "props")
		default:
			s.skip()
		}
	}
	note(validID(e.ID), edge.RejectedID, "id")
	note(validEventName(e.Name), edge.RejectedName, "name")
	note(timed, RejectedTime, "at")
	return verdict
}

// props reads an event's properties as they stand and reports whether they are
// an object within its limits.
func (d *Decoder) props(dst *[]byte) bool {
	s := &d.scan
	s.next()
	from, outside := s.pos, s.depth
	s.deepest = outside
	in, f := s.enter('{')
	members := 0
	for in && s.name() {
		members++
		s.skip()
	}
	if first(f, s.fault) != faultNone {
		return false
	}
	raw := s.in[from:s.pos:s.pos]
	if members > edge.MaxProps || len(raw) > edge.MaxPropsBytes || s.deepest-outside > edge.MaxPropsDepth {
		return false
	}
	*dst = d.oneLine(raw)
	return true
}

func validEventName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c-'a' > 'z'-'a' && (i == 0 || !digit(c) && c != '_') {
			return false
		}
	}
	return name != ""
}
