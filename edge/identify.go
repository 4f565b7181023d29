// SPDX-License-Identifier: Apache-2.0

package edge

// MaxIdentityBytes bounds the token by which a page says who has signed in.
const MaxIdentityBytes = 1 << 10

// The codes for which a browser is not identified. They are part of the wire.
const (
	IdentifyMalformed   = "bad_token"      // not a compact JWT of at most MaxIdentityBytes, or a claim of the wrong type
	IdentifyNoKey       = "no_key"         // the site has no key for the token's algorithm
	IdentifySignature   = "bad_signature"  // no key of the site made it
	IdentifySite        = "other_site"     // aud is not this site, or iss is there and is not
	IdentifyExpired     = "token_expired"  // exp is over
	IdentifyTime        = "bad_token_time" // exp or iat is missing, exp too far ahead, iat in the future
	IdentifySubject     = "bad_subject"    // sub is not 1 to MaxProfileBytes bytes
	IdentifyNoConsent   = "no_consent"     // storage, profile and personalise are not all granted
	IdentifyUnavailable = "unavailable"    // the node keeps no profiles, or cannot read the site's keys now
)

// IdentifyCodes returns every code for which a browser is not identified, for whoever
// counts them. The caller owns the slice.
func IdentifyCodes() []string {
	return []string{
		IdentifyMalformed, IdentifyNoKey, IdentifySignature, IdentifySite, IdentifyExpired, IdentifyTime,
		IdentifySubject, IdentifyNoConsent, IdentifyUnavailable,
	}
}

// refuseIdentity returns the code for which a browser cannot be identified, "" where
// it can or nobody asks.
func (e *Engine) refuseIdentity(d *decider, r *Request) string {
	switch {
	case r.Unidentified != "":
		return r.Unidentified
	case !r.Identified:
		return ""
	case !d.granted.Has(knownPurposes):
		return IdentifyNoConsent
	case e.profiles == nil:
		return IdentifyUnavailable
	}
	return ""
}
