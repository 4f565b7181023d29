// SPDX-License-Identifier: Apache-2.0

package consent

// Bounds of the GPP signal.
const (
	MaxGPPBytes    = 16384 // of the string
	MaxGPPSections = 32    // ids in force; there are 27 sections today
)

// gppNotApplicable is the only section id in force when no section applies:
// https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform,
// "Core/CMP API Specification.md", PingReturn.applicableSections.
const gppNotApplicable = -1

// gppApplies reports whether a section of the Global Privacy Platform speaks
// for this visitor. Only the platform's own "none applies" says no: section 0
// means that it is still loading, and a string without a list of sections does
// not say which of them are in force, so both may hide an opt-out.
func gppApplies(s *Signals) bool {
	for _, id := range s.GPPSections {
		if id != gppNotApplicable {
			return true
		}
	}
	return s.GPP != "" && len(s.GPPSections) == 0
}

// readGPP reads the GPP string. Strings are not decoded: while a section
// applies it is unresolved, grants nothing, and keeps the signals below it from
// granting in its place.
func readGPP(s *Signals) reading {
	if !gppApplies(s) {
		return reading{}
	}
	return reading{authority: ByGPP, applies: true, unresolved: true}
}
