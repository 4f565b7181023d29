// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
)

// A world is one set of arguments for Evaluate.
type world struct {
	s     Signals
	p     Policy
	where Region
	// tc and us are what the strings of s say, nil without one or for one that is
	// malformed.
	tc *tcString
	us *usState
}

// A usState is what usca says.
type usState struct {
	sale, sharing, location, child uint64
	gpc                            bool
}

func (w *world) setTCF(t tcString) { w.tc, w.s.TCF = &t, t.text() }

func (w *world) setUS(u usState) {
	w.us, w.s.GPP = &u, gppText(uscaText(u.sale, u.sharing, u.location, u.child, u.gpc))
}

// randomTCF is a TC string that mostly counts and mostly agrees.
func randomTCF(r *rand.Rand) tcString {
	set := func() packed.Set { return packed.Set(r.Uint32()|r.Uint32()) & everyID }
	t := tcString{policy: 4, features: set() & 3, consents: set(), interests: set(), oneTreatment: r.IntN(4) == 0,
		vendorConsents: set() & 1023, vendorInterests: set() & 1023, disclosed: set() & 1023,
		hasPublisher: r.IntN(5) > 0, publisher: set(), publisherInterests: set(), undisclosed: r.IntN(12) == 0, forManySites: r.IntN(12) == 0}
	t.created = testNow.AddDate(0, 0, -r.IntN(440))
	t.updated = t.created
	for range r.IntN(3) {
		t.restrictions = append(t.restrictions, packed.Restriction{Purpose: 1 + 4*len(t.restrictions) + r.IntN(4), Type: packed.RestrictionType(r.IntN(3))})
	}
	return t
}

func (w world) verdict() Verdict { return Evaluate(&w.s, &w.p, w.where, testNow) }

func randomWorld(r *rand.Rand) world {
	sometimes := func(n int) bool { return r.IntN(n) == 0 }
	var w world
	w.s.Claimed = Purposes(r.Uint32() >> (24 * r.IntN(2)))
	w.s.PagePolicy = []PagePolicy{Strict, UK, USOptOut, USOptOut}[r.IntN(4)]
	w.s.GPC = sometimes(4)
	if sometimes(2) {
		w.s.Owner = Choice{Granted: Purposes(r.Uint32N(1024)), Refused: Purposes(r.Uint32N(256) & r.Uint32N(256))}
	}
	if sometimes(2) {
		for i := range w.s.Mode {
			w.s.Mode[i] = Tri(r.IntN(3))
		}
	}
	if sometimes(3) {
		w.setTCF(randomTCF(r))
		if sometimes(5) {
			w.tc, w.s.TCF = nil, "CQ"
		}
	}
	if sometimes(3) {
		w.s.GDPR = Tri(r.IntN(3))
	}
	if sometimes(3) {
		w.setUS(usState{r.Uint64N(3), r.Uint64N(3), r.Uint64N(3), r.Uint64N(3), sometimes(3)})
		if sometimes(5) {
			w.us, w.s.GPP = nil, "DB"
		}
	}
	if w.s.GPP != "" && sometimes(2) || sometimes(12) {
		w.s.GPPSections = [][]int{{-1}, {0}, {7}, {-1, 8}, {8}, {8}, {8}, {2}}[r.IntN(8)]
	}
	if w.us != nil && sometimes(3) { // where a US section decides
		w.s.Owner, w.s.Mode, w.s.GPPSections, w.where = Choice{}, Mode{}, []int{8}, Region{"US", "CA"}
	}
	w.p = Policy{
		StrictGPC:           sometimes(3),
		TCF:                 []TCFReading{ByPurpose, ByPurpose, ByPublisher, 7}[r.IntN(4)],
		PurposeOneTreatment: sometimes(3),
		ContextBeforeAnswer: sometimes(3),
		Open:                Openings{UK: Set(r.Uint32N(256)), USOptOut: Set(r.Uint32N(256)), Elsewhere: Set(r.Uint32N(256))},
	}
	w.where = []Region{{}, {Country: "FR"}, {Country: "GB"}, {Country: "JP"}, {Country: "US"}, {"US", "CA"}, {"US", "NY"}}[r.IntN(7)]
	return w
}

