// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestImpressions(t *testing.T) {
	t.Parallel()
	// shown returns the page with one slot of the given style, filled.
	shown := func(t *testing.T, style, after string) (*shop, *tab) {
		t.Helper()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t, `let hidden = false; Object.defineProperty(document, "hidden", {get: () => hidden});
			window.hide = is => { hidden = is; document.dispatchEvent(new Event("visibilitychange", {bubbles: true})) }`).
			open(s.page("/", SnippetOptions{}, grant("measure", "context"), `<div style="`+style+`"><near-slot name=hero style="height:inherit">own</near-slot></div>`+after))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		return s, b
	}
	none := func(t *testing.T, s *shop, within time.Duration) {
		t.Helper()
		time.Sleep(within)
		if n := len(s.events("slot_impression")); n != 0 {
			t.Errorf("%d impressions", n)
		}
	}

	t.Run("half of the slot for a second is one", func(t *testing.T) {
		t.Parallel()
		s, b := shown(t, "height:400px;margin-top:590px", "")
		none(t, s, 0)
		view := eval[float64](b, `performance.timeOrigin + performance.now()`)
		e := s.waitForEvent("slot_impression")
		if e.Props["decision"] != "d0.hero" || e.Props["shown"] != "variant" {
			t.Errorf("counted %v", e.Props)
		}
		if after := float64(e.At) - view; after < 0 || after > 1300 {
			t.Errorf("counted %v ms after the slot was seen filled, want about 1000", after)
		}
		b.run(`scrollTo(0, 2000); setTimeout(() => scrollTo(0, 0), 100)`)
		time.Sleep(1500 * time.Millisecond)
		if n := len(s.events("slot_impression")); n != 1 {
			t.Errorf("%d impressions, want 1", n)
		}
	})
	t.Run("less than half is none until more is in view", func(t *testing.T) {
		t.Parallel()
		s, b := shown(t, "width:500px;height:400px;margin-top:610px", `<div style="height:2000px"></div>`)
		none(t, s, 2500*time.Millisecond)
		b.run(`scrollTo(0, 400)`)
		s.waitForEvent("slot_impression")
	})
	t.Run("three tenths are enough for a big slot", func(t *testing.T) {
		t.Parallel()
		s, _ := shown(t, "height:600px;margin-top:590px", "")
		s.waitForEvent("slot_impression")
	})
	t.Run("a hidden tab shows nothing", func(t *testing.T) {
		t.Parallel()
		// Hidden the moment that the slot is filled, however slow the machine is.
		s, b := shown(t, "height:400px", `<script nonce=$>new MutationObserver(() => hide(true)).observe(document.querySelector("near-slot"), {attributes: true})</script>`)
		none(t, s, 1500*time.Millisecond)
		view := eval[float64](b, `hide(false), performance.timeOrigin + performance.now()`)
		if after := float64(s.waitForEvent("slot_impression").At) - view; after < 900 {
			t.Errorf("counted %v ms after the tab came up, want a second", after)
		}
	})
	t.Run("a slot that is gone before its second is over shows nothing", func(t *testing.T) {
		t.Parallel()
		s, b := shown(t, "height:200px", "")
		time.Sleep(300 * time.Millisecond) // it has been seen, and its second has begun
		b.run(`const other = document.createElement("near-slot"); other.setAttribute("name", "other"); document.querySelector("near-slot").replaceWith(other)`)
		b.waitFor(`document.querySelector("near-slot").dataset.near`)
		time.Sleep(2500 * time.Millisecond) // its second, and longer than events wait for each other
		for _, e := range s.events("slot_impression") {
			if e.Props["decision"] == "d0.hero" {
				t.Errorf("counted %v", e.Props)
			}
		}
	})
	t.Run("the page's own content counts as well", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context"), hero))
		if e := s.waitForEvent("slot_impression"); e.Props["shown"] != "default" {
			t.Errorf("counted %v", e.Props)
		}
		b.wantText("near-slot", "own")
	})
	t.Run("a click counts, and proves that the slot was seen", func(t *testing.T) {
		t.Parallel()
		s, b := shown(t, "height:200px;margin-top:700px", "")
		b.run(`document.querySelector("near-slot").click()`) // not the visitor's
		b.clickAt(20, 750)
		click := s.waitForEvent("slot_click")
		if click.Props["decision"] != "d0.hero" || click.Props["shown"] != "variant" {
			t.Errorf("counted %v", click.Props)
		}
		settle()
		if n, views := len(s.events("slot_click")), len(s.events("slot_impression")); n != 1 || views != 1 {
			t.Errorf("%d clicks and %d impressions, want one of each", n, views)
		}
		sent := s.sent()
		wantGolden(t, "slot-events.json", sent[len(sent)-1])
	})
	t.Run("a click that turns the page leaves no second of the page before", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		s.reply = func(_ int, b *beacon, _ http.ResponseWriter) bool {
			if strings.HasSuffix(b.Page.URL, "/next") && len(b.Slots) > 0 {
				time.Sleep(1500 * time.Millisecond)
			}
			return false
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context")+`<script nonce=$>addEventListener("click", () => history.pushState(0, "", "/next"))</script>`,
			`<div style="height:200px"><near-slot name=hero style="height:inherit">own</near-slot></div>`))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		time.Sleep(300 * time.Millisecond) // it has been seen, and its second has begun
		b.clickAt(20, 50)
		s.waitForEvent("slot_click")
		time.Sleep(2500 * time.Millisecond) // what fails in the page fails the test
	})
	t.Run("a later grant of measure counts what is in view then", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), hero))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		none(t, s, 1200*time.Millisecond)
		b.run(`near("consent",{measure:true})`)
		s.waitForEvent("slot_impression")
	})
	t.Run("what was viewed is told to who may keep nothing", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), hero+`<near-slot name=far style="margin-top:3000px">own</near-slot>`))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		time.Sleep(1500 * time.Millisecond)
		b.run(`history.pushState(0, "", "/next")`)
		s.waitFor("next page's slots", func() bool { return len(s.sent()) == 2 })
		if sent := s.sent(); len(sent[0].Shown) != 0 || len(sent[1].Shown) != 1 || sent[1].Shown[0] != "d0.hero" {
			t.Errorf("shown %v, then %v; want none, then the hero", sent[0].Shown, sent[1].Shown)
		}
	})
	t.Run("a late decision was not viewed", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		s.hurries = true
		s.reply = func(int, *beacon, http.ResponseWriter) bool { time.Sleep(1500 * time.Millisecond); return false }
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), hero))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "late"`)
		time.Sleep(1500 * time.Millisecond)
		b.run(`history.pushState(0, "", "/next")`)
		s.waitFor("next page's slots", func() bool { return len(s.sent()) == 2 })
		if sent := s.sent(); len(sent[1].Shown) != 0 {
			t.Errorf("shown %v", sent[1].Shown)
		}
	})
}
