// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
)

// This test is the whole path of one person through the demo's shop, in two browsers:
// from the first page, unknown, to being forgotten.

// A shopper is a visitor of the demo in a browser of their own.
type shopper struct {
	*tab
	node *testNode
	name string
}

func (n *testNode) newShopper(t *testing.T, name string, width, height int64) *shopper {
	t.Helper()
	s := &shopper{newTab(t, width, height), n, name}
	s.notARobot()
	s.onEveryPage(watchPolicy)
	return s
}

// asked is what whoever accepts everything that the shop's prompt asks for grants.
const asked = "storage,measure,context,profile,personalise,share"

// home is the shop's first page, as a bookmark of who granted so much has it.
func (s *shopper) home(grant string) string {
	return s.node.at("/en/", "device", "phone", "place", "paris", "grant", grant)
}

// visit opens a page of the shop and waits for the answer to it.
func (s *shopper) visit(address string) {
	s.t.Helper()
	s.open(address)
	s.answered()
}

// follow opens what a link leads to.
func (s *shopper) follow(selector string) {
	s.t.Helper()
	s.visit(eval[string](s.tab, `document.querySelector('`+selector+`').href`))
}

// answeredPage is whether the answer to a page of the shop is there.
const answeredPage = `document.readyState === 'complete' && window.near && !near.q && new Promise(r => near('get', s => r(s.decisions.length > 0)))`

func (s *shopper) answered() {
	s.t.Helper()
	s.until("the answer in "+s.name, answeredPage)
	if stopped := eval[[]string](s.tab, `window.__stopped`); len(stopped) > 0 {
		s.t.Errorf("in %s the page's policy stopped %q", s.name, stopped)
	}
}

// shows waits until a slot shows a variant.
func (s *shopper) shows(slot, variant string) {
	s.t.Helper()
	s.until(slot+" "+variant+" in "+s.name, `new Promise(r => near('get', s => r(s.decisions.some(d => d.slot === '`+slot+`' && d.variant === '`+variant+`'))))`)
}

// decided is what was decided for the page's slots: the variant, else the reason.
func (s *shopper) decided() map[string]string {
	s.t.Helper()
	return eval[map[string]string](s.tab, `new Promise(r => near('get', s => r(Object.fromEntries(s.decisions.map(d => [d.slot, d.variant || d.reason])))))`)
}

// slotsAreFilled checks that every slot of the page is in view with words in it, and
// that none of them has anything of an item.
func (s *shopper) slotsAreFilled(when string, without *thing) {
	s.t.Helper()
	for _, slot := range []string{"announce", "hero", "offer"} {
		at := "near-slot[name=" + slot + "]"
		text := eval[string](s.tab, `document.querySelector('`+at+`').innerText.trim()`)
		if text == "" || !s.visible(at) {
			s.t.Errorf("%s in %s: the slot %s is empty", when, s.name, slot)
		}
		if without == nil {
			continue
		}
		if strings.Contains(text, without.name) || eval[bool](s.tab, `!!document.querySelector('`+at+` a[href*="/item/`+without.id+`/"]')`) {
			s.t.Errorf("%s in %s: the slot %s promotes what was bought: %s", when, s.name, slot, text)
		}
	}
}

// mine is what GET /v1/mine says, with the status where it says that nothing is held.
func (s *shopper) mine() (held edge.Disclosure, status int) {
	s.t.Helper()
	text := eval[string](s.tab, `fetch('/_near/v1/mine?site=demo').then(async r => r.status + await r.text())`)
	if _, err := fmt.Sscanf(text[:3], "%d", &status); err != nil {
		s.t.Fatal(err)
	}
	if status == 200 {
		if err := json.Unmarshal([]byte(text[3:]), &held); err != nil {
			s.t.Fatal(err)
		}
	}
	return held, status
}