// narrower lists the ways to say no to one more thing. Each one is told what to
// change by bit and type; it returns false where it has nothing to change.
var narrower = []struct {
	name  string
	apply func(w *world, bit Purposes, t ModeType) bool
}{
	{"the owner refuses a purpose", func(w *world, bit Purposes, _ ModeType) bool {
		w.s.Owner.Refused |= bit
		return true
	}},
	{"the owner takes a grant back", func(w *world, bit Purposes, _ ModeType) bool {
		had := w.s.Owner.Granted&bit != 0
		w.s.Owner.Granted &^= bit
		return had && w.s.Owner != (Choice{}) // with nothing recorded the visitor was never asked
	}},
	{"a type of Consent Mode is denied", func(w *world, _ Purposes, t ModeType) bool {
		had := w.s.Mode.present()
		w.s.Mode[t] = No
		return had // the first type makes Consent Mode the authority
	}},
	{"a type of Consent Mode is no longer granted", func(w *world, _ Purposes, t ModeType) bool {
		had := w.s.Mode[t] == Yes
		w.s.Mode[t] = Unset
		return had && w.s.Mode.present()
	}},
	{"GPC is switched on", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.GPC = true
		return true
	}},
	{"GPC is read strictly", func(w *world, _ Purposes, _ ModeType) bool {
		w.p.StrictGPC = true
		return true
	}},
	{"the tag claims less", func(w *world, bit Purposes, _ ModeType) bool {
		w.s.Claimed &^= bit
		return true
	}},
	{"the page is strict", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.PagePolicy = Strict
		return true
	}},
	{"the place is unknown", func(w *world, _ Purposes, _ ModeType) bool {
		w.where = Region{}
		return true
	}},
	{"the owner closes what was opened", func(w *world, bit Purposes, _ ModeType) bool {
		w.p.ContextBeforeAnswer = false
		w.p.Open.UK &^= Set(bit)
		w.p.Open.USOptOut &^= Set(bit)
		w.p.Open.Elsewhere &^= Set(bit)
		return true
	}},
	{"a TC string that is malformed appears", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.TCF, w.s.GDPR = "CQ", Yes
		return true
	}},
	{"the TC string refuses a purpose", ofTCF(func(t *tcString, id packed.Set) {
		t.consents, t.publisher = t.consents&^id, t.publisher&^id
	})},
	{"the TC string objects to a legitimate interest", ofTCF(func(t *tcString, id packed.Set) {
		t.interests, t.publisherInterests = t.interests&^id, t.publisherInterests&^id
	})},
	{"the TC string refuses a special feature", ofTCF(func(t *tcString, id packed.Set) { t.features &^= id })},
	{"the TC string refuses a vendor", ofTCF(func(t *tcString, _ packed.Set) { t.vendorConsents &^= ids(7) })},
	{"the TC string objects to a vendor's legitimate interest", ofTCF(func(t *tcString, _ packed.Set) { t.vendorInterests &^= ids(7) })},
	{"the vendor is not disclosed", ofTCF(func(t *tcString, _ packed.Set) { t.disclosed &^= ids(7) })},
	{"the publisher forbids a purpose", ofTCF(func(t *tcString, id packed.Set) {
		forbidden := packed.Restriction{Purpose: id.List()[0], Type: packed.NotAllowed}
		if !slices.Contains(t.restrictions, forbidden) { // twice would be malformed
			t.restrictions = append(slices.Clip(t.restrictions), forbidden)
		}
	})},
	{"the TC string is a year older", ofTCF(func(t *tcString, _ packed.Set) { t.created = t.created.AddDate(-1, 0, 0) })},
	{"the TC string is for many sites", ofTCF(func(t *tcString, _ packed.Set) { t.forManySites = true })},
	{"the US section opts out of sale", ofUS(func(u *usState) { u.sale = 1 })},
	{"the US section opts out of sharing", ofUS(func(u *usState) { u.sharing = 1 })},
	{"the US section asks for GPC", ofUS(func(u *usState) { u.gpc = true })},
	{"the US section refuses the location", ofUS(func(u *usState) { u.location = 1 })},
	{"the US section is of a child", ofUS(func(u *usState) { u.child = 1 })},
	{"the GPP string is malformed", func(w *world, _ Purposes, _ ModeType) bool {
		had := gppApplies(&w.s) && w.us != nil
		w.s.GPP += "*"
		return had
	}},
	{"a GPP section is in force", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.GPP, w.s.GPPSections = "DB", []int{7}
		return !tcfApplies(&w.s)
	}},
}

