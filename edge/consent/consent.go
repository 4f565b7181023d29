// SPDX-License-Identifier: Apache-2.0

// Package consent decides what a visitor has agreed to.
//
// A beacon carries signals: what the owner's own prompt recorded, a TCF string,
// a GPP string, Google Consent Mode, Global Privacy Control. Evaluate folds
// them, the site's Policy and the visitor's Region into one set of Purposes
// with the name of the authority that granted it. Every other package asks that
// set and never reads a signal itself. What no signal grants is refused.
//
// The strings are decoded by the packages tcf and gpp below this one; what a
// string is good for is decided here. The package does no I/O, never widens what
// the tag claimed, never keeps or logs a signal, and holds no state: the same
// arguments always give the same Verdict. Every function may be called by any
// number of goroutines at once.
package consent

import "time"

// Tri is an answer that may be missing. The zero value is Unset, which is never
// read as Yes.
type Tri uint8

// The answers a signal can give.
const (
	Unset Tri = iota // nobody said
	Yes
	No
)

// Signals is everything one beacon says about consent, bounded but not
// believed. Evaluate reads it and keeps nothing, so the strings may alias the
// beacon's buffer. The zero value is a visitor who said nothing.
type Signals struct {
	// Claimed is what the tag computed for itself. It is a ceiling: a client
	// can ask for less than its signals allow, never for more.
	Claimed Purposes
	// Owner is what the site's own prompt recorded.
	Owner Choice
	// PagePolicy is the page's data-policy; the zero value is Strict.
	PagePolicy PagePolicy
	// GDPR is the consent platform's gdprApplies.
	GDPR Tri
	// TCF is the IAB TC string, at most MaxTCFBytes; empty when there is none.
	TCF string
	// GPP is the IAB GPP string, at most MaxGPPBytes; empty when there is none.
	GPP string
	// GPPSections are the section ids that the platform says are in force, at
	// most MaxGPPSections.
	GPPSections []int
	// GPC is true if the Sec-GPC header or the browser's property is set.
	GPC bool
	// Mode is Google Consent Mode as the page left it.
	Mode Mode
}

// A Verdict is what the visitor allows for this beacon, and why.
type Verdict struct {
	// Granted is what may be done. It is always a subset of Signals.Claimed.
	Granted Purposes
	// Authority is the one signal that could grant; those below it in
	// precedence could only take away.
	Authority Authority
	// Policy is the class of defaults in force: the stricter of the page's and
	// the region's. It decides Granted only if Authority is ByRegion.
	Policy Class
	// Vetoed is what the authority granted and a veto took away, whether or not
	// the tag claimed it.
	Vetoed Purposes
	// Unresolved means that the authority applies but gave no answer that
	// counts. Granted is empty then.
	Unresolved bool
	// Reason says why it is unresolved, and is empty otherwise.
	Reason Reason
}

// Evaluate decides what a visitor allows: one authority grants, every veto
// takes away, the tag's claim is the ceiling, and what a lost purpose was
// needed for goes with it. now decides, by its day, whether a choice is too old.
// It does not allocate unless a string is malformed. No pointer may be nil; the
// zero values are the strict reading.
func Evaluate(s *Signals, p *Policy, where Region, now time.Time) Verdict {
	var tcf TCFAnswer
	var gpp GPPAnswer
	s.read(p.TCF, &tcf, &gpp)
	return Answers{&tcf, &gpp}.Evaluate(s, p, where, now)
}

// read decodes the strings that matter.
func (s *Signals) read(as TCFReading, tcf *TCFAnswer, gpp *GPPAnswer) {
	if s.ReadsTCF() {
		*tcf = ReadTCF(s.TCF, as)
	}
	if s.ReadsGPP() {
		*gpp = ReadGPP(s.GPP, as)
	}
}

// Answers are what the strings of Signals say, for who keeps that: ReadTCF and
// ReadGPP of the signals' strings and the policy's TCFReading, of which only
// those are looked at that ReadsTCF and ReadsGPP ask for. Neither may be nil.
type Answers struct {
	TCF *TCFAnswer
	GPP *GPPAnswer
}

// ReadsTCF reports whether the TC string matters.
func (s *Signals) ReadsTCF() bool { return s.TCF != "" && tcfApplies(s) }

