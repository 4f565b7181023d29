// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// cookiePrefix begins the name of a site's cookie. Browsers accept a name with
// __Secure- only with the Secure attribute.
const cookiePrefix = "__Secure-near-"

// siteCookiePrefix begins the name of the cookie that a site's own server sets,
// with what /v1/decide answered: the pages that it renders are asked for with
// this one. Browsers accept a name with __Host- only if it is secure, of this
// host alone and of all its paths.
const siteCookiePrefix = "__Host-near-"

// cookies are the values of a site's two cookies, "" for one that is not there.
type cookies struct{ own, site string }

// findCookies returns the values of a site's cookies. Of several of one name the
// first counts: browsers put the one with the longest path there.
func findCookies(header, site string) (c cookies) {
	for header != "" {
		var pair string
		pair, header, _ = strings.Cut(header, ";")
		pair = trimSpace(pair)
		dst := &c.own
		name, ok := strings.CutPrefix(pair, cookiePrefix)
		if !ok {
			dst = &c.site
			if name, ok = strings.CutPrefix(pair, siteCookiePrefix); !ok {
				continue
			}
		}
		if value, ok := strings.CutPrefix(name, site); ok && strings.HasPrefix(value, "=") && *dst == "" {
			*dst = value[1:]
		}
	}
	return c
}

// state returns the state that the browser carries. Where there are two, the
// site's server began one before it could see the other, which is older: the
// visitor stays who they were.
func (c cookies) state() string {
	if c.own != "" {
		return c.own
	}
	return c.site
}

// both reports whether the two have to become one.
func (c cookies) both() bool { return c.own != "" && c.site != "" }

// bareCookiePath is the cookie's path on addresses without the prefix: what
// needs it is below.
const bareCookiePath = "/v1"

// setCookie hands the sealed state to the browser, out of reach of scripts.
// Without state it expires what the browser has. The path is the prefix, so that
// pages, and the tag that a CDN keeps, are fetched without it; but where the
// site's own server reads the state too, its cookie is renewed and there is no
// other.
func (s *Server) setCookie(x *exchange, site, state string) {
	had := &x.cookies
	if had.site != "" {
		x.jar.put(siteCookiePrefix, site, state, "/")
		if had.own == "" && state != "" {
			return
		}
		state = ""
	}
	path := bareCookiePath
	if strings.HasPrefix(x.path, s.options.Prefix+"/") {
		path = s.options.Prefix
	}
	x.jar.put(cookiePrefix, site, state, path)
}

// A cookieJar holds the values of Set-Cookie headers. It is reused.
type cookieJar struct {
	text []byte
	ends []int
}

func (j *cookieJar) empty() { j.text, j.ends = j.text[:0], j.ends[:0] }

func (j *cookieJar) put(prefix, site, state, path string) {
	j.text = appendCookie(j.text, prefix, site, state, path)
	j.ends = append(j.ends, len(j.text))
}

// all yields each value.
func (j *cookieJar) all(yield func([]byte) bool) {
	begin := 0
	for _, end := range j.ends {
		if !yield(j.text[begin:end]) {
			return
		}
		begin = end
	}
}

// appendCookie appends the value of a Set-Cookie header.
func appendCookie(b []byte, prefix, site, state, path string) []byte {
	age := edge.StateMaxAge
	if state == "" {
		age = 0
	}
	b = append(append(append(b, prefix...), site...), '=')
	b = append(append(b, state...), "; Max-Age="...)
	b = strconv.AppendInt(b, int64(age/time.Second), 10)
	b = append(append(b, "; Path="...), path...)
	return append(b, "; HttpOnly; Secure; SameSite=Lax"...)
}
