// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net"
	"net/netip"
	"net/url"

	"github.com/valyala/fasthttp"
)

// maxRefererBytes is how long a referring address browsers send in full:
// https://w3c.github.io/webappsec-referrer-policy/, determine request's
// referrer, step 6.
const maxRefererBytes = 4096

// play makes a request look like the visitor whom the address of the page that
// sent it plays, and returns what takes the substitution back: the connection
// outlives the request, and its next request may play nobody. A page of another
// origin, or one without words of ours in its address, changes nothing.
func play(ctx *fasthttp.RequestCtx) (restore func()) {
	v := playedBy(ctx)
	header := &ctx.Request.Header
	if dev, ok := deviceByID(v.Device); ok {
		header.SetUserAgent(dev.userAgent)
		for _, name := range hintHeaders {
			header.Del(name)
		}
		for name, value := range dev.hints {
			header.Set(name, value)
		}
	}
	for _, l := range languages {
		if l.Tag == v.Lang {
			header.Set(fasthttp.HeaderAcceptLanguage, l.browser[0]+","+l.browser[1]+";q=0.9")
		}
	}
	if v.GPC {
		header.Set("Sec-GPC", "1")
	}
	place, ok := placeByID(v.Place)
	if !ok {
		return func() {}
	}
	ctx.SetRemoteAddr(net.TCPAddrFromAddrPort(netip.AddrPortFrom(place.Addr, 0)))
	return func() { ctx.SetRemoteAddr(nil) }
}

// playedBy returns the visitor in the address of the page that sent the
// request, the zero visitor unless it is a page of this origin.
func playedBy(ctx *fasthttp.RequestCtx) visitor {
	referer := ctx.Request.Header.Referer()
	if len(referer) == 0 || len(referer) > maxRefererBytes {
		return visitor{}
	}
	page, err := url.Parse(string(referer))
	if err != nil || page.Scheme != "http" && page.Scheme != "https" || page.Host != string(ctx.Host()) {
		return visitor{}
	}
	return parseVisitor(page.RawQuery)
}
