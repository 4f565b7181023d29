// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// plain are the headers of the real browser in these tests.
var plain = []string{
	"User-Agent", "Real/1.0", "Accept-Language", "de-DE", "Sec-CH-UA-Mobile", "?0",
	"Sec-CH-UA-Model", `"Real"`, "Sec-CH-UA-Full-Version-List", `"Real";v="1"`,
}

// seen is what the collector sees of a beacon.
type seen struct {
	addr, agent, langs, mobile, platform, model, versions, gpc string
}

var untouched = seen{
	addr: "127.0.0.1", agent: "Real/1.0", langs: "de-DE", mobile: "?0", model: `"Real"`, versions: `"Real";v="1"`,
}

func look(ctx *fasthttp.RequestCtx) seen {
	h := &ctx.Request.Header
	return seen{
		addr: ctx.RemoteIP().String(), agent: string(h.UserAgent()), langs: string(h.Peek("Accept-Language")),
		mobile: string(h.Peek("Sec-CH-UA-Mobile")), platform: string(h.Peek("Sec-CH-UA-Platform")),
		model: string(h.Peek("Sec-CH-UA-Model")), versions: string(h.Peek("Sec-CH-UA-Full-Version-List")),
		gpc: string(h.Peek("Sec-GPC")),
	}
}

// sentFrom is a beacon as the collector sees it, sent by the page at referer.
func sentFrom(t *testing.T, referer string) seen {
	t.Helper()
	headers := plain
	if referer != "" {
		headers = append(headers[:len(headers):len(headers)], "Referer", referer)
	}
	ctx := newRequest("/_near/v1/beacon", headers...)
	var got seen
	newShop(t).Wrap(func(ctx *fasthttp.RequestCtx) { got = look(ctx) })(ctx)
	if addr := ctx.RemoteIP().String(); addr != untouched.addr {
		t.Errorf("after the request the connection's address is %s, want %s", addr, untouched.addr)
	}
	return got
}

func TestThePagesAddressPlaysTheVisitor(t *testing.T) {
	with := func(change func(*seen)) seen {
		s := untouched
		change(&s)
		return s
	}
	tests := []struct {
		name, query string
		want        seen
	}{
		{"a place", "place=paris", with(func(s *seen) { s.addr = "82.64.12.1" })},
		{"a place with IPv6", "place=tokyo", with(func(s *seen) { s.addr = "2001:240:2400::1" })},
		{"a phone", "device=phone", with(func(s *seen) {
			s.agent, s.mobile, s.platform, s.model, s.versions = devices[0].userAgent, "?1", `"Android"`, "", ""
		})},
		{"a tablet that sends no hints", "device=tablet", with(func(s *seen) {
			s.agent, s.mobile, s.model, s.versions = devices[1].userAgent, "", "", ""
		})},
		{"a desktop", "device=desktop", with(func(s *seen) {
			s.agent, s.mobile, s.platform, s.model, s.versions = devices[2].userAgent, "?0", `"Windows"`, "", ""
		})},
		{"a robot", "device=crawler", with(func(s *seen) {
			s.agent, s.mobile, s.model, s.versions = devices[3].userAgent, "", "", ""
		})},
		{"a language", "lang=zh-Hant", with(func(s *seen) { s.langs = "zh-TW,zh;q=0.9" })},
		{"Global Privacy Control", "gpc=1", with(func(s *seen) { s.gpc = "1" })},
		{"somebody whole", "place=riyadh&device=tablet&lang=ar&gpc=1&grant=context&cart=brae-felt:1", with(func(s *seen) {
			*s = seen{addr: "188.50.16.1", agent: devices[1].userAgent, langs: "ar-SA,ar;q=0.9", gpc: "1"}
		})},
		{"words that nobody knows", "place=nowhere&device=toaster&lang=xx&gpc=0", untouched},
		{"an address instead of a place", "place=8.8.8.8", untouched},
		{"a broken query", "place=paris&x=%zz", untouched},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sentFrom(t, "http://shop.example/en/?"+tt.query); got != tt.want {
				t.Errorf("the collector sees %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestOtherPagesPlayNobody(t *testing.T) {
	const query = "/en/?place=paris&device=phone&lang=ar&gpc=1"
	for name, referer := range map[string]string{
		"no page":          "",
		"no query":         "http://shop.example/en/",
		"another host":     "http://evil.example" + query,
		"another port":     "http://shop.example:81" + query,
		"a look-alike":     "http://shop.example.evil.example" + query,
		"a user in front":  "http://shop.example@evil.example" + query,
		"another scheme":   "ftp://shop.example" + query,
		"a path alone":     query,
		"no address":       "http://shop.example\x7f" + query,
		"a fragment":       "http://shop.example/en/#?place=paris",
		"longer than sent": "http://shop.example" + query + "&x=" + strings.Repeat("x", maxRefererBytes),
	} {
		t.Run(name, func(t *testing.T) {
			if got := sentFrom(t, referer); got != untouched {
				t.Errorf("the collector sees %+v, want %+v", got, untouched)
			}
		})
	}
}

// The query of the request itself, a header or a body is never a power.
func TestOnlyTheRefererHasPowers(t *testing.T) {
	ctx := newRequest("/_near/v1/beacon?place=paris&device=phone&lang=ar&gpc=1", append(plain[:len(plain):len(plain)],
		"X-Forwarded-For", "82.64.12.1", "Origin", "http://shop.example")...)
	ctx.Request.SetBodyString(`{"place":"paris"}`)
	var got seen
	newShop(t).Wrap(func(ctx *fasthttp.RequestCtx) { got = look(ctx) })(ctx)
	if got != untouched {
		t.Errorf("the collector sees %+v, want %+v", got, untouched)
	}
}

func FuzzPlay(f *testing.F) {
	f.Add("http://shop.example/en/?place=paris&device=phone")
	f.Add("http://[::1%25]/?%")
	f.Fuzz(func(t *testing.T, referer string) {
		ctx := newRequest("/_near/v1/beacon", plain...)
		ctx.Request.Header.Set("Referer", referer)
		play(ctx)()
		if got := ctx.RemoteAddr().(*net.TCPAddr); !got.IP.IsLoopback() {
			t.Fatalf("after %q the connection's address is %s", referer, got)
		}
	})
}

func TestPlacesArePublicAndDifferent(t *testing.T) {
	countries := map[string]bool{}
	for _, p := range Places() {
		if !p.Addr.IsGlobalUnicast() || p.Addr.IsPrivate() {
			t.Errorf("%s: %s is not a public address", p.ID, p.Addr)
		}
		if countries[p.Country] {
			t.Errorf("%s: there is a place in %s already", p.ID, p.Country)
		}
		countries[p.Country] = true
	}
	if len(countries) != 10 {
		t.Errorf("%d places, want 10", len(countries))
	}
}
