// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// Limits of a beacon. A decoder refuses what is over them; the engine relies
// on them. Lengths are in bytes.
const (
	MaxBeaconBytes = 64 << 10
	MaxEvents      = 64
	MaxSlots       = 32
	MaxTags        = 16
	MaxLangs       = 16
	MaxSiteBytes   = 64
	MaxURLBytes    = 2048
	MaxTitleBytes  = 512
	MaxWordBytes   = 256 // page type, category, item, slot item
	MaxTagBytes    = 64
	MaxLangBytes   = 35
	MaxNameBytes   = 64 // slot and event names
	MaxIDBytes     = 64 // page and event ids
	MaxPropsBytes  = 8 << 10
	MaxProps       = 64
	MaxPropsDepth  = 3
	MaxDepth       = 8
	MaxStateBytes  = 2048 // sealed, as text
	MaxPromptBytes = 32   // a prompt's version
)

// ValidSite reports whether site is a site's id: words of a-z and 0-9 joined by
// dashes, at most MaxSiteBytes in all.
func ValidSite(site string) bool {
	last := byte('-')
	for i := range len(site) {
		c := site[i]
		switch {
		case c == '-' && last == '-', c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9'):
			return false
		}
		last = c
	}
	return last != '-' && len(site) <= MaxSiteBytes
}

// A Beacon is one message from the tag. It is untrusted: everything has been
// bounded by its decoder, none of it has been believed. Its strings may be
// views into the request's body: copy what must outlive the request.
type Beacon struct {
	Site string
	Page BeaconPage
	// SentMillis is the browser's clock when the beacon left, in milliseconds
	// since the Unix epoch. Only differences to it mean anything: an event is
	// as old as SentMillis − AtMillis.
	SentMillis int64
	Consent    consent.Signals
	Client     BeaconClient
	// State is the sealed state as the browser carried it in the body; the
	// cookie of a same-origin request takes its place.
	State string
	// Identify is a token by which the site says who has signed in, "" without one: not
	// believed until a key of the site's was found to have made it.
	Identify string
	// SignOut says that nobody is signed in any more.
	SignOut bool
	// Why asks for an explanation of each decision.
	Why bool
	// Prompt is what the page's consent prompt has to tell, zero for nothing.
	Prompt BeaconPrompt
	Events []BeaconEvent
	Slots  []BeaconSlot
	// Shown are the ids of decisions that were in view in this document, for a
	// visitor who lets nothing of them be kept.
	Shown []string
}

// A BeaconPrompt tells what became of a consent prompt on the page.
type BeaconPrompt struct {
	// ID is the answer's own, so that one sent again is stored once; possibly empty.
	ID string
	// Version is that of the prompt's texts: words of a-z and 0-9 joined by dashes.
	Version string
	Answer  PromptAnswer
}

// A BeaconPage is what the tag says of the page. URL and Ref still carry what
// the browser put there; the engine keeps only what is granted.
type BeaconPage struct {
	ID, URL, Ref, Title, Type, Category, Item, Lang string
	Tags                                            []string
}

// A BeaconClient is what the tag says of the browser.
type BeaconClient struct {
	Langs    []string
	Viewport [2]int // CSS pixels, 0 unknown
	Screen   [2]int // CSS pixels, 0 unknown
	TimeZone string
}

// A BeaconEvent is one thing the tag says happened.
type BeaconEvent struct {
	ID, Name string
	// AtMillis is the browser's clock when it happened; see SentMillis.
	AtMillis int64
	// Props is a syntactically valid JSON object of at most MaxPropsBytes, or
	// empty.
	Props []byte
}

// A BeaconSlot is a slot the page asks for.
type BeaconSlot struct {
	Name string
	// Limit is how many items the page can show, 0 for the slot's own limit.
	Limit int
	// Item is the item the slot stands beside, possibly empty.
	Item string
}

// Reset empties b for reuse and keeps its slices' memory, but nothing that was
// in it: views would keep an old body alive.
func (b *Beacon) Reset() {
	clear(b.Page.Tags)
	clear(b.Client.Langs)
	clear(b.Events)
	clear(b.Slots)
	clear(b.Shown)
	tags, langs, sections := b.Page.Tags[:0], b.Client.Langs[:0], b.Consent.GPPSections[:0]
	events, slots, shown := b.Events[:0], b.Slots[:0], b.Shown[:0]
	*b = Beacon{} // in place: a literal with the lists would be copied
	b.Page.Tags, b.Client.Langs, b.Consent.GPPSections = tags, langs, sections
	b.Events, b.Slots, b.Shown = events, slots, shown
}
