// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/collector/rights"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// maxFormBytes bounds a form of the visitor's page: a sealed state and a few words.
const maxFormBytes = 4 << 10

const (
	contentTypeForm = "application/x-www-form-urlencoded"
	privacyPath     = "/privacy"
)

// privacy answers GET and POST /privacy, the visitor's own page. On addresses without
// the prefix the cookie is not sent there, so the page is read below the cookie's path.
func (s *Server) privacy(ctx *fasthttp.RequestCtx) error {
	if !ctx.IsPost() && view(ctx.Path()) == privacyPath {
		header := &ctx.Response.Header
		setHeader(header, "Cache-Control", "no-store")
		header.SetBytesV("Location", append([]byte(bareCookiePath[1:]+privacyPath+"?"), ctx.QueryArgs().QueryString()...))
		ctx.SetStatusCode(fasthttp.StatusSeeOther)
		return nil
	}
	x := new(exchange) // a page is read seldom: nothing of it is kept for the next
	body, kind, err := s.answerPage(ctx, x)
	x.lead(ctx)
	if err != nil {
		return err
	}
	header := &ctx.Response.Header
	setHeader(header, "Cache-Control", "no-store")
	for name, value := range pageHeaders {
		setHeader(header, name, value)
	}
	header.SetContentType(kind)
	ctx.Response.SetBodyRaw(body)
	return nil
}

// pageHeaders keep the page to its reader: nobody stores, frames or finds it, and it
// tells nobody where its reader comes from.
var pageHeaders = map[string]string{
	"Content-Security-Policy":      rights.Policy,
	"Referrer-Policy":              "no-referrer",
	"X-Frame-Options":              "DENY",
	"X-Robots-Tag":                 "noindex",
	"X-Content-Type-Options":       "nosniff",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Vary":                         "Accept-Language, Cookie",
}

// answerPage does what the page's form asks for and makes the page, or the file that
// was asked for. The status is set where it is not 200.
func (s *Server) answerPage(ctx *fasthttp.RequestCtx, x *exchange) (body []byte, kind string, err error) {
	x.hear(ctx)
	if err := x.knock(s); err != nil {
		return nil, "", err
	}
	var c claim
	if err := readQuery(ctx, &c); err != nil {
		return nil, "", err
	}
	if ctx.IsPost() {
		if err := readForm(ctx, x, &c); err != nil {
			return nil, "", err
		}
	}
	if err := s.recognise(x, &c, ctx.IsPost()); err != nil {
		return nil, "", err
	}
	x.foreign = false // a site's pages lead here, and read nothing
	v := &rights.Visit{Site: c.site, Lang: s.pageLanguage(x, &c), MayErase: s.options.Eraser != nil, HandedOn: c.state != ""}
	if err = s.actOnPage(x, &c, v); err == nil && c.do == rights.Download {
		body, err = s.file(&c)
		if err == nil {
			setHeader(&ctx.Response.Header, "Content-Disposition", attachment(c.site))
			return body, contentTypeJSON, nil
		}
	}
	if err != nil {
		refused := refusalOf(err)
		s.metrics.errors.add(refused.code)
		ctx.SetStatusCode(refused.status)
		v.Failed = refused.code
	}
	if err := s.fillPage(x, &c, v); err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	if err := s.page.Write(&out, v); err != nil {
		return nil, "", err
	}
	return out.Bytes(), "text/html; charset=utf-8", nil
}

// readForm reads the page's form.
func readForm(ctx *fasthttp.RequestCtx, x *exchange, c *claim) error {
	kind, _, _ := strings.Cut(x.headers.contentType, ";")
	if !strings.EqualFold(trimSpace(kind), contentTypeForm) {
		return errForm
	}
	if len(x.body) > maxFormBytes {
		return errBodyTooLarge
	}
	for key, value := range ctx.PostArgs().All() {
		switch name := view(key); {
		case name == "state" && len(value) > edge.MaxStateBytes:
			return &DecodeError{Field: "state", Code: faults[faultLong].code, Err: faults[faultLong].err}
		case name == "state":
			c.state = string(value)
		case name == "do":
			c.do = string(value)
		case name == "lang" && len(value) <= edge.MaxLangBytes:
			c.lang = string(value)
		case slices.Contains(idMembers, name):
			return errNamed(idMembers[slices.Index(idMembers, name)])
		}
	}
	switch c.do {
	case rights.Show, rights.Download, rights.Withdraw, rights.Erase:
		return nil
	}
	return &DecodeError{Field: "do", Code: faults[faultValue].code, Err: faults[faultValue].err}
}

var errForm = &refusal{415, "unsupported_media_type", "Content-Type", "send the page's form as " + contentTypeForm}

