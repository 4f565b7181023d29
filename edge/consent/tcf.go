// SPDX-License-Identifier: Apache-2.0

package consent

// MaxTCFBytes bounds a TC string. Real ones have a few hundred characters; the
// rest is room for long lists of vendors.
const MaxTCFBytes = 16384

// tcfApplies reports whether the Transparency and Consent Framework speaks for
// this visitor. gdprApplies false is the platform saying that it does not, even
// beside a left-over string; a string without gdprApplies is taken at its word.
func tcfApplies(s *Signals) bool {
	return s.GDPR == Yes || s.GDPR == Unset && s.TCF != ""
}

// readTCF reads the TC string. Strings are not decoded: while TCF applies it is
// unresolved, grants nothing, and keeps the signals below it from granting in
// its place.
func readTCF(s *Signals) reading {
	if !tcfApplies(s) {
		return reading{}
	}
	return reading{authority: ByTCF, applies: true, unresolved: true}
}
