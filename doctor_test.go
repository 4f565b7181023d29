// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/doctor"
	"github.com/nearside/nearside/tag"
)

// A clinic is a site whose pages a test writes, with a real node behind /_near of
// its own origin, which knows the site "shop" with the slot "hero".
type clinic struct {
	node  *testNode
	base  string
	pages map[string]sickPage // by path
}

// A sickPage is what a page sends.
type sickPage struct {
	html   string
	header map[string]string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{node: startNode(t, testConfig()), pages: map[string]sickPage{}}
	to, err := url.Parse(c.node.base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_near/") {
			proxy.ServeHTTP(w, r)
			return
		}
		page, ok := c.pages[r.URL.Path]
		if !ok { // as sites do with what they do not know
			page.html = "<p>The site's own page for what is not there."
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for name, value := range page.header {
			w.Header().Set(name, value)
		}
		fmt.Fprint(w, page.html)
	}))
	t.Cleanup(site.Close)
	c.base = site.URL
	cli(t, "site", "add", "shop", "--origin", c.base, "--data", c.node.data)
	cli(t, "site", "add", "elsewhere", "--origin", shopOrigin, "--data", c.node.data)
	waitFor(t, "the site to be live", func() bool {
		res, _ := c.node.post(t, "/_near/v1/beacon", `{"v":1,"site":"shop","page":{"url":"`+c.base+`/"},"consent":{"purposes":0},"slots":["hero"]}`, map[string]string{"Origin": c.base})
		return res.StatusCode == http.StatusOK
	})
	return c
}

// examine runs the command line on a page and reads its JSON. The exit code must be
// the one that the findings call for.
func (c *clinic) examine(t *testing.T, address string, more ...string) doctor.Report {
	t.Helper()
	var out, errs bytes.Buffer
	code := command(context.Background(), append([]string{"doctor", "--json", address}, more...), stdio{out: &out, err: &errs})
	var r doctor.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s%s", code, err, errs.String(), out.String())
	}
	want := exitOK
	if r.Count(doctor.Error) > 0 {
		want = exitError
	}
	if code != want {
		t.Errorf("exit %d with %d errors", code, r.Count(doctor.Error))
	}
	return r
}

// wants checks that each code was found, and none whose name begins with !. A code
// may go on with words of what was seen or of the next step: code: words.
func wants(t *testing.T, r *doctor.Report, codes string) {
	t.Helper()
	for want := range strings.SplitSeq(codes, "; ") {
		code, words, _ := strings.Cut(want, ": ")
		code, not := strings.CutPrefix(code, "!")
		found := slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
			return f.Code == code && strings.Contains(f.Seen+f.Next, words)
		})
		if found == not {
			t.Errorf("%s: found is %v among\n%s", want, found, findingsOf(r))
		}
	}
}

func findingsOf(r *doctor.Report) string {
	var out strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&out, "  %s %s: %s\n    %s\n", f.Level, f.Code, f.Seen, f.Next)
	}
	return out.String()
}

const (
	goodStub = `<script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>`
	goodTag  = `<script async src="/_near/tag.js" data-site="shop" data-wait="0"></script>`
	goodSlot = `<near-slot name="hero" style="min-height:40px">own</near-slot>`
	grant    = `<script>near('consent', {context: true, measure: true})</script>`
)

