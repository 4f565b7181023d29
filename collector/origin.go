// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// admit says whether a page may send to a site, and finds the site's release.
// The Origin header is the only word on which page sends: CORS does not protect
// a text/plain POST, so it is checked here. Once the origin is allowed, a page
// on another origin may read the answer, whatever it is.
func (s *Server) admit(x *exchange, site string) (*edge.Release, error) {
	release, ok := s.engine.Release(site)
	if !ok {
		return nil, errUnknownSite
	}
	origin := x.headers.origin
	switch {
	case origin == "":
		return nil, errOriginMissing
	case origin == "null":
		return nil, errOriginNull
	case !release.AllowsOrigin(origin):
		return nil, errOriginForeign
	}
	x.sameOrigin = isSameOrigin(&x.headers, x.peer.secure)
	x.foreign = !x.sameOrigin
	return release, nil
}

// The headers that say who may read an answer, and what of its headers.
const (
	headerAllowOrigin = "Access-Control-Allow-Origin"
	headerExpose      = "Access-Control-Expose-Headers"
	exposed           = "Retry-After"
)

// allowReading lets a page of another origin read the answer. Credentials are
// never allowed: a cookie is read and set on the site's own origin only.
func allowReading(ctx *fasthttp.RequestCtx, origin string) {
	header := &ctx.Response.Header
	setHeader(header, headerAllowOrigin, origin)
	setHeader(header, headerExpose, exposed)
	setHeader(header, "Vary", "Origin")
}

// isSameOrigin reports whether the page and this server share an origin, so
// that the cookie may be used. The browser's own word in Sec-Fetch-Site goes
// before the scheme we see, which a proxy that ends TLS hides; the hosts must be
// equal all the same, for behind a proxy that rewrites Host the word is about
// the proxy. An old browser says nothing: then the scheme counts too.
func isSameOrigin(h *headers, secure bool) bool {
	if h.fetchSite != "" && h.fetchSite != "same-origin" {
		return false
	}
	scheme, host, ok := strings.Cut(h.origin, "://")
	if !ok || host == "" {
		return false
	}
	if h.fetchSite == "" && (scheme == "https") != secure {
		return false
	}
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.EqualFold(host, strings.TrimSuffix(h.host, port))
}

// preflight answers OPTIONS. The tag never causes one; a page of ours that
// sends JSON as application/json does. Which site it will name is not known
// yet, so an origin that any site allows is let through: the request itself is
// judged by its own site.
func (s *Server) preflight(ctx *fasthttp.RequestCtx, methods string) error {
	if from := senderOf(ctx); !s.mayAsk(&from) { // it looks through all sites
		return errTooManyRequests
	}
	request, header := &ctx.Request.Header, &ctx.Response.Header
	setHeader(header, "Allow", methods+", OPTIONS")
	origin := view(request.Peek("Origin"))
	if origin != "" && len(request.Peek("Access-Control-Request-Method")) > 0 {
		if !slices.ContainsFunc(s.engine.Sites(), func(site string) bool {
			release, ok := s.engine.Release(site)
			return ok && release.AllowsOrigin(origin)
		}) {
			return errOriginForeign
		}
		allowReading(ctx, origin)
		setHeader(header, "Access-Control-Allow-Methods", methods)
		setHeader(header, "Access-Control-Allow-Headers", "Content-Type")
		setHeader(header, "Access-Control-Max-Age", "600")
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
