// SPDX-License-Identifier: Apache-2.0

package demo

// A heroText is what the template "hero" needs, by which the pages show their own
// content of the slot hero.
type heroText struct {
	whereabouts
	Scene string // a class in slot.css
	Href  string // where its button leads, without the language
}

// An offerText is the same for the template "offer".
type offerText struct {
	whereabouts
	Tone, Href string
}

// A whereabouts is the page's language and visitor.
type whereabouts struct {
	lang    string
	visitor visitor
}

// Link returns a page's address.
func (w whereabouts) Link(path string) string { return address(w.lang, path, w.visitor) }

// Hero is the page's own content of the slot hero.
func (p *page) Hero() heroText {
	return heroText{whereabouts{p.language.Tag, p.Visitor}, "default", "/hats/"}
}

// Offer is the page's own content of the slot offer.
func (p *page) Offer() offerText {
	return offerText{whereabouts{p.language.Tag, p.Visitor}, "plain", "/scarves/"}
}