// sickPages are pages with something wrong, and what is found of it by opening and
// by reading them.
var sickPages = []struct {
	name         string
	page         sickPage
	opened, read string // as wants takes them; "" for not at all
}{
	{
		name: "a page in good health", page: sickPage{html: tag.Snippet(tag.SnippetOptions{Src: "/_near/tag.js", Site: "shop"}) + goodSlot + grant},
		opened: "page-opened; tag-found; tag-build: developers; stub-found; tag-runs; csp-none; node-own-origin; node-answers; node-takes-beacons; consent-granted: measure, context; slot-known; slot-bot; requests-answered; !style-missing; !slot-height; !tag-says",
		read:   "page-read; tag-found; tag-build; stub-found; csp-none; node-own-origin; node-answers; node-takes-beacons; consent-signs: near('consent'; slot-known; !style-missing; !tag-runs",
	},
	{
		name: "no tag", page: sickPage{html: goodSlot},
		opened: `tag-missing: data-site="SITE"; !node-answers`, read: "tag-missing; !node-answers",
	},
	{
		name: "two tags of two sites", page: sickPage{html: goodTag + `<script src="/_near/tag.js" data-site="other"></script>`},
		opened: "tag-twice; tag-error", read: "tag-twice",
	},
	{
		name: "a tag that is not there", page: sickPage{html: `<script async src="/assets/_near/tag.js" data-site="shop"></script>` + goodSlot},
		opened: "tag-file-type: catch-all; tag-does-not-run; node-not-there; !node-takes-beacons", read: "tag-file-type; node-not-there",
	},
	{
		name: "a module", page: sickPage{html: `<script type="module" src="/_near/tag.js" data-site="shop"></script>`},
		opened: "tag-type; tag-does-not-run", read: "tag-type",
	},
	{
		name: "a tag that holds up the page, without a site", page: sickPage{html: `<script src="/_near/tag.js" data-sites="shop" data-polcy="uk"></script>`},
		opened: "tag-not-async: Add async; site-missing; attribute-misspelt: data-site; tag-runs; tag-says: data-site", read: "tag-not-async; site-missing; attribute-misspelt",
	},
	{
		name: "a site that the node does not have", page: sickPage{html: goodStub + `<script async src="/_near/tag.js" data-site="shpo" data-policy="eu" data-wait="soon"></script>` + goodSlot + grant},
		opened: "site-unknown: nearside site add shpo --origin http://127.0.0.1; policy-unknown; wait-invalid; request-refused: unknown_site", read: "site-unknown; policy-unknown; wait-invalid",
	},
	{
		name: "an origin that the site does not allow", page: sickPage{html: goodStub + `<script async src="/_near/tag.js" data-site="elsewhere"></script>` + goodSlot + grant},
		opened: "origin-not-allowed: settings.origins; request-refused: origin_not_allowed", read: "origin-not-allowed: settings.origins",
	},
	{
		name: "a policy without the tag", page: sickPage{html: goodTag + goodSlot, header: map[string]string{"Content-Security-Policy": "script-src 'nonce-a' https://cdn.example"}},
		opened: "csp-blocks-tag: script-src; tag-does-not-run; csp-violations: script-src", read: "csp-blocks-tag",
	},
	{
		name: "a policy without the node", page: sickPage{html: `<meta http-equiv="Content-Security-Policy" content="connect-src https://api.example; require-trusted-types-for 'script'">` + goodStub + goodTag + goodSlot + grant},
		opened: "csp-blocks-requests: connect-src; csp-violations: connect-src; csp-trusted-types; tag-runs; !csp-blocks-tag", read: "csp-blocks-requests; csp-trusted-types; !csp-blocks-tag",
	},
	{
		name: "a policy without the snippet's inline parts", page: sickPage{html: tag.Snippet(tag.SnippetOptions{Src: "/_near/tag.js", Site: "shop"}), header: map[string]string{"Content-Security-Policy": "default-src 'self'"}},
		opened: "csp-blocks-stub; csp-blocks-style; tag-runs; !csp-blocks-tag", read: "csp-blocks-stub; csp-blocks-style; !csp-blocks-tag",
	},
	{
		name: "a policy that only reports", page: sickPage{html: goodTag, header: map[string]string{"Content-Security-Policy-Report-Only": "script-src 'none'"}},
		opened: "csp-report-only; tag-runs; !csp-blocks-tag; !csp-violations", read: "csp-report-only; !csp-blocks-tag",
	},
	{
		name: "a policy with a nonce", page: sickPage{html: tag.Snippet(tag.SnippetOptions{Src: "/_near/tag.js", Site: "shop", Nonce: "abc"}), header: map[string]string{"Content-Security-Policy": "default-src 'none'; script-src 'nonce-abc'; style-src 'nonce-abc'; connect-src 'self'"}},
		opened: "csp-allows; tag-runs; !csp-violations", read: "csp-allows",
	},
	{
		name: "a hash of an older tag", page: sickPage{html: `<script async src="/_near/tag.js" data-site="shop" integrity="` + tag.Integrity([]byte("older")) + `"></script>`},
		opened: "integrity-mismatch: " + tag.Integrity(tag.DevScript) + "; tag-does-not-run", read: "integrity-mismatch",
	},
	{
		name: "calls without a queue", page: sickPage{html: grant + goodTag + goodSlot},
		opened: "stub-missing: window.near; near-not-defined; consent-nobody: near('consent', {context: true", read: "stub-missing",
	},
	{
		name: "slots of all sorts", page: sickPage{html: goodStub + goodTag + grant + goodSlot + `<near-slot name="hero" data-limit="3">own</near-slot><near-slot name="Hero!">x</near-slot>` +
			`<near-slot name="heros">own</near-slot><div hidden><near-slot name="hidden-one">own</near-slot></div><near-slot name="empty"></near-slot>` +
			`<iframe srcdoc="<near-slot name=framed>own</near-slot>"></iframe>`},
		opened: "slot-repeated-differs; slot-name: Hero!; slot-unknown: heros; slot-hidden; slot-empty; slot-height: min-height; slot-in-frame: framed; style-missing", read: "slot-repeated-differs; slot-name; slot-unknown; style-missing",
	},
	{
		name: "a platform that does not answer", page: sickPage{html: `<script>window.__tcfapi = (what, version, listen) => { if (what === 'ping') listen({cmpStatus: 'loading', displayStatus: 'visible'}) }</script>` + goodTag + goodSlot},
		opened: "consent-sources: displayStatus visible; consent-unresolved: TCF; slot-not-asked; requests-none", read: "consent-signs: __tcfapi",
	},
	{
		name: "Consent Mode without context being asked", page: sickPage{html: goodStub + `<script>window.dataLayer=[];function gtag(){dataLayer.push(arguments)};gtag('consent','default',{analytics_storage:'granted'})</script>` + goodTag + goodSlot},
		opened: "consent-sources: Consent Mode; consent-granted: measure", read: "consent-signs: Consent Mode",
	},
	{
		name: "asking before the answer, and refused", page: sickPage{html: goodStub + `<script async src="/_near/tag.js" data-site="shop" data-ask></script>` + goodSlot + `<script>near('consent', {context: false})</script>`},
		opened: "consent-ask; consent-no-context", read: "consent-ask",
	},
	{
		name: "events that are wrong", page: sickPage{html: goodStub + goodTag + grant + `<script>near('event', 'not a name!', {a: 1})</script>`},
		opened: "slots-none; events-rejected: bad_name", read: "slots-none",
	},
	{
		name: "a page without an origin", page: sickPage{html: goodTag, header: map[string]string{"Content-Security-Policy": "sandbox allow-scripts"}},
		opened: "csp-sandbox; origin-null", read: "csp-sandbox",
	},
	{
		name: "a tag that a script adds and takes away", page: sickPage{html: goodSlot + `<script>const s = document.createElement('script'); s.src = '/_near/tag.js'; s.dataset.site = 'shop'; document.head.append(s); s.onload = () => s.remove()</script>`},
		opened: "tag-found; tag-runs; node-takes-beacons; !tag-not-async", read: "tag-missing",
	},
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	c := newClinic(t)
	for i := range sickPages {
		c.pages[fmt.Sprintf("/page-%d", i)] = sickPages[i].page
	}
	var mu sync.Mutex
	wrong := [2]map[string]bool{{}, {}} // codes of warnings and errors, by reading and by opening
	t.Run("pages", func(t *testing.T) {
		for i, tt := range sickPages {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				for way, more := range [][]string{{"--browser", "none"}, nil} {
					r := c.examine(t, fmt.Sprintf("%s/page-%d", c.base, i), more...)
					wants(t, &r, []string{tt.read, tt.opened}[way])
					mu.Lock()
					for _, f := range r.Findings {
						wrong[way][f.Code] = wrong[way][f.Code] || f.Level == doctor.Warning || f.Level == doctor.Error
						if f.Level != doctor.OK && f.Next == "" || placeLeft.MatchString(f.Next) {
							t.Errorf("%s has the next step %q", f.Code, f.Next)
						}
					}
					mu.Unlock()
				}
			})
		}
	})
	for way, codes := range wrong {
		maps.DeleteFunc(codes, func(_ string, is bool) bool { return !is })
		if len(codes) < 12 {
			t.Errorf("way %d found only %d kinds of warnings and errors", way, len(codes))
		}
	}
	if got := c.node.storedEvents(t, "shop"); len(got) != 0 {
		t.Errorf("the doctor's visits were counted: %d events", len(got))
	}
}

