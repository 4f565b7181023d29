// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWithdrawal(t *testing.T) {
	t.Parallel()
	// open shows a page with everything granted and the slot filled.
	open := func(t *testing.T) (*shop, *tab) {
		t.Helper()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(allPurposes...), `<near-slot name=hero lang=en><b id=own>own</b></near-slot>`))
		b.run(`document.getElementById("own") && (window.own = document.getElementById("own"))`)
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		b.wantText("near-slot", "bonjour")
		return s, b
	}

	t.Run("of context puts the page's own nodes back at once", func(t *testing.T) {
		t.Parallel()
		s, b := open(t)
		got := eval[string](b, `(near("consent",{context:false}), document.querySelector("near-slot").outerHTML)`)
		if want := `<near-slot name="hero" lang="en" data-near="default"><b id="own">own</b></near-slot>`; got != want {
			t.Errorf("the slot is %s, want %s", got, want)
		}
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		settle()
		if _, n := s.counts(); n != 1 || s.withdrawals()[0] != `{"v":1,"site":"shop","purposes":251}` {
			t.Errorf("%d withdrawals: %s", n, s.withdrawals())
		}
	})
	t.Run("of measure forgets what was not sent yet", func(t *testing.T) {
		t.Parallel()
		s, b := open(t)
		b.run(`near("event", "add_to_cart"); near("consent",{measure:false}); near("event", "remove_from_cart")`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		time.Sleep(1200 * time.Millisecond) // longer than events wait for each other
		if n, withdrawals := s.counts(); n != 1 || withdrawals != 1 {
			t.Errorf("%d beacons and %d withdrawals, want one of each", n, withdrawals)
		}
		b.wantText("near-slot", "bonjour")
	})
	t.Run("of everything empties the page", func(t *testing.T) {
		t.Parallel()
		s, b := open(t)
		b.run(`near("event", "add_to_cart"); near("consent","withdraw"); near("event", "add_to_cart")`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		b.run(`location.hash = "x"; history.pushState(0, "", "/other")`)
		settle()
		if n, withdrawals := s.counts(); n != 1 || withdrawals != 1 || s.withdrawals()[0] != `{"v":1,"site":"shop","purposes":0}` {
			t.Errorf("%d beacons, withdrawals %s", n, s.withdrawals())
		}
		b.wantText("near-slot", "own")
		if b.run(`near("consent",{context:true})`); true {
			s.waitFor("new question", func() bool { n, _ := s.counts(); return n == 2 })
		}
	})
	t.Run("said before anything was sent still reaches the server, for an earlier page's cookie", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero))
		b.waitFor(started)
		b.run(`near("consent","withdraw")`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		settle()
		if n, withdrawals := s.counts(); n != 0 || withdrawals != 1 {
			t.Errorf("%d beacons and %d withdrawals, want 0 and 1", n, withdrawals)
		}
	})
	t.Run("waits for an answer that would set the cookie again", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(_ int, b *beacon, w http.ResponseWriter) bool {
			time.Sleep(300 * time.Millisecond)
			http.SetCookie(w, &http.Cookie{Name: "near", Value: "x", HttpOnly: true, Path: "/_near"})
			return false
		}
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(allPurposes...), hero))
		s.waitFor("beacon", func() bool { n, _ := s.counts(); return n == 1 })
		b.run(`near("consent","withdraw")`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		settle()
		// A request that carries cookies shows whether there is one.
		b.run(`fetch("/_near/v1/withdraw", {method: "POST", body: "{}"})`)
		s.waitFor("second withdrawal", func() bool { _, n := s.counts(); return n == 2 })
		if before, after := s.calls()[1].Cookies(), s.calls()[2].Cookies(); len(before) != 1 || len(after) > 0 {
			t.Errorf("the withdrawal carried %v and left %v", before, after)
		}
		b.wantText("near-slot", "own")
	})
	// The withdrawal goes beside the request that is under way, whose answer may set
	// the cookie again after it: the next pages say it until that cannot be.
	for _, isFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("on a page that is left during a request, its first: %v", isFirst), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
				if n > 1 || isFirst {
					time.Sleep(500 * time.Millisecond)
					http.SetCookie(w, &http.Cookie{Name: "near", Value: "x", HttpOnly: true, Path: "/_near"})
				}
				return false
			}
			refused := strings.ReplaceAll(grant(allPurposes...), "true", "false")
			second, third := s.page("/2", SnippetOptions{}, refused, hero), s.page("/3", SnippetOptions{}, refused, hero)
			b := openTab(t).open(s.page("/", SnippetOptions{}, grant(allPurposes...), hero))
			if isFirst {
				s.waitFor("beacon", func() bool { n, _ := s.counts(); return n == 1 })
			} else {
				b.waitFor(answeredState + ` && document.querySelector("near-slot").dataset.near`)
				b.run(`near("event", "slow")`)
				s.waitForEvent("slow")
			}
			b.run(`near("consent", "withdraw"); location.href = "` + second + `"`)
			s.waitFor("both withdrawals", func() bool { _, n := s.counts(); return n == 2 })
			time.Sleep(700 * time.Millisecond) // the request is answered
			b.open(third)
			s.waitFor("third withdrawal", func() bool { _, n := s.counts(); return n == 3 })
			settle()
			b.run(`fetch("/_near/v1/withdraw", {method: "POST", body: "{}"})`)
			s.waitFor("look", func() bool { _, n := s.counts(); return n == 4 })
			calls := s.calls()
			if left := calls[len(calls)-1].Cookies(); len(left) > 0 {
				t.Errorf("the visitor withdrew, and has %v", left)
			}
			// Once that cannot be any more it is said a last time.
			b.run(`localStorage["near.shop"] = Date.now() - 40000`)
			b.open(third)
			b.waitFor(`!(` + nothingKept + `)`)
		})
	}
	t.Run("is tried again until the server has it", func(t *testing.T) {
		t.Parallel()
		s, b := open(t)
		b.run(`window.realFetch = fetch; window.fetch = (...a) => (window.fetch = realFetch, Promise.reject(new TypeError("offline")))`)
		b.run(`near("consent",{storage:false})`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		if s.withdrawals()[0] != `{"v":1,"site":"shop","purposes":230}` {
			t.Errorf("withdrew %s", s.withdrawals()[0])
		}
	})
}

func TestAskingBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	head := `<meta name="near:type" content=category>`
	b := openTab(t).open(s.page("/hats", SnippetOptions{Ask: true}, head, hero) + "?utm_source=x#top")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	settle()
	sent := s.sent()
	if len(sent) != 1 {
		t.Fatalf("%d beacons, want 1", len(sent))
	}
	if p := sent[0].Page; p.URL != s.server.URL+"/hats" || p.ID+p.Type+p.Lang+p.Title+p.Ref != "" || sent[0].Consent.Purposes != context_ ||
		sent[0].Consent.Owner.Granted != 0 || sent[0].Client.Langs != nil {
		t.Errorf("asked with %s", sent[0].raw)
	}
	wantGolden(t, "asked-before-the-answer.json", sent[0])
	b.run(`near("consent",{context:false})`)
	b.wantText("near-slot", "own")
	settle()
	if n, withdrawals := s.counts(); n != 1 || withdrawals != 0 {
		t.Errorf("%d beacons and %d withdrawals, want 1 and 0", n, withdrawals)
	}
}
