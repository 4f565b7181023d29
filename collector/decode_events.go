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

// An eventReading is what is known of the event being read.
type eventReading struct {
	verdict eventFault // the first thing that is wrong
	timed   bool       // it says when it happened
}

func (r *eventReading) note(ok bool, code, field string) {
	if !ok && r.verdict.code == "" {
		r.verdict = eventFault{code, field}
	}
}

// event reads one event and reports the first thing that is wrong with it.
func (d *Decoder) event(e *edge.BeaconEvent) eventFault {
	in, f := d.scan.enter('{')
	if f != faultNone {
		return eventFault{RejectedEvent, ""}
	}
	var r eventReading
	for in && d.scan.member() {
		if !d.eventMember(e, &r) {
			d.scan.skip()
		}
	}
	return r.end(e)
}

// eventMember reads the member at hand if every event may have it, whoever tells
// it.
func (d *Decoder) eventMember(e *edge.BeaconEvent, r *eventReading) bool {
	s := &d.scan
	switch string(s.key) {
	case "id":
		r.note(s.text(&e.ID, edge.MaxIDBytes) == faultNone, edge.RejectedID, "id")
	case "name":
		r.note(s.text(&e.Name, edge.MaxNameBytes) == faultNone, edge.RejectedName, "name")
	case "at":
		r.timed = true
		r.note(s.integer(&e.AtMillis, 0, maxExact) == faultNone, RejectedTime, "at")
	case "props":
		r.note(d.props(&e.Props), edge.RejectedProps, "props")
	default:
		return false
	}
	return true
}

// end looks at the event as a whole.
func (r *eventReading) end(e *edge.BeaconEvent) eventFault {
	r.note(validID(e.ID), edge.RejectedID, "id")
	r.note(validEventName(e.Name), edge.RejectedName, "name")
	r.note(r.timed, RejectedTime, "at")
	return r.verdict
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