// placeLeft is a place of a next step that nothing filled.
var placeLeft = regexp.MustCompile(`\{[a-z]+\}`)

// The demo is well, and its report says what its slots show.
func TestDoctorOfTheDemo(t *testing.T) {
	n := startDemo(t)
	c := &clinic{}
	r := c.examine(t, n.at("/en/", "place", "paris", "device", "phone", "grant", "context"))
	wants(t, &r, "tag-runs; csp-allows; csp-trusted-types; consent-granted: context; slot-filled: answered in; !slot-moved; !slot-late")
	if r.Count(doctor.Error) != 0 || r.Browser == "" || r.Site != demo.Site || r.Node != n.base+"/_near/" {
		t.Errorf("the demo has %d errors: %+v", r.Count(doctor.Error), r)
	}
	if r.Consent == nil || !slices.Equal(r.Consent.Granted, []string{"context"}) || r.Consent.Authority != "owner" {
		t.Errorf("consent is %+v", r.Consent)
	}
	hero := slices.IndexFunc(r.Slots, func(s doctor.SlotReport) bool { return s.Name == "hero" })
	if hero < 0 || r.Slots[hero].Variant != heroVariant("winter-phone") || r.Slots[hero].Reason != "rule" || r.Slots[hero].Because == "" || r.Slots[hero].Shown != "variant" || !*r.Slots[hero].Known {
		t.Errorf("slots are %+v", r.Slots)
	}
	if len(r.Requests) != 2 || !strings.HasSuffix(r.Requests[0].URL, "/tag.js") || r.Requests[1].Method != http.MethodPost || r.Requests[1].Status != http.StatusOK {
		t.Errorf("requests are %+v", r.Requests)
	}
}

