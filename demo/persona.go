// SPDX-License-Identifier: Apache-2.0

package demo

import "github.com/nearside/nearside/edge/consent"

// A persona is a visitor that one press of a link plays. Its text is found by
// its name.
type persona struct {
	Name string
	// Lang is the language of the page it lands on, "" for the one it is on.
	Lang    string
	Visitor visitor
}

// withoutShare is what somebody grants who wants a good shop and no
// advertising.
const withoutShare = asked &^ consent.Share

var personas = [...]persona{
	{"paris", "", visitor{Place: "paris", Device: "phone", Decided: true, Granted: consent.Context}},
	{"sydney", "", visitor{Place: "sydney", Device: "desktop", Decided: true, Granted: withoutShare}},
	{"riyadh", "ar", visitor{Place: "riyadh", Device: "tablet", Lang: "ar", Decided: true, Granted: consent.Context | consent.Measure}},
	{"newyork", "", visitor{Place: "newyork", Device: "desktop", Decided: true, Granted: asked, GPC: true}},
	{"crawler", "", visitor{Device: "crawler", Decided: true, Granted: consent.Context}},
	{"nobody", "", visitor{}},
}

// A link is a persona as the visitor bar offers it.
type link struct {
	Name, Href string
	Current    bool
}

// Personas are the visitor bar's quick choices: this page as somebody else.
// The basket stays, as does the bar.
func (p *page) Personas() []link {
	var out []link
	for _, one := range personas {
		v := one.Visitor
		v.Cart, v.BarOpen = p.Visitor.Cart, p.Visitor.BarOpen
		lang := one.Lang
		if lang == "" {
			lang = p.language.Tag
		}
		href := address(lang, p.path, v)
		out = append(out, link{Name: one.Name, Href: href, Current: href == p.Here(p.language.Tag)})
	}
	return out
}

// Persona returns the home page as a persona, for the page that explains. The
// basket stays and the bar opens.
func (p *page) Persona(name string) string {
	for _, one := range personas {
		if one.Name == name {
			v := one.Visitor
			v.Cart, v.BarOpen = p.Visitor.Cart, true
			return address(p.language.Tag, "/", v)
		}
	}
	return p.Link("/")
}
