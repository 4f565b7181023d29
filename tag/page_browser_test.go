// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"testing"
	"time"
)

func TestNavigationsInsideTheDocument(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before string }{
		{"seen by the Navigation API", ""},
		{"seen by history", `delete window.navigation`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.contents["hero"] = text("bonjour")
			b := openTab(t, tt.before).open(s.page("/a", SnippetOptions{}, grant("measure", "context"), hero+`<button id=go>go</button>
				<script nonce=$>let x=0; go.onclick=()=>{history.pushState(0,"","/b?x="+ ++x); near("page",{type:"product"}); document.title="B"}</script>`))
			b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
			b.run(`location.hash = "x"; history.replaceState(0, "", "/a?y=1")`)
			settle()
			if n := len(s.events("page_view")); n != 1 {
				t.Fatalf("%d page views after a fragment and a replaced query, want 1", n)
			}
			s.decide("hero", text("bonsoir"))
			views := 1
			inTime(t, func() bool {
				b.click("#go")
				views++
				s.waitFor("page view", func() bool { return len(s.events("page_view")) == views })
				b.waitFor(`document.querySelector("near-slot").dataset.near != "default"`)
				return eval[string](b, `document.querySelector("near-slot").textContent`) == "bonsoir"
			})
			if shift := b.shift(); shift != 0 {
				t.Errorf("layout shift %v", shift)
			}
			sent := s.sent()
			for sent[len(sent)-1].Slots == nil { // what the page before left over
				sent = sent[:len(sent)-1]
			}
			if p := sent[len(sent)-1].Page; p.URL != s.server.URL+"/b" || p.Title != "B" || p.Type != "product" || p.Ref != s.server.URL+"/" || p.ID == sent[0].Page.ID {
				t.Errorf("page %+v", p)
			}
			b.run(`history.back()`)
			s.waitFor("page view after going back", func() bool { return len(s.events("page_view")) == views+1 })
		})
	}
}

func TestEventsKeepTheirPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/a", SnippetOptions{}, grant("measure", "context")+`<meta name="near:type" content=start>`, hero))
	s.waitForEvent("page_view")
	b.run(`near("event", "add_to_cart"); history.pushState(0, "", "/b"); document.title = "B"`)
	s.waitForEvent("add_to_cart")
	sent := s.sent()
	if len(sent) != 3 || sent[1].Page.URL != s.server.URL+"/b" || len(sent[1].Slots) != 1 {
		t.Fatalf("slots of the new page were not asked for first: %s", sent[1].raw)
	}
	if p := sent[2].Page; p.ID != sent[0].Page.ID || p.URL != s.server.URL+"/a" || p.Title+p.Type != "" {
		t.Errorf("the event of the old page came with %+v", p)
	}
}

func TestTheBackForwardCacheKeepsThePage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	first := s.page("/a", SnippetOptions{}, grant("measure", "context", "storage"), hero)
	other := s.page("/b", SnippetOptions{}, "", "")
	b := openTab(t).open(first)
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	// A request that is open when the page freezes must not keep the queue shut.
	b.run(`window.real = fetch; window.fetch = () => new Promise(() => {}); near("event", "stuck")`)
	time.Sleep(1200 * time.Millisecond)
	b.run(`window.fetch = real; location.href = "` + other + `"`)
	b.waitFor(`location.pathname == "/b" && document.readyState == "complete"`)
	b.run(`history.back()`)
	b.waitFor(`location.pathname == "/a" && window.__shows == 1`) // it was restored, once
	s.waitFor("second page view", func() bool { return len(s.events("page_view")) == 2 })
	b.run(`near("event", "after")`)
	s.waitForEvent("after")
	views := s.events("page_view")
	if views[0].ID == views[1].ID || len(s.events("page_view")) != 2 {
		t.Errorf("page views %+v, want one more than before", views)
	}
	b.wantText("near-slot", "bonjour")
}

// The answer that was open when the page froze may come after all: it ends its own
// request and none of those since, so that one goes at a time.
func TestAnAnswerFromBeforeTheFreeze(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	page, other := s.page("/a", SnippetOptions{}, grant("measure"), ""), s.page("/b", SnippetOptions{}, "", "")
	b := openTab(t).open(page)
	s.waitForEvent("page_view")
	settle()
	b.run(`window.answers = []; window.open_ = window.most = 0; window.fetch = () => {
		window.most = Math.max(most, ++open_);
		return new Promise(answer => answers.push(() => { open_--; answer(new Response("{}")) })) };
		window.answerAll = () => answers.splice(0).forEach(answer => answer()); near("event", "frozen")`)
	b.waitFor(`open_ == 1`)
	b.run(`location.href = "` + other + `"`)
	b.waitFor(`location.pathname == "/b" && document.readyState == "complete"`)
	b.run(`history.back()`)
	b.waitFor(`location.pathname == "/a" && window.__shows == 1`) // it was restored, once
	b.waitFor(`open_ == 2`)                                       // the frozen one and the page view
	b.run(`answerAll(); window.most = 0; near("event", "one")`)
	b.waitFor(`open_ == 1`)
	b.run(`near("event", "two")`)
	time.Sleep(1200 * time.Millisecond) // longer than events wait for each other
	if most := eval[int](b, `most`); most != 1 {
		t.Errorf("%d requests at once", most)
	}
	b.run(`answerAll()`)
	b.waitFor(`open_ == 1`)
}

func TestAPrerenderedPageWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	b := openTab(t, `let waits = true; Object.defineProperty(document, "prerendering", {get: () => waits});
		window.activate = () => { waits = false; document.dispatchEvent(new Event("prerenderingchange")) }`).
		open(s.page("/", SnippetOptions{}, grant("measure", "context"), hero))
	settle()
	b.run(`dispatchEvent(new Event("pagehide"))`)
	settle()
	if n, _ := s.counts(); n != 0 {
		t.Errorf("%d beacons before the page was shown", n)
	}
	b.run(`activate()`)
	s.waitForEvent("page_view")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
}

func TestEngagementIsVisibleTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.script = FullScript
	b := openTab(t, `let hidden = false; Object.defineProperty(document, "hidden", {get: () => hidden});
		window.hide = is => { hidden = is; document.dispatchEvent(new Event("visibilitychange", {bubbles: true})) }`).
		open(s.page("/", SnippetOptions{}, `<script nonce=$>addEventListener("DOMContentLoaded", () => hide(true))</script>`+grant("measure"), "")) // within a second on any machine
	s.waitForEvent("page_view")
	settle()
	if n := len(s.events("user_engagement")); n != 0 {
		t.Errorf("%d engagements within a second", n)
	}
	time.Sleep(time.Second)
	eval[bool](b, `new Promise(hidden => { hide(false); setTimeout(() => { hide(true); hide(true); hidden(true) }, 1200) })`)
	e := s.waitForEvent("user_engagement")
	if millis := e.Props["engagement_time_msec"].(float64); millis < 1100 || millis > 3500 {
		t.Errorf("engaged for %v ms, want the visible time alone", millis)
	}
	settle()
	if n := len(s.events("user_engagement")); n != 1 {
		t.Errorf("%d engagements, want 1", n)
	}
}
