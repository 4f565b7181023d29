// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// stepTime bounds each thing that a browser is asked to do.
const stepTime = 60 * time.Second

type chromium struct {
	ctx  context.Context
	stop func()
}

// startChromium starts a headless Chromium with a profile of its own.
func startChromium() (browser, error) {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, errors.New("no Chromium on this machine: make test installs it")
	}
	dir, err := os.MkdirTemp("", "near-tag-")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1000, 800))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	c := &chromium{ctx: ctx, stop: func() {
		limited, cancel := context.WithTimeout(ctx, stepTime)
		_ = chromedp.Cancel(limited)
		cancel()
		stop()
		stopAllocator()
		_ = os.RemoveAll(dir)
	}}
	return c, chromedp.Do(ctx)
}

func (c *chromium) close() { c.stop() }

func (c *chromium) openTab(before []string, events listener) (driver, error) {
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	err := chromedp.Listen(ctx, func(event any) {
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
			events.said(string(e.Type) + ": " + strings.Join(words, " "))
		case *runtime.EventExceptionThrown:
			events.failed(fmt.Sprintf("%+v", e.ExceptionDetails))
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	for _, script := range before {
		if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument,
			page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
			cancel()
			return nil, err
		}
	}
	return &chromiumTab{ctx, cancel}, chromedp.Do(ctx, chromedp.EmulateViewport(1000, 800))
}

type chromiumTab struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func (c *chromiumTab) close() { c.cancel() }

func (c *chromiumTab) do(step chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(c.ctx, stepTime)
	defer cancel()
	return chromedp.Do(ctx, step)
}

func (c *chromiumTab) open(url string) error   { return c.do(chromedp.Navigate(url)) }
func (c *chromiumTab) run(script string) error { return c.do(chromedp.Evaluate[chromedp.Void](script)) }
func (c *chromiumTab) clickAt(x, y float64) error {
	return c.do(chromedp.MouseClickXY(x, y))
}

func (c *chromiumTab) typeText(text string) error { return c.do(chromedp.KeyEvent(text)) }

func (c *chromiumTab) eval(expression string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.ctx, stepTime)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[json.RawMessage](expression, chromedp.EvalAwaitPromise))
}
