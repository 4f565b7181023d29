// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	_ "embed" // the scripts that run in the page
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Bounds of opening a page in the browser, beside Options.Timeout.
const (
	maxDocumentBytes = 64 << 20
	maxTrafficBytes  = 256 << 20
	maxMoves         = 10 // navigations that the page does by itself
	// startTimeout bounds the start of the browser, which takes seconds on a busy
	// machine.
	startTimeout = 15 * time.Second
	// lookTimeout bounds each look into the page: its scripts may never end.
	lookTimeout = 3 * time.Second
	// bodyTimeout bounds fetching what beacons said, from the browser.
	bodyTimeout = 2 * time.Second
	maxBeacons  = 32
	// settleMillis is what the tag takes after the time of consent platforms to send
	// all that it will: it gathers events for a second.
	settleMillis = 1500
	// defaultWait and maxWait are what a consent platform gets to answer: data-wait,
	// in milliseconds.
	defaultWait, maxWait = 500, 10_000
)

var (
	//go:embed watch.js
	watchScript string
	//go:embed look.js
	lookScript string
)

// FindBrowser returns the path of a Chromium, "" if none is in the PATH.
func FindBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browserOptions start a headless browser with a profile of its own, that does
// nothing by itself.
func browserOptions(path, profile string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-popup-blocking", false), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("mute-audio", true),
	)
}

// A browsing is one page in a browser, while it is open.
type browsing struct {
	ctx     context.Context // of the tab
	options *Options
	traffic *traffic
	page    *page
	began   time.Time
}

// browse opens a page in a browser of its own and watches it until it has settled
// or the time is over. The error is that of a browser that cannot be used.
func browse(ctx context.Context, o *Options) (*page, error) {
	profile, err := os.MkdirTemp("", "nearside-doctor-")
	if err != nil {
		return nil, fmt.Errorf("make a profile: %w", err)
	}
	defer os.RemoveAll(profile)
	// The last bound of all: whatever hangs, the browser is killed then.
	ctx, cancel := context.WithTimeout(ctx, startTimeout+o.Timeout+3*lookTimeout)
	defer cancel()
	allocator, free := chromedp.NewExecAllocator(ctx, browserOptions(o.Browser, profile)...)
	defer free()
	tab, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}), chromedp.WithLogf(func(string, ...any) {}))
	defer closeTab()
	b := &browsing{ctx: tab, options: o, traffic: newTraffic(), page: &page{inBrowser: true, url: withoutUser(o.URL)}}
	if err := b.start(); err != nil {
		return nil, err
	}
	b.visit()
	return b.page, nil
}

// start starts the browser.
func (b *browsing) start() error {
	started := make(chan error, 1)
	go func() { started <- b.prepare() }()
	select {
	case err := <-started:
		return err
	case <-time.After(startTimeout):
		return errors.New("no answer in time")
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

// prepare makes the tab ready: what is noted of it, and what it may not do.
func (b *browsing) prepare() error {
	if err := chromedp.Listen(b.ctx, b.traffic.note); err != nil {
		return err
	}
	kept := int64(8 << 20)
	_, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{MaxTotalBufferSize: &kept, MaxResourceBufferSize: &kept})
	if err != nil {
		return err
	}
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorDeny}); err != nil {
		return err
	}
	if b.options.AsVisitor {
		if err := b.hideHead(); err != nil {
			return err
		}
	}
	_, err = chromedp.Call(b.ctx, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: watchScript})
	return err
}

// hideHead has the browser name itself as it does with a window.
func (b *browsing) hideHead() error {
	version, err := chromedp.CallBrowser(b.ctx, browser.GetVersion, cdp.Empty{})
	if err != nil {
		return err
	}
	_, number, _ := strings.Cut(version.Product, "/")
	major, _, _ := strings.Cut(number, ".")
	var brands []*emulation.UserAgentBrandVersion
	for _, name := range []string{"Chromium", "Google Chrome"} {
		brands = append(brands, &emulation.UserAgentBrandVersion{Brand: name, Version: major})
	}
	_, err = chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent:         strings.Replace(version.UserAgent, "HeadlessChrome", "Chrome", 1),
		UserAgentMetadata: &emulation.UserAgentMetadata{Brands: brands, Platform: "Linux"},
	})
	return err
}

