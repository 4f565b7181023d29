// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLeavingAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript, "tag.measure.js": MeasureScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leaveAtOnce(t, script)
		})
	}
}

// leaveAtOnce has a visitor leave each of sixty pages as soon as an event of it
// is told.
func leaveAtOnce(t *testing.T, script []byte) {
	t.Helper()
	const visits = 60
	s := newShop(t)
	s.script = script
	page := s.page("/", SnippetOptions{}, grant("measure", "context", "storage"), hero+`<script nonce=$>
		const n = +new URLSearchParams(location.search).get("n");
		// The tag answers this once it has started, which is before it has sent anything.
		near("get", () => { near("event", "left", {n}); if (n < 60) location.href = "/?n=" + (n + 1) });
		</script>`)
	openTab(t).run(`location.href = "` + page + `?n=1"`)
	for n := 1; n < visits; n++ { // each of them within a time of its own
		s.waitFor("event of a page", func() bool { return len(s.events("left")) > n })
	}
	settle()
	ids, left := map[string]bool{}, map[any]bool{}
	for _, sent := range s.sent() {
		for _, event := range sent.Events {
			if ids[event.ID] {
				t.Errorf("event %s came twice", event.ID)
			}
			ids[event.ID] = true
			if event.Name == "left" {
				left[event.Props["n"]] = true
			}
		}
	}
	if views := len(s.events("page_view")); views != visits || len(left) != visits {
		t.Errorf("%d page views and %d events came, want %d of each", views, len(left), visits)
	}
	t.Logf("%d of %d page views and events came, none twice", len(left), visits)
}

func TestWhatTheServerCannotTakeIsSentAgain(t *testing.T) {
	t.Parallel()
	t.Run("503 twice, then delivered", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(n int, _ *beacon, w http.ResponseWriter) bool {
			if n < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n < 3
		}
		openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
		s.waitFor("third beacon", func() bool { n, _ := s.counts(); return n == 3 })
		time.Sleep(1500 * time.Millisecond)
		sent := s.sent()
		if len(sent) != 3 || sent[0].Events[0].ID != sent[2].Events[0].ID || sent[0].Events[0].At != sent[2].Events[0].At || sent[2].Sent <= sent[0].Sent {
			t.Errorf("%d beacons: %s, %s", len(sent), sent[0].raw, sent[len(sent)-1].raw)
		}
	})
	t.Run("429 waits as long as the server asks", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(n int, _ *beacon, w http.ResponseWriter) bool {
			if n == 1 {
				w.Header().Set("Retry-After", "2")
				w.WriteHeader(http.StatusTooManyRequests)
			}
			return n == 1
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
		s.waitFor("first beacon", func() bool { n, _ := s.counts(); return n == 1 })
		start := time.Now()
		b.run(`near("event", "add_to_cart")`)
		s.waitForEvent("add_to_cart")
		if waited := time.Since(start); waited < 1800*time.Millisecond {
			t.Errorf("tried again after %v, want 2 s", waited)
		}
		if n, _ := s.counts(); n != 2 || len(s.sent()[1].Events) != 2 {
			t.Errorf("%d beacons", n)
		}
	})
	t.Run("events are sent again as the server asks", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
			if n == 1 {
				s.answer(b, w, rejection{b.Events[0].ID, "unavailable", ""}, rejection{b.Events[1].ID, "bad_name", "name"})
			}
			return n == 1
		}
		openTab(t).open(s.page("/", SnippetOptions{}, grant("measure")+`<script nonce=$>near("event","add_to_cart");near("event","purchase")</script>`, ""))
		s.waitFor("second beacon", func() bool { n, _ := s.counts(); return n == 2 })
		sent := s.sent()
		if len(sent[0].Events) != 3 || len(sent[1].Events) != 3 || sent[1].Events[0].ID != sent[0].Events[0].ID {
			t.Errorf("sent again: %s", sent[1].raw)
		}
	})
	t.Run("events that are at fault do not come again", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(_ int, b *beacon, w http.ResponseWriter) bool {
			s.answer(b, w, rejection{b.Events[0].ID, "bad_name", "name"})
			return true
		}
		openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
		s.waitForEvent("page_view")
		time.Sleep(2500 * time.Millisecond) // longer than the first pause
		if n, _ := s.counts(); n != 1 {
			t.Errorf("%d beacons, want 1", n)
		}
	})
	t.Run("a refused beacon is not repeated", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(_ int, _ *beacon, w http.ResponseWriter) bool {
			http.Error(w, `{"error":{"code":"unknown_site","message":"no such site"}}`, http.StatusNotFound)
			return true
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context"), hero))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "default"`)
		time.Sleep(1500 * time.Millisecond)
		if n, _ := s.counts(); n != 1 {
			t.Errorf("%d beacons, want 1", n)
		}
	})
	t.Run("a lost connection is tried again", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		s.reply = func(n int, _ *beacon, w http.ResponseWriter) bool {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context"), hero))
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		if n, _ := s.counts(); n != 2 {
			t.Errorf("%d beacons, want 2", n)
		}
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
	s.waitForEvent("page_view")
	b.run(`for (let i = 0; i < 100; i++) near("event", "scroll", {i, pad: "é".repeat(i % 10 ? 10 : 3000)});
		near("event", "scroll", {pad: "x".repeat(9000)}); const round = {}; round.round = round; near("event", "scroll", round)`)
	s.waitFor("100 events", func() bool { return len(s.events("scroll")) >= 100 })
	settle()
	n := 0
	for _, e := range s.events("scroll") {
		if e.Props["i"] != float64(n) {
			t.Fatalf("event %d has %v", n, e.Props["i"])
		}
		n++
	}
	if n != 100 {
		t.Errorf("%d events came, want 100", n)
	}
	for i, sent := range s.sent()[1:] {
		t.Logf("beacon %d: %d events, %d B", i+1, len(sent.Events), len(sent.raw))
	}
	if said := strings.Join(b.said(), "\n"); !strings.Contains(said, "circular") && !strings.Contains(said, "cyclic") {
		t.Errorf("nothing was said about an event that cannot be written: %s", said)
	}
}

func TestRequestsCarryCookiesOnlyWithStorage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		purposes []string
		want     string
		kept     string // an empty entry stands for the cookie that scripts cannot see
	}{
		{[]string{"measure", "context"}, "", ""},
		{[]string{"measure", "context", "storage"}, "near=x", "near.shop"},
	} {
		t.Run(fmt.Sprint(tt.purposes), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.reply = func(_ int, _ *beacon, w http.ResponseWriter) bool {
				http.SetCookie(w, &http.Cookie{Name: "near", Value: "x", HttpOnly: true, Path: "/_near", SameSite: http.SameSiteLaxMode})
				return false
			}
			b := openTab(t).open(s.page("/", SnippetOptions{}, grant(tt.purposes...), hero))
			s.waitForEvent("page_view")
			b.open(s.server.URL + "/")
			s.waitFor("second visit", func() bool { n, _ := s.counts(); return n >= 2 })
			if got := s.calls()[1].Header.Get("Cookie"); got != tt.want {
				t.Errorf("the second visit carried %q, want %q", got, tt.want)
			}
			b.waitFor(`(` + nothingKept + `) == "` + tt.kept + `"`)
		})
	}
}

