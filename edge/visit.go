// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"net/netip"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A Request is what the transport knows and has derived of one message. The
// collector makes it; the engine believes it. Strings are borrowed for the
// length of the request.
type Request struct {
	// Now is when the message arrived.
	Now time.Time
	// Addr is the client's address truncated to /24 (IPv4) or /48 (IPv6); the
	// zero Addr is unknown.
	Addr netip.Addr
	// Device is what headers and the tag say.
	Device Device
	// Bot reports a known crawler: it gets defaults and is not counted.
	Bot bool
	// Ahead reports a page that is loaded before anybody looks at it, and perhaps
	// nobody will: it gets its decisions, and nothing is counted, recorded or
	// carried on in the state.
	Ahead bool
	// OverQuota says that the site has had what it may have for now: no rule runs.
	OverQuota bool
	// Lang is the site's language that suits the visitor best, "" for none;
	// PageLang is the site's language of the page, "" for none.
	Lang, PageLang string
	// Host and Path are the page's, without query and fragment.
	Host, Path string
	Ref        Ref
	Source     Source
	// State is the sealed state, from the cookie or the beacon; possibly empty.
	State string
	// Preview is the token of a preview's link, "" without one.
	Preview string
	// Surface is where the answer will be shown; "" means web.
	Surface string
	// Profile is the site's own id of the customer who is known to be there, and
	// System which of the site's systems asks, both where a server says so; "" for
	// neither. A state that begins for a customer has the customer's id, so that
	// lots fall the same wherever the customer is met first.
	Profile, System string
	// Identified says that Profile is the browser's own word, proved by a token.
	Identified bool
	// Unidentified is the code for which such a token was refused, "" for none.
	Unidentified string
	// SignOut says that nobody is known to be there any more: what belongs to a known
	// person is forgotten in this browser.
	SignOut bool
}

// A Device is what is known of the visitor's device. Model, OSVersion, Screen
// and TimeZone need the device purpose.
type Device struct {
	Type      string // phone, tablet, desktop, tv or other
	Model     string
	OSVersion string
	Screen    string // "2560x1440"
	TimeZone  string // IANA name, as the browser says
}

// A Place is where an address is. The zero Place is unknown.
type Place struct {
	Country  string // ISO 3166-1 alpha-2, upper case
	Region   string // ISO 3166-2 subdivision part, for example "IDF"
	City     string // English name
	Postcode string
	Lat, Lon float64 // degrees, valid only if HasPoint
	HasPoint bool
	Zone     *time.Location // nil unknown
}

// Coarsen leaves p as precise as the granted purposes allow: no point and no postcode
// without geo.
func (p *Place) Coarsen(granted consent.Purposes) {
	if !granted.Has(consent.Geo) {
		p.Lat, p.Lon, p.HasPoint, p.Postcode = 0, 0, false, ""
	}
}

// A Visit is all we know about one page view, believed. Rules never receive
// it: they receive a View.
type Visit struct {
	Site    string
	Now     time.Time // when the message arrived
	Local   time.Time // Now where the visitor is; zero when no zone is known
	Page    Page
	Lang    string // the site's language that suits the visitor best
	Device  Device
	Place   Place
	Ref     Ref
	Source  Source
	Surface string
	// ViewportWidth is the window's width in pixels rounded down to 100, 0
	// unknown.
	ViewportWidth int
	// State is the visitor's own short history, nil without one.
	State *State
	// Counts are how often events happened in the windows that the release's rules
	// count in, by EventWindow.Key, sorted; a window that is not filled yet is
	// missing. Empty without a state.
	Counts []Entry
	// Untold says that views, cart changes or purchases are among the events of
	// this page view that the visitor does not let the state learn of. Then nothing
	// is known of those it holds: a refusal must not make "not bought" true.
	Untold bool
	// UntoldActs says the same of any event that the state would learn of, for what
	// it knows beside items.
	UntoldActs bool
	// Own are the site's own fields, in its release's order.
	Own []OwnValue
}

// An OwnValue is the value of a site's own field with the purpose that unlocks
// it.
type OwnValue struct {
	Value   Value
	Purpose consent.Purposes
}

// A Page is the page of a visit. Path has no query and no fragment.
type Page struct {
	ID, Host, Path, Title, Type, Category, Item, Lang string
	Tags                                              []string
}

// A Ref is the referring page, reduced to its host and class.
type Ref struct{ Host, Class string }

// A Source is where the visit came from. What the page's address says about
// it needs purposes of its own, so the channels it names stand apart.
type Source struct {
	// Channel is the channel that the referring page tells.
	Channel string
	// MediumChannel is the one that utm_medium names, ClickChannel the one that
	// an advertising click id tells; "" without one.
	MediumChannel, ClickChannel string
	Campaign                    string
	UTM                         UTM
	ClickID                     string
}

// ChannelFor returns the channel as far as the granted purposes tell it: by
// utm_medium under measure, by a click id under share, else by the referring
// page; "" where a refusal hides what would tell it. Then the referring page
// would tell another one, and a refusal must hide an answer, never change it.
func (s *Source) ChannelFor(granted consent.Purposes) string {
	switch {
	case s.MediumChannel != "" && granted.Has(consent.Measure):
		return s.MediumChannel
	case s.MediumChannel != "":
		return ""
	case s.ClickChannel != "" && granted.Has(consent.Share):
		return s.ClickChannel
	case s.ClickChannel != "":
		return ""
	}
	return s.Channel
}

// UTM holds the campaign parameters of a page's address.
type UTM struct{ Source, Medium, Campaign, Term, Content string }

func (v *Visit) hour(to *Value) {
	if !v.Local.IsZero() {
		to.setInt(int64(v.Local.Hour()))
	}
}

func (v *Visit) weekday(to *Value) {
	if !v.Local.IsZero() {
		to.setInt(int64((v.Local.Weekday()+6)%7 + 1))
	}
}

func (v *Visit) viewport(to *Value) {
	if v.ViewportWidth != 0 {
		to.setInt(int64(v.ViewportWidth))
	}
}

func (v *Visit) lat(to *Value) {
	if v.Place.HasPoint {
		to.setFloat(v.Place.Lat)
	}
}

func (v *Visit) lon(to *Value) {
	if v.Place.HasPoint {
		to.setFloat(v.Place.Lon)
	}
}
