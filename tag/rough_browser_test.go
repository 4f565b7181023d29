// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"strings"
	"testing"
	"time"
)

// Pages are rougher than their authors think.

// A default of Consent Mode is the page's word and nobody's refusal: until the
// visitor's own comes nothing is taken back.
func TestADefaultIsNoWithdrawal(t *testing.T) {
	t.Parallel()
	const all = `{functionality_storage:"granted",analytics_storage:"granted",personalization_storage:"granted"}`
	for _, wait := range []string{"", ",wait_for_update:100"} {
		denied := `gtag("consent","default",` + strings.ReplaceAll(strings.TrimSuffix(all, "}"), "granted", "denied") + wait + `});`
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, gtag+denied+`gtag("consent","update",`+all+`)</script>`, hero))
		s.waitForEvent("page_view")
		b.waitFor(`"near.shop" in localStorage`)
		b.open(s.page("/2", SnippetOptions{}, gtag+denied+`setTimeout(()=>gtag("consent","update",`+all+`),300)</script>`, hero))
		s.waitFor("the next page view", func() bool { return len(s.events("page_view")) == 2 })
		if _, n := s.counts(); n != 0 {
			t.Errorf("with %q there are %d withdrawals, and nobody withdrew", wait, n)
		}
	}
}

// A withdrawal that did not arrive is told by the next page.
func TestAWithdrawalThatFailedIsToldLater(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant(allPurposes...), hero))
	s.waitForEvent("page_view")
	b.waitFor(answeredState)
	b.run(`window.fetch = () => Promise.reject(new TypeError("offline")); near("consent","withdraw")`)
	settle()
	b.open(s.page("/2", SnippetOptions{}, strings.ReplaceAll(grant(allPurposes...), "true", "false"), hero))
	s.waitFor("the withdrawal", func() bool { _, n := s.counts(); return n == 1 })
	b.waitFor(`!(` + nothingKept + `)`)
	settle()
	if _, n := s.counts(); n != 1 {
		t.Errorf("%d withdrawals, want 1", n)
	}
}

// Whatever a page does, the tag neither breaks it nor goes silent.
func TestRoughPages(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]struct{ head, act string }{
		"a click that a script sends to the document": {"", `document.dispatchEvent(new MouseEvent("click", {bubbles: true}))`},
		"a dataLayer that is an object":               {`<script nonce=$>dataLayer = {page: {type: "home"}}</script>`, ``},
		"a GPP platform that is ready without sections": {
			`<script nonce=$>var cb; var __gpp = (command, f) => { cb = f }</script>`, `cb({pingData: {signalStatus: "ready", gppString: ""}}, true)`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			b := openTab(t).open(s.page("/", SnippetOptions{}, page.head+grant("measure"), hero))
			b.waitFor(started)
			if page.act != "" {
				b.run(page.act) // a script error fails the test at its end
			}
			if !strings.Contains(page.head, "__gpp") {
				s.waitForEvent("page_view")
			}
			time.Sleep(100 * time.Millisecond)
		})
	}
}

// An event is what it was when it was told.
func TestAnObjectThatIsUsedAgainChangesNoEvent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
	s.waitForEvent("page_view")
	b.run(`const props = {step: 1, items: [{item_id: "a"}]}; near("event", "first", props);
		props.step = 2; props.items[0].item_id = "b"; near("event", "second", props); props.round = props; near("event", "third")`)
	first := s.waitForEvent("first").Props
	if item := first["items"].([]any)[0].(map[string]any)["item_id"]; first["step"] != 1.0 || item != "a" {
		t.Errorf("first was sent as %v", first)
	}
	if second := s.waitForEvent("second").Props; second["step"] != 2.0 {
		t.Errorf("second was sent as %v", second)
	}
	s.waitForEvent("third")
}

// The second copy of a tag on a page fails before it has done anything.
func TestTwoCopiesCountOnce(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript, "tag.measure.js": MeasureScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = script
			b := openTab(t, `addEventListener("error", e => { if (e.filename.endsWith("/_near/tag.js")) { e.preventDefault(); window.failed = e.message } })`).
				open(s.page("/", SnippetOptions{}, grant("measure"), ""))
			s.waitForEvent("page_view")
			b.expect("custom element", "Spread syntax") // WebKit's words; elsewhere the page keeps the error to itself
			b.run(`const copy = document.createElement("script"); copy.nonce = "n0"; copy.src = "/_near/tag.js"; copy.dataset.site = "shop"; document.head.append(copy)`)
			b.waitFor(`window.failed`)
			b.run(`history.pushState(0, "", "/x"); near("event", "once")`)
			s.waitForEvent("once")
			settle()
			if views, n := len(s.events("page_view")), len(s.events("once")); views != 2 || n != 1 {
				t.Errorf("%d page views and %d events, want 2 and 1", views, n)
			}
		})
	}
}

// What an error says may name an address; what stands behind it is nobody's.
func TestErrorsTellNoQuery(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
	s.waitForEvent("page_view")
	b.run(`dispatchEvent(new ErrorEvent("error", {message: "no /a.js?token=secret#x here", filename: "https://shop.example/a.js?token=secret"}))`)
	e := s.waitForEvent("exception")
	if got := e.Props["description"]; got != "no /a.js here" || e.Props["source"] != "https://shop.example/a.js" {
		t.Errorf("told %v", e.Props)
	}
}

// answeredState holds once the answer to what the page sent is there: before it the entry
// that stands for a state is the time when that left.
const answeredState = `"near.shop" in localStorage && !(localStorage["near.shop"] > 0)`
