// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A BatchDecoder turns bodies into batches, as a Decoder does into beacons and
// on the same terms. The zero value is ready.
type BatchDecoder struct {
	Decoder
	refused []edge.BatchRejection
}

// rejectedValues are the codes with which an event of a batch is refused for one
// member, beside those of a beacon's event.
var rejectedValues = []string{faults[faultType].code, faults[faultLong].code, faults[faultMany].code, faults[faultValue].code}

// DecodeBatch fills b with what body says. An event that is at fault does not
// refuse the batch: it is left out and listed in Refused. The error is a
// *DecodeError; then b may hold the site and nothing else counts.
//
// The strings of b and of Refused are views, as a beacon's.
func (d *BatchDecoder) DecodeBatch(body []byte, b *edge.Batch) error {
	b.Reset()
	d.reset(body)
	clear(d.refused)
	d.refused = d.refused[:0]
	if f := d.batch(b); f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}

// Refused returns the events of the last batch that were left out. It is valid
// until the decoder is used again.
func (d *BatchDecoder) Refused() []edge.BatchRejection { return d.refused }

func (d *BatchDecoder) batch(b *edge.Batch) fault {
	s := &d.scan
	if len(s.in) > edge.MaxBatchBytes {
		return faultLong
	}
	b.Consents = grown(b.Consents)
	all := edge.BatchEvent{Consent: consentShared} // what the events have in common
	version := int64(0)
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "v":
			f = d.version(&version)
		case "site":
			f = d.name(&b.Site, edge.MaxSiteBytes)
		case "consent":
			if all.Consent == 0 {
				f = faultValue // of two nobody could say which counts
			} else {
				f = d.serverConsent(&b.Consents[0])
			}
			all.Consent = 0
		case "events":
			f = d.batchEvents(b)
		default:
			if f = d.telling(&all, string(key)); f == faultNotHere {
				s.skip()
				f = faultNone
				continue
			}
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	for i := range b.Events {
		inherit(&b.Events[i], &all)
	}
	return d.complete(first(f, s.end()), version, b.Site)
}

// inherit gives an event what it does not say itself of what all have in common.
// Its person is one thing: who names a state or a profile names the whole.
func inherit(e, all *edge.BatchEvent) {
	for _, word := range [...]struct{ to, from *string }{{&e.Surface, &all.Surface}, {&e.Origin, &all.Origin}, {&e.System, &all.System}} {
		if *word.to == "" {
			*word.to = *word.from
		}
	}
	if e.State == "" && e.Profile == "" {
		e.State, e.Profile = all.State, all.Profile
	}
	if e.Consent == consentShared {
		e.Consent = all.Consent
	}
}

// What an event's consent is before it is known which of a batch's it is.
const (
	consentShared  = -1 // nothing was said: that of all, if there is one
	consentUnknown = -2 // null: nobody knows, whatever is said of all
)

// faultNotHere is telling's answer for a member that is another's to read. It
// never leaves the decoder.
const faultNotHere = fault(255)

// telling reads a member that a batch and each of its events may have.
func (d *BatchDecoder) telling(e *edge.BatchEvent, key string) fault {
	s := &d.scan
	switch key {
	case "surface":
		return d.word(&e.Surface, edge.Surfaces[:])
	case "origin":
		return d.word(&e.Origin, edge.Origins[:])
	case "system":
		return d.system(&e.System)
	case "state":
		return s.text(&e.State, edge.MaxStateBytes)
	case "profile":
		return s.text(&e.Profile, edge.MaxProfileBytes)
	}
	return faultNotHere
}

// word reads one of a closed list of words.
func (d *Decoder) word(dst *string, words []string) fault {
	var said string
	if f := d.scan.text(&said, edge.MaxNameBytes); f != faultNone {
		return f
	}
	i := slices.Index(words, said)
	if i < 0 {
		return faultValue
	}
	*dst = words[i]
	return faultNone
}

// batchEvents reads the list of events, each judged alone.
func (d *BatchDecoder) batchEvents(b *edge.Batch) fault {
	s := &d.scan
	b.Events, d.refused = b.Events[:0], d.refused[:0]
	in, f := s.enter('[')
	for n := 0; in && s.element(); n++ {
		if n == edge.MaxBatchEvents {
			return faultMany
		}
		e := edge.BatchEvent{Index: n, Consent: consentShared}
		verdict := d.batchEvent(&e, b)
		if s.fault != faultNone {
			return d.trail.at(n, s.fault)
		}
		d.trail.field = "" // an event's fault is the event's alone
		if verdict.code != "" {
			d.refused = append(d.refused, edge.BatchRejection{Index: n, Rejection: edge.Rejection{ID: e.ID, Code: verdict.code, Field: verdict.field}})
			continue
		}
		b.Events = append(b.Events, e)
	}
	return first(f, s.fault)
}

// batchEvent reads one event and reports the first thing that is wrong with it.
func (d *BatchDecoder) batchEvent(e *edge.BatchEvent, b *edge.Batch) eventFault {
	s := &d.scan
	in, f := s.enter('{')
	if f != faultNone {
		return eventFault{RejectedEvent, ""}
	}
	var r eventReading
	for in && s.name() {
		key := s.key
		if s.next() == 'n' {
			s.literal("null")
			if string(key) == "consent" {
				r.note(e.Consent == consentShared, faults[faultValue].code, "consent")
				e.Consent = consentUnknown
			}
			continue
		}
		switch string(key) {
		case "origins":
			r.note(d.origins(&e.Origins) == faultNone, faults[faultValue].code, "origins")
		case "consent":
			f := d.ownConsent(e, b)
			r.note(f == faultNone, faults[f].code, "consent")
		default:
			if d.eventMember(&e.BeaconEvent, &r) {
				continue
			}
			switch f := d.telling(e, string(key)); f {
			case faultNone:
			case faultNotHere:
				s.skip()
			default:
				r.note(false, faults[f].code, string(key))
			}
		}
	}
	return r.end(&e.BeaconEvent)
}

// ownConsent reads what one event says of consent. At a fault of the value, not of
// the text, the rest of the event can still be read.
func (d *BatchDecoder) ownConsent(e *edge.BatchEvent, b *edge.Batch) fault {
	s := &d.scan
	s.next()
	from, depth := s.pos, s.depth
	s.skip()
	end := s.pos
	if s.fault != faultNone || e.Consent != consentShared {
		return first(s.fault, faultValue)
	}
	e.Consent = len(b.Consents)
	b.Consents = grown(b.Consents)
	s.pos = from
	f := d.serverConsent(&b.Consents[e.Consent])
	s.pos, s.depth, s.open = end, depth, false
	return f
}

// origins reads the origins of an event's properties as they stand.
func (d *BatchDecoder) origins(dst *[]byte) fault {
	s := &d.scan
	s.next()
	from, count := s.pos, 0
	in, f := s.enter('{')
	for in && s.member() {
		var origin string
		if wrong := d.word(&origin, edge.Origins[:]); f == faultNone {
			f = wrong
		}
		if count++; count > edge.MaxProps {
			f = first(f, faultMany)
		}
	}
	if f = first(f, s.fault); f == faultNone {
		*dst = s.in[from:s.pos:s.pos]
	}
	return f
}

// grown returns list with one more, which is empty and has its old memory.
func grown(list []consent.Signals) []consent.Signals {
	if len(list) < cap(list) {
		list = list[:len(list)+1]
		last := &list[len(list)-1]
		*last = consent.Signals{GPPSections: last.GPPSections[:0]}
		return list
	}
	return append(list, consent.Signals{})
}
