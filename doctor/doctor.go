// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at one page as its developer would: is the tag there, may it
// run, does a node answer it, who speaks for consent, which slots are there, and
// what was asked and answered. What it finds it says with the next step.
//
// It opens the page in a browser of its own, with a profile that is made for it and
// deleted afterwards, or reads the page's HTML where there is no browser. Beside what
// the page itself sends it asks the node three things: the tag's file, /healthz, and
// which of the page's slots it knows, in a beacon without events that grants nothing.
// None of it is counted or recorded, and every request of its own says that it is a
// bot's.
//
// The page is not trusted: its size, its redirects, its navigations and its time are
// bounded. The package keeps no state; Examine may be called by any number of
// goroutines at once.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of Options.Timeout.
const (
	MinTimeout = time.Second
	MaxTimeout = 5 * time.Minute
)

// askTimeout bounds each question of the doctor's own to the node.
const askTimeout = 5 * time.Second

// A Build is a tag that the doctor can recognise by its bytes.
type Build struct {
	Name   string // in plain words, like "this version's, for visitors"
	Script []byte // read-only
}

// Options say what to look at, and how.
type Options struct {
	// URL is the page: http or https, with a host. A user and password in it are
	// used for the page's own origin and never printed.
	URL *url.URL
	// Browser is the program of a Chromium, empty to read the page without one.
	Browser string
	// AsVisitor has the browser not say that it is headless: the node answers and
	// counts it like any visitor.
	AsVisitor bool
	// Timeout is how long opening the page may take, MinTimeout to MaxTimeout.
	Timeout time.Duration
	// Builds are the tags to recognise; the first that equals the page's is named.
	Builds []Build
}

// ErrURL is wrapped by the error for an address that is no page's.
var ErrURL = errors.New("no address of a page")

// ParseURL reads the address of a page. One without a scheme is of http on this
// machine, else of https. The error wraps ErrURL.
func ParseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		scheme := "https://"
		if u, err := url.Parse("//" + text); err == nil && isLoopback(u.Hostname()) {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: it cannot be read", ErrURL) // the error would hold a password
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%w: the scheme is %q, want http or https", ErrURL, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%w: it names no host", ErrURL)
	}
	return u, nil
}

// An examination is one page's, while it lasts.
type examination struct {
	options Options
	client  *http.Client
	report  *Report
	page    *page
	tag     *script // nil where there is none
	src     *url.URL
	file    tagFile
	node    nodeAnswers
	// facts fill the places in the next steps.
	facts map[string]string
}

// Examine looks at a page. It takes at most 15 s for the browser's start, the timeout
// for opening the page, as long again where it must be read after that, and some
// seconds for looking and for the node. What is wrong with the page is in the report;
// the error is that of ctx, or of the options.
func Examine(ctx context.Context, o Options) (*Report, error) {
	if o.URL == nil || o.Timeout < MinTimeout || o.Timeout > MaxTimeout {
		return nil, fmt.Errorf("doctor: want a URL, and a timeout of %v to %v", MinTimeout, MaxTimeout)
	}
	began := time.Now()
	x := &examination{options: o, client: newClient(), facts: map[string]string{"url": o.URL.Redacted()}}
	defer x.client.CloseIdleConnections()
	x.report = &Report{Version: reportVersion, URL: o.URL.Redacted(), Findings: []Finding{}, Slots: []SlotReport{}, Requests: []RequestReport{}}
	x.open(ctx)
	if x.page.isThere() {
		x.locate()
		x.ask(ctx)
		for _, check := range []func(){x.checkTag, x.checkPolicies, x.checkOrigin, x.checkConsent, x.checkSlots, x.checkRequests} {
			check()
		}
	}
	x.report.sort()
	x.report.TookMillis = time.Since(began).Milliseconds()
	return x.report, ctx.Err()
}

// open opens the page in the browser, or reads it where there is none and where the
// browser cannot look into it.
func (x *examination) open(ctx context.Context) {
	x.page = x.browse(ctx)
	if x.page == nil {
		ctx, cancel := context.WithTimeout(ctx, x.options.Timeout)
		defer cancel()
		x.page = read(ctx, x.client, x.options.URL)
	}
	x.checkPage()
	if x.page.isThere() && !x.page.inBrowser {
		x.find("page-read", "the page's HTML was read: what scripts add, say and send was not seen")
	}
}

// browse is the page as the browser has it, nil if that cannot be had.
func (x *examination) browse(ctx context.Context) *page {
	if x.options.Browser == "" {
		return nil
	}
	p, err := browse(ctx, &x.options)
	switch {
	case err != nil:
		x.find("browser-failed", fmt.Sprintf("%s did not start: %s", x.options.Browser, clip(err.Error(), 300)))
		return nil
	case p.isStuck:
		x.find("page-stuck", fmt.Sprintf("the browser could not look into the page after %v (it opened %s)", p.watched.Round(time.Second), counted(p.dialogs, "dialog")))
		return nil
	}
	x.report.Browser = x.options.Browser
	return p
}

// locate finds the tag on the page, and from it the facts of the next steps.
func (x *examination) locate() {
	p := x.page
	x.facts["url"], x.facts["origin"] = p.url.String(), p.origin()
	x.facts["src"], x.facts["base"], x.facts["site"] = "/_near/tag.js", p.origin()+"/_near/", "SITE"
	x.report.Page = p.url.String()
	x.tag = p.tag()
	if x.tag == nil {
		return
	}
	if site := x.tag.Attrs["data-site"]; site != "" {
		x.facts["site"], x.report.Site = clip(site, 100), clip(site, 100)
	}
	x.src = x.tag.address(p)
	if x.src == nil {
		return
	}
	x.facts["src"] = x.src.String()
	x.facts["base"] = x.src.ResolveReference(&url.URL{Path: "."}).String()
	x.report.Tag, x.report.Node = x.facts["src"], x.facts["base"]
}

// endpoint is the address of a path of the collector, as the tag forms it.
func (x *examination) endpoint(path string) *url.URL {
	return x.src.ResolveReference(&url.URL{Path: path})
}
