// SPDX-License-Identifier: Apache-2.0

package gpp

import "github.com/nearside/nearside/edge/consent/packed"

// USPrivacy is the section uspv1, the older US Privacy string that also stands
// alone, like "1YNN". Each answer is 'Y', 'N' or '-' (does not apply).
// https://github.com/InteractiveAdvertisingBureau/USPrivacy, "US Privacy String".
type USPrivacy struct {
	Notice      byte // whether notice and an opportunity to opt out were given
	OptOutSale  byte // whether the visitor opted out of sale
	LspaCovered byte // whether the limited service provider agreement covers it
}

// uspVersion is the character that a US Privacy string begins with.
const uspVersion = '1'

// Decode reads a US Privacy string. The error is a *packed.Error.
func (u *USPrivacy) Decode(text string) error {
	switch {
	case text == "":
		return &packed.Error{Code: packed.Empty, Field: "uspv1"}
	case text[0] != uspVersion:
		return &packed.Error{Code: packed.BadVersion, Field: "Version"}
	case len(text) < 4:
		return &packed.Error{Code: packed.Truncated, Field: "uspv1"}
	case len(text) > 4:
		return &packed.Error{Code: packed.BadLength, Field: "uspv1"}
	}
	for i, field := range [...]string{"Notice", "OptOutSale", "LspaCovered"} {
		if c := text[1+i]; c != 'Y' && c != 'N' && c != '-' {
			return &packed.Error{Code: packed.BadValue, Field: field}
		}
	}
	*u = USPrivacy{Notice: text[1], OptOutSale: text[2], LspaCovered: text[3]}
	return nil
}