// actOnPage does what is asked for, and notes what came of it.
func (s *Server) actOnPage(x *exchange, c *claim, v *rights.Visit) (err error) {
	switch c.do {
	case rights.Withdraw:
		v.Receipt, err = s.withdrawAll(x, c)
	case rights.Erase:
		v.Receipt, err = s.erase(x, c)
	case rights.Download:
		return s.open(x, c)
	}
	if c.do == rights.Withdraw || c.do == rights.Erase && err == nil {
		v.Done = c.do // a withdrawal counts, whether or not its receipt could be stored
		c.state, c.held = "", nil
	}
	return err
}

// file is the export as a file.
func (s *Server) file(c *claim) ([]byte, error) {
	d, err := s.disclose(c, true)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(d, "", "  ")
}

// fillPage puts on the page what is held, allowed and decided.
func (s *Server) fillPage(x *exchange, c *claim, v *rights.Visit) error {
	v.RetainDays = int(c.release.Retain() / (24 * time.Hour))
	if v.Done == "" {
		switch err := s.open(x, c); {
		case err == nil:
			v.Note, v.State, v.Held = rights.OpenNote, c.state, c.release.Disclose(c.held, s.options.Now())
			v.Held.HideIDs()
		case errors.Is(err, errErased):
			v.Note = rights.ErasedNote
		case errors.Is(err, errBadState):
			v.Note = rights.UnreadNote
		}
	}
	return s.review(x, c, v)
}

// review asks the engine what it decides for the visitor now, as far as the page knows
// what they allow.
func (s *Server) review(x *exchange, c *claim, v *rights.Visit) error {
	x.outcome.Reset() // of a withdrawal's receipt
	x.beacon.Reset()
	b := &x.beacon
	b.Site, b.Slots = c.site, c.release.Slots()
	b.Page.Lang, b.Consent.Claimed = v.Lang, consent.All
	known := knownGrants(c.held)
	if c.held != nil || v.Done != "" {
		b.Consent.Owner = consent.Choice{Granted: known, Refused: consent.All &^ known}
	}
	if err := x.describe(s, c.release); err != nil {
		return err
	}
	r := &x.request
	if r.State = ""; c.held != nil {
		r.State = c.sealed(x)
	}
	if r.Path = "/"; r.PageLang == "" {
		r.PageLang = r.Lang
	}
	if err := s.engine.Review(b, &x.request, &x.outcome); err != nil {
		return err
	}
	v.Decisions = x.outcome.Decisions
	v.Allowed = bases(c.held, x.outcome.Verdict.Granted, known, b.Consent.GPC, v.Done != "")
	return nil
}

// knownGrants are the purposes that a state shows to be granted: those of its receipt,
// and those without which what it holds would not be there.
func knownGrants(state *edge.State) consent.Purposes {
	if state == nil {
		return 0
	}
	known := consent.Storage | consent.Profile | state.Receipt.Purposes
	if len(state.Items)+len(state.Interests)+len(state.Activity) > 0 {
		known |= consent.Personalise
	}
	if len(state.Shown) > 0 {
		known |= consent.Measure
	}
	return known
}

// bases says of each purpose whether it is granted, and how the page knows.
func bases(state *edge.State, granted, known consent.Purposes, gpc, withdrawn bool) map[consent.Purposes]rights.Basis {
	out := map[consent.Purposes]rights.Basis{}
	answered := consent.Purposes(0)
	if state != nil {
		answered = state.Receipt.Purposes
	}
	for _, row := range consent.Rows() {
		basis := rights.Unknown
		switch {
		case granted.Has(row.Bit) && answered.Has(row.Bit):
			basis = rights.ByAnswer
		case granted.Has(row.Bit) && known.Has(row.Bit):
			basis = rights.ByNote
		case granted.Has(row.Bit):
			basis = rights.ByDefault
		case known.Has(row.Bit) && gpc, gpc && row.Bit == consent.Share:
			basis = rights.TakenAway
		case answered != 0, withdrawn:
			basis = rights.Refused
		}
		out[row.Bit] = basis
	}
	return out
}

// pageLanguage is the page's language: the one that was chosen, else the one of its
// own that suits the visitor best, else the site's first that it has.
func (s *Server) pageLanguage(x *exchange, c *claim) string {
	for _, q := range []question{
		{prefers: []string{c.lang}, exact: true},
		{accept: x.headers.acceptLanguage},
		{prefers: c.release.Languages()},
	} {
		if at := s.pageLanguages.match(&q); at >= 0 {
			return rights.Languages[at]
		}
	}
	return rights.Languages[0]
}