// ReadsGPP reports whether the GPP string matters.
func (s *Signals) ReadsGPP() bool { return s.GPP != "" && gppApplies(s) }

// Evaluate is the function Evaluate for strings that were read before. It never
// allocates.
func (a Answers) Evaluate(s *Signals, p *Policy, where Region, now time.Time) Verdict {
	var f folding
	f.fold(a, s, p, where, now, nil)
	return f.verdict
}

// A folding is a verdict with what it was made of.
type folding struct {
	verdict  Verdict
	readings [readings]reading // in order of precedence
	grants   Purposes          // the authority's, before vetoes
}

// readings is how many signals may grant.
const readings = int(ByRegion)

// fold is all there is to decide, into a zero folding. It appends each veto to notes,
// which may be nil.
func (f *folding) fold(a Answers, s *Signals, p *Policy, where Region, now time.Time, notes *[]Veto) {
	place, today := where.class(), dayOf(now)
	f.readings[0].readTCF(s, a.TCF, p, today)
	f.readings[1].readGPP(s, a.GPP, p, place, today, notes)
	f.readings[2].readMode(s)
	f.readings[3].readOwner(s)
	f.readings[4].readRegion(p, place, s.PagePolicy)
	v, vetoes := &f.verdict, gpcVetoes(s, p)
	v.Policy = stricter(place, s.PagePolicy)
	if notes != nil {
		f.note(notes, vetoes)
	}
	for i := range f.readings {
		r := &f.readings[i]
		vetoes |= r.vetoes
		if r.applies && v.Authority == ByNobody && !(r.yields && f.answered(i+1)) {
			v.Authority, v.Reason, f.grants = r.authority, r.reason, r.grants
		}
	}
	v.Unresolved = v.Reason != ""
	v.Vetoed = f.grants & vetoes
	v.Granted = withNeeds(f.grants &^ vetoes & s.Claimed)
}

// answered reports whether one of the readings from the i-th on holds an answer of
// the visitor's: the region's defaults are nobody's.
func (f *folding) answered(i int) bool {
	for _, r := range f.readings[i:] {
		if r.applies && r.authority != ByRegion {
			return true
		}
	}
	return false
}

// A reading is what one signal says. The zero value says nothing. Its methods fill a zero
// one where it is: a verdict is made with every request, and a copy costs what it says.
type reading struct {
	authority Authority
	// applies means that this signal speaks for the visitor, so that no signal
	// below it may grant.
	applies bool
	// yields means that it grants what a law allows where nobody has answered: it
	// leaves granting to a signal below it that has an answer.
	yields bool
	// reason says why it applies and gave no answer that counts; it grants
	// nothing then.
	reason Reason
	grants Purposes
	// vetoes are taken away whoever grants, and whether or not it applies: an
	// opt-out needs no right to grant.
	vetoes Purposes
	fault  Fault   // where the string is malformed
	notes  *[]Veto // where vetoes with a cause are noted, or nil
}

// veto takes something away, for a cause that an explanation can name.
func (r *reading) veto(v Veto) {
	r.vetoes |= v.Purposes
	if r.notes != nil && v.Purposes != 0 {
		*r.notes = append(*r.notes, v)
	}
}

// Authority names the signal that could grant. The zero value is ByNobody,
// which Evaluate never returns.
type Authority uint8

// The authorities, from the highest to the lowest.
const (
	ByNobody Authority = iota
	ByTCF              // IAB Transparency and Consent Framework
	ByGPP              // IAB Global Privacy Platform
	ByMode             // Google Consent Mode
	ByOwner            // the site's own prompt
	ByRegion           // the defaults of the visitor's region, nobody having said anything
)

// String returns the name that is stored with events and shown to visitors.
func (a Authority) String() string {
	switch a {
	case ByTCF:
		return "tcf"
	case ByGPP:
		return "gpp"
	case ByMode:
		return "gcm"
	case ByOwner:
		return "owner"
	case ByRegion:
		return "region"
	default:
		return "nobody"
	}
}

// withNeeds drops each purpose whose own need is not met. A profile without a
// stored identifier would need another way to recognise the visitor, and there
// must be none; what is not measured must not be shared.
func withNeeds(p Purposes) Purposes {
	if !p.Has(Storage) {
		p &^= Profile | Personalise
	}
	if !p.Has(Measure) {
		p &^= Share
	}
	return p
}
