// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/nearside/nearside/publishing"
)

//go:embed page/*.html
var pageFiles embed.FS

// pagePath is where the page is; everything below it answers with HTML.
const pagePath = "/console"

// pageNames are the pages, each a template of its own name in page/.
var pageNames = []string{
	"again", "audit", "explain", "history", "message", "module", "modules", "proposals", "refused", "remove", "review", "rollback", "rules", "signin", "site", "sites", "slot",
}

// A pageTemplate parses a page for a language when it is asked for the first time: most
// nodes show nobody a page, and what is parsed is looked through whenever garbage is
// collected.
type pageTemplate func() (*template.Template, error)

// preparePages prepares each page once for each language, so that a template says
// {{say "nav.live"}} and no more.
func (c *Console) preparePages() {
	c.pages = map[string]pageTemplate{}
	for _, l := range c.languages {
		for _, name := range pageNames {
			c.pages[l.Tag+"/"+name] = sync.OnceValues(func() (*template.Template, error) { return c.parsePage(l, name) })
		}
	}
}

func (c *Console) parsePage(l *language, name string) (*template.Template, error) {
	functions := template.FuncMap{
		"say": l.say, "has": l.has, "number": l.number, "share": l.share, "rate": l.rate, "moment": moment, "bar": bar, "asset": c.assets.link,
		"conditionWords": l.conditionWords, "sawWords": l.sawWords, "causeWords": l.causeWords, "plain": plainValue,
		"languages": func() []*language { return c.languages },
	}
	return template.New("").Funcs(functions).ParseFS(pageFiles, "page/layout.html", "page/part.html", "page/"+name+".html")
}

// A page is what the templates see.
type page struct {
	call *call
	lang *language

	Title   string // in the page's language
	Status  int    // 0 is 200
	Problem *problem
	Done    string // what has just been done, in the page's language
	Body    any

	Sites   []string
	Waiting int // proposals of the site
}

// Lang is the page's language.
func (p *page) Lang() string { return p.lang.Tag }

// Dir is the page's writing direction.
func (p *page) Dir() string { return p.lang.Dir }

// Actor is who is signed in; without a name nobody is.
func (p *page) Actor() publishing.Actor { return p.call.actor }

// Site is the site that the page is about, "" for none.
func (p *page) Site() string { return p.call.site }

// May reports whether who is signed in has a role at the page's site.
func (p *page) May(role string) bool {
	r, err := publishing.ParseRole(role)
	return err == nil && p.call.actor.May(r, p.call.site)
}

// At returns the address of a page of the site.
func (p *page) At(parts ...any) string { return siteLink(p.Site(), parts...) }

// Current reports whether the page is the one at a path of the site or below it.
func (p *page) Current(part string) bool {
	below := strings.TrimPrefix(p.call.r.URL.Path, siteLink(p.Site()))
	first, _, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	return first == part || part == "" && first == "slots"
}

// Here returns the page's address in another language.
func (p *page) Here(lang string) string {
	path := p.call.r.URL.Path
	query := url.Values{"lang": {lang}}
	for _, name := range []string{"next", "sample"} {
		if value := p.call.r.URL.Query().Get(name); value != "" {
			query.Set(name, value)
		}
	}
	if p.call.r.Method != http.MethodGet { // what only answers a form has no address
		path = siteLink(p.Site())
	}
	return path + "?" + query.Encode()
}

// siteLink returns an address below a site's, that of every site for "".
func siteLink(site string, parts ...any) string {
	link := pagePath
	if site != "" {
		link += "/sites/" + url.PathEscape(site)
	}
	for _, part := range parts {
		link += "/" + url.PathEscape(fmt.Sprint(part))
	}
	return link
}

// say returns a text in the page's language; one that is missing is a fault of
// ours, which a test finds.
func (q *call) say(key string, pairs ...any) string {
	text, err := q.language().say(key, pairs...)
	if err != nil {
		panic(err)
	}
	return text
}

func (q *call) language() *language { return q.console.language(q.r) }

// newPage returns a page with what every page of the site shows.
func (q *call) newPage(title string, body any) *page {
	p := &page{call: q, lang: q.language(), Title: title, Body: body}
	if q.actor.Name == "" {
		return p
	}
	// A frame that lacks a list is better than no page: what the page is about
	// fails for itself.
	p.Sites, _ = q.desk().Sites(q.ctx(), q.actor)
	if q.site != "" && slices.Contains(p.Sites, q.site) {
		proposals, _ := q.desk().Proposals(q.ctx(), q.actor, q.site)
		for _, proposal := range proposals {
			if proposal.State == publishing.StateWaiting {
				p.Waiting++
			}
		}
	}
	return p
}

// render answers with a page. One that has no problem to tell of says what was
// done before it.
func (q *call) render(name string, p *page) error {
	if done := "done." + q.r.URL.Query().Get("done"); p.Problem == nil && p.lang.has(done) {
		p.Done = q.say(done)
	}
	var out bytes.Buffer
	parsed, err := q.console.pages[p.lang.Tag+"/"+name]()
	if err == nil {
		err = parsed.ExecuteTemplate(&out, "layout", p)
	}
	if err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	q.w.Header().Set("Content-Language", p.lang.Tag)
	return q.bytes(max(p.Status, http.StatusOK), "text/html; charset=utf-8", out.Bytes())
}

// keepLanguage remembers a language that was chosen.
func (q *call) keepLanguage() {
	chosen := q.r.URL.Query().Get("lang")
	if q.console.languageNamed(chosen) == nil {
		return
	}
	http.SetCookie(q.w, &http.Cookie{
		Name: languageCookie, Value: chosen, Path: pagePath, MaxAge: 365 * 24 * 60 * 60,
		Secure: overTLS(q.r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// seeOther sends the browser to another page, which says what was done.
func (q *call) seeOther(link, done string) error {
	if done != "" {
		link += "?done=" + url.QueryEscape(done)
	}
	q.w.Header().Set("Location", link)
	q.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// isPage reports whether an address answers with HTML.
func isPage(path string) bool { return path == pagePath || strings.HasPrefix(path, pagePath+"/") }

// pageHeaders are what every page tells the browser: nothing but our own files
// is loaded, no script or style stands in the page, and nobody frames it.
var pageHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "same-origin", // without any, a form's Origin would be null
	"X-Frame-Options":              "DENY",
}
