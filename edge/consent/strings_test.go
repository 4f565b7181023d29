// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// A tcString is a TC string to write. Vendors are one bit each, up to ten.
type tcString struct {
	created, updated time.Time // a week before testNow without one
	policy           uint64
	forManySites     bool
	features         packed.Set
	consents         packed.Set
	interests        packed.Set
	oneTreatment     bool

	vendorConsents, vendorInterests packed.Set
	restrictions                    []packed.Restriction // of vendor 7
	disclosed                       packed.Set
	undisclosed                     bool // the segment is missing
	hasPublisher                    bool
	publisher, publisherInterests   packed.Set
}

// ids is a set of ids.
func ids(list ...int) (s packed.Set) {
	for _, id := range list {
		s |= 1 << (id - 1)
	}
	return s
}

const everyID packed.Set = 1<<24 - 1

// agreed is a TC string of today that agrees to everything.
func agreed() tcString {
	return tcString{policy: 5, features: ids(1, 2), consents: everyID, interests: everyID,
		vendorConsents: ids(7), vendorInterests: ids(7), disclosed: ids(7, 9), hasPublisher: true, publisher: everyID, publisherInterests: everyID}
}

func putSet(w *packedtest.Writer, s packed.Set, n int) {
	for id := 1; id <= n; id++ {
		bit := uint64(0)
		if s.Has(id) {
			bit = 1
		}
		w.Uint(bit, 1)
	}
}

func putVendors(w *packedtest.Writer, s packed.Set) {
	w.Uint(10, 16).Uint(0, 1)
	putSet(w, s, 10)
}

func putDate(w *packedtest.Writer, at time.Time) {
	if at.IsZero() {
		at = testNow.AddDate(0, 0, -7)
	}
	w.Uint(uint64(at.UnixMilli()/100), 36)
}

func (t tcString) text() string {
	w := new(packedtest.Writer).Uint(2, 6)
	putDate(w, t.created)
	putDate(w, t.updated)
	w.Uint(10, 12).Uint(1, 12).Uint(0, 6).Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(t.policy, 6)
	many := uint64(1)
	if t.forManySites {
		many = 0
	}
	w.Uint(many, 1).Uint(0, 1)
	putSet(w, t.features, 12)
	putSet(w, t.consents, 24)
	putSet(w, t.interests, 24)
	one := uint64(0)
	if t.oneTreatment {
		one = 1
	}
	w.Uint(one, 1).Uint(3, 6).Uint(4, 6)
	putVendors(w, t.vendorConsents)
	putVendors(w, t.vendorInterests)
	w.Uint(uint64(len(t.restrictions)), 12)
	for _, r := range t.restrictions {
		w.Uint(uint64(r.Purpose), 6).Uint(uint64(r.Type), 2).Uint(1, 12).Uint(0, 1).Uint(7, 16)
	}
	text := w.Text(24)
	if !t.undisclosed {
		w := new(packedtest.Writer).Uint(1, 3)
		putVendors(w, t.disclosed)
		text += "." + w.Text(24)
	}
	if t.hasPublisher {
		w := new(packedtest.Writer).Uint(3, 3)
		putSet(w, t.publisher, 24)
		putSet(w, t.publisherInterests, 24)
		text += "." + w.Uint(0, 6).Text(24)
	}
	return text
}

// gppText writes a GPP string of sections with ascending ids.
func gppText(sections ...section) string {
	var numbers []int
	text := ""
	for _, s := range sections {
		numbers = append(numbers, s.id)
		text += "~" + s.text
	}
	return packedtest.Header(numbers...) + text
}

type section struct {
	id   int
	text string
}

// uscaText writes usca: the two opt-outs, the value for the precise location,
// that for known children, and GPC.
func uscaText(sale, sharing, location, child uint64, gpc bool) section {
	w := new(packedtest.Writer).Uint(1, 6).Uint(0, 3*2).Uint(sale, 2).Uint(sharing, 2)
	w.Uint(0, 2*2).Uint(location, 2).Uint(0, 6*2).Uint(child, 2).Uint(0, 2).Uint(0, 2).Uint(1, 2).Uint(0, 2*2)
	text := w.Text(24) + ".QA"
	if gpc {
		text = w.Text(24) + ".YA"
	}
	return section{8, text}
}

