// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/netip"
	"strings"

	"github.com/nearside/nearside/edge"
)

// maxHeaderBytes bounds a request header that a server hands on. What is read of
// one is less.
const maxHeaderBytes = 4 << 10

// maxAddressBytes bounds the text of an address: an IPv6 address with a zone is
// shorter.
const maxAddressBytes = 64

// An ask is what a server says in place of what a browser's request would tell.
type ask struct {
	address netip.Addr // truncated already; zero for none
	headers headers    // those of the visitor's request that were handed on
	device  string     // the device's type, "" where the headers tell it
	surface string
	system  string
	profile string
	timed   bool // the message says when it was sent
	html    bool // contents are wanted as HTML
}

// DecodeDecide fills b and a with what the body of a POST to /v1/decide says, on
// the terms of DecodeBeacon. It has the members of a beacon, except that consent
// may be what a server has on file, and those of an ask.
func (d *Decoder) decodeDecide(body []byte, b *edge.Beacon, a *ask) error {
	b.Reset()
	d.reset(body)
	*a = ask{}
	if f := d.decide(b, a); f != faultNone {
		return d.trail.refuse(f)
	}
	return nil
}

func (d *Decoder) decide(b *edge.Beacon, a *ask) fault {
	s := &d.scan
	if len(s.in) > edge.MaxBeaconBytes {
		return faultLong
	}
	version, consented := int64(0), false
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
			a.timed = true
			f = s.integer(&b.SentMillis, 0, maxExact)
		case "consent":
			if consented {
				f = faultValue // of two nobody could say which counts
			} else {
				f = d.serverConsent(&b.Consent)
			}
			consented = true
		case "client":
			f = d.client(&b.Client)
		case "state":
			f = s.text(&b.State, edge.MaxStateBytes)
		case "identify":
			f = d.identify(b)
		case "why":
			f = s.boolean(&b.Why)
		case "events":
			f = d.events(b)
		case "slots":
			f = d.slots(b)
		case "shown":
			b.Shown, f = d.texts(b.Shown, edge.MaxBeaconShown, edge.MaxStateBytes)
		default:
			if f = d.asked(a, string(key)); f == faultNotHere {
				s.skip()
				f = faultNone
				continue
			}
		}
		if f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return d.complete(first(f, s.end()), version, b.Site)
}

// asked reads a member that only a server has to say.
func (d *Decoder) asked(a *ask, key string) fault {
	s := &d.scan
	switch key {
	case "address":
		return d.address(&a.address)
	case "headers":
		return d.handedOn(&a.headers)
	case "device":
		return d.word(&a.device, deviceTypes[:])
	case "surface":
		return d.word(&a.surface, edge.Surfaces[:])
	case "system":
		return d.system(&a.system)
	case "profile":
		return s.text(&a.profile, edge.MaxProfileBytes)
	case "render":
		var form string
		f := d.word(&form, []string{"data", "html"})
		a.html = form == "html"
		return f
	}
	return faultNotHere
}

// system reads the word by which a site calls one of its systems.
func (d *Decoder) system(dst *string) fault {
	if f := d.scan.text(dst, edge.MaxSystemBytes); f != faultNone {
		return f
	}
	if !validID(*dst) {
		*dst = ""
		return faultValue
	}
	return faultNone
}

// address reads a visitor's address, "" for one that is not known. What points at
// one household of it is gone before anything else sees it.
func (d *Decoder) address(dst *netip.Addr) fault {
	var text string
	if f := d.scan.text(&text, maxAddressBytes); f != faultNone || text == "" {
		*dst = netip.Addr{}
		return f
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return faultValue
	}
	*dst = truncate(addr)
	return faultNone
}

// handedOn reads the headers of the visitor's request that say something of the
// visitor. Others are passed over: a server may hand on all that it has.
func (d *Decoder) handedOn(h *headers) fault {
	s := &d.scan
	in, f := s.enter('{')
	for in && s.member() {
		key := s.key
		dst := h.place(view(key))
		if dst == nil {
			s.skip()
			continue
		}
		if f = s.text(dst, maxHeaderBytes); f != faultNone {
			return d.trail.under(string(key), f)
		}
	}
	return first(f, s.fault)
}

// place returns where a header's value goes, nil for one that is not needed.
func (h *headers) place(name string) *string {
	for _, known := range [...]struct {
		name string
		dst  *string
	}{
		{"User-Agent", &h.userAgent}, {"Accept-Language", &h.acceptLanguage}, {"Sec-GPC", &h.gpc}, {"Sec-CH-UA", &h.brands},
		{"Sec-CH-UA-Mobile", &h.mobile}, {"Sec-CH-UA-Platform", &h.platform}, {"Sec-CH-UA-Form-Factors", &h.formFactors},
		{"Sec-CH-UA-Model", &h.model}, {"Sec-CH-UA-Platform-Version", &h.platformVersion},
	} {
		if strings.EqualFold(name, known.name) {
			return known.dst
		}
	}
	return nil
}
