// SPDX-License-Identifier: Apache-2.0

package consent

// gpcVetoes returns what Global Privacy Control takes away, whoever granted it
// and wherever the visitor is. The specification speaks of selling and sharing
// (https://w3c.github.io/gpc/); a site in strict mode reads it as a refusal of
// profiles too.
func gpcVetoes(s *Signals, p *Policy) Purposes {
	switch {
	case !s.GPC:
		return 0
	case p.StrictGPC:
		return Share | Profile | Personalise
	default:
		return Share
	}
}
