// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent/packed"
)

func TestEachPurposeOfATCString(t *testing.T) {
	tests := []struct {
		purpose             Purposes
		consents, interests packed.Set // that grant it
		features            packed.Set
		not                 []packed.Set // interests that do not
	}{
		{Storage, ids(1), 0, 0, []packed.Set{ids(1)}},
		{Measure, ids(8, 9), 0, 0, []packed.Set{ids(8), ids(9)}},
		{Measure, 0, ids(8, 9), 0, nil},
		{Measure, ids(8), ids(9), 0, nil},
		{Context, ids(11), 0, 0, nil},
		{Context, 0, ids(11), 0, []packed.Set{ids(6)}},
		{Context, ids(6), 0, 0, nil},
		{Profile, ids(5, 1), 0, 0, []packed.Set{ids(5, 1)}},
		{Personalise, ids(6, 1), 0, 0, []packed.Set{ids(6, 1)}},
		{Share, ids(2, 3, 4, 7, 8, 9), 0, 0, []packed.Set{ids(2, 3, 4, 7, 8, 9)}},
		{Geo, 0, 0, ids(1), []packed.Set{everyID}},
		{Device, 0, 0, ids(2), []packed.Set{everyID}},
	}
	for _, tt := range tests {
		t.Run(tt.purpose.String(), func(t *testing.T) {
			for _, as := range []TCFReading{ByPurpose, ByPublisher, 7} {
				give := tcString{policy: 4, features: tt.features, consents: tt.consents, interests: tt.interests,
					vendorConsents: ids(7), vendorInterests: ids(7), disclosed: ids(7),
					hasPublisher: true, publisher: tt.consents, publisherInterests: tt.interests}
				if as == ByPublisher {
					give.consents, give.interests = 0, 0
				}
				if got := byTCF(give, Policy{TCF: as}); !got.Granted.Has(tt.purpose) || got.Unresolved {
					t.Errorf("read by %s it grants %v, %s", as, got.Granted, got.Reason)
				}
				for _, interests := range tt.not {
					give := give
					give.features, give.consents, give.interests = 0, 0, interests
					give.publisher, give.publisherInterests = 0, interests
					if got := byTCF(give, Policy{TCF: as}); got.Granted.Has(tt.purpose) {
						t.Errorf("read by %s the legitimate interest %b grants it", as, interests)
					}
				}
			}
		})
	}
	// Share needs each of its four purposes.
	for _, missing := range []int{2, 3, 4, 7} {
		give := agreed()
		give.consents &^= ids(missing)
		if got := byTCF(give, Policy{}); got.Granted != All&^Share {
			t.Errorf("without purpose %d it grants %v", missing, got.Granted)
		}
	}
}

func TestWhyATCStringDoesNotCount(t *testing.T) {
	change := func(f func(s *tcString)) tcString {
		s := agreed()
		f(&s)
		return s
	}
	at := func(created time.Time) tcString {
		return change(func(s *tcString) { s.created, s.updated = created, created })
	}
	day := func(year int, month time.Month, d int) time.Time {
		return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
	}
	tests := []struct {
		name   string
		give   tcString
		policy Policy
		want   Reason
	}{
		{"of today", at(testNow), Policy{}, ""},
		{"of tomorrow, for clocks and time zones", at(day(2026, time.November, 16)), Policy{}, ""},
		{"of the day after", at(day(2026, time.November, 17)), Policy{}, InFuture},
		{"thirteen months old", at(day(2025, time.October, 15)), Policy{}, ""},
		{"a day older", at(day(2025, time.October, 14)), Policy{}, Stale},
		{"from the beginning of time", at(time.Unix(0, 0)), Policy{}, Stale},
		{"made long ago and changed yesterday", change(func(s *tcString) { s.created = day(2024, time.June, 1) }), Policy{}, Stale},
		{"changed in the future", change(func(s *tcString) { s.updated = day(2030, time.June, 1) }), Policy{}, InFuture},
		{"of policy version 4", change(func(s *tcString) { s.policy = 4 }), Policy{}, ""},
		{"of policy version 3", change(func(s *tcString) { s.policy = 3 }), Policy{}, OldPolicy},
		{"for many sites", change(func(s *tcString) { s.forManySites = true }), Policy{}, NotServiceSpecific},
		{"without disclosed vendors, since they are needed", change(func(s *tcString) { s.undisclosed = true }), Policy{}, NoDisclosedVendors},
		{"without them, from the day on", change(func(s *tcString) {
			s.undisclosed, s.created, s.updated = true, day(2026, time.February, 28), day(2026, time.February, 28)
		}), Policy{}, NoDisclosedVendors},
		{"without them, from the day before", change(func(s *tcString) {
			s.undisclosed, s.created, s.updated = true, day(2026, time.February, 27), day(2026, time.February, 27)
		}), Policy{}, ""},
		{"without them, made before and changed since", change(func(s *tcString) {
			s.undisclosed, s.created = true, day(2026, time.February, 27)
		}), Policy{}, NoDisclosedVendors},
		{"without the publisher's segment, where it is not read", change(func(s *tcString) { s.hasPublisher = false }), Policy{}, ""},
		{"without the publisher's segment, where it is", change(func(s *tcString) { s.hasPublisher = false }), Policy{TCF: ByPublisher}, NoPublisher},
		{"with the vendor disclosed", agreed(), Policy{TCF: 7}, ""},
		{"without the vendor disclosed", change(func(s *tcString) { s.disclosed = ids(8) }), Policy{TCF: 7}, VendorNotDisclosed},
		{"without disclosure, older, for a vendor", change(func(s *tcString) {
			s.undisclosed, s.created, s.updated = true, day(2026, time.January, 1), day(2026, time.January, 1)
		}), Policy{TCF: 7}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := byTCF(tt.give, tt.policy)
			if got.Reason != tt.want || got.Unresolved != (tt.want != "") || got.Authority != ByTCF {
				t.Errorf("reason %q, want %q: %+v", got.Reason, tt.want, got)
			}
			want := All
			if tt.want != "" {
				want = 0
			}
			if got.Granted != want {
				t.Errorf("granted %v, want %v", got.Granted, want)
			}
			// The same string as the section of a GPP string.
			s := Signals{Claimed: All, GPP: gppText(section{2, tt.give.text()}), GPPSections: []int{2}}
			if v := Evaluate(&s, &tt.policy, france, testNow); v.Reason != tt.want || v.Granted != want || v.Authority != ByGPP {
				t.Errorf("as tcfeuv2: %+v", v)
			}
		})
	}
}

