// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"slices"

	"github.com/nearside/nearside/edge"
)

// wireVersion is the only version of the wire this server speaks.
const wireVersion = 1

// Limits of the wire that the engine does not rely on.
const (
	maxPixels    = 100_000 // of a window or a screen
	maxSlotLimit = 1000    // items asked for in one slot
	maxZoneBytes = 64      // IANA names are shorter

	// maxRefusedEvents bounds the events of one beacon that are refused one by
	// one for standing beyond edge.MaxEvents. A tag that sends more than that is
	// not ours, and the beacon is refused.
	maxRefusedEvents = 64
	// maxPassed bounds in the same way the other parts that are refused one by one.
	maxPassed = 64
)

// A Decoder turns bodies into beacons. It keeps its memory between bodies, so
// in steady state it allocates nothing. The zero value is ready; a Decoder
// belongs to one goroutine at a time.
type Decoder struct {
	scan     scanner
	trail    trail
	rejected []edge.Rejection
	passed   []DecodeError
	mayPass  bool // over a part that is at fault
}

// DecodeBeacon fills b with what body says. It refuses what is not JSON, what
// breaks a limit and what has the wrong type, with a *DecodeError; unknown
// members are checked and ignored, and null counts as absent.
//
// An event that is at fault does not refuse the beacon: it is left out and listed in
// Rejected. So are slots and what the page says of itself, listed in passedOver: a
// page has them from many hands. That does not go for a fault of the text itself.
//
// The strings of b and of Rejected are views of body and of the decoder's own
// memory: they are valid until body changes or the decoder is used again. After
// an error b holds what was read before the fault, which may include the site.
func (d *Decoder) DecodeBeacon(body []byte, b *edge.Beacon) error {
	b.Reset()
	d.reset(nil)
	return d.fillBeacon(body, b)
}

// fillBeacon is DecodeBeacon for a beacon and a decoder that hold nothing of an earlier
// body, as an exchange's do.
func (d *Decoder) fillBeacon(body []byte, b *edge.Beacon) error {
	d.scan.in, d.mayPass = body, true
	if f := d.beacon(b); f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}

// Rejected returns the events of the last beacon that were left out. It is
// valid until the decoder is used again.
func (d *Decoder) Rejected() []edge.Rejection { return d.rejected }

// passedOver returns what was wrong with the parts of the last beacon that were left
// out, beside events.
func (d *Decoder) passedOver() []DecodeError { return d.passed }

// pass passes over a part that is at fault, if that may be. The trail's path begins
// in the member. A fault of the text goes before the part's.
func (d *Decoder) pass(member string, f fault) fault {
	if text := d.scan.fault; text != faultNone {
		if f != text {
			d.trail.field = ""
		}
		return text
	}
	if f == faultNone || !d.mayPass || len(d.passed) == maxPassed {
		return f
	}
	d.passed = append(d.passed, d.trail.end(d.trail.under(member, f)))
	return faultNone
}

func (d *Decoder) reset(body []byte) {
	d.scan.reset(body)
	d.trail.field = ""
	clear(d.rejected)
	d.rejected = d.rejected[:0]
	d.passed, d.mayPass = d.passed[:0], false
}