// ofTCF changes the TC string. It is given one of the ids 1 to 11.
func ofTCF(change func(t *tcString, id packed.Set)) func(w *world, bit Purposes, t ModeType) bool {
	return func(w *world, bit Purposes, t ModeType) bool {
		if w.tc == nil {
			return false
		}
		next := *w.tc
		change(&next, ids(1+(bits.TrailingZeros32(uint32(bit))*modeTypes+int(t))%11))
		w.setTCF(next)
		return true
	}
}

func ofUS(change func(u *usState)) func(w *world, _ Purposes, _ ModeType) bool {
	return func(w *world, _ Purposes, _ ModeType) bool {
		if w.us == nil {
			return false
		}
		next := *w.us
		change(&next)
		w.setUS(next)
		return true
	}
}

func TestProperties(t *testing.T) {
	const worlds = 100_000
	r := rand.New(rand.NewPCG(2026, 11))
	changed := make(map[string]int)
	byAuthority := make(map[Authority]int)
	for range worlds {
		w := randomWorld(r)
		v := w.verdict()
		byAuthority[v.Authority]++
		checkVerdict(t, w, v)

		bit, mt := Purposes(1)<<r.IntN(8), ModeType(r.IntN(modeTypes))
		for _, n := range narrower {
			less := w
			if !n.apply(&less, bit, mt) {
				continue
			}
			got := less.verdict()
			if added := got.Granted &^ v.Granted; added != 0 {
				t.Fatalf("%s (%v, type %d): %v was added\nbefore %+v\nafter  %+v", n.name, bit, mt, added, w, less)
			}
			if got.Granted != v.Granted {
				changed[n.name]++
			}
		}
	}
	// A property that never bites, or an authority that never speaks, proves nothing.
	for _, n := range narrower {
		if changed[n.name] < 50 {
			t.Errorf("%s: changed only %d of %d verdicts", n.name, changed[n.name], worlds)
		}
	}
	for a := ByTCF; a <= ByRegion; a++ {
		if byAuthority[a] < 500 {
			t.Errorf("%v was the authority of only %d of %d verdicts", a, byAuthority[a], worlds)
		}
	}
}

// checkVerdict holds a verdict to what is true of every verdict.
func checkVerdict(t *testing.T, w world, v Verdict) {
	t.Helper()
	g := v.Granted
	applies := tcfApplies(&w.s) || gppApplies(&w.s)
	unreadable := tcfApplies(&w.s) && w.tc == nil || !tcfApplies(&w.s) && gppApplies(&w.s) && w.us == nil
	switch {
	case g&^w.s.Claimed != 0:
		t.Fatalf("granted %v beyond the claim: %+v", g, w)
	case g&^All != 0:
		t.Fatalf("granted bits that are no purpose: %v: %+v", g, w)
	case g&(Profile|Personalise) != 0 && !g.Has(Storage):
		t.Fatalf("granted %v without storage: %+v", g, w)
	case g.Has(Share) && !g.Has(Measure):
		t.Fatalf("granted share without measure: %+v", w)
	case g&w.s.Owner.Refused != 0:
		t.Fatalf("granted %v though the owner refused it: %+v", g, w)
	case w.s.GPC && g.Has(Share):
		t.Fatalf("granted share against GPC: %+v", w)
	case g&v.Vetoed != 0:
		t.Fatalf("granted %v and vetoed %v: %+v", g, v.Vetoed, w)
	case v.Unresolved && g != 0:
		t.Fatalf("granted %v by an answer that cannot be read: %+v", g, w)
	case unreadable && g != 0:
		t.Fatalf("granted %v over a string that cannot be read: %+v", g, w)
	case unreadable && !v.Unresolved, v.Unresolved && !applies, v.Unresolved != (v.Reason != ""):
		t.Fatalf("unresolved is %t, reason %q: %+v", v.Unresolved, v.Reason, w)
	case v.Authority == ByGPP && w.us != nil && (w.us.sale == 1 || w.us.sharing == 1 || w.us.gpc || w.us.child != 0) && g.Has(Share):
		t.Fatalf("granted share against a US section: %+v", w)
	case v.Authority == ByTCF && w.tc != nil && w.p.TCF == ByPurpose && !w.tc.consents.Has(1) && !w.p.PurposeOneTreatment && g.Has(Storage):
		t.Fatalf("granted storage that the TC string refuses: %+v", w)
	case v.Authority == ByNobody || v.Authority > ByRegion:
		t.Fatalf("decided by %v: %+v", v.Authority, w)
	}
}
