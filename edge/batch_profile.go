// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// learn has the profile of the customer that an event names learn of it, where the
// person allowed it.
func (a *acceptance) learn(d *decider, ev *BatchEvent, at time.Time) {
	if ev.Profile == "" || a.engine.profiles == nil || !d.granted.Has(knownPurposes|consent.Measure) {
		return
	}
	c := a.out.change(a.engine.sealer.profileID(a.release.Site(), ev.Profile))
	if c.at.IsZero() {
		*c = *NewProfileChange(a.now, a.release.keep)
		c.counts(a.release, a.now)
	}
	if state := d.visit.State; state != nil && !slices.Contains(c.links, state.Visitor) {
		c.links = append(c.links, state.Visitor)
	}
	c.learn(a.release, &told{BeaconEvent: &ev.BeaconEvent, at: at, granted: d.granted, byServer: true, origins: ev.Origins})
	c.see(a.release, &ev.BeaconEvent, &a.shown, at, nil)
}

// A batchChange is what a batch changes of one profile.
type batchChange struct {
	id     ProfileID
	change *ProfileChange
}

// change returns the change of a profile, the latest first: a batch is mostly about
// one, or in order.
func (o *BatchOutcome) change(id ProfileID) *ProfileChange {
	for i := len(o.changes) - 1; i >= 0; i-- {
		if o.changes[i].id == id {
			return o.changes[i].change
		}
	}
	o.changes = append(o.changes, batchChange{id, &ProfileChange{}})
	return o.changes[len(o.changes)-1].change
}
