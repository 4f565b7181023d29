// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"strconv"
	"time"

	"github.com/nearside/nearside/edge/consent/gpp"
)

// An Explanation is a Verdict with what it was made of. Nothing in it is decided
// anew: it is what Evaluate had in hand.
type Explanation struct {
	Verdict Verdict
	// Claimed is the ceiling that the tag set.
	Claimed Purposes
	// Allowed is what the authority grants, before vetoes and the claim.
	Allowed Purposes
	// Readings are what each signal says, in order of precedence: the first that
	// applies is the authority, unless it yields to one below it that has an answer.
	Readings []SignalReading
	// Vetoes are what signals take away, whoever grants.
	Vetoes []Veto
}

// A SignalReading is what one signal says.
type SignalReading struct {
	Authority Authority
	Applies   bool     // it speaks for the visitor
	Grants    Purposes // what it would grant
	Reason    Reason   // why it gave no answer that counts, or empty
	Fault     Fault    // where its string is malformed
}

// A Veto is what one signal takes away, and by which of its fields.
type Veto struct {
	By       string // "gpc", "gpp", "gcm" or "owner"
	Section  int    // of the GPP, 0 for none
	Field    string // of the section, empty if the section as a whole does
	Purposes Purposes
}

// Source names the signal and the field, for example "gpp usca.SaleOptOut".
func (v Veto) Source() string {
	if v.Section == 0 {
		return v.By
	}
	name := gpp.SectionName(v.Section)
	if name == "" {
		name = "section " + strconv.Itoa(v.Section)
	}
	if v.Field != "" {
		name += "." + v.Field
	}
	return v.By + " " + name
}

// Explain evaluates signals and tells how the verdict came about. Its arguments
// are those of Evaluate; it allocates.
func Explain(s *Signals, p *Policy, where Region, now time.Time) Explanation {
	var tcf TCFAnswer
	var gpp GPPAnswer
	s.read(p.TCF, &tcf, &gpp)
	e := Explanation{Claimed: s.Claimed, Vetoes: []Veto{}}
	var f folding
	f.fold(Answers{&tcf, &gpp}, s, p, where, now, &e.Vetoes)
	e.Verdict, e.Allowed = f.verdict, f.grants
	for i := range f.readings {
		r := &f.readings[i]
		e.Readings = append(e.Readings, SignalReading{Authority: Authority(i + 1), Applies: r.applies, Grants: r.grants, Reason: r.reason, Fault: r.fault})
	}
	return e
}

// note adds the vetoes that have no field to name: GPC's, and the plain refusals
// of Consent Mode and of the site's own prompt.
func (f *folding) note(notes *[]Veto, gpc Purposes) {
	if gpc != 0 {
		*notes = append(*notes, Veto{By: "gpc", Purposes: gpc})
	}
	for i := range f.readings {
		if r := &f.readings[i]; r.vetoes != 0 && r.notes == nil {
			*notes = append(*notes, Veto{By: r.authority.String(), Purposes: r.vetoes})
		}
	}
}

// An Outcome says what became of one purpose.
type Outcome string

// The outcomes.
const (
	Granted    Outcome = "granted"
	Unresolved Outcome = "unresolved"  // the authority gave no answer that counts
	NotGranted Outcome = "not_granted" // the authority does not grant it
	Vetoed     Outcome = "vetoed"      // a signal took it away
	NotClaimed Outcome = "not_claimed" // the tag did not ask for it
	NeedsOther Outcome = "needs_other" // a purpose that it is nothing without is not granted
)

// Outcome says what became of a purpose.
func (e *Explanation) Outcome(purpose Purposes) Outcome {
	v := &e.Verdict
	switch {
	case v.Granted.Has(purpose):
		return Granted
	case v.Unresolved:
		return Unresolved
	case !e.Allowed.Has(purpose):
		return NotGranted
	case v.Vetoed.Has(purpose):
		return Vetoed
	case !e.Claimed.Has(purpose):
		return NotClaimed
	default:
		return NeedsOther
	}
}
