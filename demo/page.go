// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"

	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/prompt"
)

//go:embed page/*.html
var pageFiles embed.FS

// PromptVersion is the version of the consent prompt's texts. Raise it when
// what is asked changes: what was answered to other words is no answer.
const PromptVersion = "2026-11"

// asked are the purposes the prompt asks for. The shop has no use for geo and
// device, so it asks for neither; the visitor bar can grant them all the same.
const asked = consent.Storage | consent.Measure | consent.Context | consent.Profile | consent.Personalise | consent.Share

// parsePages parses the page templates once for each language, so that a
// template says {{t "nav.cart"}} and no more.
func parsePages(languages []*language) (map[string]*template.Template, error) {
	out := map[string]*template.Template{}
	for _, l := range languages {
		t, err := template.New("").Funcs(template.FuncMap{"t": l.say, "money": l.money}).ParseFS(pageFiles, "page/*.html")
		if err != nil {
			return nil, fmt.Errorf("demo: pages: %w", err)
		}
		out[l.Tag] = t
	}
	return out, nil
}

// A page is what the templates see: one page of the shop for one visitor.
type page struct {
	demo     *Demo
	language *language
	// Kind names the template: home, category, item, cart, how or missing.
	Kind string
	// path is the page's path without its language, for example "/hats/".
	path     string
	Category string // of a category or item page
	Item     item   // of an item page
	Visitor  visitor
	Nonce    string
	account  string // as account returns it
}

// route finds the page at a path without its language, "/hats/" for example.
func route(path string) (kind, category string, it item, ok bool) {
	switch path {
	case "/":
		return "home", "", item{}, true
	case "/cart/":
		return "cart", "", item{}, true
	case "/how/":
		return "how", "", item{}, true
	}
	for _, c := range categories {
		if path == "/"+c+"/" {
			return "category", c, item{}, true
		}
	}
	if id, found := strings.CutPrefix(path, "/item/"); found {
		if it, ok := itemByID(strings.TrimSuffix(id, "/")); ok && strings.HasSuffix(id, "/") {
			return "item", it.Category, it, true
		}
	}
	return "missing", "", item{}, false
}

// render writes the page.
func (p *page) render(out *bytes.Buffer) error {
	if err := p.demo.pages[p.language.Tag].ExecuteTemplate(out, "layout", p); err != nil {
		return fmt.Errorf("demo: page %s: %w", p.Kind, err)
	}
	return nil
}

// Lang is the page's language.
func (p *page) Lang() string { return p.language.Tag }

// Dir is the page's writing direction.
func (p *page) Dir() string { return p.language.Dir }

// Languages are the shop's languages.
func (p *page) Languages() []*language { return p.demo.languages }

// Link returns a page's address in the page's language, with the visitor in it.
func (p *page) Link(path string) string { return address(p.language.Tag, path, p.Visitor) }

// Here returns this page's address in another language.
func (p *page) Here(lang string) string { return address(lang, p.path, p.Visitor) }

// AskAgain returns this page's address for a visitor who was not asked.
func (p *page) AskAgain() string {
	v := p.Visitor
	v.Decided, v.Granted, v.Platform = false, 0, false
	return address(p.language.Tag, p.path, v)
}

// AskByPlatform returns this page's address for a visitor whom a consent platform
// asks.
func (p *page) AskByPlatform() string {
	v := p.Visitor
	v.Decided, v.Granted, v.Platform = false, 0, true
	return address(p.language.Tag, p.path, v)
}

// platformTexts are the words of the consent platform by their keys in the prompt.
var platformTexts = []string{
	"title", "text", "refuse", "accept", "choose", "save",
	"storage.name", "storage.text", "measure.name", "measure.text", "share.name", "share.text",
}

