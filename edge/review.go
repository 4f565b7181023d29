// SPDX-License-Identifier: Apache-2.0

package edge

// Review decides slots as Decide would, for a visitor who asks what is decided
// for them and why. Nothing of it is counted, recorded, compared or carried on: no
// state begins, none is sealed, and a decision has no id. Every decision has its
// Why, whether or not the site lets its pages ask, with what each rule saw of the
// visitor and what was withheld; conditions are not explained. The beacon's events
// and its prompt are not looked at.
//
// It fails only for an unknown site. Out must have been Reset, and borrows from b
// and r.
func (e *Engine) Review(b *Beacon, r *Request, out *Outcome) error {
	release, ok := e.Release(b.Site)
	if !ok {
		return ErrUnknownSite
	}
	d := deciders.Get().(*decider)
	defer d.free()
	e.arrive(d, release, b, r, out)
	d.live, d.why, d.explained = release, true, maxConditions
	d.isPromptOnly = true // so that no state begins
	e.openState(d, r, out)
	out.DropState = false
	release.fillOwn(&d.visit, nil, nil, d.granted)
	release.fillCounts(&d.visit, nil)
	for i := range b.Slots {
		out.Decisions = append(out.Decisions, Decision{})
		d.decide(i, &b.Slots[i], r, &out.Decisions[i])
	}
	return nil
}

// Slots returns the names of the release's slots in its order, at most MaxSlots,
// which is what one question may ask for.
func (r *Release) Slots() []BeaconSlot {
	var slots []BeaconSlot
	for i := range r.doc.Slots[:min(len(r.doc.Slots), MaxSlots)] {
		slots = append(slots, BeaconSlot{Name: r.doc.Slots[i].Name})
	}
	return slots
}
