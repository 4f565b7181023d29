// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math"
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// maxPurposes is the largest set of purposes the wire can carry. Bits that are
// no purpose yet are dropped.
const maxPurposes = math.MaxUint32

// maxModeBytes bounds a value of Consent Mode: "granted" or "denied".
const maxModeBytes = 32

// Section ids of the Global Privacy Platform: -1 stands for "none applies".
const (
	minGPPSection = -1
	maxGPPSection = 4095
)

// consent reads the beacon's consent signals. What they mean is decided by the
// engine; here they are only bounded.
func (d *Decoder) consent(c *consent.Signals) fault {
	s := &d.scan
	var seen repeats
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		if f = d.signal(c, key); f == faultNotHere {
			s.skip()
			f = faultNone
			continue
		}
		if f = first(f, seen.again(key)); f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

// signal reads the consent signal that is called key, faultNotHere if none is.
func (d *Decoder) signal(c *consent.Signals, key []byte) (f fault) {
	s := &d.scan
	switch string(key) {
	case "purposes":
		return d.purposes(&c.Claimed)
	case "policy":
		return d.pagePolicy(&c.PagePolicy)
	case "owner":
		return d.owner(&c.Owner)
	case "gdpr":
		return d.answer(&c.GDPR)
	case "tcf":
		return s.text(&c.TCF, consent.MaxTCFBytes)
	case "gpp":
		return s.text(&c.GPP, consent.MaxGPPBytes)
	case "gppSid":
		c.GPPSections, f = d.sections(c.GPPSections)
		return f
	case "gpc":
		return s.boolean(&c.GPC)
	case "gcm":
		return d.consentMode(&c.Mode)
	}
	return faultNotHere
}

// repeats finds a consent signal that stands twice: it has the bits of those that
// were read. JSON leaves open which one counts, and consent must not depend on it:
// the beacon is refused.
type repeats uint16

func (r *repeats) again(name []byte) fault {
	bit := signalBit(name)
	if *r&bit != 0 {
		return faultValue
	}
	*r |= bit
	return faultNone
}

// signalBit is the bit of a member that says something about consent, 0 for any
// other.
func signalBit(name []byte) repeats {
	switch string(name) {
	case "purposes":
		return 1 << 0
	case "policy":
		return 1 << 1
	case "owner":
		return 1 << 2
	case "gdpr":
		return 1 << 3
	case "tcf":
		return 1 << 4
	case "gpp":
		return 1 << 5
	case "gppSid":
		return 1 << 6
	case "gpc":
		return 1 << 7
	case "gcm":
		return 1 << 8
	case "granted":
		return 1 << 9
	case "refused":
		return 1 << 10
	}
	return 0
}

func (d *Decoder) purposes(dst *consent.Purposes) fault {
	var n int64
	f := d.scan.integer(&n, 0, maxPurposes)
	*dst = consent.Purposes(n) & consent.All
	return f
}

// pagePolicy reads the page's policy. A word that is not known is the strict
// policy, so that a newer page is never read as a more open one.
func (d *Decoder) pagePolicy(dst *consent.PagePolicy) fault {
	var word string
	f := d.scan.text(&word, maxModeBytes)
	*dst, _ = consent.ParsePagePolicy([]byte(word))
	return f
}

// answer reads a yes or no that may be missing.
func (d *Decoder) answer(dst *consent.Tri) fault {
	var yes bool
	f := d.scan.boolean(&yes)
	if f == faultNone {
		*dst = consent.No
		if yes {
			*dst = consent.Yes
		}
	}
	return f
}

func (d *Decoder) owner(dst *consent.Choice) fault {
	s := &d.scan
	var seen repeats
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "granted":
			f = d.purposes(&dst.Granted)
		case "refused":
			f = d.purposes(&dst.Refused)
		default:
			s.skip()
			continue
		}
		if f = first(f, seen.again(key)); f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

func (d *Decoder) sections(list []int) ([]int, fault) {
	s := &d.scan
	list = list[:0]
	in, f := s.enter('[')
	for in && s.element() {
		if len(list) == consent.MaxGPPSections {
			return list, faultMany
		}
		var id int64
		if f = s.integer(&id, minGPPSection, maxGPPSection); f != faultNone {
			return list, d.trail.at(len(list), f)
		}
		list = append(list, int(id))
	}
	return list, first(f, s.fault)
}

// consentMode reads the types of Google Consent Mode. A type that is not known
// is passed over; whatever is not a known word counts as denied.
func (d *Decoder) consentMode(dst *consent.Mode) fault {
	s := &d.scan
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		var value string
		s.text(&value, maxModeBytes)
		consent.ParseMode(dst, key, []byte(value))
	}
	return first(f, s.fault)
}

// saysAhead reports whether a header says that the page is loaded before anybody
// looks at it: Sec-Purpose (https://fetch.spec.whatwg.org/#sec-purpose-header),
// as in "prefetch;prerender", and what browsers sent before it.
func saysAhead(purpose string) bool {
	word, _, _ := strings.Cut(purpose, ";")
	word = trimSpace(word)
	return strings.EqualFold(word, "prefetch") || strings.EqualFold(word, "prerender") || strings.EqualFold(word, "preview")
}

// saysGPC reports whether the Sec-GPC header asks for privacy. The standard
// knows one value: https://w3c.github.io/gpc/#the-sec-gpc-header-field-for-http-requests
// A proxy may have joined several lines; one that asks is enough.
func saysGPC(header string) bool {
	if header == "" {
		return false
	}
	for part := range strings.SplitSeq(header, ",") {
		if trimSpace(part) == "1" {
			return true
		}
	}
	return false
}