// PlatformTexts are the consent platform's words: those of the shop's prompt.
func (p *page) PlatformTexts() (map[string]string, error) {
	made, err := p.prompt()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range platformTexts {
		if out[key], err = made.Text(key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// address returns a page's address in a language with a visitor in it.
func address(lang, path string, v visitor) string {
	if query := v.query(); query != "" {
		return "/" + lang + path + "?" + query
	}
	return "/" + lang + path
}

// Title is the page's own title, "" for the home page.
func (p *page) Title() (string, error) {
	switch p.Kind {
	case "category":
		return p.language.say("category." + p.Category + ".name")
	case "item":
		return p.language.say("item." + p.Item.ID + ".name")
	case "home":
		return "", nil
	}
	return p.language.say(p.Kind + ".title")
}

// Snippet is the tag's embedding with the page's nonce. It is the tag's own
// markup, fixed when the shop was made.
func (p *page) Snippet() template.HTML {
	return template.HTML(strings.ReplaceAll(p.demo.snippet, noncePlaceholder, p.Nonce))
}

// Categories are the shop's shelves.
func (p *page) Categories() []string { return categories[:] }

// Items are all items.
func (p *page) Items() []item { return items[:] }

// Shelf returns a category's items, without the one the page shows.
func (p *page) Shelf(category string) []item {
	var out []item
	for _, it := range shelf(category) {
		if it.ID != p.Item.ID {
			out = append(out, it)
		}
	}
	return out
}

// Lead returns the item that stands for a category.
func (p *page) Lead(category string) item { return shelf(category)[0] }

// Count is how many things are in the basket.
func (p *page) Count() int { return p.Visitor.count() }

// EventsCommand prints stored events.
func (p *page) EventsCommand() string { return p.demo.eventsCommand }

// prompt is the consent prompt, with the shop's own words for the purposes.
func (p *page) prompt() (*prompt.Prompt, error) {
	own := map[string]string{}
	var err error
	text := func(key, ours string) {
		if err == nil {
			own[key], err = p.language.say(ours)
		}
	}
	text("saved", "prompt.saved")
	for _, name := range asked.Names() {
		for _, part := range []string{".name", ".text", ".benefit"} {
			text(name+part, "purpose."+name+part)
		}
	}
	if err != nil {
		return nil, err
	}
	return prompt.New(p.language.Tag, PromptVersion, asked.Names(), own)
}

// Prompt is the consent prompt's markup. The answer is kept in the page's address,
// not by the prompt's script.
func (p *page) Prompt() (template.HTML, error) {
	made, err := p.prompt()
	if err != nil {
		return "", err
	}
	made.Shown, made.Keep = true, "page"
	var out strings.Builder
	err = made.Write(&out)
	return template.HTML(out.String()), err
}

// Asks reports whether the shop's own prompt is on the page.
func (p *page) Asks() bool { return !p.Visitor.Decided && !p.Visitor.Platform }

// Prefix is where the collector answers on the shop's origin.
func (p *page) Prefix() string { return p.demo.prefix }

// A choice is one thing to choose in the visitor bar or the prompt.
type choice struct {
	Value, Text string
	Chosen      bool
	// Asked says that the prompt asks for it.
	Asked bool
}

// Places are the places of the visitor bar.
func (p *page) Places() ([]choice, error) {
	var ids []string
	for _, place := range places {
		ids = append(ids, place.ID)
	}
	return p.choices("place.", p.Visitor.Place, ids)
}

// Devices are the devices of the visitor bar.
func (p *page) Devices() ([]choice, error) {
	var ids []string
	for _, dev := range devices {
		ids = append(ids, dev.ID)
	}
	return p.choices("device.", p.Visitor.Device, ids)
}

func (p *page) choices(prefix, chosen string, ids []string) ([]choice, error) {
	var out []choice
	for _, id := range ids {
		text, err := p.language.say(prefix + id)
		if err != nil {
			return nil, err
		}
		out = append(out, choice{Value: id, Text: text, Chosen: id == chosen})
	}
	return out, nil
}

// Purposes are the eight purposes with the visitor's answer.
func (p *page) Purposes() []choice {
	var out []choice
	for _, row := range consent.Rows() {
		out = append(out, choice{Value: row.Name, Chosen: p.Visitor.Granted.Has(row.Bit), Asked: asked.Has(row.Bit)})
	}
	return out
}

// GrantedCount is how many purposes the visitor said yes to.
func (p *page) GrantedCount() int { return len(p.Visitor.Granted.Names()) }

// Consent is what the page tells the tag for a visitor who answered: each
// purpose by name.
func (p *page) Consent() map[string]bool {
	out := map[string]bool{}
	for _, row := range consent.Rows() {
		out[row.Name] = p.Visitor.Granted.Has(row.Bit)
	}
	return out
}

// BrowserLangs are what the played browser says of its languages, nil to leave
// the real ones.
func (p *page) BrowserLangs() []string {
	if l := p.demo.language(p.Visitor.Lang); l != nil {
		return l.browser[:]
	}
	return nil
}

// A card is an item with the address of its page.
type card struct {
	Item item
	Href string
}

// Card returns an item's card.
func (p *page) Card(it item) card { return card{Item: it, Href: p.Link("/item/" + it.ID + "/")} }