func (d *Decoder) beacon(b *edge.Beacon) fault {
	s := &d.scan
	if len(s.in) > edge.MaxBeaconBytes {
		return faultLong
	}
	version := int64(0)
	in, f := s.enter('{')
	for in && s.memberOr("identify", &b.SignOut) {
		key := s.key
		switch string(key) {
		case "v":
			f = d.version(&version)
		case "site":
			f = d.name(&b.Site, edge.MaxSiteBytes)
		case "page":
			f = d.page(&b.Page)
		case "sent":
			f = s.integer(&b.SentMillis, 0, maxExact)
		case "consent":
			f = d.consent(&b.Consent)
		case "identify":
			f = d.identify(b)
		case "client":
			f = d.client(&b.Client)
		case "state":
			f = s.text(&b.State, edge.MaxStateBytes)
		case "why":
			f = s.boolean(&b.Why)
		case "prompt":
			f = d.prompt(&b.Prompt)
		case "events":
			f = d.events(b)
		case "slots":
			f = d.slots(b)
		case "shown":
			b.Shown, f = d.texts(b.Shown, edge.MaxBeaconShown, edge.MaxStateBytes)
		default:
			s.skip()
			continue
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return d.complete(first(f, s.end()), version, b.Site)
}

// badIdentity stands for a token that is too long or no text: it is no token.
const badIdentity = "-"

// identify reads the token of who has signed in. One that cannot be is refused with
// its own code: the page shows what it shows to others.
func (d *Decoder) identify(b *edge.Beacon) fault {
	if d.scan.text(&b.Identify, edge.MaxIdentityBytes) != faultNone {
		b.Identify = badIdentity
	}
	return d.scan.fault
}

// complete reports the first fault there is, a missing member included.
func (d *Decoder) complete(f fault, version int64, site string) fault {
	switch {
	case f != faultNone:
		return f
	case version == 0:
		return d.trail.under("v", faultMissing)
	case site == "":
		return d.trail.under("site", faultMissing)
	}
	return faultNone
}

func (d *Decoder) version(v *int64) fault {
	if f := d.scan.integer(v, -maxExact, maxExact); f != faultNone {
		return f
	}
	if *v != wireVersion {
		return faultVersion
	}
	return faultNone
}

func (d *Decoder) page(p *edge.BeaconPage) fault {
	s := &d.scan
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "id":
			f = d.id(&p.ID)
		case "url":
			f = s.text(&p.URL, edge.MaxURLBytes)
		case "ref":
			f = s.text(&p.Ref, edge.MaxURLBytes)
		case "title":
			f = d.pass("page.title", s.text(&p.Title, edge.MaxTitleBytes))
		case "type":
			f = d.pass("page.type", s.text(&p.Type, edge.MaxWordBytes))
		case "category":
			f = d.pass("page.category", s.text(&p.Category, edge.MaxWordBytes))
		case "item":
			f = d.pass("page.item", s.text(&p.Item, edge.MaxWordBytes))
		case "lang":
			f = d.pass("page.lang", s.text(&p.Lang, edge.MaxLangBytes))
		case "tags":
			p.Tags, f = d.texts(p.Tags, edge.MaxTags, edge.MaxTagBytes)
			f = d.pass("page.tags", f)
		default:
			s.skip()
			continue
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

// prompt reads what a consent prompt tells.
func (d *Decoder) prompt(p *edge.BeaconPrompt) fault {
	s := &d.scan
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "id":
			f = d.id(&p.ID)
		case "version":
			if f = s.text(&p.Version, edge.MaxPromptBytes); f == faultNone && !edge.ValidPrompt(p.Version) {
				f = faultValue
			}
		case "answer":
			var word string
			if f = s.text(&word, edge.MaxNameBytes); f == faultNone {
				var ok bool
				if p.Answer, ok = edge.ParsePromptAnswer(bytesOf(word)); !ok {
					f = faultValue
				}
			}
		default:
			s.skip()
			continue
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	if f = first(f, s.fault); f == faultNone && p.Version == "" {
		return d.trail.under("version", faultMissing)
	}
	return f
}

func (d *Decoder) client(c *edge.BeaconClient) fault {
	s := &d.scan
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		switch string(key) {
		case "langs":
			c.Langs, f = d.texts(c.Langs, edge.MaxLangs, edge.MaxLangBytes)
		case "viewport":
			f = d.size(&c.Viewport)
		case "screen":
			f = d.size(&c.Screen)
		case "tz":
			f = s.text(&c.TimeZone, maxZoneBytes)
		default:
			s.skip()
			continue
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

// texts reads a list of at most most strings of at most bytes each, without those that
// are at fault. It returns the first fault.
func (d *Decoder) texts(list []string, most, bytes int) ([]string, fault) {
	s := &d.scan
	list = list[:0]
	in, wrong := s.enter('[')
	for n := 0; in && s.element(); n++ {
		if n >= most {
			s.skip()
			wrong = first(wrong, faultMany)
			continue
		}
		var text string
		switch f := s.text(&text, bytes); {
		case f == faultNone:
			list = append(list, text)
		case wrong == faultNone:
			wrong = d.trail.at(n, f)
		}
	}
	return list, first(wrong, s.fault)
}

// size reads [width, height] in CSS pixels.
func (d *Decoder) size(dst *[2]int) fault {
	s := &d.scan
	n := 0
	in, f := s.enter('[')
	for in && s.element() {
		if n == len(dst) {
			return faultMany
		}
		var pixels int64
		if f = s.integer(&pixels, 0, maxPixels); f != faultNone {
			return d.trail.at(n, f)
		}
		dst[n] = int(pixels)
		n++
	}
	if f = first(f, s.fault); f == faultNone && n < len(dst) {
		return faultMissing
	}
	return f
}

// isAsked reports whether a slot is among those asked for.
func isAsked(slots []edge.BeaconSlot, name string) bool {
	return slices.ContainsFunc(slots, func(s edge.BeaconSlot) bool { return s.Name == name })
}

// slots reads the slots asked for. A page's elements of one name share one answer, of
// what the first asks for; a server has an answer for each, in its order.
func (d *Decoder) slots(b *edge.Beacon) fault {
	s := &d.scan
	b.Slots = b.Slots[:0]
	in, f := s.enter('[')
	for n := 0; in && s.element(); n++ {
		if n == edge.MaxSlots {
			return faultMany
		}
		var slot edge.BeaconSlot
		switch f := d.slot(&slot); {
		case f != faultNone:
			if f = d.pass("slots", d.trail.at(n, f)); f != faultNone {
				return f
			}
		case !d.mayPass || !isAsked(b.Slots, slot.Name):
			b.Slots = append(b.Slots, slot)
		}
	}
	return first(f, s.fault)
}

// slot reads a slot to its end: its name, or an object with its name. It returns the
// first thing that is wrong.
func (d *Decoder) slot(slot *edge.BeaconSlot) (wrong fault) {
	s := &d.scan
	if s.next() == '"' {
		return d.name(&slot.Name, edge.MaxNameBytes)
	}
	limit := int64(0)
	in, wrong := s.enter('{')
	for in && s.member() {
		key := s.key
		f := faultNone
		switch string(key) {
		case "name":
			f = d.name(&slot.Name, edge.MaxNameBytes)
		case "limit":
			f = s.integer(&limit, 0, maxSlotLimit)
		case "item":
			f = s.text(&slot.Item, edge.MaxWordBytes)
		default:
			s.skip()
		}
		if f != faultNone && wrong == faultNone {
			wrong = d.trail.under(string(key), f)
		}
	}
	slot.Limit = int(limit)
	if wrong = first(wrong, s.fault); wrong == faultNone && slot.Name == "" {
		return d.trail.under("name", faultMissing)
	}
	return wrong
}

// name reads a site's or a slot's name.
func (d *Decoder) name(dst *string, most int) fault {
	if f := d.scan.text(dst, most); f != faultNone {
		return f
	}
	if *dst == "" {
		return faultValue
	}
	for i := range len(*dst) {
		if c := (*dst)[i]; c-'a' > 'z'-'a' && !digit(c) && c != '-' {
			*dst = ""
			return faultValue
		}
	}
	return faultNone
}

// id reads a page's id. Nobody has to send one.
func (d *Decoder) id(dst *string) fault {
	if f := d.scan.text(dst, edge.MaxIDBytes); f != faultNone {
		return f
	}
	if *dst != "" && !validID(*dst) {
		*dst = ""
		return faultValue
	}
	return faultNone
}

// validID reports whether an id has only the characters of one.
func validID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c|0x20)-'a' > 'z'-'a' && !digit(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return id != ""
}

// A withdrawal is the body of POST /v1/withdraw: what is still granted.
type withdrawal struct {
	site     string
	purposes int64
}

// decodeWithdrawal reads a withdrawal. Its strings are views, as a beacon's.
func (d *Decoder) decodeWithdrawal(body []byte, w *withdrawal) error {
	d.reset(body)
	*w = withdrawal{}
	version := int64(0)
	s := &d.scan
	in, f := s.enter('{')
	for f == faultNone && in && s.member() {
		key := s.key
		switch string(key) {
		case "v":
			f = d.version(&version)
		case "site":
			f = d.name(&w.site, edge.MaxSiteBytes)
		case "purposes":
			f = s.integer(&w.purposes, 0, maxPurposes)
		default:
			s.skip()
			continue
		}
		if f != faultNone {
			d.trail.under(string(key), f)
		}
	}
	if f == faultNone {
		f = d.complete(s.end(), version, w.site)
	}
	if f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}

// oneLine returns props without line breaks between its tokens, for a stored
// event is one line. Within strings there can be none.
func (d *Decoder) oneLine(props []byte) []byte {
	if bytes.IndexByte(props, '\n') < 0 && bytes.IndexByte(props, '\r') < 0 {
		return props
	}
	s := &d.scan
	from := len(s.scratch)
	s.scratch = append(s.scratch, props...)
	line := s.scratch[from:len(s.scratch):len(s.scratch)]
	for i, c := range line {
		if c == '\n' || c == '\r' {
			line[i] = ' '
		}
	}
	return line
}
