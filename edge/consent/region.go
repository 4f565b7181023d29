// SPDX-License-Identifier: Apache-2.0

package consent

// A Region is the place whose law the defaults follow. The zero value is an
// unknown place.
type Region struct {
	// Country is the ISO 3166-1 alpha-2 code in capitals, or empty.
	Country string
	// Subdivision is the part of the ISO 3166-2 code after the dash, in
	// capitals, or empty: "CA" for US-CA. It matters only in the US.
	Subdivision string
}

// class returns the class of defaults for the place. What is not a country code
// is an unknown place, and an unknown place is Strict. A US visitor whose state
// is unknown is treated as in a state with an opt-out law.
func (r Region) class() Class {
	switch {
	case !isCountryCode(r.Country), isStrict(r.Country):
		return Strict
	case r.Country == "GB":
		return UK
	case r.Country == "US" && (!isTwoCapitals(r.Subdivision) || hasOptOutLaw(r.Subdivision)):
		return USOptOut
	default:
		return Elsewhere
	}
}

// isCountryCode reports whether code can be a country: two capitals, but none
// of those that geo databases use for "unknown".
func isCountryCode(code string) bool {
	return isTwoCapitals(code) && code != "XX" && code != "ZZ"
}

func isTwoCapitals(code string) bool {
	return len(code) == 2 && 'A' <= code[0] && code[0] <= 'Z' && 'A' <= code[1] && code[1] <= 'Z'
}

// isStrict reports whether the GDPR, or a law made after it that also asks for
// consent first, is in force in a country. Sources: article 52 TEU for the
// members of the EU, articles 349 and 355 TFEU for their territories with codes
// of their own, article 126 of the EEA Agreement; Switzerland and the British
// dependencies by their own acts.
func isStrict(country string) bool {
	switch country {
	case "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
		"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK":
		return true // the EU
	case "AX", "GF", "GP", "MF", "MQ", "RE", "YT":
		return true // parts of the EU
	case "EU":
		return true // reserved in ISO 3166-1; some databases know no more than that
	case "IS", "LI", "NO":
		return true // the EEA
	case "CH":
		return true
	case "GG", "GI", "IM", "JE":
		return true // not the UK, and not under its act of 2025
	default:
		return false
	}
}

// hasOptOutLaw reports whether a US state has a law that lets its people opt
// out of sale, sharing or targeted advertising: the twenty states with a
// section of their own in the GPP (sections 8 to 27), all in force since
// 1 January 2026.
// https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform,
// "Sections/Section Information.md".
func hasOptOutLaw(state string) bool {
	switch state {
	case "CA", "VA", "CO", "UT", "CT", "FL", "MT", "OR", "TX", "DE",
		"IA", "NE", "NH", "NJ", "TN", "MN", "MD", "IN", "KY", "RI":
		return true
	default:
		return false
	}
}
