// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"testing"
	"time"
)

// testNow is when the tests happen, as far as strings are concerned.
var testNow = time.Date(2026, time.November, 15, 12, 0, 0, 0, time.UTC)

var (
	california = Region{"US", "CA"}
	france     = Region{Country: "FR"}
)

// needy lists what goes with a purpose when it is withdrawn.
func needy(p Purposes) Purposes {
	switch p {
	case Storage:
		return Storage | Profile | Personalise
	case Measure:
		return Measure | Share
	default:
		return p
	}
}

// grantedBy returns signals under which a visitor grants everything that the
// authority can grant at all.
func grantedBy(a Authority) Signals {
	s := Signals{Claimed: All, PagePolicy: USOptOut}
	switch a {
	case ByOwner:
		s.Owner.Granted = All
	case ByMode:
		s.Mode = Mode{Yes, Yes, Yes, Yes, Yes, Yes, Yes}
	}
	return s
}

func TestWithdrawingEachPurpose(t *testing.T) {
	modeTypesOf := map[Purposes][]ModeType{
		Storage:     {FunctionalityStorage},
		Measure:     {AnalyticsStorage},
		Profile:     {PersonalizationStorage},
		Personalise: {PersonalizationStorage},
		Share:       {AdStorage, AdUserData, AdPersonalization},
	}
	for _, row := range Rows() {
		p := row.Bit
		t.Run(row.Name, func(t *testing.T) {
			for _, by := range []Authority{ByOwner, ByMode, ByRegion} {
				before := evaluateIn(california, grantedBy(by))
				if !before.Granted.Has(p) {
					if by == ByOwner {
						t.Fatal("the owner cannot grant it")
					}
					continue
				}
				want := before.Granted &^ needy(p)

				refused := grantedBy(by)
				refused.Owner.Refused = p
				if by == ByRegion {
					want = 0 // an answer stands in the place of the defaults
				}
				expect(t, by, "refused by the owner", refused, want)

				want = before.Granted &^ needy(p)
				unclaimed := grantedBy(by)
				unclaimed.Claimed &^= p
				expect(t, by, "no longer claimed", unclaimed, want)

				if by == ByOwner {
					ungranted := grantedBy(by)
					ungranted.Owner.Granted &^= p
					expect(t, by, "not granted by the owner", ungranted, want)
				}
				if by == ByMode {
					for _, mt := range modeTypesOf[p] {
						for _, answer := range []Tri{No, Unset} {
							denied := grantedBy(by)
							denied.Mode[mt] = answer
							lost := needy(p)
							if mt == PersonalizationStorage {
								lost = Profile | Personalise
							}
							expect(t, by, "denied in Consent Mode", denied, before.Granted&^lost)
						}
					}
				}
				if p == Share {
					signal := grantedBy(by)
					signal.GPC = true
					expect(t, by, "taken away by GPC", signal, want)
				}
			}
		})
	}
}

func TestEachPurposeIsGonePlaceByPlace(t *testing.T) {
	for _, row := range Rows() {
		s := grantedBy(ByRegion)
		for _, where := range []Region{{}, france, {Country: "GB"}, {Country: "JP"}, {"US", "NY"}} {
			if v := evaluateIn(where, s); v.Granted.Has(row.Bit) {
				t.Errorf("%v grants %s to a visitor who said nothing", where, row.Name)
			}
		}
	}
}

func TestStrictGPCTakesProfilesFromEveryAuthority(t *testing.T) {
	for _, by := range []Authority{ByOwner, ByMode, ByRegion} {
		s := grantedBy(by)
		s.GPC = true
		v := Evaluate(&s, &Policy{StrictGPC: true}, california, testNow)
		if v.Granted&(Share|Profile|Personalise) != 0 || !v.Granted.Has(Storage|Measure|Context) {
			t.Errorf("by %v strict GPC leaves %v", by, v.Granted)
		}
		if v.Vetoed != Share|Profile|Personalise {
			t.Errorf("by %v strict GPC vetoed %v", by, v.Vetoed)
		}
	}
}

func TestVetoedIsToldThoughTheTagDidNotClaimIt(t *testing.T) {
	s := grantedBy(ByOwner)
	s.GPC, s.Claimed = true, All&^Share
	if v := evaluateIn(france, s); v.Vetoed != Share {
		t.Errorf("vetoed %v, want share", v.Vetoed)
	}
}

func evaluateIn(where Region, s Signals) Verdict { return Evaluate(&s, &Policy{}, where, testNow) }

func expect(t *testing.T, by Authority, how string, s Signals, want Purposes) {
	t.Helper()
	if got := evaluateIn(california, s); got.Granted != want {
		t.Errorf("granted by %v, then %s: left with %v, want %v", by, how, got.Granted, want)
	}
}

func TestEvaluateAllocs(t *testing.T) {
	sections := []int{7, 8}
	policy := Policy{ContextBeforeAnswer: true}
	tcf, gpp := agreed().text(), gppText(section{2, agreed().text()}, uscaText(1, 2, 2, 0, true))
	key, value, word := []byte("analytics_storage"), []byte("granted"), []byte("us-optout")
	got := testing.AllocsPerRun(1000, func() {
		s := Signals{Claimed: All, GPC: true, GPPSections: sections}
		s.PagePolicy, _ = ParsePagePolicy(word)
		ParseMode(&s.Mode, key, value)
		unresolved := Evaluate(&s, &policy, california, testNow)
		s.GPPSections = nil
		s.Owner.Granted = Purposes(len(tcf))
		owned := Evaluate(&s, &policy, france, testNow)
		s.TCF, s.GPP, s.GPPSections = tcf, gpp, sections
		sink = Evaluate(&s, &policy, france, testNow)
		sink.Vetoed |= owned.Vetoed
		sink.Unresolved = unresolved.Unresolved
		_ = sink.Authority.String()
		_ = sink.Policy.String()
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

var sink Verdict

func BenchmarkEvaluate(b *testing.B) {
	benchmarks := []struct {
		name string
		s    Signals
	}{
		{"owner", grantedBy(ByOwner)},
		{"consent-mode-and-gpc", func() Signals { s := grantedBy(ByMode); s.GPC = true; return s }()},
		{"region", grantedBy(ByRegion)},
		{"malformed-tcf", Signals{Claimed: All, GDPR: Yes, TCF: "CQ"}},
		{"tcf", Signals{Claimed: All, GDPR: Yes, TCF: agreed().text()}},
		{"gpp-us", Signals{Claimed: All, GPP: gppText(uscaText(1, 2, 2, 0, true)), GPPSections: []int{8}}},
		{"tcf-and-gpp", Signals{Claimed: All, GDPR: Yes, TCF: agreed().text(), GPP: gppText(section{2, agreed().text()}, uscaText(1, 2, 2, 0, true)), GPPSections: []int{2}}},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			policy := Policy{}
			b.ReportAllocs()
			for b.Loop() {
				sink = Evaluate(&bm.s, &policy, california, testNow)
			}
		})
	}
}
