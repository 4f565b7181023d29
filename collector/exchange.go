// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// An exchange is one request's work space. It is reused, so that a request in
// steady state allocates nothing for it.
type exchange struct {
	// What is asked, as the server, the fast path or a loop read it.
	raw     []byte // where a loop reads it, nil elsewhere
	headers headers
	from    sender
	path    string
	body    []byte
	read    time.Time     // when its last byte had been read; zero if not from a listener
	took    time.Duration // from then until it was decided, or until its events' fate was known

	peer       peer
	sameOrigin bool
	cookies    cookies // on the same origin only

	// What is answered. foreign means that the page is of another origin and may
	// read it.
	foreign bool
	says    bool // there is a body: answer
	answer  answer
	jar     cookieJar
	broken  bool   // something panicked: x is not used again
	wire    []byte // the whole answer, where the fast path or a loop gives it, behind skip bytes
	skip    int

	decoder    Decoder
	beacon     edge.Beacon
	withdrawal withdrawal
	request    edge.Request
	outcome    edge.Outcome

	key      []byte    // cache keys
	text     []byte    // values of the page's address that had to be decoded
	size     []byte    // the screen's size as text
	pageLang [1]string // as a list, for matching
}

// free forgets the request: its strings are views of memory that the next one
// overwrites.
func (x *exchange) free() {
	x.headers, x.from, x.path, x.body = headers{}, sender{}, "", nil
	x.sameOrigin, x.foreign, x.says, x.answer, x.took = false, false, false, answer{}, 0
	x.jar.empty()
	if cap(x.wire) > keptBodyBytes {
		x.wire = nil
	}
	x.cookies, x.request, x.withdrawal = cookies{}, edge.Request{}, withdrawal{}
	x.beacon.Reset()
	x.outcome.Reset()
	x.decoder.reset(nil)
	x.pageLang[0] = ""
}

// take takes what is asked as the framing's reader picked it out.
func (x *exchange) take(p *picked, body []byte, from sender) {
	x.headers, x.from, x.path, x.body = p.headers, from, p.path, body
}

// hear takes what is asked from fasthttp.
func (x *exchange) hear(ctx *fasthttp.RequestCtx) {
	x.headers.read(&ctx.Request.Header)
	x.from, x.path, x.body, x.read = senderOf(ctx), view(ctx.Path()), ctx.PostBody(), ctx.Time()
}

// reply gives fasthttp what is answered. After an error that is whether the page
// may read it, and what had become of its cookies; the rest is the error's.
func (x *exchange) reply(ctx *fasthttp.RequestCtx, err error) {
	x.lead(ctx)
	if err != nil {
		return
	}
	header := &ctx.Response.Header
	setHeader(header, "Cache-Control", "no-store")
	if !x.says {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	header.SetContentType(contentTypeJSON)
	body := ctx.Response.SwapBody(nil)[:0]
	ctx.Response.SwapBody(x.answer.appendJSON(body))
}

// lead sets what leads every answer: who may read it, and what becomes of the cookies.
func (x *exchange) lead(ctx *fasthttp.RequestCtx) {
	if x.foreign {
		allowReading(ctx, x.headers.origin)
	}
	for value := range x.jar.all {
		ctx.Response.Header.AddBytesV("Set-Cookie", value)
	}
}

// begin finds out who asks, and whether what they say may be JSON.
func (x *exchange) begin(s *Server) error {
	if err := x.knock(s); err != nil {
		return err
	}
	return checkContent(&x.headers)
}

// knock finds out who asks, and refuses who asks too often.
func (x *exchange) knock(s *Server) error {
	if x.headers.forwarded {
		s.noteForwarded(&x.from)
	}
	at := x.read
	if at.IsZero() {
		at = time.Now()
	}
	if x.peer = s.peerOf(&x.from); !s.pace(&x.peer, at) {
		return errTooManyRequests
	}
	return nil
}

// describe makes the engine's request out of what was read. It must hold nothing yet.
func (x *exchange) describe(s *Server, release *edge.Release) error {
	page, err := x.address()
	if err != nil {
		return err
	}
	b, h := &x.beacon, &x.headers
	r := &x.request
	r.Now, r.Addr, r.Host, r.Path, r.State = s.arrival(x), x.peer.addr, page.host, page.path, b.State
	if x.sameOrigin {
		x.cookies = findCookies(h.cookie, b.Site)
		r.State = x.cookies.state()
	}
	b.Consent.GPC = b.Consent.GPC || saysGPC(h.gpc)

	r.Ahead = h.ahead
	r.Device, r.Bot, x.key = s.devices.read(h, x.key)
	r.Device.TimeZone = b.Client.TimeZone
	if w := b.Client.Screen; w[0] > 0 {
		x.size = strconv.AppendInt(x.size[:0], int64(w[0]), 10)
		x.size = strconv.AppendInt(append(x.size, 'x'), int64(w[1]), 10)
		r.Device.Screen = view(x.size)
	}
	site := s.languages.of(release)
	reader := question{prefers: b.Client.Langs, accept: h.acceptLanguage}
	r.Lang, x.key = s.languages.match(site, &reader, x.key)
	r.PageLang, x.key = x.languageOfPage(s, site)
	r.Ref, r.Source, x.text = s.referrers.readSource(page, b.Page.Ref, x.text[:0])
	r.Preview = previewToken(page.query)
	return nil
}

// languageOfPage returns the site's language of the page, and x.key.
func (x *exchange) languageOfPage(s *Server, site *siteLanguages) (string, []byte) {
	lang := x.beacon.Page.Lang
	if name, ok := site.own[lang]; ok {
		return name, x.key
	}
	x.pageLang[0] = lang
	return s.languages.match(site, &question{prefers: x.pageLang[:], exact: true}, x.key)
}

// arrival is when a request arrived, by the server's clock.
func (s *Server) arrival(x *exchange) time.Time {
	if s.realTime && !x.read.IsZero() {
		return x.read
	}
	return s.options.Now()
}

// address takes the page's address apart. It must be of the origin that the
// browser vouches for; a beacon without one still has that origin's host.
func (x *exchange) address() (address, error) {
	raw, origin := x.beacon.Page.URL, x.headers.origin
	if raw == "" {
		page, _ := splitAddress(origin)
		page.path = ""
		return page, nil
	}
	page, ok := splitAddress(raw)
	if !ok {
		return address{}, errPageURL
	}
	if page.origin != origin {
		return address{}, errURLOrigin
	}
	return page, nil
}

// errPageURL refuses what a browser does not put into location.href.
var errPageURL = &DecodeError{Field: "page.url", Code: faults[faultValue].code, Err: faults[faultValue].err}
