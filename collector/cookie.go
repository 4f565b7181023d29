// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// cookiePrefix begins the name of a site's cookie. Browsers accept a name with
// __Secure- only with the Secure attribute.
const cookiePrefix = "__Secure-near-"

// findCookie returns the value of a site's cookie, "" without one. Of several
// the first counts: browsers put the one with the longest path there.
func findCookie(header, site string) string {
	for header != "" {
		var pair string
		pair, header, _ = strings.Cut(header, ";")
		name, ok := strings.CutPrefix(trimSpace(pair), cookiePrefix)
		if !ok {
			continue
		}
		if value, ok := strings.CutPrefix(name, site); ok && strings.HasPrefix(value, "=") {
			return value[1:]
		}
	}
	return ""
}

// bareCookiePath is the cookie's path on addresses without the prefix: what
// needs it is below.
const bareCookiePath = "/v1"

// setCookie hands the sealed state to the browser, out of reach of scripts.
// Without state it expires what the browser has. Its path is the prefix, so
// that pages, and the tag that a CDN keeps, are fetched without it.
func (s *Server) setCookie(ctx *fasthttp.RequestCtx, site, state string) {
	path := bareCookiePath
	if strings.HasPrefix(view(ctx.Path()), s.options.Prefix+"/") {
		path = s.options.Prefix
	}
	age := edge.StateMaxAge
	if state == "" {
		age = 0
	}
	var space [512]byte
	b := append(space[:0], cookiePrefix...)
	b = append(append(b, site...), '=')
	b = append(append(b, state...), "; Max-Age="...)
	b = strconv.AppendInt(b, int64(age/time.Second), 10)
	b = append(append(b, "; Path="...), path...)
	b = append(b, "; HttpOnly; Secure; SameSite=Lax"...)
	ctx.Response.Header.AddBytesV("Set-Cookie", b)
}