// As a visitor the doctor gets what visitors get, where a headless browser is a bot.
func TestDoctorAsAVisitor(t *testing.T) {
	n := startDemo(t)
	page, err := doctor.ParseURL(n.at("/en/", "place", "paris", "grant", "context"))
	if err != nil {
		t.Fatal(err)
	}
	for _, asVisitor := range []bool{false, true} {
		r, err := doctor.Examine(t.Context(), doctor.Options{URL: page, Browser: doctor.FindBrowser(), AsVisitor: asVisitor, Timeout: doctorTimeout})
		if err != nil {
			t.Fatal(err)
		}
		want := "slot-bot: bot"
		if asVisitor {
			want = "slot-filled: answered in; !slot-bot"
		}
		wants(t, r, want)
	}
}

// On another origin the node is asked across, and a node that is not there is said
// to be missing.
func TestDoctorOfANodeElsewhere(t *testing.T) {
	c := newClinic(t)
	c.pages["/across"] = sickPage{html: goodStub + `<script async src="` + c.node.base + `/_near/tag.js" data-site="shop" integrity="sha384-x"></script>` + goodSlot + grant}
	c.pages["/gone"] = sickPage{html: `<script async src="http://127.0.0.1:1/_near/tag.js" data-site="shop"></script>`}
	for _, more := range [][]string{{"--browser", "none"}, nil} {
		r := c.examine(t, c.base+"/across", more...)
		wants(t, &r, "node-other-origin: "+c.base+"; node-takes-beacons; integrity-without-cors; csp-none")
		r = c.examine(t, c.base+"/gone", more...)
		wants(t, &r, "tag-unreachable: refused; node-unreachable; !node-takes-beacons")
	}
	c.node.stop()
	c.pages["/down"] = sickPage{html: goodTag}
	r := c.examine(t, c.base+"/down", "--browser", "none")
	wants(t, &r, "tag-status: 502; node-not-there: 502")
}

// A report for people has each group once, and next steps below their findings.
func TestDoctorPrints(t *testing.T) {
	c := newClinic(t)
	c.pages["/"] = sickPage{html: goodTag}
	var out, errs bytes.Buffer
	code := command(context.Background(), []string{"doctor", "--browser", "none", strings.TrimPrefix(c.base, "http://")}, stdio{out: &out, err: &errs})
	for _, want := range []string{", read without a browser in ", "\nThe tag\n  ok       the page loads " + c.base + "/_near/tag.js", "[slots-none]\n           → Put one where", "\n0 errors, 1 warning, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if code != exitOK || errs.Len() != 0 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("exit %d, %s\n%q", code, errs.String(), out.String())
	}
}

// A browser that is stopped leaves nothing behind, and the doctor ends with it.
func TestDoctorLeavesNothingBehind(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	c := newClinic(t)
	c.pages["/"] = sickPage{html: goodTag + `<script>for (;;);</script>`}
	began := time.Now()
	r := c.examine(t, c.base+"/", "--timeout", "2s")
	wants(t, &r, "page-stuck; page-read; tag-found")
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v with a timeout of 2 s", took)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "nearside-doctor-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
}
