// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/valyala/fasthttp"
)

// guard keeps a panic of a handler inside its request: recovered answers for
// it.
func guard(h fasthttp.RequestHandler, recovered func(ctx *fasthttp.RequestCtx, p any)) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer func() {
			if p := recover(); p != nil {
				recovered(ctx, p)
			}
		}()
		h(ctx)
	}
}

func (s *Server) recovered(ctx *fasthttp.RequestCtx, p any) {
	s.notePanic(p)
	ctx.Response.Reset()
	ctx.SetConnectionClose()
	s.refuse(ctx, errInternal)
	s.metrics.served(routeNone, fasthttp.StatusInternalServerError)
}

func (s *Server) notePanic(p any) {
	s.metrics.panics.Add(1)
	logPanic(s.options.Logger, p)
}

// logPanic says what happened and where. What a handler panicked with may hold
// visitor data and is named by its type only, unless it is the runtime's.
func logPanic(logger *slog.Logger, p any) {
	cause := fmt.Sprintf("%T", p)
	if known, ok := p.(runtime.Error); ok {
		cause = known.Error()
	}
	logger.Error("handler panicked", "cause", cause, "stack", string(debug.Stack()))
}

// A quietLogger passes fasthttp's messages on without their arguments, which
// hold clients' addresses and what they sent.
type quietLogger struct{ *slog.Logger }

// Printf implements fasthttp.Logger.
func (l quietLogger) Printf(format string, _ ...any) {
	l.Debug("http server", "message", format)
}
