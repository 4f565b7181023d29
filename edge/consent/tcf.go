// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"time"

	"github.com/nearside/nearside/edge/consent/gpp"
	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/tcf"
)

// MaxTCFBytes bounds a TC string. Real ones have a few hundred characters; the
// rest is room for long lists of vendors.
const MaxTCFBytes = packed.MaxBytes

// What makes a TC string acceptable: IAB Europe, "Transparency & Consent
// Framework Policies" and the technical specification of TCF 2.3.
const (
	// leastTCFPolicy is the policy version since which consent counts; older ones
	// have been invalid since 30 September 2023.
	leastTCFPolicy = 4
	// consentMonths is after how many months a choice must have been renewed.
	consentMonths = 13
	// interestNever are the purposes for which legitimate interest is no ground:
	// 1, and 3 to 6 since TCF 2.2.
	interestNever packed.Set = 0b111101
)

// disclosedSince is the day from which on a new string must have the segment of
// disclosed vendors: 28 February 2026.
var disclosedSince = dayOf(time.Date(2026, time.February, 28, 0, 0, 0, 0, time.UTC))

// A TCFAnswer is what a TC string says to a site, whoever evaluates it and
// whenever: it depends on the text and the site's TCFReading alone, and keeps
// nothing of the text. The zero value is of no string.
type TCFAnswer struct {
	as     TCFReading
	reason Reason
	fault  Fault

	oldest, newest int32 // the earlier and the later of its two dates
	until          int32 // the last day on which it counts

	consents, interests packed.Set // by purpose, as the site reads them
	features            packed.Set
	oneTreatment        bool // purpose 1 was not asked for
}

// ReadTCF decodes a TC string for a site that reads it as it says. It does not
// allocate unless the string is malformed.
func ReadTCF(text string, as TCFReading) TCFAnswer {
	var t tcf.String
	if err := t.Decode(text); err != nil {
		return TCFAnswer{as: as, reason: Malformed, fault: faultOf(err)}
	}
	return answerOf(&t, as)
}

// As is how the site reads it.
func (a *TCFAnswer) As() TCFReading { return a.as }

// answerOf takes from a decoded string what a site needs.
func answerOf(t *tcf.String, as TCFReading) TCFAnswer {
	a := TCFAnswer{as: as, features: t.SpecialFeatureOptins, oneTreatment: t.PurposeOneTreatment}
	a.date(t.Created, t.LastUpdated)
	switch {
	case t.PolicyVersion < leastTCFPolicy:
		a.reason = OldPolicy
	case !t.IsServiceSpecific:
		a.reason = NotServiceSpecific
	case !t.HasVendorsDisclosed && a.newest >= disclosedSince:
		a.reason = NoDisclosedVendors
	default:
		a.choose(choices{
			consents: t.PurposeConsents, interests: t.PurposeLegitimateInterests,
			hasPublisher: t.HasPublisher, publisherConsents: t.PublisherConsents, publisherInterests: t.PublisherLegitimateInterests,
			vendorConsents: t.VendorConsents, vendorInterests: t.VendorLegitimateInterests,
			hasDisclosed: t.HasVendorsDisclosed, disclosed: t.VendorsDisclosed, restrictions: t.PublisherRestrictions,
		})
	}
	return a
}

// canadaAnswerOf takes it from tcfcav1, whose express consent is consent and
// whose implied consent counts as legitimate interest. It has no policy version
// that is too old, and is always for one site.
func canadaAnswerOf(c *gpp.Canada, as TCFReading) TCFAnswer {
	a := TCFAnswer{as: as, features: c.SpecialFeatureExpressConsent}
	a.date(c.Created, c.LastUpdated)
	a.choose(choices{
		consents: c.PurposesExpressConsent, interests: c.PurposesImpliedConsent,
		hasPublisher: c.HasPublisher, publisherConsents: c.PubPurposesExpressConsent, publisherInterests: c.PubPurposesImpliedConsent,
		vendorConsents: c.VendorExpressConsent, vendorInterests: c.VendorImpliedConsent,
		hasDisclosed: c.HasDisclosedVendors, disclosed: c.DisclosedVendors, restrictions: c.PubRestrictions,
	})
	return a
}

// date notes when the choice was made. The specification has both dates the
// same; where they differ, the older one says when to ask again.
func (a *TCFAnswer) date(created, updated time.Time) {
	first, last := created, updated
	if last.Before(first) {
		first, last = last, first
	}
	a.oldest, a.newest, a.until = dayOf(first), dayOf(last), dayOf(monthsAfter(first, consentMonths))
}

