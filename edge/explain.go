// SPDX-License-Identifier: Apache-2.0

package edge

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
	view := &d.views[d.view(rule.mask.And(d.allowed))]
	for n := view.mask.Next(0); n >= 0; n = view.mask.Next(n + 1) {
		if value := view.Value(n); value.Known() {
			t.Saw = append(t.Saw, Saw{Field: d.release.field(n).Name, Value: value.AppendJSON(nil)})
		}
	}
	return t
}