// canadaText writes tcfcav1 of a week before testNow.
func canadaText(express, implied, features packed.Set) section {
	w := new(packedtest.Writer).Uint(1, 6)
	putDate(w, time.Time{})
	putDate(w, time.Time{})
	w.Uint(10, 12).Uint(1, 12).Uint(0, 6).Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(2, 6).Uint(0, 1)
	putSet(w, features, 12)
	putSet(w, express, 24)
	putSet(w, implied, 24)
	return section{5, w.Uint(0, 17+17+12).Text(24)}
}

// byTCF evaluates a TC string where TCF applies.
func byTCF(t tcString, p Policy) Verdict {
	s := Signals{Claimed: All, GDPR: Yes, TCF: t.text()}
	return Evaluate(&s, &p, france, testNow)
}

// byGPP evaluates a GPP string with sections in force.
func byGPP(text string, inForce ...int) Verdict {
	s := Signals{Claimed: All, GPP: text, GPPSections: inForce}
	return Evaluate(&s, &Policy{}, california, testNow)
}

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

func TestGPPSections(t *testing.T) {
	const defaults = All &^ (Geo | Device)
	usca := uscaText
	allowed := usca(2, 2, 2, 0, false)
	everything := canadaText(everyID, 0, ids(1, 2))
	tests := []struct {
		name    string
		text    string
		inForce []int
		granted Purposes
		reason  Reason
	}{
		{"a US section without an opt-out grants the defaults of its law", gppText(usca(0, 0, 0, 0, false)), []int{8}, defaults, ""},
		{"and the precise location that was agreed to", gppText(allowed), []int{8}, defaults | Geo, ""},
		{"not the one that was refused", gppText(usca(2, 2, 1, 0, false)), []int{8}, defaults, ""},
		{"an opt-out of sale takes share", gppText(usca(1, 2, 0, 0, false)), []int{8}, defaults &^ Share, ""},
		{"an opt-out of sharing takes share", gppText(usca(2, 1, 0, 0, false)), []int{8}, defaults &^ Share, ""},
		{"GPC in the section takes share", gppText(usca(2, 2, 0, 0, true)), []int{8}, defaults &^ Share, ""},
		{"a known child has no profile, whatever a parent said", gppText(usca(2, 2, 0, 2, false)), []int{8}, defaults &^ (Share | Profile | Personalise), ""},
		{"a section that is not in force does not count", gppText(usca(1, 1, 1, 1, true), section{9, "BVVVVVU"}), []int{9}, defaults &^ (Share | Profile | Personalise), ""},
		{"of two in force the stricter decides", gppText(section{6, "1YYN"}, allowed), []int{6, 8}, defaults &^ Share, ""},
		{"US Privacy without an opt-out", gppText(section{6, "1YNN"}), []int{6}, defaults, ""},
		{"US Privacy that does not apply", gppText(section{6, "1---"}), []int{6}, 0, NotApplicable},
		{"express consent is consent", gppText(everything), []int{5}, All, ""},
		{"implied consent counts as interest", gppText(canadaText(0, everyID, 0)), []int{5}, Measure | Context, ""},
		{"a section in force that is not in the string", gppText(allowed), []int{7}, 0, SectionMissing},
		{"one of two that is not in the string", gppText(allowed), []int{8, 9}, 0, SectionMissing},
		{"a section in force that cannot be read here", gppText(section{28, "AAAA"}), []int{28}, 0, SectionNotKnown},
		{"one beside it that cannot be read does not count", gppText(allowed, section{28, "AAAA"}), []int{8}, defaults | Geo, ""},
		{"no list of what is in force", gppText(allowed), nil, 0, SectionsUnknown},
		{"a platform that is loading", gppText(allowed), []int{0}, 0, SectionsUnknown},
		{"a platform that is loading beside a section", gppText(allowed), []int{0, 8}, 0, SectionsUnknown},
		{"an id that does not exist", gppText(allowed), []int{-2}, 0, SectionsUnknown},
		{"a malformed string", gppText(allowed) + "B", []int{8}, 0, Malformed},
		{"no string", "", []int{8}, 0, NoString},
		{"a stale section that asks for consent", gppText(section{2, tcString{policy: 5, created: time.Unix(0, 0), disclosed: 1}.text()}), []int{2}, 0, Stale},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := byGPP(tt.text, tt.inForce...)
			if got.Granted != tt.granted || got.Reason != tt.reason || got.Authority != ByGPP {
				t.Errorf("granted %v, %q, want %v, %q", got.Granted, got.Reason, tt.granted, tt.reason)
			}
		})
	}
}

