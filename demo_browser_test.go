// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/geo"
)

// These tests drive the demo in a real browser against a real node: the tag,
// the collector, the engine, WASM rules and the log are the product's own.

func startDemo(t *testing.T) *testNode {
	t.Helper()
	cfg := testConfig()
	cfg.Demo = true
	return startNode(t, cfg)
}

// at is an address of the shop with a visitor in it.
func (n *testNode) at(path string, visitor ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(visitor); i += 2 {
		q.Set(visitor[i], visitor[i+1])
	}
	return n.base + path + "?" + strings.ReplaceAll(q.Encode(), "%2C", ",")
}

var everything = strings.Join(consent.All.Names(), ",")

// Of a slot: the words it shows, and what the tag decided about it.
const (
	heroTitle  = `document.querySelector('near-slot[name=hero] h1').textContent`
	offerTitle = `document.querySelector('near-slot[name=offer] h2').textContent`
)

// The page's own words, as the English shop has them without Nearside.
func ownWords(b *tab, base string) (hero, offer string) {
	b.t.Helper()
	b.open(base + "/en/?grant=none")
	return eval[string](b, heroTitle), eval[string](b, offerTitle)
}

func (b *tab) visible(selector string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf(`getComputedStyle(document.querySelector(%q)).visibility === 'visible' && document.querySelector(%q).getBoundingClientRect().height > 20`, selector, selector))
}

// noShift checks that nothing on the page moved. What a slot moves, it moves
// every time; what a browser moves now and then because it painted between two
// pieces of a page is not the slots' doing, so a page gets three tries.
func (b *tab) noShift() {
	b.t.Helper()
	var shifts []string
	for try := range 3 {
		if try > 0 {
			b.mu.Lock()
			b.requests = nil
			b.mu.Unlock()
			b.do(chromedp.Reload())
			time.Sleep(1500 * time.Millisecond)
		}
		if shifts = eval[[]string](b, `window.__shifts`); len(shifts) == 0 {
			return
		}
	}
	b.t.Errorf("the page's layout shifted three times: %q", shifts)
}

func (b *tab) watchLayout() {
	b.t.Helper()
	b.onEveryPage(watchLayout)
}

// onEveryPage runs a script before any of a page's own, from the next page on.
func (b *tab) onEveryPage(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

func TestWithoutConsentNothingLeavesThePage(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	b.watchLayout()
	hero, offer := ownWords(b, n.base)
	for _, who := range []string{"", "grant=none"} {
		b.open(n.base + "/en/?" + who)
		b.until("the page to be loaded", `document.readyState === 'complete'`)
		time.Sleep(1500 * time.Millisecond) // longer than any wait of the tag
		if got := eval[string](b, heroTitle); got != hero || eval[string](b, offerTitle) != offer {
			t.Errorf("%q: hero shows %q, want the page's own %q", who, got, hero)
		}
		files := []string{"/_near/tag.js"}
		if who == "" { // and not asked yet
			files = append(files, "/_near/prompt.css", "/_near/prompt.js")
		}
		for _, r := range b.sent("/_near") {
			if !slices.ContainsFunc(files, func(file string) bool { return r == "GET "+n.base+file }) {
				t.Errorf("%q: %s left the page, want nothing but %q", who, r, files)
			}
		}
		if foreign := slices.DeleteFunc(b.sent(""), func(r string) bool { return strings.Contains(r, n.base) }); len(foreign) != 0 {
			t.Errorf("%q: the page asked other hosts: %q", who, foreign)
		}
		b.nothingStored()
		b.noShift()
		if !b.visible("near-slot[name=hero]") {
			t.Errorf("%q: the hero is not visible", who)
		}
	}
	if len(b.faults) != 0 {
		t.Errorf("the page reports %q", b.faults)
	}
	if got := n.storedEvents(t, demo.Site); len(got) != 0 {
		t.Errorf("%d events are stored", len(got))
	}
}

func TestContextFillsTheHeroForDevicePlaceAndLanguage(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	b.watchLayout()
	hero, _ := ownWords(b, n.base)
	shown := map[string]string{}
	for _, tt := range []struct{ name, path, place, device, variant string }{
		{"a phone in Paris", "/en/", "paris", "phone", "winter-phone"},
		{"a desktop in Paris", "/en/", "paris", "desktop", "winter-desktop"},
		{"a phone in Sydney", "/en/", "sydney", "phone", "summer-phone"},
		{"a desktop in Sydney", "/en/", "sydney", "desktop", "summer-desktop"},
		{"a phone in Moscow, in Russian", "/ru/", "moscow", "phone", "winter-phone"},
		{"a phone in Riyadh, in Arabic", "/ar/", "riyadh", "phone", "winter-phone"},
		{"a desktop in Taipei, in Traditional Chinese", "/zh-Hant/", "taipei", "desktop", "winter-desktop"},
		{"a desktop in Beijing, in Simplified Chinese", "/zh-Hans/", "beijing", "desktop", "winter-desktop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.t = t
			b.open(n.at(tt.path, "place", tt.place, "device", tt.device, "grant", "context"))
			b.until("the hero's decision", `window.near && new Promise(r => near('get', s => r(s.decisions.some(d => d.slot === 'hero' && d.variant === '`+heroVariant(tt.variant)+`'))))`)
			got := eval[string](b, heroTitle)
			if got == hero || shown[got] != "" {
				t.Errorf("the hero shows %q, which is the page's own or that of %s", got, shown[got])
			}
			shown[got] = tt.name
			b.noShift()
			b.nothingStored()
			if sent := b.sent("/v1/beacon"); len(sent) != 1 {
				t.Errorf("the tag sent %q, want one beacon", sent)
			}
		})
	}
	if got := n.storedEvents(t, demo.Site); len(got) != 0 {
		t.Errorf("%d events are stored without the measure purpose", len(got))
	}
}

