// SPDX-License-Identifier: Apache-2.0

package collector

import "github.com/valyala/fasthttp"

// healthz answers GET /healthz: the process serves requests.
func (s *Server) healthz(ctx *fasthttp.RequestCtx) error {
	sayOK(ctx)
	return nil
}

// readyz answers GET /readyz: the process can do its work, and is not about to
// stop. Why it cannot is for the log, not for whoever asks.
func (s *Server) readyz(ctx *fasthttp.RequestCtx) error {
	if s.draining.Load() || s.options.Ready != nil && s.options.Ready() != nil {
		return errNotReady
	}
	sayOK(ctx)
	return nil
}

func sayOK(ctx *fasthttp.RequestCtx) {
	setHeader(&ctx.Response.Header, "Cache-Control", "no-store")
	ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyString("ok\n")
}
