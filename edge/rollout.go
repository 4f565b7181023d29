// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// partial reports whether the rule is rolled out to some visitors only.
func (b *boundRule) partial() bool { return b.spec.Rollout != 0 && b.spec.Rollout != Buckets }

// rolledOut reports whether the visitor is among those a gradual release
// reaches. Who has no id is in no bucket.
func (d *decider) rolledOut(rule *boundRule) bool {
	if !rule.partial() {
		return true
	}
	if d.then != nil {
		return d.then.reached(d.at, rule)
	}
	id := d.visitorID()
	return id != "" && Bucket(rule.salt, id) < rule.spec.Rollout
}

// visitorID returns the visitor's id, "" without one.
func (d *decider) visitorID() string {
	switch {
	case d.values != nil && d.granted.Has(consent.Storage):
		return d.values[FieldVisitorID].Str
	case d.visit.State != nil: // opened under storage only
		return d.visit.State.VisitorID()
	}
	return ""
}

// reached returns the rule that serves this visitor: the one before it where a
// gradual release does not reach.
func (d *decider) reached(rule *boundRule) *boundRule {
	if rule.before != nil && !d.rolledOut(rule) {
		return rule.before
	}
	return rule
}
