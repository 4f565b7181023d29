// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"testing"
	"time"
)

func TestTheMeasureBuild(t *testing.T) {
	t.Parallel()
	measureShop := func(t *testing.T) *shop {
		t.Helper()
		s := newShop(t)
		s.script = MeasureScript
		s.header.Set("Content-Security-Policy", strictPolicy)
		return s
	}

	t.Run("counts and asks for nothing", func(t *testing.T) {
		t.Parallel()
		s := measureShop(t)
		b := openTab(t).open(s.page("/hats", SnippetOptions{}, grant(allPurposes...), hero) + "?utm_source=x&gclid=1&near_preview=A")
		s.waitForEvent("page_view")
		b.run(`near("event", "add_to_cart", {value: 1}); history.pushState(0, "", "/shoes")`)
		s.waitFor("second page view", func() bool { return len(s.events("page_view")) == 2 })
		s.waitForEvent("add_to_cart")
		if p := s.sent()[0].Page; p.URL != s.server.URL+"/hats?utm_source=x" || p.Title != "Hats" || p.Lang != "" {
			t.Errorf("page %+v", p)
		}
		for _, sent := range s.sent() {
			if len(sent.Slots) > 0 || sent.Client.Langs != nil {
				t.Errorf("asked: %s", sent.raw)
			}
		}
		b.wantText("near-slot", "own")
		if got := eval[string](b, `JSON.stringify(__now())`); got != `{"granted":255,"authority":"owner","resolved":true}` {
			t.Errorf("get says %s", got)
		}
	})
	t.Run("is silent without an answer, and where a platform may have been told no", func(t *testing.T) {
		t.Parallel()
		s := measureShop(t)
		for path, head := range map[string]string{"/a": "", "/b": `<script nonce=$>__tcfapi=()=>{}</script>`, "/c": `<script nonce=$>__gpp=()=>{}</script>`} {
			policy := "us-optout"
			if head == "" {
				policy = "strict"
			}
			b := openTab(t).open(s.page(path, SnippetOptions{Policy: policy}, head, ""))
			b.waitFor(started)
			b.run(`near("event", "add_to_cart")`)
			settle()
			if kept := eval[string](b, nothingKept); kept != "" {
				t.Errorf("%s: kept %q", path, kept)
			}
		}
		if n := len(s.calls()); n > 0 {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("obeys Global Privacy Control, a refusal and a withdrawal", func(t *testing.T) {
		t.Parallel()
		s := measureShop(t)
		b := openTab(t, `Object.defineProperty(navigator, "globalPrivacyControl", {value: true})`).
			open(s.page("/", SnippetOptions{Policy: "us-optout"}, "", ""))
		s.waitForEvent("page_view")
		if got := s.sent()[0].Consent.Purposes; got != 63-share {
			t.Errorf("sent under %d", got)
		}
		b.run(`near("event", "add_to_cart"); near("consent", "withdraw"); near("event", "add_to_cart")`)
		s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
		time.Sleep(1200 * time.Millisecond) // longer than events wait for each other
		if n, withdrawals := s.counts(); n != 1 || withdrawals != 1 {
			t.Errorf("%d beacons and %d withdrawals, want one of each", n, withdrawals)
		}
	})
}
