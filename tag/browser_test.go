// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The one browser of the package's tests, started by the first that needs it.
var browser struct {
	sync.Once
	ctx   context.Context
	err   error
	close func()
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait, so more of them run at once than there are processors.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	if browser.close != nil {
		browser.close()
	}
	os.Exit(code)
}

// startBrowser starts a headless Chromium with a profile of its own.
func startBrowser() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		browser.err = fmt.Errorf("no Chromium on this machine: make test installs it")
		return
	}
	dir, err := os.MkdirTemp("", "near-tag-")
	if err != nil {
		browser.err = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1000, 800))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	browser.close = func() {
		limited, cancel := context.WithTimeout(ctx, 60*time.Second)
		_ = chromedp.Cancel(limited)
		cancel()
		stop()
		stopAllocator()
		_ = os.RemoveAll(dir)
	}
	browser.ctx = ctx
	browser.err = chromedp.Do(ctx)
}

// A tab is a page in a browser context of its own, with its own cookies.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	console  []string // what the page's scripts said
	failures []string // uncaught errors
}

// watchPage runs before anything else in each document.
const watchPage = `
window.__shift = 0; window.__csp = []; window.__shows = 0;
window.__now = () => { let now; near("get", it => now = it); return now };
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) __shift += e.value }))
	.observe({type: "layout-shift", buffered: true});
document.addEventListener("securitypolicyviolation", e => __csp.push(e.violatedDirective + " " + e.blockedURI + " " + e.sample));
addEventListener("pageshow", e => { if (e.persisted) __shows++ });
`

// openTab opens a tab that is closed with the test, after a look at whether the
// page failed. Each script in before runs before anything else in each document.
func openTab(t *testing.T, before ...string) *tab {
	t.Helper()
	browser.Do(startBrowser)
	if browser.err != nil {
		t.Fatalf("start Chromium: %v", browser.err)
	}
	ctx, cancel := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext())
	b := &tab{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			var words []string
			for _, arg := range e.Args {
				var word any
				_ = json.Unmarshal(arg.Value, &word) // objects have a description instead
				if word == nil {
					word = arg.Description
				}
				words = append(words, fmt.Sprint(word))
			}
			b.console = append(b.console, string(e.Type)+": "+strings.Join(words, " "))
		case *runtime.EventExceptionThrown:
			b.failures = append(b.failures, fmt.Sprintf("%+v", e.ExceptionDetails))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range append([]string{watchPage}, before...) {
		if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
			t.Fatal(err)
		}
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1000, 800)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			if blocked := eval[[]string](b, `window.__csp || []`); len(blocked) > 0 {
				t.Errorf("blocked by the content security policy: %q", blocked)
			}
		}
		cancel()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, failure := range b.failures {
			t.Errorf("the page failed: %s", failure)
		}
	})
	return b
}

// open loads a page and waits for it.
func (b *tab) open(url string) *tab {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// click clicks in the middle of the first element that matches.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// typeInto types a text into the first element that matches.
func (b *tab) typeInto(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// clickAt clicks at a place of the window.
func clickAt(x, y float64) chromedp.Action[chromedp.Void] { return chromedp.MouseClickXY(x, y) }

// run runs a script in the page.
func (b *tab) run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script))
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// waitFor waits until an expression is true in the page, and fails the test if
// it is not within 20 s.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !eval[bool](b, "!!("+expression+")"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never true: %s\n%s", expression, eval[string](b, "document.body.innerHTML"))
		}
	}
}

// said returns what the page's scripts have said on the console.
func (b *tab) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.console...)
}

// shift returns the layout shift so far that no input explains.
func (b *tab) shift() float64 { return eval[float64](b, "__shift") }

// wantText fails the test unless an element's text is the one wanted.
func (b *tab) wantText(selector, want string) {
	b.t.Helper()
	if got := eval[string](b, fmt.Sprintf("document.querySelector(%q).textContent", selector)); got != want {
		b.t.Errorf("%s shows %q, want %q", selector, got, want)
	}
}

// inTime repeats what only works if a loaded machine answers within the half
// second after a visitor's act, until it does, four times at most.
func inTime(t *testing.T, try func() bool) {
	t.Helper()
	for range 4 {
		if try() {
			return
		}
	}
	t.Error("the answer was late four times")
}

// settle gives the tag the time in which it would do what it must not.
func settle() { time.Sleep(400 * time.Millisecond) }