// heroVariant turns a variant as it is called in the northern winter into what
// it is called now: the demo's seasons follow the calendar.
func heroVariant(name string) string {
	if month := time.Now().Month(); month >= time.April && month <= time.September {
		return strings.NewReplacer("winter", "summer", "summer", "winter").Replace(name)
	}
	return name
}

func TestThePanelSaysWhatWasReadAndWithheld(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", "context"))
	b.until("the answer", `window.near && new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
	b.do(chromedp.Click(`[data-explain=hero]`))
	b.until("the panel", `document.querySelector('#panel[open] .conditions')`)
	text := eval[string](b, `document.querySelector('#panel').textContent`)
	for _, want := range []string{heroVariant("winter-phone"), "Device is Phone", "France"} {
		if !strings.Contains(text, want) {
			t.Errorf("the hero's panel does not name %s: %s", want, text)
		}
	}
	b.do(chromedp.Click(`.panel-close`), chromedp.Click(`[data-explain=offer]`))
	b.until("the other panel", `document.querySelector('#panel[open]')`)
	text = eval[string](b, `document.querySelector('#panel').textContent`)
	for _, want := range []string{"offer-by-history@", "recent", "cart", "complete-cart", "Device is Tablet"} {
		if !strings.Contains(text, want) {
			t.Errorf("the offer's panel does not name %s: %s", want, text)
		}
	}
}

// conditions are those of the open panel as they are read aloud, each with why it
// is not known.
func (b *tab) conditions() string {
	b.t.Helper()
	return eval[string](b, `[...document.querySelectorAll('.panel .conditions p')].map(p => {
		const spoken = p.cloneNode(true);
		spoken.querySelectorAll('[aria-hidden]').forEach(e => e.remove());
		return spoken.textContent.trim();
	}).join('\n')`)
}

func TestThePanelSaysWhatBecameOfEachCondition(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	shows := func(variant string) {
		t.Helper()
		b.until("the offer "+variant, `window.near && new Promise(r => near('get', s => r(s.decisions.some(d => d.slot === 'offer' && d.variant === '`+variant+`'))))`)
	}
	b.open(n.at("/en/item/tarn-scarf/", "place", "paris", "device", "phone", "grant", everything))
	b.until("the answer", `window.near && new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", everything, "bar", "1"))
	shows("recently-viewed")
	b.do(chromedp.Click(`[data-explain=offer]`))
	b.until("the panel", `document.querySelector('#panel[open] .conditions')`)
	if got := b.conditions(); !strings.Contains(got, "No: Number of things in the basket: more than 0 here: 0") || strings.Contains(got, "You do not allow") {
		t.Errorf("with everything granted the panel says\n%s", got)
	}
	b.do(chromedp.Click(`.panel-close`), chromedp.Click(`#bar-form [name=grant][value=personalise]`), chromedp.Reload())
	shows("phone")
	b.do(chromedp.Click(`[data-explain=offer]`))
	b.until("the panel", `document.querySelector('#panel[open] .conditions')`)
	got := b.conditions()
	for _, want := range []string{
		"Not known: Number of things in the basket: more than 0\nYou do not allow “Use the notes”.",
		"No: Came back", "Yes: Device is Phone", "No: Device is Tablet here: Phone",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without the notes the panel does not say %q:\n%s", want, got)
		}
	}
}