// An answer lapses on a last day of a month that is shorter, and never later.
func TestThirteenMonthsEndWithTheMonth(t *testing.T) {
	give := agreed()
	give.created = time.Date(2026, time.January, 31, 0, 0, 0, 0, time.UTC)
	give.updated, give.undisclosed = give.created, true
	s := Signals{Claimed: All, GDPR: Yes, TCF: give.text()}
	for day, want := range map[time.Time]Reason{
		time.Date(2027, time.February, 28, 23, 59, 0, 0, time.UTC): "",
		time.Date(2027, time.March, 1, 0, 0, 0, 0, time.UTC):       Stale,
		{}: InFuture, // a clock that was never set
	} {
		if v := Evaluate(&s, &Policy{}, france, day); v.Reason != want {
			t.Errorf("on %v: %q, want %q", day, v.Reason, want)
		}
	}
}

func TestVendorNeedsTheChoiceForItselfOnTheSameGround(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *tcString)
		want   Purposes
	}{
		{"consent and interest", func(*tcString) {}, All},
		{"no choice for the vendor", func(s *tcString) { s.vendorConsents, s.vendorInterests = ids(9), ids(9) }, 0},
		{"interest alone", func(s *tcString) { s.vendorConsents = 0 }, Measure | Context | Geo | Device},
		{"consent alone", func(s *tcString) { s.vendorInterests = 0 }, All},
		{"consent for the vendor, interest for the purpose", func(s *tcString) {
			s.vendorInterests, s.consents = 0, ids(1)
		}, Storage | Geo | Device},
		{"a purpose that is not allowed", func(s *tcString) {
			s.restrictions = []packed.Restriction{{Purpose: 5, Type: packed.NotAllowed}}
		}, All &^ Profile},
		{"a purpose that needs consent, without it", func(s *tcString) {
			s.consents &^= ids(9)
			s.restrictions = []packed.Restriction{{Purpose: 9, Type: packed.RequireConsent}}
		}, All &^ (Measure | Share)},
		{"a purpose that needs consent, with it", func(s *tcString) {
			s.restrictions = []packed.Restriction{{Purpose: 9, Type: packed.RequireConsent}}
		}, All},
		{"a purpose by interest alone, without it", func(s *tcString) {
			s.interests &^= ids(9)
			s.restrictions = []packed.Restriction{{Purpose: 9, Type: packed.RequireInterest}}
		}, All &^ (Measure | Share)},
		{"purpose 6 by interest alone, which is no ground", func(s *tcString) {
			s.restrictions = []packed.Restriction{{Purpose: 6, Type: packed.RequireInterest}}
		}, All &^ Personalise},
		{"both restrictions leave nothing", func(s *tcString) {
			s.restrictions = []packed.Restriction{{Purpose: 8, Type: packed.RequireInterest}, {Purpose: 8, Type: packed.RequireConsent}}
		}, All &^ (Measure | Share)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			give := agreed()
			tt.change(&give)
			if got := byTCF(give, Policy{TCF: 7}); got.Granted != tt.want || got.Unresolved {
				t.Errorf("granted %v, want %v", got.Granted, tt.want)
			}
		})
	}
}

func TestPurposeOneTreatmentIsTheOwnersChoice(t *testing.T) {
	give := agreed()
	give.oneTreatment = true
	give.consents &^= ids(1)
	give.publisher &^= ids(1)
	for _, as := range []TCFReading{ByPurpose, ByPublisher, 7} {
		if got := byTCF(give, Policy{TCF: as}); got.Granted.Has(Storage) {
			t.Errorf("read by %s it grants storage as shipped", as)
		}
		if got := byTCF(give, Policy{TCF: as, PurposeOneTreatment: true}); got.Granted != All {
			t.Errorf("read by %s it grants %v", as, got.Granted)
		}
	}
	give.restrictions = []packed.Restriction{{Purpose: 1, Type: packed.NotAllowed}}
	if got := byTCF(give, Policy{TCF: 7, PurposeOneTreatment: true}); got.Granted.Has(Storage) {
		t.Error("a vendor that may not store is granted storage")
	}
}
