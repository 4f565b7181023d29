// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// A drill runs requests through a server without a network.
type drill struct {
	*house
	ctx fasthttp.RequestCtx
}

// newDrill prepares a browser's request with a body.
func newDrill(t testing.TB, body []byte) *drill {
	t.Helper()
	d := &drill{house: newHouse(t, func(o *Options) { // paces are kept, and nobody meets them
		o.AddressRate, o.NetworkRate = Rate{maxRate, maxRate}, Rate{maxRate, maxRate}
	})}
	d.ctx.Init2(&drillConn{addr: &net.TCPAddr{IP: net.IPv4(203, 0, 113, 77), Port: 4711}}, nil, false)
	r := &d.ctx.Request
	r.Header.SetMethod("POST")
	r.SetRequestURI("/_near/v1/beacon")
	for _, h := range [][2]string{
		{"Host", "near.example"}, {"Connection", "keep-alive"}, {"Sec-Ch-Ua-Platform", `"Windows"`}, {"User-Agent", desktopAgent},
		{"Sec-Ch-Ua", `"Chromium";v="156", "Not A Brand";v="99"`}, {"Content-Type", "text/plain;charset=UTF-8"}, {"Sec-Ch-Ua-Mobile", "?0"},
		{"Accept", "*/*"}, {"Origin", "https://shop.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "cors"},
		{"Sec-Fetch-Dest", "empty"}, {"Referer", "https://shop.example/"}, {"Accept-Encoding", "gzip, deflate, br, zstd"},
		{"Accept-Language", "fr-FR,fr;q=0.9,en;q=0.8"},
	} {
		r.Header.Set(h[0], h[1])
	}
	r.SetBody(body)
	return d
}

// drillConn is only asked who is at its other end.
type drillConn struct {
	net.Conn
	addr net.Addr
}

func (c *drillConn) RemoteAddr() net.Addr { return c.addr }
