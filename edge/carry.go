// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// openState reads the state the browser carried, under storage only, and moves
// it on under profile.
func (e *Engine) openState(d *decider, r *Request, out *Outcome) {
	out.Identify = e.refuseIdentity(d, r)
	if !d.granted.Has(consent.Storage) {
		out.DropState = r.State != ""
		return
	}
	if r.Bot {
		return
	}
	if r.State != "" {
		state, err := e.sealer.openState(&d.space, d.release.Site(), r.State)
		if errors.Is(err, errUnknownKey) {
			return // another node may open it: the browser keeps it, and none begins
		}
		if err == nil && !state.isOver(r.Now, d.live.doc.Settings.StateEpoch) && !e.isAnothers(state, d.release.Site(), r) {
			d.visit.State = state
		} else {
			out.DropState = true
		}
		e.dropErased(d, out)
	}
	if !d.granted.Has(consent.Profile) {
		if d.visit.State != nil {
			e.dropHistory(d, r, out)
			d.visit.State.look(r.Now)
		}
		return
	}
	if d.visit.State == nil && d.isPromptOnly {
		return // the tag's own beacons begin one
	}
	if s := d.visit.State; s == nil {
		e.beginState(d, r)
	} else {
		d.changed = e.forgetRefused(s, d.granted)
		// Sealed with an older key, it is sealed anew, before that key is retired.
		d.changed = s.touch(r.Now) || d.changed || e.sealer.isOutdated(r.State)
	}
	e.meet(d, r)
}

// forgetRefused drops the history where what it needs is refused, and reports whether
// there was any.
func (e *Engine) forgetRefused(s *State, granted consent.Purposes) bool {
	if granted.Has(s.historyNeeds()) {
		return false
	}
	e.lately.forget(&s.Visitor)
	if s.isEmpty() && s.Known.Edition == 0 {
		return false
	}
	s.History.reset()
	s.Known.Edition = 0
	return true
}

// dropHistory hands the state back without the history that is refused. To write less
// needs no purpose; the rest of the state stays as the browser has it.
func (e *Engine) dropHistory(d *decider, r *Request, out *Outcome) {
	if !e.forgetRefused(d.visit.State, d.granted) || r.Ahead {
		return
	}
	d.changed = true
	e.sealState(d, out)
	d.changed = false
}

// erasureSlack is how far the clocks of two nodes may be apart: a state that began
// so soon after an erasure may have begun before it.
const erasureSlack = 5 * time.Minute

// dropErased drops the state of a visitor who was erased since it began: another
// tab, a copy or a browser that was away may send it still.
func (e *Engine) dropErased(d *decider, out *Outcome) {
	if e.erasures == nil || d.visit.State == nil || !e.isErased(d.person(), d.release.Site(), d.visit.State.First.Add(-erasureSlack)) {
		return
	}
	d.erased, d.key = d.key, [16]byte{}
	d.visit.State, out.DropState = nil, true
}

// isErased reports whether what a person did or began at a time is erased.
func (e *Engine) isErased(key [16]byte, site string, at time.Time) bool {
	return e.erasures != nil && e.erasures.Erased(Person{site, key}, at)
}

// beginState begins the visitor's state anew.
func (e *Engine) beginState(d *decider, r *Request) {
	s := d.space.begin(r.Now)
	s.Epoch = d.live.doc.Settings.StateEpoch
	if r.Profile != "" && !r.Identified {
		s.Visitor, s.Customer = e.sealer.profileID(d.release.Site(), r.Profile), true
	}
	d.visit.State, d.changed, d.isNew = s, true, true
}

// historyNeeds returns what a state's history needs to be read: what came from a
// profile is read as the profile is.
func (s *State) historyNeeds() consent.Purposes {
	if s.Known.is() {
		return knownPurposes
	}
	return consent.Personalise
}

// isAnothers reports whether a state belongs to another customer than the one who is
// known to be there now, or to somebody who signed out. To read it would tell one
// person's history to another, and its id would make the other's events the first
// one's.
func (e *Engine) isAnothers(s *State, site string, r *Request) bool {
	owner := s.owner()
	return owner != (ProfileID{}) && (r.SignOut || r.Profile != "" && owner != e.sealer.profileID(site, r.Profile))
}

// sealState hands the moved state back to the browser.
func (e *Engine) sealState(d *decider, out *Outcome) {
	if d.changed {
		from := len(out.text)
		out.text = e.sealer.appendState(out.text, d.release.Site(), d.carried())
		out.State = textOf(out.text[from:])
		out.DropState = false
	}
}

// carried returns the state as the browser carries it: what came from a profile is
// cut to what fits, and the decisions go on with all of it.
func (d *decider) carried() *State {
	s := d.visit.State
	if !s.Known.is() {
		return s
	}
	out := *s
	out.History = History{}
	out.History.become(&s.History)
	out.Attributes = nil // they are in the profile
	return &out
}