// holds waits until the visitor's history is as it should be.
func (s *shopper) holds(what string, is func(*edge.Disclosure) bool) edge.Disclosure {
	s.t.Helper()
	var held edge.Disclosure
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var status int
		if held, status = s.mine(); status == 200 && is(&held) {
			return held
		}
	}
	s.t.Fatalf("waited 15 s for %s in %s: %+v", what, s.name, held)
	return held
}

// inCart returns how many of an item the history has in the cart.
func inCart(held *edge.Disclosure, id string) int {
	for _, item := range held.Items {
		if item.ID == id {
			return int(item.Quantity)
		}
	}
	return 0
}

// reads opens the visitor's page and returns what it says is held.
func (s *shopper) reads() string {
	s.t.Helper()
	s.open(s.node.base + "/_near/privacy?site=demo&lang=en")
	s.until("the visitor's page in "+s.name, `document.readyState === 'complete' && document.querySelector('#held')`)
	return eval[string](s.tab, `document.querySelector('[aria-labelledby=held]').innerText`)
}

// signs chooses in the menu of the account: a customer's letter, or nobody to sign out.
func (s *shopper) signs(who string) {
	s.t.Helper()
	s.do(chromedp.Click(`.account summary`))
	s.picture("menu-" + who)
	eval[bool](s.tab, `window.isBefore = true`)
	s.do(chromedp.Click(`.account button[value="` + who + `"]`))
	s.until("the page after "+who, `!window.isBefore && document.querySelector('.account summary')`)
	s.answered()
}

// state is the sealed state that the browser carries, whole and opened.
func (s *shopper) state() (*network.Cookie, *edge.State) {
	s.t.Helper()
	sealer, _, err := openSealer(s.node.data)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, cookie := range s.cookiesAt(s.node.base + "/_near/") {
		if cookie.Name == "__Secure-near-demo" {
			state, err := sealer.OpenState(demo.Site, cookie.Value)
			if err != nil {
				s.t.Fatal(err)
			}
			return cookie, state
		}
	}
	return nil, nil
}

// picture keeps what is in view when SCREENSHOTS names a directory.
func (s *shopper) picture(step string) {
	s.t.Helper()
	s.screenshot("path-" + step + "-" + strings.ReplaceAll(s.name, " ", "-"))
}

// aDayLater lets a day pass for a browser: all that its state remembers becomes a day
// older.
func (s *shopper) aDayLater() {
	s.t.Helper()
	const day, minutes = 24 * time.Hour, 24 * 60
	cookie, state := s.state()
	for _, at := range []*time.Time{&state.First, &state.Last, &state.Started, &state.PreviousLast} {
		if !at.IsZero() {
			*at = at.Add(-day)
		}
	}
	older := func(moments ...*edge.Minute) {
		for _, at := range moments {
			if *at > minutes {
				*at -= minutes
			}
		}
	}
	j := &state.Journey
	older(&state.Receipt.At, &j.IntentAt, &j.FirstOrder, &j.LastOrder, &j.Complaint, &j.Settled)
	for i := range state.Items {
		older(&state.Items[i].Viewed, &state.Items[i].Bought, &state.Items[i].Cart)
	}
	for i := range state.Interests {
		older(&state.Interests[i].At)
	}
	for i := range state.Activity {
		older(&state.Activity[i].At)
	}
	for i := range state.Shown {
		for n := range state.Shown[i].At {
			older(&state.Shown[i].At[n])
		}
	}
	for i := range state.Counters {
		if state.Counters[i].From > 0 {
			state.Counters[i].From--
		}
		for n := range state.Counters[i].Days {
			state.Counters[i].Days[n].Day--
		}
	}
	sealer, _, err := openSealer(s.node.data)
	if err != nil {
		s.t.Fatal(err)
	}
	set := network.SetCookieParams{
		Name: cookie.Name, Value: sealer.SealState(demo.Site, state), URL: s.node.base + "/_near/", Path: cookie.Path,
		Secure: &cookie.Secure, HTTPOnly: &cookie.HTTPOnly, SameSite: cookie.SameSite,
	}
	if _, err := chromedp.Call(s.ctx, network.SetCookie, set); err != nil {
		s.t.Fatal(err)
	}
}

