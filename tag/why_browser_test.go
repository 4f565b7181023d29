// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"strings"
	"testing"
)

func TestDevelopersAreToldWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, head, body string
		reply            func(int, *beacon, http.ResponseWriter) bool
		want             string
	}{
		{name: "nobody has answered for consent", body: hero, want: "nobody has answered for consent yet"},
		{name: "context is refused", head: grant("measure"), body: hero, want: "context is refused: near('consent', ...) says so"},
		{name: "a platform has not answered", head: `<script nonce=$>__tcfapi=()=>{}</script>`, body: hero,
			want: "consent is open: the page's consent platform (TCF)"},
		{name: "the page has no slot", head: grant("context"), want: "there is no slot on this page yet"},
		{name: "no rule chose", head: grant("context"), body: hero, want: "slot hero keeps the page's own content: no rule chose"},
		{name: "a slot's name is wrong", head: grant("context"), body: `<near-slot name="Hero!">own</near-slot>`, want: `slot "Hero!" is asked for in vain`},
		{name: "the server refuses", head: grant("context"), body: hero, want: "no such site",
			reply: func(_ int, _ *beacon, w http.ResponseWriter) bool {
				http.Error(w, `{"error":{"code":"unknown_site","message":"no such site"}}`, http.StatusNotFound)
				return true
			}},
		{name: "an event is refused", head: grant("measure"), want: ": bad_name name",
			reply: func(_ int, b *beacon, w http.ResponseWriter) bool {
				s := shop{}
				s.answer(b, w, rejection{b.Events[0].ID, "bad_name", "name"})
				return true
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script, s.reply = DevScript, tt.reply
			b := openTab(t).open(s.page("/", SnippetOptions{}, tt.head, tt.body))
			s.waitFor("word about it", func() bool { return strings.Contains(strings.Join(b.said(), "\n"), tt.want) })
			b.run(`near("consent", {}); near("consent", {})`)
			settle()
			if n := strings.Count(strings.Join(b.said(), "\n"), tt.want); n != 1 {
				t.Errorf("said %d times: %q", n, b.said())
			}
		})
	}
	t.Run("but visitors are not", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), hero))
		b.waitFor(`document.querySelector("near-slot").dataset.near`)
		settle()
		if said := b.said(); len(said) > 0 {
			t.Errorf("the tag said %q", said)
		}
	})
}
