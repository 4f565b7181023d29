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
		if err == nil && !state.isOver(r.Now, d.live.doc.Settings.StateEpoch) && !e.isAnothers(state, d.release.Site(), r.Profile) {
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
	if d.visit.State == nil {
		d.space.state.begin(r.Now)
		d.space.state.Epoch = d.live.doc.Settings.StateEpoch
		if r.Profile != "" {
			d.space.state.Visitor, d.space.state.Customer = e.sealer.profileID(d.release.Site(), r.Profile), true
		}
		d.visit.State, d.changed, d.isNew = &d.space.state, true, true
		return
	}
	if !d.granted.Has(consent.Personalise) {
		d.changed = !d.visit.State.isEmpty()
		d.visit.State.History.reset()
	}
	// Sealed with an older key, it is sealed anew, before that key is retired.
	d.changed = d.visit.State.touch(r.Now) || d.changed || e.sealer.isOutdated(r.State)
}

// dropHistory hands the state back without its history where personalise is refused.
// To write less needs no purpose; the rest of the state stays as the browser has it.
func (e *Engine) dropHistory(d *decider, r *Request, out *Outcome) {
	if d.granted.Has(consent.Personalise) || d.visit.State.isEmpty() || r.Ahead {
		return
	}
	d.visit.State.History.reset()
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

// isAnothers reports whether a state began for another customer than the one who is
// known to be there now. To read it would tell one person's history to another, and
// its id would make the other's events the first one's.
func (e *Engine) isAnothers(s *State, site, customer string) bool {
	return s.Customer && customer != "" && s.Visitor != e.sealer.profileID(site, customer)
}

// sealState hands the moved state back to the browser.
func (e *Engine) sealState(d *decider, out *Outcome) {
	if d.changed {
		from := len(out.text)
		out.text = e.sealer.appendState(out.text, d.release.Site(), d.visit.State)
		out.State = textOf(out.text[from:])
		out.DropState = false
	}
}
