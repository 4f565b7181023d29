// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A shop is a site made for one test: its pages, its tag and a collector that
// speaks the wire and remembers what it was sent.
type shop struct {
	t      *testing.T
	id     string
	server *httptest.Server
	other  *httptest.Server // the same under another origin

	// header is sent with every page.
	header http.Header
	// script is the tag; tagDelay holds it back, noTag refuses it.
	script   []byte
	tagDelay time.Duration
	noTag    bool
	// module is served as /module.js.
	module []byte
	// pageDelay is how long the script /slow holds the page's parser.
	pageDelay time.Duration
	// hurries leaves the slots' hiding as short as the snippet has it. Elsewhere
	// it is longer, so that a slow machine does not turn answers into late ones.
	hurries bool
	// contents are the decisions by slot; other slots get a default.
	contents map[string]decision
	// reply answers the nth beacon, counted from 1, in place of the collector
	// if it returns true.
	reply func(n int, b *beacon, w http.ResponseWriter) bool

	mu        sync.Mutex
	pages     map[string]string
	beacons   []*beacon
	withdraws []json.RawMessage
	requests  []*http.Request // every one to the collector, without its body
	reports   []string        // of the content security policy
	strays    []string        // requests that must not happen
}

// newShop starts a shop and stops it with the test. What the tag sent is checked
// against the wire's limits and the purposes then.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, id: "shop", script: Script, pages: map[string]string{}, contents: map[string]decision{}, header: http.Header{}}
	s.server = httptest.NewServer(s)
	s.other = httptest.NewServer(s)
	t.Cleanup(func() {
		s.server.Close()
		s.other.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, b := range s.beacons {
			for _, fault := range b.faults() {
				t.Errorf("beacon %d: %s\n%s", i+1, fault, b.raw)
			}
		}
		for _, stray := range append(s.strays, s.reports...) {
			t.Error(stray)
		}
	})
	return s
}

// page adds a page with the snippet in its head, and returns its address. In
// head and body, $ stands for the script's nonce.
func (s *shop) page(path string, o SnippetOptions, head, body string) string {
	if o.Src == "" {
		o.Src = "/_near/tag.js"
	}
	if o.Site == "" {
		o.Site = s.id
	}
	o.Nonce = "n0"
	style := "near-slot,[data-slot]{display:block;min-height:200px}"
	if !s.hurries {
		style += "near-slot:not([data-near]),[data-slot]:not([data-near]){animation-delay:20s}"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = "<!doctype html><html lang=en><meta charset=utf-8><title>Hats</title>" +
		strings.ReplaceAll(head, "$", "n0") + Snippet(o) +
		"<style nonce=n0>" + style + "</style><body>" + strings.ReplaceAll(body, "$", "n0")
	return s.server.URL + path
}

// grant returns a script that grants purposes before the tag has come.
func grant(purposes ...string) string {
	return `<script nonce=$>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)};` +
		`near("consent",{` + strings.Join(purposes, ":true,") + `:true})</script>`
}

// allPurposes are the names that grant takes.
var allPurposes = []string{"storage", "measure", "context", "profile", "personalise", "share", "geo", "device"}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/_near/tag.js":
		time.Sleep(s.tagDelay)
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		if s.noTag {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(s.script)
	case r.URL.Path == "/_near/tag.debug.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(debugScript)
	case strings.HasPrefix(r.URL.Path, "/_near/v1/"):
		s.collect(w, r)
	case r.URL.Path == "/report":
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.reports = append(s.reports, "policy report: "+string(body))
		s.mu.Unlock()
	case r.URL.Path == "/module.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(s.module)
	case r.URL.Path == "/slow":
		time.Sleep(s.pageDelay)
	case r.URL.Path == "/favicon.ico":
	default:
		s.mu.Lock()
		html, ok := s.pages[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		for name, values := range s.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, html)
	}
}

