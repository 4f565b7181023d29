// SPDX-License-Identifier: Apache-2.0

// Package demo is a small shop that shows everything the product does.
//
// It stands in front of the collector on one origin: it serves the shop's pages
// itself and hands every other request on. On the way it plays with the
// visitor: what the visitor bar says in the page's address (place, device,
// language, Global Privacy Control) takes the place of the client address and
// of the headers that would say otherwise. That power exists in this package
// and nowhere else; the collector has no override, and without words in the
// page's address nothing is touched.
//
// The shop keeps nothing in web storage, asks no other host for anything and holds
// no state on the server: consent and basket live in the page's address. It sets one
// cookie, for who signs in, which holds the name of a sample account. It never sees
// what a visitor is decided to be shown; that is between the tag and the collector.
//
// A Demo is immutable once made: its methods may be called by any number of
// goroutines at once.
package demo

import (
	"bytes"
	"errors"
	"html/template"
	"strings"

	"github.com/valyala/fasthttp"
)

// Site is the demo's site id.
const Site = "demo"

// DefaultPrefix is where the tag and the collector answer on the shop's origin.
const DefaultPrefix = "/_near"

// DefaultEventsCommand is shown to a reader who wants to see stored events.
const DefaultEventsCommand = "nearside events --follow"

// Options says what a Demo stands in front of.
type Options struct {
	// Prefix is where the tag and the collector answer, without a slash at the
	// end; empty means DefaultPrefix.
	Prefix string
	// Snippet is the tag's embedding for Site as the tag package spells it: its
	// style and its scripts, without nonces. The demo adds a nonce to each and
	// asks the script for explanations.
	Snippet string
	// EventsCommand prints stored events; empty means DefaultEventsCommand.
	EventsCommand string
	// Secret signs the tokens by which the shop says who has signed in: one of the
	// identity keys that the node has of Site, at least 32 bytes. New copies it.
	Secret []byte
}

// A Demo is the shop, ready to serve.
type Demo struct {
	prefix        string
	snippet       string // with noncePlaceholder for a nonce
	eventsCommand string
	secret        []byte
	languages     []*language
	pages         map[string]*template.Template // by language
	assets        map[string]asset              // by path
}

// ErrSnippet reports a snippet that does not embed the tag for Site.
var ErrSnippet = errors.New("demo: the snippet does not embed the tag for site " + Site)

// ErrSecret reports a secret that is too short to sign tokens with.
var ErrSecret = errors.New("demo: the secret that signs tokens is shorter than 32 bytes")

// noncePlaceholder stands in a prepared snippet where each page puts its nonce.
const noncePlaceholder = "\x00nonce\x00"

// New makes the shop. It fails only for a snippet that does not embed the tag for
// Site, for a short secret, or for pages and texts that do not fit each other, which
// its tests rule out.
func New(o Options) (*Demo, error) {
	if len(o.Secret) < secretBytes {
		return nil, ErrSecret
	}
	d := &Demo{prefix: o.Prefix, eventsCommand: o.EventsCommand, secret: bytes.Clone(o.Secret)}
	if d.prefix == "" {
		d.prefix = DefaultPrefix
	}
	if d.eventsCommand == "" {
		d.eventsCommand = DefaultEventsCommand
	}
	var err error
	if d.snippet, err = prepareSnippet(o.Snippet); err != nil {
		return nil, err
	}
	if d.languages, err = loadLanguages(); err != nil {
		return nil, err
	}
	if d.pages, err = parsePages(d.languages); err != nil {
		return nil, err
	}
	if d.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	return d, nil
}

// Wrap returns a handler that serves the shop and hands the tag's and the
// collector's requests on to next, as the visitor whom the page's address
// plays.
func (d *Demo) Wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if !d.isCollectors(string(ctx.Path())) {
			d.serve(ctx)
			return
		}
		defer play(ctx)()
		next(ctx)
	}
}

// isCollectors reports whether a path belongs to the tag or the collector.
func (d *Demo) isCollectors(path string) bool {
	switch path {
	case "/tag.js", "/healthz", "/readyz":
		return true
	}
	return strings.HasPrefix(path, d.prefix+"/") || strings.HasPrefix(path, "/v1/")
}

// prepareSnippet gives each style and script of the snippet room for a nonce,
// without which the shop's content security policy would block it, and makes
// the script ask for explanations.
func prepareSnippet(snippet string) (string, error) {
	site := `data-site="` + Site + `"`
	if !strings.Contains(snippet, site) {
		return "", ErrSnippet
	}
	if !strings.Contains(snippet, "data-why") {
		snippet = strings.Replace(snippet, site, site+" data-why", 1)
	}
	nonce := ` nonce="` + noncePlaceholder + `"`
	return strings.NewReplacer("<style", "<style"+nonce, "<script", "<script"+nonce).Replace(snippet), nil
}
