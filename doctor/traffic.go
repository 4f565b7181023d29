// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// Bounds of what is noted of a page.
const (
	maxNoted = 5000 // requests, and documents
	maxURL   = 2000 // of a request's address
	maxLines = 200  // of the console
)

// A cause is why a page is not watched any longer.
type cause int

const (
	causeNone cause = iota
	causeLoops
	causeTooLarge
)

// traffic notes what the browser says of a page: its requests, navigations, console
// and dialogs. note is called by the browser's reader, the rest by whoever watches.
type traffic struct {
	dialogs chan cdppage.DialogType

	mu       sync.Mutex
	requests []*request // in the order of their starts
	byID     map[network.RequestID]*request
	mains    map[string]*response // documents of the main frame, by loader
	hops     map[string]int       // redirects, by loader
	open     map[network.RequestID]bool
	commits  []string // loaders of the main frame, in order
	address  string   // of the main frame now
	isLoaded bool
	last     time.Time // something of interest happened
	bytes    int64
	lines    []consoleLine
	opened   int // dialogs
	cause    cause
}

// A response is the head of a document.
type response struct {
	url, kind string
	status    int
	headers   network.Headers
	bytes     int64
}

func newTraffic() *traffic {
	return &traffic{
		dialogs: make(chan cdppage.DialogType, 1), byID: map[network.RequestID]*request{}, mains: map[string]*response{},
		hops: map[string]int{}, open: map[network.RequestID]bool{}, last: time.Now(),
	}
}

// note takes one event. It does not block.
func (t *traffic) note(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		t.begin(e)
	case *network.EventResponseReceived:
		t.respond(e)
	case *network.EventDataReceived:
		t.receive(e)
	case *network.EventLoadingFinished:
		t.end(e.RequestID, clockOf(e.Timestamp), "", "")
	case *network.EventLoadingFailed:
		t.end(e.RequestID, clockOf(e.Timestamp), e.ErrorText, string(e.BlockedReason))
	case *cdppage.EventFrameNavigated:
		t.navigate(e)
	case *cdppage.EventLoadEventFired:
		t.isLoaded, t.last = true, time.Now()
	case *cdppage.EventJavascriptDialogOpening:
		t.opened++
		select {
		case t.dialogs <- e.Type:
		default: // one waits to be answered, and there is never another beside it
		}
	case *runtime.EventConsoleAPICalled:
		t.hear(e)
	case *runtime.EventExceptionThrown:
		t.fail(e.ExceptionDetails)
	}
}

// clockOf is a time of the browser's clock, in seconds from a beginning that means
// nothing.
func clockOf(at cdp.MonotonicTime) time.Duration {
	return time.Duration(float64(at) * float64(time.Second))
}

func (t *traffic) begin(e *network.EventRequestWillBeSent) {
	if e.RedirectResponse != nil && e.Type == network.ResourceTypeDocument {
		t.hops[string(e.LoaderID)]++
	}
	r := t.byID[e.RequestID]
	if r == nil {
		if len(t.requests) == maxNoted {
			return
		}
		r = &request{id: string(e.RequestID), start: clockOf(e.Timestamp)}
		t.byID[e.RequestID] = r
		t.requests = append(t.requests, r)
	}
	r.method, r.url = e.Request.Method, clip(e.Request.URL, maxURL)
	t.count(int64(len(e.Request.URL))) // data: is sent in it
	if isBeacon.MatchString(r.url) {
		t.open[e.RequestID], t.last = true, time.Now()
	}
}

func (t *traffic) respond(e *network.EventResponseReceived) {
	if r := t.byID[e.RequestID]; r != nil {
		r.status = int(e.Response.Status)
	}
	if e.Type == network.ResourceTypeDocument && string(e.RequestID) == string(e.LoaderID) && len(t.mains) < maxNoted {
		t.mains[string(e.LoaderID)] = &response{url: e.Response.URL, kind: e.Response.MimeType, status: int(e.Response.Status), headers: e.Response.Headers}
	}
}

