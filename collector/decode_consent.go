// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// DecodeConsent fills c with a consent object that stands alone: a beacon's, or a
// server's. It refuses what DecodeBeacon would, and on the same terms.
func (d *Decoder) DecodeConsent(body []byte, c *consent.Signals) error {
	*c = consent.Signals{GPPSections: c.GPPSections[:0]}
	d.reset(body)
	if len(body) > edge.MaxBeaconBytes {
		return d.trail.refuse(faultLong)
	}
	if f := first(d.serverConsent(c), d.scan.end()); f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}

// serverConsent reads what a server says of a person's consent: the signals of a
// beacon as the page or the app had them, or the answer that the site itself has
// on file, as lists of names:
//
//	{"granted":["storage","measure"]}
//
// That is the whole answer: what it does not name is refused, whoever else would
// grant it. A server computes nothing from signals, so without purposes there is
// no ceiling beside them; a beacon's consent that is handed on has one.
func (d *Decoder) serverConsent(c *consent.Signals) fault {
	s := &d.scan
	c.Claimed = consent.All
	var seen repeats
	var asked, filed bool
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "granted":
			filed = true
			var granted consent.Purposes
			f = d.purposeSet(&granted)
			c.Owner = consent.Choice{Granted: granted, Refused: c.Owner.Refused | consent.All&^granted}
		case "refused":
			filed = true
			var refused consent.Purposes
			f = d.purposeSet(&refused)
			c.Owner.Refused |= refused
		case "purposes":
			f = d.purposeSet(&c.Claimed)
		default:
			if f = d.signal(c, key); f == faultNotHere {
				s.skip()
				f = faultNone
				continue
			}
			asked = asked || string(key) == "owner"
		}
		if asked && filed {
			f = first(f, faultValue) // two answers of the site's own
		}
		if f = first(f, seen.again(key)); f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

// purposeSet reads purposes as a number or as a list of names.
func (d *Decoder) purposeSet(dst *consent.Purposes) fault {
	s := &d.scan
	if s.next() != '[' {
		return d.purposes(dst)
	}
	var set consent.Purposes
	n, wrong := 0, faultNone
	in, f := s.enter('[')
	for in && s.element() {
		var name string
		if f := s.text(&name, edge.MaxNameBytes); f != faultNone {
			wrong = first(wrong, f)
			continue
		}
		purpose, err := consent.ParsePurposes(name)
		if n++; err != nil || n > edge.MaxSlots {
			wrong = first(wrong, faultValue)
		}
		set |= purpose
	}
	*dst = set
	return first(first(f, s.fault), wrong)
}
