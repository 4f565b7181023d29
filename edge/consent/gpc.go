// SPDX-License-Identifier: Apache-2.0

package consent

// gpcVetoes returns what Global Privacy Control takes away, whoever granted it
// and wherever the visitor is.
func gpcVetoes(s *Signals, p *Policy) Purposes {
	if !s.GPC {
		return 0
	}
	return optOutVetoes(p)
}

// TakenByGPC returns what Global Privacy Control takes away under the policy.
func (p *Policy) TakenByGPC() Purposes { return optOutVetoes(p) }

// optOutVetoes returns what an opt-out takes away: GPC's, or a US section's. The
// specification of GPC speaks of selling and sharing (https://w3c.github.io/gpc/),
// and so do the laws of the states; a site in strict mode reads it as a refusal of
// profiles too.
func optOutVetoes(p *Policy) Purposes {
	if p.StrictGPC {
		return Share | Profile | Personalise
	}
	return Share
}
