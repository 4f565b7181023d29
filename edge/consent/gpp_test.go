// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strings"
	"testing"
	"time"
)

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
		{"and the precise location that was agreed to", gppText(section{9, "BAoAAhA"}), []int{9}, defaults | Geo, ""},
		{"not the one that was not opted out of", gppText(allowed), []int{8}, defaults, ""},
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
		{"one beside it that cannot be read does not count", gppText(allowed, section{28, "AAAA"}), []int{8}, defaults, ""},
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

// The page's platform may say that US law holds, which stands for the page's policy
// and for no place's: it adds nothing to what silence allows there but a location
// that was agreed to.
func TestAUSSectionOpensNoPlace(t *testing.T) {
	for _, where := range []Region{{}, {Country: "DE"}, {Country: "GB"}, {Country: "JP"}, {Country: "US"}, {"US", "CA"}, {"US", "AL"}} {
		for _, text := range []string{gppText(uscaText(2, 2, 2, 0, false)), gppText(uscaText(1, 1, 1, 0, true)), gppText(section{6, "1NNN"}), gppText(section{9, "BAoAAhA"})} {
			ids := []int{8}
			switch {
			case strings.Contains(text, "~1"):
				ids = []int{6}
			case strings.Contains(text, "BAoAAhA"):
				ids = []int{9}
			}
			for _, gdpr := range []Tri{Unset, No} {
				silent := Signals{Claimed: All, PagePolicy: USOptOut, GDPR: gdpr}
				told := silent
				told.PagePolicy, told.GPP, told.GPPSections = Strict, text, ids
				before, after := Evaluate(&silent, &Policy{}, where, testNow), Evaluate(&told, &Policy{}, where, testNow)
				if added := after.Granted &^ before.Granted; added != 0 && (added != Geo || where.Country != "US") {
					t.Errorf("in %v %s adds %v to %v", where, text, added, before.Granted)
				}
			}
		}
	}
}