func TestWithdrawingContextRestoresThePageAtOnce(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	b.watchLayout()
	hero, _ := ownWords(b, n.base)
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", "storage,measure,context", "bar", "1"))
	b.until("the hero's content", heroTitle+` !== `+fmt.Sprintf("%q", hero))
	b.do(chromedp.Click(`#bar-form [name=grant][value=context]`))
	if got := eval[string](b, heroTitle); got != hero {
		t.Errorf("right after the withdrawal the hero shows %q, want %q", got, hero)
	}
	waitFor(t, "the withdrawal to be sent", func() bool { return len(b.sent("/v1/withdraw")) > 0 })
	time.Sleep(500 * time.Millisecond) // time for a second one
	waitFor(t, "the withdrawal to be noted", func() bool { return len(b.sent("/v1/withdraw")) > 0 })
	if sent := b.sent("/v1/withdraw"); len(sent) != 1 {
		t.Errorf("withdrawals sent: %q, want exactly one", sent)
	}
	b.noShift()
}

func TestWithdrawingEverythingExpiresTheCookie(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", everything, "bar", "1"))
	b.until("the answer", `new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
	held := b.cookiesAt(n.base + "/_near/")
	if len(held) != 1 || !held[0].HTTPOnly || !held[0].Secure || held[0].Name != "__Secure-near-demo" || held[0].Path != "/_near" {
		t.Fatalf("cookies after full consent: %+v, want one HttpOnly cookie below the prefix", held)
	}
	eval[any](b, `near('consent', 'withdraw')`)
	waitFor(t, "the cookie to expire", func() bool { return len(b.cookiesAt(n.base+"/_near/")) == 0 })
	if sent := b.sent("/v1/withdraw"); len(sent) != 1 {
		t.Errorf("withdrawals sent: %q, want exactly one", sent)
	}
	b.until("the answer, with which the last entry goes", `!localStorage.length`)
	b.nothingStored()
}

// cookiesAt are the cookies a request to an address would carry.
func (b *tab) cookiesAt(address string) []*network.Cookie {
	b.t.Helper()
	got, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{address}})
	if err != nil {
		b.t.Fatal(err)
	}
	return got.Cookies
}

func TestStrictGPCMovesTheOfferDownARung(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	// Of strict GPC only the server knows, so its answer tells what is granted.
	b.onEveryPage(`addEventListener('near:answer', e => window.told = e.detail.granted ?? window.told)`)
	offer := func() string {
		b.until("the offer's decision", `window.near && new Promise(r => near('get', s => r(s.decisions.some(d => d.slot === 'offer'))))`)
		return eval[string](b, `new Promise(r => near('get', s => r(s.decisions.find(d => d.slot === 'offer').variant)))`)
	}
	// What was looked at on the item's page decides the next page's offer.
	b.open(n.at("/en/item/tarn-scarf/", "place", "paris", "device", "phone", "grant", everything))
	offer()
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", everything))
	if got := offer(); got != "recently-viewed" {
		t.Errorf("with everything granted the offer is %q, want recently-viewed", got)
	}
	b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", everything, "gpc", "1"))
	if got := offer(); got != "phone" {
		t.Errorf("with GPC the offer is %q, want the context rung's phone", got)
	}
	granted := consent.Purposes(eval[int](b, `window.told`))
	if want := consent.All &^ (consent.Share | consent.Profile | consent.Personalise); granted != want {
		t.Errorf("with GPC %s is granted, want %s", granted, want)
	}
}

func TestThePageIsWholeWithoutTheTagOrTheCollector(t *testing.T) {
	n := startDemo(t)
	for _, blocked := range []string{"*://*:*/_near/tag.js", "*://*:*/_near/v1/*"} {
		t.Run(blocked, func(t *testing.T) {
			b := newTab(t, 390, 844)
			b.watchLayout()
			hero, _ := ownWords(b, n.base)
			b.block(blocked)
			b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", everything))
			b.until("the page to be loaded", `document.readyState === 'complete'`)
			waitFor(t, "the slots to be visible", func() bool { return b.visible("near-slot[name=hero]") && b.visible("near-slot[name=offer]") })
			time.Sleep(1200 * time.Millisecond)
			if got := eval[string](b, heroTitle); got != hero {
				t.Errorf("the hero shows %q, want the page's own %q", got, hero)
			}
			b.noShift()
		})
	}
}

// block makes the browser fail every request whose URL matches.
func (b *tab) block(pattern string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: pattern, Block: true}}}); err != nil {
		b.t.Fatal(err)
	}
}

// The demo's sample addresses are where the embedded database says.
func TestTheDemosPlacesAreWhereTheyClaim(t *testing.T) {
	db, err := geo.Open(geo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, p := range demo.Places() {
		if got := db.Locate(p.Addr).Country; got != p.Country {
			t.Errorf("%s: the database says %q, want %q", p.ID, got, p.Country)
		}
	}
}

// TestScreenshots takes the pictures a person should look at before a change of
// the demo lands: SCREENSHOTS=dir go test -run TestScreenshots .
func TestScreenshots(t *testing.T) {
	if os.Getenv("SCREENSHOTS") == "" {
		t.Skip("SCREENSHOTS names no directory to put pictures in")
	}
	n := startDemo(t)
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 900}, {"phone", 390, 844}} {
		b := newTab(t, size.width, size.height)
		for lang, place := range map[string]string{"en": "paris", "ar": "riyadh"} {
			b.open(n.base + "/" + lang + "/")
			time.Sleep(1200 * time.Millisecond)
			b.screenshot(lang + "-" + size.name + "-prompt")
			b.open(n.at("/"+lang+"/", "place", place, "device", size.name, "grant", "storage,measure,context,profile,personalise"))
			b.until("the answer", `window.near && new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
			time.Sleep(300 * time.Millisecond)
			b.screenshot(lang + "-" + size.name + "-home")
			b.do(chromedp.Click(`[data-explain=offer]`))
			b.until("the panel", `document.querySelector('#panel[open]')`)
			time.Sleep(400 * time.Millisecond)
			b.screenshot(lang + "-" + size.name + "-panel")
			b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.panel-tried').scrollIntoView()`))
			b.screenshot(lang + "-" + size.name + "-panel-tried")
			b.do(chromedp.Click(`.panel-close`), chromedp.Click(`[data-explain=hero]`))
			b.until("the hero's panel", `document.querySelector('#panel[open]')`)
			time.Sleep(400 * time.Millisecond)
			b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.panel .conditions').scrollIntoView()`))
			b.screenshot(lang + "-" + size.name + "-panel-hero")
			b.open(n.at("/"+lang+"/", "place", place, "device", size.name, "grant", "context", "bar", "1"))
			time.Sleep(1200 * time.Millisecond)
			b.screenshot(lang + "-" + size.name + "-bar")
		}
	}
}

