// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"testing"
)

// Who has signed in is told once the server may know a profile, until the server has
// heard it, and not again.
func TestWhoHasSignedInIsToldOnce(t *testing.T) {
	t.Parallel()
	identify := func(token string) string { return `near("identify", ` + token + `)` }
	told := func(s *shop) (list []string) {
		for _, b := range s.sent() {
			list = append(list, string(b.Identify))
		}
		return list
	}
	want := func(t *testing.T, s *shop, want ...string) {
		t.Helper()
		s.waitFor("as many beacons", func() bool { return len(s.sent()) >= len(want) })
		got := told(s)
		for i := range want {
			if len(got) != len(want) || got[i] != want[i] {
				t.Fatalf("told %q, want %q", got, want)
			}
		}
	}
	all := []string{"storage", "measure", "context", "profile"}

	t.Run("from the queue, with the first beacon", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(all...)+`<script nonce=$>`+identify(`"a.b.c"`)+`</script>`, hero))
		want(t, s, `"a.b.c"`)
		b.waitFor(`document.querySelector("near-slot").dataset.near`)
		b.run(`near("event", "login")`)
		s.waitForEvent("login")
		want(t, s, `"a.b.c"`, ``)
		b.run(identify(`null`) + `; near("event", "logout")`)
		s.waitForEvent("logout")
		b.run(`near("event", "search")`)
		s.waitForEvent("search")
		want(t, s, `"a.b.c"`, ``, `null`, ``)
	})
	t.Run("again where no answer came", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(n int, _ *beacon, w http.ResponseWriter) bool {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n == 1
		}
		openTab(t).open(s.page("/", SnippetOptions{}, grant(all...)+`<script nonce=$>`+identify(`"a.b.c"`)+`</script>`, ""))
		want(t, s, `"a.b.c"`, `"a.b.c"`)
	})
	t.Run("not before a profile is granted", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("storage", "measure")+`<script nonce=$>`+identify(`"a.b.c"`)+`</script>`, ""))
		s.waitForEvent("page_view")
		want(t, s, ``)
		settle()
		b.run(`near("consent", {profile: true}); near("event", "search")`)
		s.waitForEvent("search")
		want(t, s, ``, `"a.b.c"`)
	})
	t.Run("again once the server's narrowing is over", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
			if n == 1 {
				writeJSON(w, answer{V: 1, Granted: b.Consent.Purposes &^ profile, Accepted: len(b.Events)})
			}
			return n == 1
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(all...)+`<script nonce=$>`+identify(`"a.b.c"`)+`</script>`, ""))
		s.waitForEvent("page_view")
		settle()
		b.run(`near("consent", {personalise: true}); near("event", "search")`)
		s.waitForEvent("search")
		want(t, s, `"a.b.c"`, `"a.b.c"`)
	})
	t.Run("also where a withdrawal goes first", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(append(all, "share")...), ""))
		s.waitForEvent("page_view")
		settle()
		b.run(identify(`null`) + `; near("consent", {share: false})`)
		s.waitFor("the withdrawal", func() bool { return len(s.withdrawals()) == 1 })
		settle()
		b.run(`near("event", "logout")`)
		s.waitForEvent("logout")
		want(t, s, ``, `null`)
	})
	t.Run("another who comes while the first is under way", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		hold := make(chan struct{})
		s.reply = func(n int, _ *beacon, _ http.ResponseWriter) bool {
			if n == 1 {
				<-hold
			}
			return false
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant(all...)+`<script nonce=$>`+identify(`"a.b.c"`)+`</script>`, ""))
		s.waitForEvent("page_view")
		b.run(identify(`null`) + `; near("event", "logout")`)
		close(hold)
		s.waitForEvent("logout")
		want(t, s, `"a.b.c"`, `null`)
	})
}
