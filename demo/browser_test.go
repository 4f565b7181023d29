// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/prompt"
)

// These tests look at the shop in a real browser, with the real tag. What
// stands behind the shop answers when a test wants it to.

// A stand is the shop at an address of this machine.
type stand struct {
	base string
	// slow cuts pages into pieces with a pause after each.
	slow bool
	// answer, if set, answers a beacon.
	answer func(*fasthttp.RequestCtx)

	mu      sync.Mutex
	beacons []seen
}

func openShop(t *testing.T) *stand {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("..", "tag", "dist", "tag.js"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{}
	handler := newShop(t).Wrap(func(ctx *fasthttp.RequestCtx) {
		switch path := string(ctx.Path()); {
		case path == "/_near/tag.js":
			ctx.SetContentType("text/javascript; charset=utf-8")
			ctx.SetBody(script)
		case path == "/_near/prompt.js":
			ctx.SetContentType("text/javascript; charset=utf-8")
			ctx.SetBody(prompt.Script)
		case path == "/_near/prompt.css":
			ctx.SetContentType("text/css; charset=utf-8")
			ctx.SetBody(prompt.Style)
		case strings.HasSuffix(path, "/beacon") && strings.Contains(string(ctx.PostBody()), `"prompt":{`):
			ctx.SetStatusCode(fasthttp.StatusNoContent)
		case strings.HasSuffix(path, "/beacon"):
			s.mu.Lock()
			s.beacons = append(s.beacons, look(ctx))
			s.mu.Unlock()
			ctx.SetStatusCode(fasthttp.StatusNoContent)
			if s.answer != nil {
				s.answer(ctx)
			}
		default:
			ctx.SetStatusCode(fasthttp.StatusNoContent)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.base = "http://" + listener.Addr().String()
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		handler(ctx)
		if s.slow && strings.HasPrefix(string(ctx.Response.Header.ContentType()), "text/html") {
			inPieces(ctx)
		}
	}}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		// A browser holds connections ready that it never uses, for a minute.
		limited, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = server.ShutdownWithContext(limited)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// The one browser of the package's tests, started by the first that needs it.
var browser struct {
	sync.Once
	ctx   context.Context
	err   error
	close func()
}

func TestMain(m *testing.M) {
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
		browser.err = errors.New("no Chromium on this machine: make test installs it")
		return
	}
	dir, err := os.MkdirTemp("", "near-demo-")
	if err != nil {
		browser.err = err
		return
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	ctx, stop := chromedp.NewContext(allocator)
	browser.close = func() {
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		_ = chromedp.Cancel(limited)
		cancel()
		stop()
		stopAllocator()
		_ = os.RemoveAll(dir)
	}
	browser.ctx = ctx
	browser.err = chromedp.Do(ctx)
}

// A view is a page of a real browser. The shop keeps nothing in it, so pages
// may share one.
type view struct {
	t   *testing.T
	ctx context.Context
}

// openView opens a page.
func openView(t *testing.T) *view {
	t.Helper()
	if browser.Do(startBrowser); browser.err != nil {
		t.Fatal(browser.err)
	}
	ctx, cancel := chromedp.NewContext(browser.ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(func() { cancelTime(); cancel() })
	v := &view{t, ctx}
	v.do()
	if _, err := chromedp.Call(ctx, cdp.AddScriptToEvaluateOnNewDocument, cdp.AddScriptToEvaluateOnNewDocumentParams{Source: noteShifts}); err != nil {
		t.Fatal(err)
	}
	return v
}

// noteShifts notes what moved on a page from its start.
const noteShifts = `window.shifts = []; new PerformanceObserver(list => list.getEntries().forEach(e => e.hadRecentInput ||
	shifts.push(e.value.toPrecision(2) + ' ' + e.sources.map(s => (s.node?.outerHTML || s.node?.textContent || '').slice(0, 60)).join(' | ')))).observe({type: 'layout-shift', buffered: true})`

func (v *view) do(steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	if err := chromedp.Do(v.ctx, steps...); err != nil {
		v.t.Fatal(err)
	}
}

func (v *view) size(width, height int64) {
	v.t.Helper()
	v.do(chromedp.EmulateViewport(width, height))
}

func evaluate[T any](v *view, script string) T {
	v.t.Helper()
	got, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", script, err)
	}
	return got
}

func (v *view) until(what, script string) {
	v.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		// A script ends with the page it was asked on: the next one is asked again.
		if ok, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool]("!!("+script+")")); err == nil && ok {
			return
		}
	}
	v.t.Fatalf("waited 10 s for %s", what)
}

// inPieces sends a page piece by piece, so that the browser paints what it has.
// A piece ends with a button or a section: those can move what was painted.
func inPieces(ctx *fasthttp.RequestCtx) {
	body := string(ctx.Response.Body())
	ctx.Response.SetBodyStreamWriter(func(w *bufio.Writer) {
		for body != "" {
			end := len(body)
			for _, tag := range []string{"</button>", "</section>"} {
				if at := strings.Index(body, tag); at >= 0 {
					end = min(end, at+len(tag))
				}
			}
			_, _ = w.WriteString(body[:end]) // a browser that left is no fault
			_ = w.Flush()
			body = body[end:]
			time.Sleep(50 * time.Millisecond) // more than the browser's frame
		}
	})
}

// nothingMoved checks that nothing on the page moved.
func (v *view) nothingMoved(what string) {
	v.t.Helper()
	if got := evaluate[[]string](v, `new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(shifts))))`); len(got) > 0 {
		v.t.Errorf("%s: moved: %q", what, got)
	}
}