// visit opens the page, waits until it has settled and looks at it.
func (b *browsing) visit() {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
	defer cancel()
	answering, stopAnswering := context.WithCancel(b.ctx) // while it is looked at too
	var dialogs sync.WaitGroup
	dialogs.Go(func() { b.dismissDialogs(answering) })
	defer func() { stopAnswering(); dialogs.Wait() }()
	b.began = time.Now()
	result, err := chromedp.Call(ctx, cdppage.Navigate, cdppage.NavigateParams{URL: b.options.URL.String()})
	p := b.page
	switch {
	case result.IsDownload:
		p.download = true
	case err != nil && ctx.Err() != nil && !b.traffic.committed():
		p.problem = "no answer in time"
	case err != nil && ctx.Err() == nil:
		p.problem = line(err.Error())
	case result.ErrorText != "":
		p.problem = line(result.ErrorText)
	}
	if p.problem == "" && !p.download {
		b.settle(ctx)
		p.isStuck = !b.look(&p.doc)
		p.watched = time.Since(b.began)
		b.collect()
	}
	b.traffic.describe(p)
}

// settle waits until the page is loaded and has sent what it will, or until
// something of it has gone on for too long.
func (b *browsing) settle(ctx context.Context) {
	quiet := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			b.page.isSlow = !b.traffic.loaded()
			return
		case <-time.After(50 * time.Millisecond):
		}
		state := b.traffic.state()
		switch {
		case state.cause == causeLoops:
			b.page.loops = true
			b.stop()
			return
		case state.cause == causeTooLarge:
			b.page.isTooLong = true
			b.stop()
			return
		case !state.loaded || state.open > 0:
			quiet = 0
			continue
		case quiet == 0:
			quiet = b.quiet()
		}
		if time.Since(state.last) >= quiet {
			return
		}
	}
}

// quiet is how long a loaded page must send nothing to have settled: what consent
// platforms get to answer, and what the tag takes after that.
func (b *browsing) quiet() time.Duration {
	var d document
	wait := defaultWait
	b.look(&d)
	for i := range d.Scripts {
		if n, err := strconv.Atoi(d.Scripts[i].Attrs["data-wait"]); err == nil && n >= 0 {
			wait = min(n, maxWait)
		}
	}
	return time.Duration(wait+settleMillis) * time.Millisecond
}

// stop ends what the page is loading.
func (b *browsing) stop() {
	ctx, cancel := context.WithTimeout(b.ctx, lookTimeout)
	defer cancel()
	_, _ = chromedp.Call(ctx, cdppage.StopLoading, chromedp.Void{}) // what it did not stop, the end does
}

// look fills a document with what is in the page now, and reports whether it could:
// of a page whose scripts never end nothing can be seen.
func (b *browsing) look(d *document) bool {
	ctx, cancel := context.WithTimeout(b.ctx, lookTimeout)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](lookScript))
	var seen document
	if err != nil || json.Unmarshal([]byte(text), &seen) != nil {
		return false
	}
	*d = seen
	return true
}

// dismissDialogs answers no to what the page asks, and lets it be left.
func (b *browsing) dismissDialogs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case kind := <-b.traffic.dialogs:
			accept := kind == cdppage.DialogTypeBeforeunload
			_, _ = chromedp.Call(ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: accept}) // it may be gone
		}
	}
}

// collect fetches what beacons sent and what was answered.
func (b *browsing) collect() {
	ctx, cancel := context.WithTimeout(b.ctx, bodyTimeout)
	defer cancel()
	fetched := 0
	for _, r := range b.traffic.list() {
		if r.method != http.MethodPost || !isBeacon.MatchString(r.url) || fetched == maxBeacons {
			continue
		}
		fetched++
		var bodies [2][]byte
		if sent, err := chromedp.Call(ctx, network.GetRequestPostData, network.GetRequestPostDataParams{RequestID: network.RequestID(r.id)}); err == nil {
			bodies[0] = sent.PostData
		}
		if r.isDone && r.failure == "" {
			if got, err := chromedp.Call(ctx, network.GetResponseBody, network.GetResponseBodyParams{RequestID: network.RequestID(r.id)}); err == nil {
				bodies[1] = got.Body
			}
		}
		b.traffic.keep(r.id, bodies)
	}
}

var isBeacon = regexp.MustCompile(`/v1/(beacon|withdraw)$`)

// headersOf makes headers of what the browser says of them.
func headersOf(all network.Headers) http.Header {
	h := http.Header{}
	for name, value := range all {
		text, ok := value.(string)
		if !ok {
			continue
		}
		for one := range strings.SplitSeq(text, "\n") {
			h.Add(name, one)
		}
	}
	return h
}

func parseOr(address string, fallback *url.URL) *url.URL {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return withoutUser(u)
	}
	return fallback
}
