// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/nearest"
)

// A page is what was seen of a page, by the browser or by reading it.
type page struct {
	url       *url.URL // where it ended up, without a password
	status    int      // 0 if there was no answer
	header    http.Header
	kind      string // its content type
	hops      int    // redirects on the way
	problem   string // why it is not there
	isTooLong bool   // its size was bounded
	isSlow    bool   // it was not loaded in time
	isStuck   bool   // the browser could not look into it
	moves     int    // navigations that it did by itself
	loops     bool   // it was stopped at them
	dialogs   int
	download  bool

	inBrowser bool
	doc       document
	requests  []*request
	lines     []consoleLine
	watched   time.Duration // from the navigation to the last look
}

// isThere reports whether there is a page to look at.
func (p *page) isThere() bool { return p.url != nil && p.problem == "" }

// origin is the page's, as the Origin header has it.
func (p *page) origin() string { return originOf(p.url) }

// A document is what is in a page. Its JSON comes from look.js.
type document struct {
	Base    string   `json:"base"`
	Origin  string   `json:"origin"` // "null" for a page without one
	Metas   []string `json:"metas"`  // policies in meta elements
	Scripts []script `json:"scripts"`
	Styles  []style  `json:"styles"` // those with the slots' animation
	Styled  bool     `json:"styled"` // the animation is there
	Slots   []slot   `json:"slots"`
	// Framed are the slots in frames of the page's own origin.
	Framed []string `json:"framed"`

	// What follows is known in a browser only.
	HasTag     bool              `json:"tag"` // near-slot is defined
	Now        *tagState         `json:"now"`
	Platforms  map[string]string `json:"platforms"` // tcf, gpp: what a ping says
	GPC        bool              `json:"gpc"`
	Violations []violation       `json:"violations"`
}

// A style is a style element, as far as a policy is concerned.
type style struct {
	Nonce string `json:"nonce"`
	Text  string `json:"text"`
}

// A script is one script element. Attribute names are in lower case.
type script struct {
	Attrs map[string]string `json:"attrs"`
	Nonce string            `json:"nonce"`
	Text  string            `json:"text"` // of an inline script, its beginning
	// Async is whether the page goes on while the file comes.
	Async bool `json:"async"`
}

// A slot is one element that may be filled.
type slot struct {
	Name  string            `json:"name"`
	Attrs map[string]string `json:"attrs"`
	Shown string            `json:"shown"` // data-near
	// What follows is known in a browser only, in CSS pixels.
	Width    int  `json:"width"`
	Height   int  `json:"height"`
	Reserved bool `json:"reserved"` // it has a height of its own
	Hidden   bool `json:"hidden"`
	// Grew is by how much its height changed when it was filled.
	Grew int `json:"grew"`
}

// A tagState is what near('get') says.
type tagState struct {
	Granted   uint32 `json:"granted"`
	Authority string `json:"authority"`
	Resolved  bool   `json:"resolved"`
	Signals   struct {
		Owner struct {
			Granted uint32 `json:"granted"`
			Refused uint32 `json:"refused"`
		} `json:"owner"`
		GCM map[string]string `json:"gcm"`
	} `json:"signals"`
}

// A decision is the answer for a slot.
type decision struct {
	Slot    string `json:"slot"`
	Kind    string `json:"kind"`
	Reason  string `json:"reason"`
	Because string `json:"because"`
	Variant string `json:"variant"`
}

// A violation is something that a policy blocked, or only reported.
type violation struct {
	Directive string `json:"directive"`
	Blocked   string `json:"blocked"` // an address, or "inline", "eval" and the like
	IsReport  bool   `json:"report"`
}

// A consoleLine is what a script said on the console, or an error nobody caught.
type consoleLine struct {
	text    string
	url     string // of the script
	isError bool
}

// A request is one that the page made.
type request struct {
	id, method, url string
	start, end      time.Duration // on the browser's clock
	status          int
	failure         string // why there was no answer
	blocked         string // "csp", "mixed-content", "subresource-integrity", or ""
	isDone          bool
	sent, answer    []byte // of beacons
}

// originOf is the origin of an address (https://html.spec.whatwg.org/#origin).
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); port != "" && port == defaultPort(u.Scheme) {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}

// isLoopback reports whether a host is this machine, where browsers take http for
// secure.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// candidates are the script elements that look like a tag.
func (p *page) candidates() []*script {
	var all []*script
	for i := range p.doc.Scripts {
		if s := &p.doc.Scripts[i]; s.looksLikeTag() {
			all = append(all, s)
		}
	}
	return all
}

// tag is the first script element that looks like a tag, nil for none.
func (p *page) tag() *script {
	if all := p.candidates(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// looksLikeTag reports whether an element is a tag by its data-site, by something
// that was meant to be one, or by the file's name.
func (s *script) looksLikeTag() bool {
	if _, ok := s.Attrs["data-site"]; ok {
		return true
	}
	u, err := url.Parse(strings.TrimSpace(s.Attrs["src"]))
	if err != nil || s.Attrs["src"] == "" {
		return false
	}
	return path.Base(u.Path) == "tag.js" && (strings.Contains(u.Path, "_near/") || s.hasTagAttribute() || path.Dir(u.Path) == "/")
}

// tagAttributes are what the tag reads of its element.
var tagAttributes = []string{"data-site", "data-policy", "data-ask", "data-why", "data-wait"}

// hasTagAttribute reports whether an attribute is one of the tag's, nearly or
// without its data-.
func (s *script) hasTagAttribute() bool {
	for name := range s.Attrs {
		if s.isMisspelt(name) != "" || nearest.Distance(name, "data-site", 1) == 0 {
			return true
		}
	}
	return false
}

// isMisspelt returns the attribute of the tag that another one was mostly meant
// to be, "" for none.
func (s *script) isMisspelt(name string) string {
	for _, known := range tagAttributes {
		if name == known {
			return ""
		}
		if name == strings.TrimPrefix(known, "data-") {
			return known
		}
	}
	if !strings.HasPrefix(name, "data") {
		return ""
	}
	near := nearest.Of(name, tagAttributes)
	// Half of a short name is in the prefix: what differs must be less.
	if near == "" || nearest.Distance(name, near, 3) > 2 {
		return ""
	}
	return near
}

// address is where a script's file is, nil if it has none that can be read.
func (s *script) address(p *page) *url.URL {
	src := strings.TrimSpace(s.Attrs["src"])
	if src == "" {
		return nil
	}
	base := p.url
	if b, err := p.url.Parse(p.doc.Base); err == nil {
		base = b
	}
	u, err := base.Parse(src)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	u.Fragment = ""
	return u
}
