// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/tag"
)

// codeOf returns the code blocks of a language in a document.
func codeOf(t *testing.T, file, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(part, language+"\n"); ok && i%2 == 1 {
			blocks = append(blocks, code)
		}
	}
	return blocks
}

// A site on another origin than its node keeps the state itself: what the document
// says it should put on its pages works there, word for word.
func TestTheDocumentedSnippetsHandTheStateOn(t *testing.T) {
	n, listener, address := startNodeOf(t, nil)
	here := strings.NewReplacer("https://near.example", n.base, `nonce="…"`, `nonce="n1"`)
	markup, scripts := codeOf(t, "docs/RIGHTS.md", "html"), codeOf(t, "docs/RIGHTS.md", "js")
	if len(markup) != 2 || len(scripts) != 1 {
		t.Fatalf("%d blocks of HTML, %d of JavaScript", len(markup), len(scripts))
	}
	page := `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>` +
		tag.Snippet(tag.SnippetOptions{Src: n.base + "/tag.js", Site: "shop", Nonce: "n1"}) +
		`</head><body><near-slot name="hero">ours</near-slot>` + here.Replace(markup[1]) + `</body></html>`
	servePages(t, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-n1'; style-src 'nonce-n1'; connect-src "+n.base+"; form-action "+n.base)
		_, _ = io.WriteString(w, page)
	}))

	b := newTab(t, 1200, 900)
	b.onEveryPage(watchPolicy)
	b.notARobot()
	b.open(address)
	eval[bool](b, `near('consent', Object.fromEntries('storage measure context profile personalise'.split(' ').map(name => [name, true]))), true`)
	b.until("the state", `localStorage['near.shop']?.length > 20`)
	lines := strings.Split(strings.TrimSpace(here.Replace(scripts[0])), "\n")
	if len(lines) != 3 {
		t.Fatalf("the script has %d lines", len(lines))
	}
	mine := eval[map[string]any](b, "(async () => { "+lines[0]+lines[1]+"\nreturn mine })()")
	if mine["site"] != "shop" || mine["visitor"] == nil {
		t.Errorf("mine is %v", mine)
	}

	b.do(chromedp.Click(`form button`))
	b.until("the visitor's page", `location.pathname === '/privacy' && document.querySelector('[name=state]')`)
	id := strings.TrimSuffix(mine["visitor"].(map[string]any)["id"].(string), "…")
	if got := eval[string](b, `document.querySelector('dd').textContent`); !strings.HasPrefix(got, id) || len(id) != 6 {
		t.Errorf("the page tells of %q, want %q", got, id)
	}
	b.do(chromedp.Click(`nav [lang=ru]`)) // the state goes along
	b.until("the page in Russian", `document.documentElement?.lang === 'ru' && document.querySelector('[name=state]')`)
	if stopped := eval[[]string](b, `window.__stopped`); len(stopped) > 0 {
		t.Errorf("a policy stopped %q", stopped)
	}

	b.open(address)
	b.until("the tag", `window.near && !near.q && localStorage['near.shop']`)
	eval[bool](b, "(async () => { "+lines[0]+lines[2]+"\nreturn true })()")
	b.until("the state to go", `!('near.shop' in localStorage)`)
	if len(b.faults) > 0 {
		t.Errorf("faults %q", b.faults)
	}
}