// collect does what the collector does, as far as the tag can tell.
func (s *shop) collect(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the browser went before it had sent all of it
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		s.strays = append(s.strays, fmt.Sprintf("%s %s with %q needs a preflight", r.Method, r.URL, r.Header.Get("Content-Type")))
	}
	s.mu.Unlock()
	if origin := r.Header.Get("Origin"); origin != "http://"+r.Host {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if strings.HasSuffix(r.URL.Path, "/withdraw") {
		s.mu.Lock()
		s.withdraws = append(s.withdraws, body)
		s.mu.Unlock()
		http.SetCookie(w, &http.Cookie{Name: "near", MaxAge: -1, HttpOnly: true, Path: "/_near"})
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b, err := decodeBeacon(body)
	if err != nil || len(body) > 30_000 {
		s.mu.Lock()
		s.strays = append(s.strays, fmt.Sprintf("beacon of %d B: %v\n%.2000s", len(body), err, body))
		s.mu.Unlock()
		http.Error(w, `{"error":{"code":"bad_beacon","message":"bad beacon"}}`, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.beacons = append(s.beacons, b)
	n := len(s.beacons)
	s.mu.Unlock()
	if s.reply == nil || !s.reply(n, b, w) {
		s.answer(b, w)
	}
}

// answer decides every slot from the shop's contents, passes over those whose name
// cannot be, and accepts every event.
func (s *shop) answer(b *beacon, w http.ResponseWriter, rejected ...rejection) {
	a := answer{V: 1, Granted: b.Consent.Purposes, Accepted: len(b.Events) - len(rejected), Rejected: rejected}
	a.Resend = slices.ContainsFunc(rejected, func(r rejection) bool { return r.Code == "unavailable" })
	for i, slot := range b.Slots {
		if !slotPattern.MatchString(slot.Name) {
			continue
		}
		s.mu.Lock()
		d, ok := s.contents[slot.Name]
		s.mu.Unlock()
		if !ok {
			d = decision{Kind: "default", Reason: "no-answer", Because: "no rule chose"}
		}
		d.Slot, d.ID = slot.Name, fmt.Sprintf("d%d.%s", i, slot.Name)
		a.Decisions = append(a.Decisions, d)
	}
	if len(a.Decisions)+len(rejected) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, a)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// text is a decision for a text.
func text(words string) decision {
	content, _ := json.Marshal(map[string]string{"text": words})
	return decision{Kind: "text", Variant: "v", Lang: "fr", Dir: "ltr", Reason: "rule", Content: content}
}

// decide changes what is decided for a slot of a page that is already open.
func (s *shop) decide(slot string, d decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contents[slot] = d
}

// calls returns the requests to the collector so far, without their bodies.
func (s *shop) calls() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.requests...)
}

// withdrawals returns the bodies of the withdrawals so far.
func (s *shop) withdrawals() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range s.withdraws {
		list = append(list, string(body))
	}
	return list
}

// sent returns the beacons so far.
func (s *shop) sent() []*beacon {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*beacon(nil), s.beacons...)
}

// events returns the events with a name that have come so far.
func (s *shop) events(name string) (list []beaconEvent) {
	for _, b := range s.sent() {
		for _, event := range b.Events {
			if event.Name == name {
				list = append(list, event)
			}
		}
	}
	return list
}

// counts returns how many beacons and withdrawals have come so far.
func (s *shop) counts() (beacons, withdrawals int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.beacons), len(s.withdraws)
}

// waitFor waits until ok holds, and fails the test if it does not within 20 s.
func (s *shop) waitFor(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n, withdrawals := s.counts()
			s.t.Fatalf("no %s; %d beacons and %d withdrawals came", what, n, withdrawals)
		}
	}
}

// waitForEvent waits for the first event with a name.
func (s *shop) waitForEvent(name string) beaconEvent {
	s.t.Helper()
	s.waitFor(name, func() bool { return len(s.events(name)) > 0 })
	return s.events(name)[0]
}