// Refused on a later page, storage is withdrawn once although that page never
// saw it granted; a visitor who never granted it causes no request.
func TestStorageRefusedOnALaterPageIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context", "storage"), hero))
	s.waitForEvent("page_view")
	b.waitFor(answeredState)
	b.waitFor(`document.querySelector("near-slot").dataset.near`) // on a slow machine slots may be asked for after the page view
	before, _ := s.counts()
	refused := s.page("/refused", SnippetOptions{}, strings.ReplaceAll(grant("measure", "context", "storage"), "true", "false"), hero)
	b.open(refused)
	s.waitFor("the withdrawal", func() bool { _, withdrawals := s.counts(); return withdrawals == 1 })
	b.waitFor(`!("near.shop" in localStorage)`) // the answer is there: until then a next page says it again
	b.open(refused)
	settle()
	if n, withdrawals := s.counts(); n != before || withdrawals != 1 {
		t.Errorf("%d beacons and %d withdrawals, want %d and 1", n, withdrawals, before)
	}
	if kept := eval[string](b, nothingKept); kept != "" {
		t.Errorf("the tag kept %q", kept)
	}
}

func TestACollectorOnAnotherOrigin(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
		http.SetCookie(w, &http.Cookie{Name: "near", Value: "x", SameSite: http.SameSiteNoneMode, Secure: true})
		a := answer{V: 1, Granted: b.Consent.Purposes, State: fmt.Sprintf("state%d", n), Accepted: len(b.Events)}
		writeJSON(w, a)
		return true
	}
	src := strings.Replace(s.other.URL, "127.0.0.1", "localhost", 1) + "/_near/tag.js"
	b := openTab(t).open(s.page("/", SnippetOptions{Src: src}, grant("measure", "context", "storage"), hero))
	b.waitFor(`localStorage["near.shop"] == "state1"`)
	b.open(s.server.URL + "/")
	b.waitFor(`localStorage["near.shop"] == "state2"`)
	first, second := s.sent()[0], s.sent()[1]
	if first.State != "" || second.State != "state1" {
		t.Errorf("carried the states %q and %q, want none and the first answer's", first.State, second.State)
	}
	for _, r := range s.calls() {
		if len(r.Cookies()) > 0 || r.Header.Get("Origin") != s.server.URL {
			t.Errorf("%s with cookies %v from %q", r.URL, r.Cookies(), r.Header.Get("Origin"))
		}
	}
	wantGolden(t, "cross-origin.json", second)
	b.run(`near("consent",{storage:false})`)
	s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
	b.waitFor(`!(` + nothingKept + `)`) // once the server's answer is there
}