// dayOf is the number of a moment's day in UTC.
func dayOf(t time.Time) int32 {
	const secondsPerDay = 24 * 60 * 60
	seconds := t.Unix()
	if seconds < 0 {
		return -1 // before 1970, when nobody was asked
	}
	return int32(min(seconds/secondsPerDay, 1<<30))
}

// monthsAfter is the same day n months later, or that month's last.
func monthsAfter(t time.Time, n int) time.Time {
	year, month, day := t.Date()
	last := time.Date(year, month+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return time.Date(year, month+time.Month(n), min(day, last), 0, 0, 0, 0, time.UTC)
}

// choices are what a TC string or tcfcav1 says, for each TCFReading to choose from.
type choices struct {
	consents, interests                   packed.Set
	hasPublisher                          bool
	publisherConsents, publisherInterests packed.Set
	vendorConsents, vendorInterests       packed.Vendors
	hasDisclosed                          bool
	disclosed                             packed.Vendors
	restrictions                          packed.Restrictions
}

// choose takes the choices that the site reads.
func (a *TCFAnswer) choose(c choices) {
	switch vendor := int(a.as); {
	case a.as == ByPurpose:
		a.consents, a.interests = c.consents, c.interests
	case a.as == ByPublisher && !c.hasPublisher:
		a.reason = NoPublisher
	case a.as == ByPublisher:
		a.consents, a.interests = c.publisherConsents, c.publisherInterests
	case c.hasDisclosed && !c.disclosed.Has(vendor):
		a.reason = VendorNotDisclosed
	default:
		a.chooseVendor(c, vendor)
	}
	a.interests &^= interestNever
}

// chooseVendor takes what a vendor may do: the visitor's choice for the purpose
// and for the vendor on the same ground, unless the publisher restricts it. The
// vendor's own declaration in the Global Vendor List is not read: a restriction
// to the other ground leaves it nothing on this one.
func (a *TCFAnswer) chooseVendor(c choices, vendor int) {
	restricted := c.restrictions.Of(vendor)
	consent, interest := c.vendorConsents.Has(vendor), c.vendorInterests.Has(vendor)
	if consent {
		a.consents = c.consents &^ restricted[packed.NotAllowed] &^ restricted[packed.RequireInterest]
	}
	if interest {
		a.interests = c.interests &^ restricted[packed.NotAllowed] &^ restricted[packed.RequireConsent]
	}
	a.oneTreatment = a.oneTreatment && consent && !restricted[packed.NotAllowed].Has(1)
	if !consent && !interest {
		a.features = 0
	}
}

// whyNot returns why the answer does not count today, "" if it does.
func (a *TCFAnswer) whyNot(today int32) Reason {
	switch {
	case a.reason != "":
		return a.reason
	case a.newest > today+1: // a day for clocks and time zones
		return InFuture
	case today > a.until:
		return Stale
	default:
		return ""
	}
}

// grants returns what the answer allows, by the mapping of purposes.
func (a *TCFAnswer) grants(p *Policy) Purposes {
	either := a.consents | a.interests
	var set Purposes
	if a.consents.Has(1) || a.oneTreatment && p.PurposeOneTreatment {
		set |= Storage
	}
	if either.Has(8) && either.Has(9) {
		set |= Measure
	}
	if either.Has(11) || a.consents.Has(6) {
		set |= Context
	}
	if a.consents.Has(5) {
		set |= Profile
	}
	if a.consents.Has(6) {
		set |= Personalise
	}
	if a.consents.Has(2) && a.consents.Has(3) && a.consents.Has(4) && a.consents.Has(7) {
		set |= Share
	}
	if a.features.Has(1) {
		set |= Geo
	}
	if a.features.Has(2) {
		set |= Device
	}
	return set
}

// tcfApplies reports whether the Transparency and Consent Framework speaks for
// this visitor. gdprApplies false is the platform saying that it does not, even
// beside a left-over string; a string without gdprApplies is taken at its word.
func tcfApplies(s *Signals) bool {
	return s.GDPR == Yes || s.GDPR == Unset && s.TCF != ""
}

// readTCF reads the TC string, of which a is the answer. While TCF applies and
// the string does not count, it grants nothing and keeps the signals below it
// from granting in its place.
func (r *reading) readTCF(s *Signals, a *TCFAnswer, p *Policy, today int32) {
	if !tcfApplies(s) {
		return
	}
	r.authority, r.applies = ByTCF, true
	if s.TCF == "" {
		r.reason = NoString
		return
	}
	if r.reason, r.fault = a.whyNot(today), a.fault; r.reason == "" {
		r.grants = a.grants(p)
	}
}
