// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"
)

const (
	// profileWait is how long a decision waits for a profile. Past it the state alone
	// speaks for the visitor.
	profileWait = 5 * time.Millisecond
	// profileGrace is after how long a browser's profile that is not there was erased:
	// until then another node may not have been told of it yet.
	profileGrace = Minute(2)
)

// A knowing is what a request's work space holds of the known person who is there.
type knowing struct {
	isRead  bool     // what the profile is can be told
	profile *Profile // nil for none
	visitor [visitorIDBytes]byte
	join    *joinedVisitor // what the browser remembered, when it is identified now
}

// owner returns whom a state belongs to, nobody as long as nobody was identified.
func (s *State) owner() ProfileID {
	if s.Known.is() {
		return s.Known.Profile
	}
	if s.Customer {
		return s.Visitor
	}
	return ProfileID{}
}

// is reports whether the browser belongs to somebody.
func (p *StatePerson) is() bool { return p.Profile != ProfileID{} }

// meet finds out which known person is there, and reads their profile: whom the
// request names, else whom the state belongs to. Without storage, profile and
// personalise nobody is known, and nothing is joined.
func (e *Engine) meet(d *decider, r *Request) {
	s := d.visit.State
	if e.profiles == nil || !d.granted.Has(knownPurposes) || r.Profile == "" && !s.Known.is() {
		return
	}
	if s.Known.is() {
		e.read(d, r)
		now := minuteOf(r.Now)
		if d.knowing.isRead && d.knowing.profile == nil && now-min(now, s.Known.Since) >= profileGrace {
			e.beginState(d, r) // the profile was erased
			d.knowing = knowing{}
		}
	}
	if !s.Known.is() && r.Profile != "" && !d.isQuiet(r) {
		d.knowing.visitor = s.Visitor
		d.knowing.join = &joinedVisitor{History: copyHistory(&s.History), counted: slices.Clone(s.Counted), isNew: d.isNew}
		s.Known = StatePerson{Profile: e.sealer.profileID(d.release.Site(), r.Profile), Since: minuteOf(r.Now)}
		d.changed = true
		e.read(d, r)
	}
}

// isQuiet reports whether the request leaves no trace.
func (d *decider) isQuiet(r *Request) bool { return r.Ahead || d.release != d.live }

// read reads the profile of the state's person.
func (e *Engine) read(d *decider, r *Request) {
	p, known := e.profiles.Profile(d.release.Site(), d.visit.State.Known.Profile, profileWait)
	if p != nil && p.IsOver(r.Now, d.live.keep) {
		p = nil
	}
	d.knowing.isRead, d.knowing.profile = known, p
}

// know has the known person's profile learn of the beacon, and the state follow it.
func (e *Engine) know(d *decider, b *Beacon, r *Request) {
	s := d.visit.State
	if s == nil || !s.Known.is() {
		return
	}
	if e.profiles == nil || !d.granted.Has(knownPurposes) {
		d.visit.Untold, d.visit.UntoldActs = true, true
		return
	}
	p := d.knowing.profile
	if !d.isQuiet(r) {
		if c := e.learned(d, b, r); c != nil {
			if next := e.profiles.Change(d.release.Site(), s.Known.Profile, c); next != nil {
				p = next
			}
		}
	}
	switch {
	case p != nil:
		d.follow(p)
	case !d.knowing.isRead && s.Known.Edition == 0:
		// What the person did elsewhere is not known: it must not seem that they did not.
		d.visit.Untold, d.visit.UntoldActs = true, true
		s.Counters = s.Counters[:0]
	}
}

// learned returns what a beacon changes of a profile, nil for nothing.
func (e *Engine) learned(d *decider, b *Beacon, r *Request) *ProfileChange {
	c := NewProfileChange(r.Now, d.live.keep)
	c.isVisit, c.drawsLots = true, true
	c.visitor, c.joined = d.visit.State.Visitor, d.knowing.join
	if c.joined != nil {
		c.visitor = d.knowing.visitor
	}
	c.counts(d.live, r.Now)
	for _, events := range [...][]BeaconEvent{d.events, d.late} {
		for i := range events {
			c.learn(d.live, &told{BeaconEvent: &events[i], at: eventTime(b, &events[i], r.Now), granted: d.granted})
		}
	}
	for i := range d.events {
		c.see(d.live, &d.events[i], &d.shown[i], eventTime(b, &d.events[i], r.Now), d.knowing.profile)
	}
	now := minuteOf(r.Now)
	if p := d.knowing.profile; p != nil && c.joined == nil && len(c.events)+len(c.variations) == 0 && now < p.Visited+touchEvery {
		return nil
	}
	return c
}

// follow makes the state what a profile says: its history, and the visitor id by
// which the person's lots are drawn wherever they are.
func (d *decider) follow(p *Profile) {
	s := d.visit.State
	if p.Lot != ([visitorIDBytes]byte{}) && s.Visitor != p.Lot {
		s.Visitor, s.visitor, s.Customer, d.key = p.Lot, "", false, [16]byte{}
		d.changed = true
	}
	if s.Known.Edition != p.Edition {
		s.Known.Edition, d.changed = p.Edition, true
	}
	s.History.become(&p.History)
}
