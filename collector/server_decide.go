// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// A decideCall is the work space of one request to /v1/decide: an exchange whose
// headers and address are those that the server hands on, not its own.
type decideCall struct {
	exchange
	ask    ask
	cookie []byte
}

// free forgets the request.
func (x *decideCall) free() {
	x.exchange.free()
	x.ask = ask{}
	x.cookie = x.cookie[:0]
}

// serverDecide answers POST /v1/decide.
func (s *Server) serverDecide(ctx *fasthttp.RequestCtx) error {
	x := s.decides.Get().(*decideCall)
	err := s.answerDecide(ctx, x)
	x.free()
	s.decides.Put(x)
	ctx.Request.ReleaseBody(keptBodyBytes)
	return err
}

// answerDecide tells the story of a decision for a server: see whose key it is,
// read who the visitor is and what was allowed, and go on as for a beacon. What
// the server's own request says of it is no word on the visitor.
func (s *Server) answerDecide(ctx *fasthttp.RequestCtx, x *decideCall) error {
	access, err := s.hearServer(ctx, &x.headers)
	if err != nil {
		return err
	}
	malformed := x.decoder.decodeDecide(ctx.PostBody(), &x.beacon, &x.ask)
	release, err := s.admitServer(&access, x.beacon.Site, malformed)
	if err != nil {
		return err
	}
	if err := x.describeAsked(s, release); err != nil {
		return err
	}
	x.identify(s)
	s.ration(&x.exchange)
	if err := s.engine.Decide(&x.beacon, &x.request, &x.outcome); err != nil {
		return err
	}
	s.metrics.decideTook[asksServer].observe(since(ctx.Time()))
	kept := s.keep(&x.exchange)
	if !kept && len(x.beacon.Slots) == 0 {
		return edge.ErrUnavailable
	}
	s.respondDecide(ctx, x, kept)
	s.metrics.answerTook[asksServer].observe(since(ctx.Time()))
	return nil
}

// describeAsked makes the engine's request out of what the server says. Where it
// says nothing, nothing is known: a server's own language, device and address are
// not the visitor's, and no device is not a crawler's.
func (x *decideCall) describeAsked(s *Server, release *edge.Release) error {
	x.headers, x.peer, x.sameOrigin = x.ask.headers, peer{addr: x.ask.address}, false
	if raw := x.beacon.Page.URL; raw != "" {
		page, ok := splitAddress(raw)
		if !ok {
			return errPageURL
		}
		x.headers.origin = page.origin // whoever has a key is believed about the page
	}
	if err := x.describe(s, release); err != nil {
		return err
	}
	r := &x.request
	if x.ask.headers.userAgent == "" {
		r.Device.Type, r.Bot = "", false
	}
	if x.ask.device != "" {
		r.Device.Type = x.ask.device
	}
	r.Surface, r.System, r.Profile = x.ask.surface, x.ask.system, x.ask.profile
	if !x.ask.timed {
		x.beacon.SentMillis = r.Now.UnixMilli() // the events' times are by the server's clock
	}
	return nil
}

// respondDecide writes the decisions, and the state as it is handed to the
// visitor's browser or app.
func (s *Server) respondDecide(ctx *fasthttp.RequestCtx, x *decideCall, kept bool) {
	o := &x.outcome
	s.count(&x.exchange, kept)
	a := answer{
		outcome: o, rejected: x.decoder.Rejected(), kept: kept,
		carriesState: true, forgetState: o.DropState, html: x.ask.html,
	}
	if o.State != "" || o.DropState {
		x.cookie = appendCookie(x.cookie[:0], siteCookiePrefix, x.beacon.Site, o.State, "/")
		a.cookie = view(x.cookie)
	}
	header := &ctx.Response.Header
	setHeader(header, "Cache-Control", "no-store")
	header.SetContentType(contentTypeJSON)
	body := ctx.Response.SwapBody(nil)[:0]
	ctx.Response.SwapBody(a.appendJSON(body))
}
