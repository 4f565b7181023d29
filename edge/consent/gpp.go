// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"slices"

	"github.com/nearside/nearside/edge/consent/gpp"
	"github.com/nearside/nearside/edge/consent/packed"
)

// Bounds of the GPP signal.
const (
	MaxGPPBytes    = packed.MaxBytes // of the string
	MaxGPPSections = gpp.MaxSections // ids in force; there are 27 sections today
)

// Ids that are no section's:
// https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform,
// "Core/CMP API Specification.md", PingReturn.applicableSections.
const (
	gppNotApplicable = -1 // the only one in force when no section applies
	gppLoading       = 0  // the platform does not know yet
)

// A GPPAnswer is what a GPP string says to a site, whoever evaluates it and
// whenever, like a TCFAnswer. The zero value is of no string.
type GPPAnswer struct {
	as             TCFReading
	fault          Fault // where it is malformed
	europe, canada TCFAnswer
	sections       [MaxGPPSections]sectionAnswer
	count          int
}

// A sectionAnswer is what one section says.
type sectionAnswer struct {
	id       int16
	kind     sectionKind
	says     causes
	location bool // the precise location is agreed to
}

// sectionKind is how a section is read.
type sectionKind uint8

const (
	notKnown      sectionKind = iota
	asksConsent               // tcfeuv2, tcfcav1
	optOutLaw                 // a US section: allowed until refused
	doesNotApply              // uspv1 that says so
	sectionMissed             // in force, and not in the string
)

// ReadGPP decodes a GPP string for a site that reads the sections of the TCF as
// it says. It does not allocate unless the string is malformed.
func ReadGPP(text string, as TCFReading) GPPAnswer {
	a := GPPAnswer{as: as}
	var g gpp.String
	if err := g.Decode(text); err != nil {
		a.fault = faultOf(err)
		return a
	}
	for i := range g.Sections() {
		a.sections[i] = a.section(&g, &g.Sections()[i])
		a.count++
	}
	return a
}

// As is how the site reads the sections of the TCF.
func (a *GPPAnswer) As() TCFReading { return a.as }

func (a *GPPAnswer) section(g *gpp.String, s *gpp.Section) sectionAnswer {
	says := sectionAnswer{id: int16(s.ID)}
	switch {
	case s.ID == gpp.TCFEUV2:
		a.europe, says.kind = answerOf(&g.TCFEU, a.as), asksConsent
	case s.ID == gpp.TCFCAV1:
		a.canada, says.kind = canadaAnswerOf(&g.TCFCA, a.as), asksConsent
	case s.ID == gpp.USPV1 && g.USP.OptOutSale == '-':
		says.kind = doesNotApply
	case s.ID == gpp.USPV1:
		says.kind = optOutLaw
		says.says.add(optedOutOfSale, g.USP.OptOutSale == 'Y')
	case s.Name != "" && s.US.IsKnown():
		says.kind = optOutLaw
		says.says = causesOf(&s.US)
		says.location = s.US.AgreesToLocation()
	}
	return says
}

// find returns what a section says.
func (a *GPPAnswer) find(id int) sectionAnswer {
	for i := range a.sections[:a.count] {
		if int(a.sections[i].id) == id {
			return a.sections[i]
		}
	}
	return sectionAnswer{id: int16(id), kind: sectionMissed}
}

// causes are the reasons of a US section to take something away, as a set.
type causes uint8

const (
	optedOutOfSale causes = 1 << iota
	optedOutOfSharing
	optedOutOfTargeting
	askedForGPC
	knownChild
	refusedLocation

	optOuts = optedOutOfSale | optedOutOfSharing | optedOutOfTargeting | askedForGPC
)

// causeFields are the fields that the causes stand in, by bit.
var causeFields = [...]string{gpp.SaleOptOut, gpp.SharingOptOut, gpp.TargetedAdvertisingOptOut, "Gpc", gpp.KnownChildSensitiveDataConsents, "SensitiveDataProcessing"}

func (c *causes) add(cause causes, yes bool) {
	if yes {
		*c |= cause
	}
}

// causesOf reads them. A field of a known child that applies at all says that the
// visitor is one, whatever a parent agreed to.
func causesOf(us *gpp.US) (c causes) {
	c.add(optedOutOfSale, us.Value(gpp.SaleOptOut, 1) == gpp.OptedOut)
	c.add(optedOutOfSharing, us.Value(gpp.SharingOptOut, 1) == gpp.OptedOut)
	c.add(optedOutOfTargeting, us.Value(gpp.TargetedAdvertisingOptOut, 1) == gpp.OptedOut)
	c.add(askedForGPC, us.GPC())
	for n := range us.Len(gpp.KnownChildSensitiveDataConsents) {
		c.add(knownChild, us.Value(gpp.KnownChildSensitiveDataConsents, n+1) != 0)
	}
	c.add(refusedLocation, us.Location() == gpp.OptedOut)
	return c
}