// A thing is what the shop's picture at the top promotes on a phone in this season.
type thing struct{ id, name string }

func promoted() *thing {
	if heroVariant("winter-phone") == "winter-phone" {
		return &thing{"signal-gloves", "Signal Gloves"}
	}
	return &thing{"shore-straw", "Shore Straw Hat"}
}

func TestTheWholePathOfAVisitor(t *testing.T) {
	n := startDemo(t)
	thing, hero := promoted(), heroVariant("winter-phone")
	first := n.newShopper(t, "the first browser", 390, 844)

	// Nobody is known. What was granted is remembered, and so is what was left behind.
	first.open(n.base + "/en/?device=phone&place=paris")
	first.until("the prompt", promptShows)
	first.picture("1-asked")
	first.do(chromedp.Click(`[data-answer=accept]`))
	first.answered()
	first.shows("hero", hero)
	first.follow(`near-slot[name=hero] a[href*="/item/` + thing.id + `/"]`)
	first.do(chromedp.Click(`[data-add]`))
	own := first.holds("the item in the cart", func(held *edge.Disclosure) bool { return inCart(held, thing.id) == 1 })
	if own.Journey.Stage != "intent" || own.Person != nil {
		t.Errorf("with something in the cart the visitor is at %+v, and %+v", own.Journey, own.Person)
	}
	first.picture("2-in-the-basket")
	_, state := first.state()
	visitor := state.VisitorID()
	first.open("about:blank")
	first.aDayLater()
	first.visit(first.home(asked))
	first.shows("offer", "forgotten-cart")
	if got := eval[string](first.tab, offerTitle); got != "Your basket was left on the hill" || !first.visible("near-slot[name=offer]") {
		t.Errorf("a day later the offer says %q", got)
	}
	eval[bool](first.tab, `document.querySelector('near-slot[name=offer]').scrollIntoView({block: 'center'}), true`)
	first.picture("3-a-day-later")
	if text := first.reads(); !strings.Contains(text, "began something and left it") || !strings.Contains(text, thing.id) {
		t.Errorf("the visitor's page says\n%s", text)
	}
	first.picture("3-privacy")
	first.visit(first.home(asked))
	first.follow(`near-slot[name=offer] a`)
	first.until("the basket as it was left", `document.querySelector('#cart-lines [data-line="`+thing.id+`"]')?.checkVisibility()`)

	// Signed in, in both browsers: one history.
	first.signs("A")
	first.holds("who is there", func(held *edge.Disclosure) bool { return held.Person != nil && inCart(held, thing.id) == 1 })
	first.picture("4-signed-in")
	second := n.newShopper(t, "the second browser", 1280, 900)
	second.visit(second.home(asked))
	second.shows("hero", hero)
	second.picture("5-unknown")
	_, state = second.state()
	stranger := state.VisitorID()
	second.signs("A")
	second.shows("offer", "forgotten-cart")
	joined := second.holds("the first browser's history", func(held *edge.Disclosure) bool { return held.Person != nil && inCart(held, thing.id) == 1 })
	if joined.Journey.Stage != "abandoned" || len(joined.Interests) == 0 || stranger == visitor {
		t.Errorf("joined it is %+v, with interests %+v", joined.Journey, joined.Interests)
	}
	if got := second.decided()["hero"]; got != edge.ReasonSuppressed.String() {
		t.Errorf("what is in the cart is promoted: the hero shows %s", got)
	}
	second.until("the basket of the first browser", `document.querySelector('#basket-count').textContent === '1'`)
	if name := eval[string](second.tab, `document.querySelector('.account summary').textContent`); !strings.Contains(name, "Customer A") {
		t.Errorf("the page says that %q is signed in", name)
	}
	second.picture("6-joined")

	// Bought in one, it is promoted in neither from the next decision on.
	second.follow(`.basket`)
	second.until("the line", `document.querySelector('#cart-lines [data-line="`+thing.id+`"]')?.checkVisibility()`)
	second.do(chromedp.Click(`#cart-buy`))
	second.holds("the purchase", func(held *edge.Disclosure) bool {
		return held.Journey.Orders == 1 && held.Journey.Stage == "customer" && inCart(held, thing.id) == 0
	})
	second.picture("7-bought")
	for _, s := range []*shopper{second, first} {
		s.visit(s.home(asked))
		if got := s.decided(); got["hero"] != edge.ReasonSuppressed.String() || slices.Contains([]string{"forgotten-cart", "complete-cart", "recently-viewed"}, got["offer"]) {
			t.Errorf("after the purchase %s shows %v", s.name, got)
		}
		s.slotsAreFilled("after the purchase", thing)
		if held, _ := s.mine(); held.Journey.Orders != 1 {
			t.Errorf("%s knows of %d orders", s.name, held.Journey.Orders)
		}
		s.until("the empty basket", `document.querySelector('#basket-count').textContent === '0'`)
		s.picture("8-after-the-purchase")
	}
	if text := first.reads(); !strings.Contains(text, "bought once") {
		t.Errorf("the visitor's page in the first browser says\n%s", text)
	}

	// Taken back: without the notes the offer is down a rung, and not empty.
	second.visit(second.home(asked) + "&bar=1")
	second.do(chromedp.Click(`#bar-form [name=grant][value=personalise]`))
	second.until("the withdrawal to be told", `performance.getEntriesByType('resource').some(e => e.name.endsWith('/v1/withdraw') && e.responseEnd)`)
	second.visit(second.home(strings.ReplaceAll(asked, ",personalise", "")))
	second.shows("offer", "phone")
	second.slotsAreFilled("without the notes", nil)
	if held, status := second.mine(); status != 200 || len(held.Items)+len(held.Interests) != 0 || held.Journey.Orders != 0 {
		t.Errorf("without the notes %+v is held", held)
	}
	second.picture("9-taken-back")

	// Erased, everywhere.
	if text := second.reads(); strings.Contains(text, thing.id) {
		t.Errorf("without the notes the visitor's page says\n%s", text)
	}
	second.do(chromedp.Click(`.act:last-child summary`), chromedp.Click(`[value=erase]`))
	second.until("the erasure", `document.readyState === 'complete' && document.querySelector('[data-done=erase]')`)
	second.picture("10-erased")
	if cookie, _ := second.state(); cookie != nil {
		t.Error("the erased browser still carries a state")
	}
	second.open(n.base + "/en/") // which asks, and sends nothing
	if _, status := second.mine(); status != 400 {
		t.Errorf("after the erasure /v1/mine is answered with %d", status)
	}
	if text := second.reads(); !strings.Contains(text, "Nothing. This browser brought no note") {
		t.Errorf("after the erasure the visitor's page says\n%s", text)
	}
	for _, who := range [][]string{{"--visitor", visitor}, {"--visitor", stranger}, {"--profile", "customer-A"}} {
		args := append([]string{"--site", demo.Site, "--data", n.data}, who...)
		var e edge.Erasure
		waitFor(t, "the erasure of "+who[0], func() bool { e, _ = proof(t, args...); return e.Done() })
		if e.At.IsZero() {
			t.Errorf("nobody asked to erase the one of %s", who[0])
		}
		for _, p := range e.Places {
			if p.Found != 0 || p.Problem != "" {
				t.Errorf("%s: %s has %d, %s", who[0], p.Place, p.Found, p.Problem)
			}
		}
	}
	if says := refused(t, "profiles", "show", "--site", demo.Site, "--profile", "customer-A", "--data", n.data); !strings.Contains(says, "not_found") {
		t.Errorf("the profile: %s", says)
	}

	// Whoever comes next is nobody.
	second.visit(second.home("context"))
	second.signs("nobody")
	second.visit(second.home(asked))
	second.shows("hero", hero)
	second.slotsAreFilled("afterwards", nil)
	fresh := second.holds("a fresh visitor", func(held *edge.Disclosure) bool { return held.Visitor.Visits == 1 && held.Person == nil })
	if len(fresh.Items) != 0 || fresh.Journey.Orders != 0 || strings.HasPrefix(visitor, fresh.Visitor.ID[:6]) {
		t.Errorf("afterwards %+v is held", fresh)
	}
	second.picture("11-fresh")
	first.open(n.base + "/en/")
	if _, status := first.mine(); status != 410 {
		t.Errorf("the other browser's /v1/mine is answered with %d", status)
	}
	if text := first.reads(); strings.Contains(text, thing.id) || strings.Contains(text, "bought once") {
		t.Errorf("the other browser's page says\n%s", text)
	}
	first.picture("12-the-other-browser")
	first.visit(first.home(asked))
	first.slotsAreFilled("afterwards", nil)
	began := first.holds("the other browser's fresh history", func(held *edge.Disclosure) bool { return held.Visitor.Visits == 1 })
	if len(began.Items) != 0 || began.Journey.Orders != 0 {
		t.Errorf("afterwards the other browser holds %+v", began)
	}
	for _, s := range []*shopper{first, second} {
		s.mu.Lock()
		if len(s.faults) > 0 {
			t.Errorf("faults in %s: %q", s.name, s.faults)
		}
		s.mu.Unlock()
	}
}

