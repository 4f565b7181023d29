// SPDX-License-Identifier: Apache-2.0

package consent

// ModeType is a consent type of Google Consent Mode v2.
type ModeType uint8

// The consent types. SecurityStorage is read and ignored: security is not a
// purpose a visitor is asked for.
const (
	AdStorage ModeType = iota
	AdUserData
	AdPersonalization
	AnalyticsStorage
	FunctionalityStorage
	PersonalizationStorage
	SecurityStorage

	modeTypes = iota
)

// Mode is the state of Google Consent Mode: for each ModeType Yes (granted), No
// (denied) or Unset. Unset is not granted here, though it is for Google. The
// zero value is a page without Consent Mode.
type Mode [modeTypes]Tri

// modeRows says what the types of Consent Mode unlock. A purpose needs every
// type in its row. Context is absent because Consent Mode has no word for it;
// geo and device because it cannot grant them.
var modeRows = [...]struct {
	purposes Purposes
	needs    []ModeType
}{
	{Storage, []ModeType{FunctionalityStorage}},
	{Measure, []ModeType{AnalyticsStorage}},
	{Profile | Personalise, []ModeType{PersonalizationStorage}},
	{Share, []ModeType{AdStorage, AdUserData, AdPersonalization}},
}

// readMode reads Consent Mode. Where TCF applies it is not consulted at all:
// Google reads the TC string then, and leaves these values stale.
func (r *reading) readMode(s *Signals) {
	if !s.Mode.present() || tcfApplies(s) {
		return
	}
	r.authority, r.applies, r.grants = ByMode, true, Context
	for i := range modeRows {
		granted := true
		for _, t := range modeRows[i].needs {
			switch s.Mode[t] {
			case Yes:
			case No:
				granted = false
				r.vetoes |= modeRows[i].purposes
			default:
				granted = false
			}
		}
		if granted {
			r.grants |= modeRows[i].purposes
		}
	}
}

// present reports whether the page set a type that means something here.
func (m *Mode) present() bool {
	said := *m
	said[SecurityStorage] = Unset
	return said != Mode{}
}

// ParseMode sets in dst one member of the wire's "gcm" object, for example
// "analytics_storage" and "granted". It reports whether it knew both words. An
// unknown key leaves dst as it is; an unknown value counts as denied, and so
// does a member that comes twice and was denied once: the stricter wins. It
// keeps neither slice and does not allocate.
func ParseMode(dst *Mode, key, value []byte) bool {
	t, ok := modeTypeNamed(key)
	if !ok {
		return false
	}
	switch string(value) {
	case "granted":
		if dst[t] == Unset {
			dst[t] = Yes
		}
		return true
	case "denied":
		dst[t] = No
		return true
	default:
		dst[t] = No
		return false
	}
}

func modeTypeNamed(key []byte) (ModeType, bool) {
	switch string(key) {
	case "ad_storage":
		return AdStorage, true
	case "ad_user_data":
		return AdUserData, true
	case "ad_personalization":
		return AdPersonalization, true
	case "analytics_storage":
		return AnalyticsStorage, true
	case "functionality_storage":
		return FunctionalityStorage, true
	case "personalization_storage":
		return PersonalizationStorage, true
	case "security_storage":
		return SecurityStorage, true
	default:
		return 0, false
	}
}