func (t *traffic) receive(e *network.EventDataReceived) {
	t.count(e.DataLength)
	document := t.mains[string(e.RequestID)]
	if document == nil {
		return
	}
	if document.bytes += e.DataLength; document.bytes > maxDocumentBytes {
		t.cause = causeTooLarge
	}
}

// count counts bytes of the page's traffic, and stops the page at too many.
func (t *traffic) count(bytes int64) {
	if t.bytes += bytes; t.bytes > maxTrafficBytes {
		t.cause = causeTooLarge
	}
}

func (t *traffic) end(id network.RequestID, at time.Duration, failure, blocked string) {
	r := t.byID[id]
	if r == nil {
		return
	}
	r.end, r.failure, r.blocked, r.isDone = at, failure, blocked, true
	if t.open[id] {
		delete(t.open, id)
		t.last = time.Now()
	}
}

func (t *traffic) navigate(e *cdppage.EventFrameNavigated) {
	if e.Frame.ParentID != "" || e.Frame.URL == "about:blank" {
		return
	}
	t.commits = append(t.commits, string(e.Frame.LoaderID))
	t.address, t.isLoaded, t.last = e.Frame.URL, false, time.Now()
	clear(t.open) // what the page before it waited for is not waited for
	if len(t.commits) > maxMoves+1 {
		t.cause = causeLoops
	}
}

func (t *traffic) hear(e *runtime.EventConsoleAPICalled) {
	if len(t.lines) == maxLines {
		return
	}
	var words []string
	for _, arg := range e.Args {
		text := arg.Description // what is no text has one
		if len(arg.Value) > 0 && json.Unmarshal(arg.Value, &text) != nil {
			text = string(arg.Value)
		}
		words = append(words, clip(text, 500))
	}
	l := consoleLine{text: line(strings.Join(words, " ")), isError: e.Type == runtime.ConsoleAPICalledTypeError}
	if e.StackTrace != nil && len(e.StackTrace.CallFrames) > 0 {
		l.url = e.StackTrace.CallFrames[0].URL
	}
	t.lines = append(t.lines, l)
}

func (t *traffic) fail(e *runtime.ExceptionDetails) {
	if len(t.lines) == maxLines {
		return
	}
	l := consoleLine{text: e.Text, url: e.URL, isError: true}
	if e.Exception != nil && e.Exception.Description != "" {
		l.text, _, _ = strings.Cut(e.Exception.Description, "\n")
	}
	if l.url == "" && e.StackTrace != nil && len(e.StackTrace.CallFrames) > 0 {
		l.url = e.StackTrace.CallFrames[0].URL
	}
	l.text = line(l.text)
	t.lines = append(t.lines, l)
}

// A trafficState is what a page is doing now.
type trafficState struct {
	loaded bool
	open   int // beacons under way
	last   time.Time
	cause  cause
}

func (t *traffic) state() trafficState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return trafficState{t.isLoaded, len(t.open), t.last, t.cause}
}

func (t *traffic) loaded() bool { return t.state().loaded }

// committed reports whether a page has begun to show.
func (t *traffic) committed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.commits) > 0
}

// list returns the requests as they are now.
func (t *traffic) list() []request {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []request
	for _, r := range t.requests {
		all = append(all, *r)
	}
	return all
}

// keep adds to a request what was sent and answered.
func (t *traffic) keep(id string, bodies [2][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.byID[network.RequestID(id)]; r != nil {
		r.sent, r.answer = bodies[0], bodies[1]
	}
}

// describe writes what was noted into a page.
func (t *traffic) describe(p *page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.requests {
		one := *r
		p.requests = append(p.requests, &one)
	}
	p.lines, p.dialogs = append([]consoleLine(nil), t.lines...), t.opened
	if len(t.commits) == 0 {
		return
	}
	loader := t.commits[len(t.commits)-1]
	p.moves, p.hops = len(t.commits)-1, t.hops[t.commits[0]]
	p.url = parseOr(t.address, p.url)
	if document := t.mains[loader]; document != nil {
		p.status, p.kind, p.header = document.status, document.kind, headersOf(document.headers)
	}
}