// A consent platform of somebody else's asks in place of our prompt. The tag reads
// its Consent Mode; what the platform keeps reaches the node on the next page, and
// taking it back goes the same way.
func TestAConsentPlatformAsksInTheShop(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	now := func(member string) string {
		return eval[string](b, `new Promise(r => near('get', s => r(String(s.`+member+`))))`)
	}
	address := n.at("/en/", "place", "paris", "device", "phone", "cmp", "1")
	b.open(address)
	b.until("the platform's dialog", `document.querySelector('#cc-main .cm--box, #cc-main .cm') && getComputedStyle(document.querySelector('#cc-main .cm')).visibility === 'visible'`)
	time.Sleep(1200 * time.Millisecond)
	// Consent Mode has no word for context, which it so leaves on.
	if got := now("granted"); got != strconv.Itoa(int(consent.Context)) || eval[bool](b, `!!document.querySelector('.near-prompt')`) {
		t.Errorf("before an answer %s is granted", got)
	}
	b.nothingStored()
	if events := n.storedEvents(t, "demo"); len(events) != 0 {
		t.Errorf("before an answer %d events are stored", len(events))
	}
	b.do(chromedp.Click(`#cc-main [data-role=all]`))
	b.until("the answer", `new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
	want := strconv.Itoa(int(consent.Storage | consent.Measure | consent.Context | consent.Profile | consent.Personalise | consent.Share))
	if got := now("granted"); got != want || now("authority") != "gcm" {
		t.Errorf("after the answer %s is granted by %s, want %s", got, now("authority"), want)
	}
	b.open(address)
	b.until("the next page's answer", `new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
	if got := now("granted"); got != want || eval[bool](b, `!!document.querySelector('#cc-main .cm--show, html.show--consent')`) {
		t.Errorf("on the next page %s is granted, want %s without being asked", got, want)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`CookieConsent.acceptCategory([])`))
	b.until("the withdrawal", `new Promise(r => near('get', s => r(!(s.granted & 1))))`)
	b.until("that it is sent", `performance.getEntriesByType('resource').some(e => e.name.endsWith('/v1/withdraw'))`)
	for _, cookie := range b.cookies() {
		if strings.Contains(cookie, "near") {
			t.Errorf("after the withdrawal there is the cookie %s", cookie)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		t.Errorf("faults: %q", b.faults)
	}
}
