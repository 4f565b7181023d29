// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// A source is one way in which a page may speak of consent.
type source struct {
	name, text string
	isThere    func(p *page, tag *script) bool
}

// sources are all that the tag reads, and the page's own settings of it.
var sources = []source{
	{"tcf", "a TCF platform (__tcfapi)", func(p *page, _ *script) bool { return p.doc.Platforms["tcf"] != "" }},
	{"gpp", "a GPP platform (__gpp)", func(p *page, _ *script) bool { return p.doc.Platforms["gpp"] != "" }},
	{"gcm", "Google Consent Mode (dataLayer)", func(p *page, _ *script) bool { return p.doc.Now != nil && len(p.doc.Now.Signals.GCM) > 0 }},
	{"gpc", "Global Privacy Control", func(p *page, _ *script) bool { return p.doc.GPC }},
	{"owner", "the page's own near('consent', …)", func(p *page, _ *script) bool {
		return p.doc.Now != nil && p.doc.Now.Signals.Owner.Granted|p.doc.Now.Signals.Owner.Refused != 0
	}},
	{"policy", "data-policy", func(_ *page, tag *script) bool { return tag.Attrs["data-policy"] != "" }},
	{"ask", "data-ask", func(_ *page, tag *script) bool { _, ok := tag.Attrs["data-ask"]; return ok }},
}

// checkConsent says who speaks for consent on the page, and what is granted.
func (x *examination) checkConsent() {
	p := x.page
	if x.tag == nil {
		return
	}
	if !p.inBrowser {
		x.checkConsentText()
		return
	}
	var names, texts []string
	for _, s := range sources {
		if !s.isThere(p, x.tag) {
			continue
		}
		text := s.text
		if says := p.doc.Platforms[s.name]; says != "" {
			text += ": " + says
		}
		names, texts = append(names, s.name), append(texts, text)
	}
	if len(texts) > 0 {
		x.find("consent-sources", "there is "+strings.Join(texts, ", "))
	}
	if slices.Contains(names, "ask") {
		x.find("consent-ask", "data-ask: slots are asked for, without identifiers, before consent is answered")
	}
	now := p.doc.Now
	if now == nil {
		return
	}
	granted := consent.Purposes(now.Granted).Names()
	x.report.Consent = &ConsentReport{
		Sources: append([]string{}, names...), Authority: line(now.Authority), Resolved: now.Resolved,
		Granted: append([]string{}, granted...), WaitedMillis: p.watched.Milliseconds(),
	}
	x.checkVerdict(now, granted)
	x.checkNarrowed()
}

// checkVerdict says what the tag made of the signals.
func (x *examination) checkVerdict(now *tagState, granted []string) {
	waited := fmt.Sprintf("%.1f s", x.page.watched.Seconds())
	switch {
	case !now.Resolved && now.Authority == "region":
		x.find("consent-nobody", fmt.Sprintf("nobody has answered for consent within %s, so nothing is sent", waited))
	case !now.Resolved && now.Granted == 0:
		x.find("consent-unresolved", fmt.Sprintf("%s has the word and has granted nothing within %s", authorityText(now.Authority), waited), "authority", now.Authority)
	case now.Granted&uint32(consent.Context) == 0:
		x.find("consent-no-context", fmt.Sprintf("%s has answered, and context is not granted (granted: %s)", authorityText(now.Authority), listed(granted)))
	default:
		x.find("consent-granted", fmt.Sprintf("%s grants %s", authorityText(now.Authority), listed(granted)))
	}
}

// checkNarrowed says whether the node granted less than the tag claimed, in the last
// beacon that it answered.
func (x *examination) checkNarrowed() {
	for _, r := range slices.Backward(x.page.requests) {
		sent, got := r.parse()
		if !x.isNodes(r.url) || len(r.sent) == 0 || got.Granted == nil {
			continue
		}
		claimed := consent.Purposes(sent.Consent.Purposes)
		if refused := claimed &^ consent.Purposes(*got.Granted); refused != 0 {
			x.find("consent-narrowed", fmt.Sprintf("the tag claimed %s and the node grants no %s", listed(claimed.Names()), listed(refused.Names())))
		}
		return
	}
}

func authorityText(authority string) string {
	for _, s := range sources {
		if s.name == authority {
			return s.text
		}
	}
	if authority == "region" {
		return "the page's policy"
	}
	return line(authority)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// signs of consent in the text of inline scripts.
var signs = []struct {
	text string
	in   *regexp.Regexp
}{
	{"near('consent', …)", regexp.MustCompile(`near\s*\(\s*['"]consent['"]`)},
	{"__tcfapi", regexp.MustCompile(`__tcfapi`)},
	{"__gpp", regexp.MustCompile(`__gpp\b`)},
	{"Google Consent Mode", regexp.MustCompile(`['"]consent['"]\s*,\s*['"](default|update)['"]`)},
}

// checkConsentText reads inline scripts for signs of who speaks for consent.
func (x *examination) checkConsentText() {
	var found []string
	for _, sign := range signs {
		if slices.ContainsFunc(x.page.doc.Scripts, func(s script) bool { return sign.in.MatchString(s.Text) }) {
			found = append(found, sign.text)
		}
	}
	if _, ok := x.tag.Attrs["data-ask"]; ok {
		x.find("consent-ask", "data-ask: slots are asked for, without identifiers, before consent is answered")
	}
	if word := x.tag.Attrs["data-policy"]; word != "" {
		found = append(found, "data-policy="+word)
	}
	if len(found) == 0 {
		x.find("consent-unseen", "nothing in the page's HTML speaks of consent; a script in a file of its own may")
		return
	}
	x.find("consent-signs", "the page's HTML speaks of "+strings.Join(found, ", "))
}