// Who is signed in and lets nothing be measured has a history without a cart: their
// basket is the page's alone, and stays.
func TestTheBasketStaysWhereNothingIsMeasured(t *testing.T) {
	n := startDemo(t)
	s := n.newShopper(t, "a browser", 1280, 900)
	s.visit(s.home("storage,context,profile,personalise"))
	s.signs("A")
	s.holds("who is there", func(held *edge.Disclosure) bool { return held.Person != nil })
	s.follow(`a[href*="/item/` + promoted().id + `/"]`)
	s.do(chromedp.Click(`[data-add]`))
	s.until("the item in the basket", `document.querySelector('#basket-count').textContent === '1'`)
	s.follow(`.basket`)
	time.Sleep(time.Second) // for what the page may ask about the history
	if got := eval[string](s.tab, `document.querySelector('#basket-count').textContent`); got != "1" {
		t.Errorf("on the next page %s things are in the basket", got)
	}
}

// What was put in the basket before the visitor answered, and so was told to nobody, is
// there for who signs in then; who signs out leaves it to nobody else.
func TestABasketOfBeforeTheAnswerIsKept(t *testing.T) {
	n := startDemo(t)
	s := n.newShopper(t, "a browser", 1280, 900)
	s.open(n.base + "/en/item/" + promoted().id + "/?device=phone&place=paris")
	s.do(chromedp.Click(`[data-add]`))
	s.until("the item in the basket", `document.querySelector('#basket-count').textContent === '1'`)
	s.do(chromedp.Click(`[data-answer=accept]`))
	s.answered()
	s.signs("A")
	s.holds("who is there", func(held *edge.Disclosure) bool { return held.Person != nil })
	time.Sleep(time.Second) // for what the page asks about the history
	if got := eval[string](s.tab, `document.querySelector('#basket-count').textContent`); got != "1" {
		t.Errorf("signed in, %s things are in the basket", got)
	}
	s.signs("nobody")
	if got := eval[string](s.tab, `document.querySelector('#basket-count').textContent`); got != "0" {
		t.Errorf("signed out, %s things are in the basket", got)
	}
}
