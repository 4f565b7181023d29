// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/prompt"
	"github.com/nearside/nearside/tag"
)

// A promptSite is a page with the prompt, as a site would have it, and a node on
// its own origin.
type promptSite struct {
	*testNode
	address string
}

var promptPurposes = []string{"storage", "measure", "context", "profile"}

// startNodeOf starts a node with the site shop, whose pages whoever calls serves by the
// listener at an address of their own.
func startNodeOf(t *testing.T, edit func(*edge.ReleaseDocument)) (n *testNode, listener net.Listener, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = "http://" + listener.Addr().String()
	cfg := testConfig()
	cfg.Data = t.TempDir()
	document := firstRelease("shop", []string{address}, []string{"en"})
	if edit != nil {
		edit(&document)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	if err := addSite(context.Background(), cfg, "shop", text, stdio{out: io.Discard, err: io.Discard}); err != nil {
		t.Fatal(err)
	}
	return startNode(t, cfg), listener, address
}

// servePages serves a shop's pages by a listener until the test ends.
func servePages(t *testing.T, listener net.Listener, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// startPromptSite serves a page whose prompt is in lang; count says that the
// script counts.
func startPromptSite(t *testing.T, lang string, count bool) *promptSite {
	t.Helper()
	n, listener, address := startNodeOf(t, func(d *edge.ReleaseDocument) { d.Settings.Prompts = []string{"2026-11"} })
	s := &promptSite{testNode: n, address: address}
	made, err := prompt.New(lang, "2026-11", promptPurposes, nil)
	if err != nil {
		t.Fatal(err)
	}
	var markup strings.Builder
	if err := made.Write(&markup); err != nil {
		t.Fatal(err)
	}
	snippet := tag.Snippet(tag.SnippetOptions{Src: "/_near/tag.js", Site: "shop", Nonce: "n1"})
	counting := ""
	if count {
		counting = " data-count"
	}
	page := fmt.Sprintf(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<link rel="stylesheet" href="/_near/prompt.css">%s<script defer src="/_near/prompt.js" data-site="shop"%s></script></head>
<body><main tabindex="-1"><h1>Hats</h1><near-slot name="hero">ours</near-slot></main>
<footer><button type="button" data-near-reopen>Privacy choices</button></footer>%s</body></html>`, snippet, counting, markup.String())
	handler := http.NewServeMux()
	handler.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'nonce-n1'; style-src 'self' 'nonce-n1'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'")
		_, _ = io.WriteString(w, page)
	})
	node, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	handler.Handle("/_near/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(node)
		r.Out.Host = r.In.Host // which makes the node the page's own origin
	}})
	servePages(t, listener, handler)
	return s
}

// visit opens the page in a browser that is not told to be a robot.
func (s *promptSite) visit(t *testing.T) *tab {
	t.Helper()
	b := newTab(t, 1100, 800)
	b.notARobot()
	b.open(s.address)
	return b
}

// notARobot makes the browser say of itself what one with a window says.
func (b *tab) notARobot() {
	b.t.Helper()
	const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	brands := []*emulation.UserAgentBrandVersion{{Brand: "Chromium", Version: "142"}}
	if _, err := chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: agent, UserAgentMetadata: &emulation.UserAgentMetadata{Brands: brands, Platform: "Linux"},
	}); err != nil {
		b.t.Fatal(err)
	}
}

const promptShows = `!document.querySelector('.near-prompt').hidden`

// press sends keys, one after the other.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// reopen asks for the prompt again. The page may have moved under a pointer, so it
// is asked for by the keyboard.
func (b *tab) reopen() {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-near-reopen]').focus()`))
	b.press(kb.Enter)
	b.until("the prompt again", promptShows)
}

// focused is what the element with the focus is called.
func (b *tab) focused() string {
	b.t.Helper()
	return eval[string](b, `((e) => e.dataset.answer || e.value || e.textContent.trim() || e.tagName)(document.activeElement)`)
}

// grants is what the tag has, as bits.
func (b *tab) grants() int {
	b.t.Helper()
	return eval[int](b, `new Promise(r => near('get', s => r(s.granted)))`)
}

// consentLeft returns the events of a name, each as its answer, prompt, purposes and
// authority, once there are n of them.
func (s *promptSite) consentLeft(t *testing.T, name string, n int) (words []string, events []map[string]any) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		words, events = nil, nil
		for _, e := range s.storedEvents(t, "shop") {
			if e["name"] != name {
				continue
			}
			props := e["props"].(map[string]any)
			word := fmt.Sprint(props["answer"], " ", props["prompt"])
			if consent, ok := e["consent"].(map[string]any); ok {
				word += fmt.Sprint(" ", consent["purposes"], " ", consent["authority"])
			}
			words, events = append(words, word), append(events, e)
		}
		if len(words) >= n || time.Now().After(end) {
			return words, events
		}
	}
}

