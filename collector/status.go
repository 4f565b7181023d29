// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// A refusal is a request that is not served: its status, its stable code, the
// wire name of what is at fault, possibly empty, and plain words. It holds
// nothing that the client sent.
type refusal struct {
	status               int
	code, field, message string
}

// Error implements error.
func (r *refusal) Error() string { return r.message }

// The refusals that are not about one value of a body.
var (
	errNotFound        = &refusal{404, "not_found", "", "there is nothing at this address"}
	errMethod          = &refusal{405, "method_not_allowed", "", "this address does not answer that method"}
	errMediaType       = &refusal{415, "unsupported_media_type", "Content-Type", "send JSON as text/plain or application/json"}
	errEncoding        = &refusal{415, "unsupported_encoding", "Content-Encoding", "send the body uncompressed"}
	errBodyTooLarge    = &refusal{413, "body_too_large", "", "the body is larger than this address takes"}
	errHeaderTooLarge  = &refusal{431, "header_too_large", "", "the request's headers are too large"}
	errRequestTimeout  = &refusal{408, "request_timeout", "", "the request did not arrive in time"}
	errBadRequest      = &refusal{400, "bad_request", "", "this is not an HTTP request that can be read"}
	errUnknownSite     = &refusal{404, "unknown_site", "site", "there is no such site here"}
	errOriginMissing   = &refusal{403, "origin_not_allowed", "Origin", "the Origin header is missing"}
	errOriginNull      = &refusal{403, "origin_not_allowed", "Origin", "a page without an origin of its own cannot send"}
	errOriginForeign   = &refusal{403, "origin_not_allowed", "Origin", "the site does not allow this origin"}
	errURLOrigin       = &refusal{400, "url_origin_mismatch", "page.url", "the page's address is not of the request's origin"}
	errUnavailable     = &refusal{503, "unavailable", "", "the event log is full or slow: send the events again"}
	errNotReady        = &refusal{503, "not_ready", "", "the server is not ready to serve"}
	errBusy            = &refusal{503, "too_many_connections", "", "the server has all the connections it can serve"}
	errTooManyFromHere = &refusal{429, "too_many_connections", "", "too many connections come from this address"}
	errTooManyRequests = &refusal{429, "too_many_requests", "", "too many requests come from this address"}
	errNotAProxy       = &refusal{403, "not_a_proxy", "", "only the proxies in front of this server may connect to it"}
	errInternal        = &refusal{500, "internal", "", "the server failed"}
)

// retryAfter is what a client that is refused for a while is told to wait, in
// seconds.
const retryAfter = "1"

// refusalOf says how an error is answered. It is the one place where errors
// become statuses and codes; an error that it does not know is ours.
func refusalOf(err error) *refusal {
	var known *refusal
	var decode *DecodeError
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &decode):
		return &refusal{fasthttp.StatusBadRequest, decode.Code, decode.Field, decode.Error()}
	case errors.Is(err, edge.ErrUnknownSite):
		return errUnknownSite
	case errors.Is(err, edge.ErrUnavailable):
		return errUnavailable
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return errBodyTooLarge
	case errors.As(err, &small):
		return errHeaderTooLarge
	case errors.As(err, &network) && network.Timeout():
		return errRequestTimeout
	default:
		return errInternal
	}
}

// refuse answers with an error. Headers that were set stay: they say whether
// the page may read it.
func (s *Server) refuse(ctx *fasthttp.RequestCtx, err error) {
	r := refusalOf(err)
	s.metrics.errors.add(r.code)
	r.write(ctx)
}

func (r *refusal) write(ctx *fasthttp.RequestCtx) {
	header := &ctx.Response.Header
	ctx.SetStatusCode(r.status)
	header.SetContentType(contentTypeJSON)
	setHeader(header, "Cache-Control", "no-store")
	if r.tellsToWait() {
		setHeader(header, "Retry-After", retryAfter)
	}
	if r.status == fasthttp.StatusUnauthorized {
		setHeader(header, "WWW-Authenticate", "Bearer")
	}
	body := ctx.Response.SwapBody(nil)[:0]
	ctx.Response.SwapBody(r.appendJSON(body))
}

// tellsToWait reports whether a client that comes later may be served.
func (r *refusal) tellsToWait() bool {
	return r.status == fasthttp.StatusServiceUnavailable || r.status == fasthttp.StatusTooManyRequests
}

// refuseUnread answers a request that could not be read. What still comes is
// thrown away for a moment before the connection closes: a client that is still
// sending would lose the answer otherwise.
func (s *Server) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	r := refusalOf(err)
	if r == errInternal {
		r = errBadRequest // the server had no part in it yet
	}
	head := &ctx.Request.Header
	if had := s.large.free(head); !had && r == errBodyTooLarge && s.options.Keys != nil && s.mayBeLarge(head) {
		r = errLargeBodies
	}
	s.refuse(ctx, r)
	s.metrics.served(routeUnread, r.status)
	if c, ok := ctx.Conn().(lingerer); ok && r != errRequestTimeout {
		c.linger()
	}
}

func (r *refusal) appendJSON(b []byte) []byte {
	b = append(b, `{"error":{"code":`...)
	b = edge.AppendString(b, r.code)
	if r.field != "" {
		b = append(b, `,"field":`...)
		b = edge.AppendString(b, r.field)
	}
	b = append(b, `,"message":`...)
	b = edge.AppendString(b, r.message)
	return append(b, "}}"...)
}

// appendHTTP appends the refusal as a whole answer, for a connection that no
// request has been read from.
func (r *refusal) appendHTTP(b []byte) []byte {
	body := r.appendJSON(nil)
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(append(b, ' '), fasthttp.StatusMessage(r.status)...)
	b = append(b, "\r\nConnection: close\r\nRetry-After: "+retryAfter+"\r\nContent-Type: "+contentTypeJSON+"\r\nDate: "...)
	b = time.Now().UTC().AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}
