// SPDX-License-Identifier: Apache-2.0

// Package consent decides what a visitor has agreed to.
//
// A beacon carries signals: what the owner's own prompt recorded, a TCF string,
// a GPP string, Google Consent Mode, Global Privacy Control. Evaluate folds
// them, the site's Policy and the visitor's Region into one set of Purposes
// with the name of the authority that granted it. Every other package asks that
// set and never reads a signal itself. What no signal grants is refused.
//
// The package does no I/O, never widens what the tag claimed, never keeps or
// logs a signal, and holds no state: the same arguments always give the same
// Verdict. Every function may be called by any number of goroutines at once.
package consent

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
	// Unresolved means that the authority applies but gave no answer that can
	// be read. Granted is empty then.
	Unresolved bool
}

// Evaluate decides what a visitor allows: one authority grants, every veto
// takes away, the tag's claim is the ceiling, and what a lost purpose was
// needed for goes with it. It does not allocate. No argument may be nil; the
// zero values are the strict reading.
func Evaluate(s *Signals, p *Policy, where Region) Verdict {
	place := where.class()
	readings := [...]reading{ // in order of precedence
		readTCF(s),
		readGPP(s),
		readMode(s),
		readOwner(s),
		readRegion(p, place, s.PagePolicy),
	}

	v := Verdict{Policy: stricter(place, s.PagePolicy)}
	var grants Purposes
	vetoes := gpcVetoes(s, p)
	for _, r := range readings {
		vetoes |= r.vetoes
		if r.applies && v.Authority == ByNobody {
			v.Authority, v.Unresolved, grants = r.authority, r.unresolved, r.grants
		}
	}

	v.Vetoed = grants & vetoes
	v.Granted = withNeeds(grants &^ vetoes & s.Claimed)
	return v
}

// A reading is what one signal says. The zero value says nothing.
type reading struct {
	authority Authority
	// applies means that this signal speaks for the visitor, so that no signal
	// below it may grant.
	applies bool
	// unresolved means that it applies but cannot be read; it grants nothing.
	unresolved bool
	grants     Purposes
	// vetoes are taken away whoever grants, and whether or not it applies: an
	// opt-out needs no right to grant.
	vetoes Purposes
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
