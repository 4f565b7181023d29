// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"math/rand/v2"
	"testing"
)

// A world is one set of arguments for Evaluate.
type world struct {
	s     Signals
	p     Policy
	where Region
}

func (w world) verdict() Verdict { return Evaluate(&w.s, &w.p, w.where) }

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
	if sometimes(5) {
		w.s.TCF = "CQ"
	}
	if sometimes(3) {
		w.s.GDPR = Tri(r.IntN(3))
	}
	if sometimes(8) {
		w.s.GPP = "DB"
	}
	if sometimes(8) {
		w.s.GPPSections = [][]int{{-1}, {0}, {7}, {-1, 8}}[r.IntN(4)]
	}
	w.p = Policy{
		StrictGPC:           sometimes(3),
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
	{"a TC string appears", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.TCF, w.s.GDPR = "CQ", Yes
		return true
	}},
	{"a GPP section is in force", func(w *world, _ Purposes, _ ModeType) bool {
		w.s.GPP, w.s.GPPSections = "DB", []int{7}
		return !tcfApplies(&w.s)
	}},
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
	case applies && g != 0:
		t.Fatalf("granted %v over a string that cannot be read: %+v", g, w)
	case v.Unresolved != applies:
		t.Fatalf("unresolved is %t: %+v", v.Unresolved, w)
	case v.Authority == ByNobody || v.Authority > ByRegion:
		t.Fatalf("decided by %v: %+v", v.Authority, w)
	}
}
