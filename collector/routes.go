// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// A route is a public address. It answers with and without the prefix.
type route struct {
	path    string
	methods string // as the Allow header has them
	label   routeLabel
	serve   func(ctx *fasthttp.RequestCtx) error
}

// publicRoutes are all there are: what is not here is not public.
func (s *Server) publicRoutes() []route {
	const get = "GET, HEAD"
	routes := []route{
		{"/v1/beacon", "POST", routeBeacon, s.beacon},
		{"/v1/withdraw", "POST", routeWithdraw, s.withdraw},
		{"/v1/mine", "GET, HEAD, POST", routeMine, s.mine},
		{"/v1/forget", "POST", routeForget, s.forget},
		{privacyPath, "GET, HEAD, POST", routePrivacy, s.privacy},
		{bareCookiePath + privacyPath, "GET, HEAD, POST", routePrivacy, s.privacy},
		{"/tag.js", get, routeTag, s.tag},
		{"/healthz", get, routeHealth, s.healthz},
		{"/readyz", get, routeReady, s.readyz},
	}
	routes = append(routes, s.files...)
	if s.options.Keys != nil {
		routes = append(routes,
			route{"/v1/events", "POST", routeEvents, s.serverEvents},
			route{"/v1/decide", "POST", routeDecide, s.serverDecide},
		)
	}
	return routes
}

// handle answers one request of the public listener.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	label := routeNone
	err := error(errNotFound)
	if r := s.route(view(ctx.Path())); r != nil {
		label = r.label
		err = s.serveRoute(ctx, r)
	}
	if err != nil {
		s.refuse(ctx, err)
	}
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
	s.metrics.served(label, ctx.Response.StatusCode())
}

func (s *Server) route(path string) *route {
	if rest, ok := strings.CutPrefix(path, s.options.Prefix); ok {
		path = rest
	}
	for i := range s.routes {
		if s.routes[i].path == path {
			return &s.routes[i]
		}
	}
	return nil
}

func (s *Server) serveRoute(ctx *fasthttp.RequestCtx, r *route) error {
	method := view(ctx.Method())
	switch {
	case method == fasthttp.MethodOptions && r.label.forServers():
		return errBrowser // whose page asks whether it may
	case method == fasthttp.MethodOptions:
		return s.preflight(ctx, r.methods)
	case !allows(r.methods, method):
		setHeader(&ctx.Response.Header, "Allow", r.methods+", OPTIONS")
		return errMethod
	}
	return r.serve(ctx)
}

// allows reports whether a list such as "GET, HEAD" names a method.
func allows(methods, method string) bool {
	for allowed := range strings.SplitSeq(methods, ", ") {
		if allowed == method {
			return true
		}
	}
	return false
}
