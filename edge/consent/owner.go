// SPDX-License-Identifier: Apache-2.0

package consent

// A Choice is what the site's own prompt recorded through the tag's consent
// call: an explicit yes and an explicit no. The zero value is a visitor who was
// not asked. A purpose in neither set was not mentioned; one in both is refused.
type Choice struct {
	Granted Purposes
	Refused Purposes
}

// readOwner reads the owner's prompt. A refusal is a veto whoever grants. Once
// the owner has recorded anything, even only a refusal, the region's defaults
// no longer stand in for an answer: else refusing one thing could switch others
// on.
func (r *reading) readOwner(s *Signals) {
	if s.Owner == (Choice{}) {
		return
	}
	r.authority, r.applies = ByOwner, true
	r.grants, r.vetoes = s.Owner.Granted&All&^s.Owner.Refused, s.Owner.Refused
}