// A visitor with a keyboard chooses, comes back, changes their mind and takes all
// back; each grant and the withdrawal have a receipt, of one and the same visitor.
func TestThePromptByKeyboard(t *testing.T) {
	s := startPromptSite(t, "en", false)
	b := s.visit(t)
	b.until("the prompt", promptShows)
	if got := eval[string](b, `document.activeElement.tagName`); got != "BODY" {
		t.Errorf("the prompt takes the focus: %s", got)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-answer=refuse]').focus()`))
	b.press(kb.Tab, kb.Tab)
	if got := b.focused(); got != "choose" {
		t.Fatalf("the third answer is %q", got)
	}
	b.press(kb.Enter, kb.Tab)
	if got, open := b.focused(), eval[string](b, `document.querySelector('[data-answer=choose]').getAttribute('aria-expanded')`); got != "storage" || open != "true" {
		t.Fatalf("behind Choose stands %q, unfolded: %s", got, open)
	}
	b.press(" ", kb.Tab, " ", kb.Tab, kb.Tab, " ", kb.Tab, kb.Enter)
	b.until("the answer", "!("+promptShows+")")
	if got, said := b.focused(), eval[string](b, `document.querySelector('[role=status]').textContent`); !strings.HasPrefix(got, "Hats") || !strings.HasPrefix(said, "Your choice") {
		t.Errorf("after the answer the focus is at %q, and %q is said", got, said)
	}
	if got := b.grants(); got != 1+2+8 {
		t.Errorf("granted %d", got)
	}
	s.consentLeft(t, edge.ReceiptEvent, 1)

	b.open(s.address)
	b.until("the tag", `window.near && !near.q`)
	if eval[bool](b, promptShows) || b.grants() != 1+2+8 {
		t.Errorf("on the next page the prompt shows: %v, granted %d", eval[bool](b, promptShows), b.grants())
	}
	b.reopen()
	if !eval[bool](b, `document.activeElement === document.querySelector('.near-prompt')`) {
		t.Errorf("the focus is at %q", b.focused())
	}
	b.press(kb.Escape)
	if got := b.focused(); eval[bool](b, promptShows) || got != "Privacy choices" {
		t.Errorf("after Escape the focus is at %q", got)
	}
	b.reopen()
	b.do(chromedp.Click(`[name=grant][value=context]`), chromedp.Click(`.near-prompt [type=submit]`))
	s.consentLeft(t, edge.ReceiptEvent, 2)
	if got := b.grants(); got != 1+2+4+8 {
		t.Errorf("granted %d", got)
	}
	b.reopen()
	for _, name := range promptPurposes {
		b.do(chromedp.Click(`[name=grant][value=` + name + `]`))
	}
	b.do(chromedp.Click(`.near-prompt [type=submit]`))
	words, events := s.consentLeft(t, edge.ReceiptEvent, 3)
	if want := []string{"chosen 2026-11 11 owner", "accepted 2026-11 15 owner", "withdrawn <nil> 0 owner"}; !slices.Equal(words, want) {
		t.Fatalf("left %q, want %q", words, want)
	}
	if got := b.grants(); got != 0 {
		t.Errorf("after the withdrawal %d is granted", got)
	}
	visitors := map[string]bool{}
	for _, e := range s.storedEvents(t, "shop") {
		if v, ok := e["visitor"].(map[string]any); ok {
			visitors[v["id"].(string)] = true
		}
	}
	if _, known := events[0]["visitor"]; !known || len(visitors) != 1 {
		t.Errorf("%d visitors, the first receipt's is known: %v", len(visitors), known)
	}
	if cookies := b.cookies(); len(cookies) != 0 {
		t.Errorf("after the withdrawal there are cookies %q", cookies)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		t.Errorf("faults: %q", b.faults)
	}
}

// Who refuses is not asked again, and nothing leaves the browser.
func TestARefusalStaysInTheBrowser(t *testing.T) {
	s := startPromptSite(t, "en", false)
	b := s.visit(t)
	b.until("the prompt", promptShows)
	b.do(chromedp.Click(`[data-answer=refuse]`))
	b.open(s.address)
	b.until("the tag", `window.near && !near.q`)
	time.Sleep(700 * time.Millisecond)
	if eval[bool](b, promptShows) || b.grants() != 0 {
		t.Error("the prompt comes again")
	}
	if sent := b.sent("/v1/"); len(sent) != 0 {
		t.Errorf("sent %q", sent)
	}
	if events := s.storedEvents(t, "shop"); len(events) != 0 {
		t.Errorf("left %v", events)
	}
}

// A site that counts learns how often the prompt was shown and what it was told,
// and of nobody.
func TestAPromptIsCounted(t *testing.T) {
	s := startPromptSite(t, "ru", true)
	b := s.visit(t)
	b.until("the prompt", promptShows)
	s.consentLeft(t, edge.PromptEvent, 1)
	b.do(chromedp.Click(`[data-answer=refuse]`))
	words, events := s.consentLeft(t, edge.PromptEvent, 2)
	if want := []string{"shown 2026-11", "refused 2026-11"}; !slices.Equal(words, want) {
		t.Fatalf("left %q, want %q", words, want)
	}
	for _, e := range events {
		for _, member := range []string{"visitor", "session", "view", "page", "geo", "device", "consent"} {
			if e[member] != nil {
				t.Errorf("a count has %s: %v", member, e)
			}
		}
	}
	if cookies := b.cookies(); len(cookies) != 0 {
		t.Errorf("counting sets cookies %q", cookies)
	}
}

// heard is what a screen reader is told of the page: roles and names.
func (b *tab) heard() []string {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	var heard []string
	for _, node := range tree.Nodes {
		if node.Ignored || node.Role == nil || node.Name == nil {
			continue
		}
		var role, name string
		_ = json.Unmarshal([]byte(node.Role.Value), &role)
		_ = json.Unmarshal([]byte(node.Name.Value), &name)
		heard = append(heard, role+" "+name)
	}
	return heard
}

// What a screen reader is told.
func TestThePromptIsReadAloud(t *testing.T) {
	s := startPromptSite(t, "en", false)
	b := s.visit(t)
	b.until("the prompt", promptShows)
	b.do(chromedp.Click(`[data-answer=choose]`))
	heard := b.heard()
	for _, want := range []string{
		"dialog May this page adapt to you?", "button Refuse all", "button Accept all", "button Choose", "button Save my choice",
		"checkbox Count visits Count pages and clicks, without names. What is hard to use gets mended.",
	} {
		if !slices.Contains(heard, want) {
			t.Errorf("not heard: %q in %q", want, heard)
		}
	}
}