// What a US section refuses is refused whoever grants, and so is what one hides
// that cannot be read.
func TestGPPVetoesWhoeverGrants(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		inForce []int
		want    Purposes
	}{
		{"nothing", gppText(uscaText(2, 2, 2, 0, false)), []int{8}, 0},
		{"an opt-out", gppText(uscaText(1, 2, 0, 0, false)), []int{8}, Share},
		{"GPC", gppText(uscaText(0, 0, 0, 0, true)), []int{8}, Share},
		{"the precise location", gppText(uscaText(0, 0, 1, 0, false)), []int{8}, Geo},
		{"a known child", gppText(uscaText(0, 0, 0, 1, false)), []int{8}, Share | Profile | Personalise},
		{"US Privacy", gppText(section{6, "1YYN"}), []int{6}, Share},
		{"an opt-out of a section that is not in force", gppText(uscaText(1, 1, 1, 1, true)), []int{-1}, 0},
		{"an opt-out that may be in force", gppText(uscaText(1, 2, 0, 0, false)), nil, Share},
		{"an opt-out while the platform is loading", gppText(uscaText(1, 2, 0, 0, false)), []int{0}, Share},
		{"a section that is missing", gppText(uscaText(0, 0, 0, 0, false)), []int{7}, hiddenVetoes},
		{"a malformed string", "DBAB", []int{7}, hiddenVetoes},
		{"a section of the TCF that is missing", gppText(uscaText(0, 0, 0, 0, false)), []int{2}, All},
		{"a section of the TCF that is stale", gppText(section{2, tcString{policy: 5, consents: everyID, created: time.Unix(0, 0), disclosed: 1}.text()}), []int{2}, All},
		{"a section of the TCF while the platform is loading", gppText(section{2, tcString{policy: 5, consents: ids(1, 8, 9), disclosed: 1}.text()}), []int{0}, All &^ (Storage | Measure)},
		{"a section of the TCF that grants less", gppText(section{2, tcString{policy: 5, consents: ids(1, 8, 9), disclosed: 1}.text()}), []int{2}, All &^ (Storage | Measure)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, s := range map[string]Signals{
				"tcf":   {GDPR: Yes, TCF: agreed().text()},
				"owner": {GDPR: No, Owner: Choice{Granted: All}},
			} {
				s.Claimed, s.GPP, s.GPPSections = All, tt.text, tt.inForce
				got := Evaluate(&s, &Policy{}, france, testNow)
				switch {
				case name == "tcf" && (got.Authority != ByTCF || got.Granted != withNeeds(All&^tt.want)):
					t.Errorf("by TCF it grants %v, want all but %v", got.Granted, tt.want)
				case name == "owner" && got.Authority == ByOwner && got.Granted != withNeeds(All&^tt.want):
					t.Errorf("by the owner it grants %v, want all but %v", got.Granted, tt.want)
				}
			}
		})
	}
	strict := Signals{Claimed: All, GDPR: Yes, TCF: agreed().text(), GPP: gppText(uscaText(1, 0, 0, 0, false)), GPPSections: []int{8}}
	if got := Evaluate(&strict, &Policy{StrictGPC: true}, france, testNow); got.Granted != All&^(Share|Profile|Personalise) {
		t.Errorf("in strict mode an opt-out leaves %v", got.Granted)
	}
}

// A kept answer must hold nothing of the beacon that it came in.
func TestAnswersHoldNothingOfTheText(t *testing.T) {
	tc := []byte(agreed().text())
	us := []byte(gppText(uscaText(1, 2, 2, 0, false)))
	bad := []byte("DBABLA~" + strings.Repeat("B", 20) + "*")
	tcf, gpp, malformed := ReadTCF(aliased(tc), 7), ReadGPP(aliased(us), ByPurpose), ReadGPP(aliased(bad), ByPurpose)
	before := [...]any{tcf, gpp, malformed.fault}
	for _, text := range [][]byte{tc, us, bad} {
		for i := range text {
			text[i] = 'A'
		}
	}
	if after := [...]any{tcf, gpp, malformed.fault}; before != after {
		t.Errorf("changed with the text from %v to %v", before, after)
	}
	if malformed.fault.Field == "" || malformed.fault.Code == "" {
		t.Errorf("no fault: %+v", malformed.fault)
	}
}
