// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is one page of a real browser that notes what leaves it and what goes
// wrong in it.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string // method and URL
	faults   []string // script errors and reports of the content security policy
}

// newTab opens a tab in a browser of its own, with an empty profile.
func newTab(t testing.TB, width, height int64) *tab {
	t.Helper()
	chromium, err := findChromium()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	)
	allocator, freeAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	ctx, cancelTime := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(func() { cancelTime(); cancel(); freeAllocator() })
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.note); err != nil {
		t.Fatalf("start %s: %v", chromium, err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height))
	return b
}

func findChromium() (string, error) {
	for _, path := range []string{"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", os.ErrNotExist
}

func (b *tab) note(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.Method+" "+ev.Request.URL)
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, ev.ExceptionDetails.Text)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval runs a script in the page and returns its value.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// open loads a page and waits until the tag has run.
func (b *tab) open(url string) {
	b.t.Helper()
	b.mu.Lock()
	b.requests = nil
	b.mu.Unlock()
	b.do(chromedp.Navigate(url))
}

// until waits for a script to be true.
func (b *tab) until(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if eval[bool](b, "(async () => !!(await ("+script+")))()") {
			return
		}
	}
	b.t.Fatalf("waited 15 s for %s: %s\nrequests: %q\nfaults: %q", what, script, b.sent(""), b.faults)
}

// sent lists the requests so far whose URL holds part.
func (b *tab) sent(part string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, r := range b.requests {
		if strings.Contains(r, part) {
			out = append(out, r)
		}
	}
	return out
}

// nothingStored checks cookies and web storage: nothing is there.
func (b *tab) nothingStored() {
	b.t.Helper()
	if got := eval[int](b, "localStorage.length + sessionStorage.length + document.cookie.length"); got != 0 {
		b.t.Errorf("the page has %d characters of cookies and entries of web storage, want none", got)
	}
	if cookies := b.cookies(); len(cookies) != 0 {
		b.t.Errorf("the browser holds cookies: %s", cookies)
	}
}

// cookies lists the browser's cookies for the page and for a node under its origin,
// HttpOnly ones too.
func (b *tab) cookies() []string {
	b.t.Helper()
	origin := eval[string](b, "location.origin")
	got, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{origin + "/", origin + "/_near/v1/beacon"}})
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, c := range got.Cookies {
		raw, err := json.Marshal(c)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, string(raw))
	}
	return out
}

// screenshot keeps a picture of the page when SCREENSHOTS names a directory.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// watchLayout notes every layout shift from the start of a page, with what
// moved.
const watchLayout = `window.__shifts = []; new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput)
	window.__shifts.push(e.value.toPrecision(2) + ' ' + e.sources.map(s => (s.node && (s.node.outerHTML || s.node.textContent) || '').slice(0, 80) + ' ' + JSON.stringify(s.previousRect) + JSON.stringify(s.currentRect)).join(' | ')) }).observe({type: 'layout-shift', buffered: true})`
