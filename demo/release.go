// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A heroText is what the template "hero" needs: the page's own content and
// every variant of the slot hero are made by it.
type heroText struct {
	whereabouts
	Name  string // of the variant; its texts are hero.<Name>.*
	Scene string // a class in slot.css
	Href  string // where its button leads, without the language
	Picks []string
}

// An offerText is the same for the template "offer".
type offerText struct {
	whereabouts
	Name, Tone, Href string
}

// A whereabouts is the language of a slot's content and, on a page, its
// visitor. A release knows no visitor: the shop's scripts add it to a link when
// it is used.
type whereabouts struct {
	lang    string
	visitor visitor
}

// Link returns a page's address.
func (w whereabouts) Link(path string) string { return address(w.lang, path, w.visitor) }

// The content of the slots. The first of each is the page's own.
var (
	heroes = [...]heroText{
		{Name: "default", Scene: "default", Href: "/hats/"},
		{Name: "winter-phone", Scene: "winter", Href: "/item/signal-gloves/"},
		{Name: "winter-desktop", Scene: "winter", Href: "/hats/", Picks: []string{"fell-beanie", "tarn-scarf", "crag-mittens"}},
		{Name: "summer-phone", Scene: "summer", Href: "/item/shore-straw/"},
		{Name: "summer-desktop", Scene: "summer", Href: "/hats/", Picks: []string{"shore-straw", "linen-square", "spoke-mitts"}},
	}
	offers = [...]offerText{
		{Name: "default", Tone: "plain", Href: "/scarves/"},
		{Name: "phone", Tone: "context", Href: "/gloves/"},
		{Name: "tablet", Tone: "context", Href: "/hats/"},
		{Name: "desktop", Tone: "context", Href: "/scarves/"},
		{Name: "complete-cart", Tone: "profile", Href: "/cart/"},
		{Name: "recently-viewed", Tone: "profile", Href: "/hats/"},
		{Name: "favourite-category", Tone: "profile", Href: "/scarves/"},
		{Name: "welcome-back", Tone: "profile", Href: "/hats/"},
	}
	// announces are texts alone; the page's own is announce.default.
	announces = [...]string{"phone", "tablet", "desktop"}
)

// Hero is the page's own content of the slot hero.
func (p *page) Hero() heroText {
	h := heroes[0]
	h.whereabouts = whereabouts{p.language.Tag, p.Visitor}
	return h
}

// Offer is the page's own content of the slot offer.
func (p *page) Offer() offerText {
	o := offers[0]
	o.whereabouts = whereabouts{p.language.Tag, p.Visitor}
	return o
}

// Release returns the demo site's release document for pages at the given
// origins. Its number is for the store to give. The rules are those of
// Options.Modules; a module that is missing there is refused when the document
// is compiled.
func (d *Demo) Release(origins []string) []byte {
	doc := edge.ReleaseDocument{
		Schema: edge.ReleaseSchema,
		Site:   Site,
		Settings: edge.Settings{
			Origins:  origins,
			Currency: currency,
			Consent:  consent.Policy{StrictGPC: true},
			Why:      true,
		},
		Slots: []edge.SlotSpec{
			{Name: "hero", Kind: "html", Ladder: []edge.RungSpec{
				{Rung: "context", Rules: []edge.RuleSpec{{Module: seasonModule, Role: "hero", Because: d.inAll("because.hero")}}},
			}},
			{Name: "offer", Kind: "html", Ladder: []edge.RungSpec{
				{Rung: "profile", Rules: []edge.RuleSpec{{Module: historyModule, Role: "offer", Because: d.inAll("because.offer.profile")}}},
				{Rung: "context", Rules: []edge.RuleSpec{{Module: deviceModule, Role: "slot", Because: d.inAll("because.device")}}},
			}},
			{Name: "announce", Kind: "text", Ladder: []edge.RungSpec{
				{Rung: "context", Rules: []edge.RuleSpec{{Module: deviceModule, Role: "slot", Because: d.inAll("because.device")}}},
			}},
		},
		Modules: d.releaseModules(),
	}
	for _, l := range d.languages {
		doc.Settings.Languages = append(doc.Settings.Languages, l.Tag)
	}
	for _, h := range heroes[1:] {
		doc.Variants = append(doc.Variants, d.variant("hero", h.Name, func(l *language) any {
			h.lang = l.Tag
			return h
		}))
	}
	for _, o := range offers[1:] {
		doc.Variants = append(doc.Variants, d.variant("offer", o.Name, func(l *language) any {
			o.lang = l.Tag
			return o
		}))
	}
	for _, name := range announces {
		doc.Variants = append(doc.Variants, d.textVariant("announce", name))
	}
	return marshal(doc)
}

// The modules whose rules the release uses.
const (
	seasonModule  = "season-by-place"
	historyModule = "offer-by-history"
	deviceModule  = "by-device"
)

// releaseModules returns the modules that the release uses with the demo's
// settings. Others that the node has are none of the demo's business.
func (d *Demo) releaseModules() []edge.ModuleRef {
	now := d.now
	if now.IsZero() {
		now = time.Now()
	}
	out := []edge.ModuleRef{}
	for _, m := range d.modules {
		switch m.Name {
		case seasonModule:
			m.Settings = json.RawMessage(`{"north":"` + northernSeason(now) + `"}`)
		case historyModule, deviceModule:
		default:
			continue
		}
		out = append(out, m)
	}
	return out
}

// northernSeason returns the half of the year north of the equator, winter or
// summer, with the equinoxes' months as its ends.
func northernSeason(now time.Time) string {
	if m := now.Month(); m >= time.April && m <= time.September {
		return "summer"
	}
	return "winter"
}

// inAll returns a text in every language of the shop.
func (d *Demo) inAll(key string) map[string]string {
	out := map[string]string{}
	for _, l := range d.languages {
		out[l.Tag] = l.texts[key]
	}
	return out
}

// textVariant makes a variant of a slot of kind text.
func (d *Demo) textVariant(slot, name string) edge.Variant {
	v := liveVariant(slot, name)
	for lang, text := range d.inAll(slot + "." + name) {
		v.Content[lang] = marshal(map[string]string{"text": text})
	}
	return v
}

// Owner is whose the demo's variants are.
const Owner = "demo"

// liveVariant returns a variant that is served as soon as it has content.
func liveVariant(slot, name string) edge.Variant {
	return edge.Variant{Slot: slot, Name: name, State: "live", Owner: Owner, Content: map[string]json.RawMessage{}}
}

// variant makes a variant of a slot of kind html: the slot's template with what textIn gives
// for each language.
func (d *Demo) variant(slot, name string, textIn func(*language) any) edge.Variant {
	v := liveVariant(slot, name)
	for _, l := range d.languages {
		var markup bytes.Buffer
		if err := d.pages[l.Tag].ExecuteTemplate(&markup, slot, textIn(l)); err != nil {
			panic(fmt.Sprintf("demo: variant %s of %s: %v", name, slot, err)) // the tests render every one
		}
		v.Content[l.Tag] = marshal(map[string]string{"html": markup.String()})
	}
	return v
}

// marshal spells a part of the release, which is made of strings and numbers
// only.
func marshal(part any) json.RawMessage {
	out, err := json.Marshal(part)
	if err != nil {
		panic(fmt.Sprintf("demo: release: %v", err))
	}
	return out
}
