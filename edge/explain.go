// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"

	"github.com/nearside/nearside/edge/consent"
)

// explain says what a rule saw and what was withheld from it. It reads the
// same View the rule received.
func (d *decider) explain(rule *boundRule, rungName string, reason Reason) Try {
	t := Try{
		Rule: rule.id, Rung: rungName, Reason: reason.String(), Needs: uint32(rule.needs),
		Saw: []Saw{}, Withheld: []Withheld{},
	}
	hidden := rule.mask.AndNot(d.allowed)
	for n := hidden.Next(0); n >= 0; n = hidden.Next(n + 1) {
		f := d.release.field(n)
		t.Withheld = append(t.Withheld, Withheld{Field: f.Name, Purpose: f.Purpose.String()})
	}
	if reason == ReasonNoConsent {
		return t // it did not run: it saw nothing
	}
	view := d.view(rule.mask.And(d.allowed))
	for n := view.mask.Next(0); n >= 0; n = view.mask.Next(n + 1) {
		if value := view.Value(n); value.Known() {
			t.Saw = append(t.Saw, Saw{Field: d.release.field(n).Name, Value: value.AppendJSON(nil)})
		}
	}
	return t
}

// itemsContent is the wire content of a slot of items.
func itemsContent(items []AnswerItem) json.RawMessage {
	out, err := json.Marshal(struct {
		Items []AnswerItem `json:"items"`
	}{items})
	if err != nil {
		return nil // strings only: it does not happen
	}
	return out
}

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
		state, err := e.sealer.OpenState(d.release.Site(), r.State)
		if err == nil && r.Now.Sub(state.Last) < StateMaxAge {
			d.visit.State = state
		} else {
			out.DropState = true
		}
	}
	if !d.granted.Has(consent.Profile) {
		return
	}
	if d.visit.State == nil {
		d.visit.State, d.changed = newState(r.Now), true
		return
	}
	d.changed = d.visit.State.touch(r.Now)
}

// sealState hands the moved state back to the browser.
func (e *Engine) sealState(d *decider, out *Outcome) {
	if d.changed {
		out.State = e.sealer.SealState(d.release.Site(), d.visit.State)
		out.DropState = false
	}
}