// vetoes returns what one cause takes away.
func (c causes) vetoes(p *Policy) Purposes {
	switch {
	case c&optOuts != 0:
		return optOutVetoes(p)
	case c == knownChild:
		return Share | Profile | Personalise
	default:
		return Geo
	}
}

// veto takes away what the section refuses.
func (s *sectionAnswer) veto(r *reading, p *Policy) {
	for i, left := 0, s.says; left != 0; i, left = i+1, left>>1 {
		if left&1 == 1 {
			r.veto(Veto{By: "gpp", Section: int(s.id), Field: causeFields[i], Purposes: causes(1 << i).vetoes(p)})
		}
	}
}

// hiddenVetoes is what a US section that cannot be read may have taken away.
const hiddenVetoes = Share | Profile | Personalise | Geo

// hide narrows a reading by a section in force that gave no answer that counts.
// One that asks for consent may have refused anything.
func (s *sectionAnswer) hide(r *reading, why Reason) {
	r.reason = firstReason(r.reason, why)
	purposes := hiddenVetoes
	if s.id == gpp.TCFEUV2 || s.id == gpp.TCFCAV1 {
		purposes = All
	}
	r.veto(Veto{By: "gpp", Section: int(s.id), Purposes: purposes})
}

// gppApplies reports whether a section of the Global Privacy Platform speaks
// for this visitor. Only the platform's own "none applies" says no: section 0
// means that it is still loading, and a string without a list of sections does
// not say which of them are in force, so both may hide an opt-out.
func gppApplies(s *Signals) bool {
	for _, id := range s.GPPSections {
		if id != gppNotApplicable {
			return true
		}
	}
	return s.GPP != "" && len(s.GPPSections) == 0
}

// isNoAnswer reports whether an id in force says that the platform does not know:
// it is loading, or the id is none that exists.
func isNoAnswer(id int) bool { return id <= gppLoading && id != gppNotApplicable }

// readGPP reads the GPP string, of which a is the answer. Of several sections in
// force the strictest decides, purpose by purpose; one that does not count leaves
// nothing. What sections in force refuse is refused whoever grants.
func (r *reading) readGPP(s *Signals, a *GPPAnswer, p *Policy, place Class, today int32, notes *[]Veto) {
	if !gppApplies(s) {
		return
	}
	r.authority, r.applies, r.yields, r.grants, r.notes = ByGPP, true, true, All, notes
	switch {
	case s.GPP == "":
		r.reason = NoString
	case a.fault != Fault{}:
		r.reason, r.fault = Malformed, a.fault
	}
	if len(s.GPPSections) == 0 || slices.ContainsFunc(s.GPPSections, isNoAnswer) {
		r.reason = firstReason(r.reason, SectionsUnknown)
		for i := range a.sections[:a.count] {
			a.judge(r, int(a.sections[i].id), p, place, today)
		}
		if a.count == 0 {
			r.veto(Veto{By: "gpp", Purposes: hiddenVetoes})
		}
	}
	for _, id := range s.GPPSections {
		if id > gppLoading {
			a.judge(r, id, p, place, today)
		}
	}
	if r.reason != "" {
		r.grants, r.yields = 0, false
	}
}

// judge narrows a reading by a section that is in force.
func (a *GPPAnswer) judge(r *reading, id int, p *Policy, place Class, today int32) {
	section := a.find(id)
	switch section.kind {
	case asksConsent:
		r.yields = false
		answer := a.tcf(id)
		if why := answer.whyNot(today); why != "" {
			section.hide(r, why)
			return
		}
		// Beside a TC string the stricter of both decides: what this section does
		// not grant is refused.
		granted := answer.grants(p)
		r.grants &= granted
		r.veto(Veto{By: "gpp", Section: id, Purposes: All &^ granted})
	case optOutLaw:
		// The platform's word on the law stands for the page's policy; the place has
		// its own.
		granted := p.defaults(USOptOut) & p.defaults(place)
		if section.location && place == USOptOut {
			granted |= Geo
		}
		r.grants &= granted
		section.veto(r, p)
	case doesNotApply:
		r.reason = firstReason(r.reason, NotApplicable)
	case sectionMissed:
		section.hide(r, SectionMissing)
	default:
		section.hide(r, SectionNotKnown)
	}
}

// tcf returns the answer of a section that asks for consent.
func (a *GPPAnswer) tcf(id int) *TCFAnswer {
	if id == gpp.TCFCAV1 {
		return &a.canada
	}
	return &a.europe
}

func firstReason(a, b Reason) Reason {
	if a != "" {
		return a
	}
	return b
}
