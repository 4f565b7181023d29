// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func TestTheCookieIsUsedOnItsOwnOriginOnly(t *testing.T) {
	h := open(t, nil)
	body := beaconOf(usual, say{"slots": []string{"hero"}})

	home := h.postHome(body)
	cookies := home.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", home.Header["Set-Cookie"])
	}
	c := cookies[0]
	if c.Name != "__Secure-near-demo" || c.Path != "/_near" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode ||
		c.MaxAge != int(edge.StateMaxAge.Seconds()) || c.Domain != "" || c.Value == "" || len(c.Value) > edge.MaxStateBytes {
		t.Errorf("cookie %s", home.Header.Get("Set-Cookie"))
	}
	if a := home.answer(t); a.State != nil {
		t.Error("the state is in reach of scripts")
	}
	if got := home.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("allowed origin %q on the same origin", got)
	}

	bare := h.do("POST", "/v1/beacon", body, atHome, atHomeHost)
	if cookies := bare.Cookies(); len(cookies) != 1 || cookies[0].Path != "/v1" {
		t.Errorf("without the prefix the cookie would not come back: %q", bare.Header["Set-Cookie"])
	}

	away := h.post(body)
	if got := away.Header.Get("Set-Cookie"); got != "" {
		t.Errorf("a page of another origin gets a cookie: %s", got)
	}
	state := away.answer(t).State
	if state == nil || *state == "" {
		t.Fatalf("a page of another origin gets no state: %s", away.body)
	}

	// The state that came back opens: it is left as it is within a minute.
	if again := h.postHome(body, "Cookie: a=b; __Secure-near-demo="+c.Value+"; c=d"); again.Header.Get("Set-Cookie") != "" {
		t.Error("the cookie is not read on its own origin")
	}
	if again := h.post(beaconOf(usual, say{"slots": []string{"hero"}, "state": *state})).answer(t); again.State != nil {
		t.Error("the beacon's state is not read")
	}

	// What is not theirs is not read.
	if a := h.post(body, "Cookie: __Secure-near-demo="+c.Value).answer(t); a.State == nil {
		t.Error("the cookie is read on another origin")
	}
	if again := h.postHome(beaconOf(usual, say{"slots": []string{"hero"}, "state": *state})); again.Header.Get("Set-Cookie") == "" {
		t.Error("the beacon's state takes the cookie's place")
	}
}

func TestAStateThatMustGoGoes(t *testing.T) {
	h := open(t, nil)
	state := *h.post(beaconOf(usual, nil)).answer(t).State
	without := beaconOf(consent.Measure, nil)

	home := h.postHome(without, "Cookie: __Secure-near-demo="+state)
	if home.StatusCode != 204 || len(home.Cookies()) != 1 || home.Cookies()[0].MaxAge >= 0 || home.Cookies()[0].Value != "" {
		t.Errorf("answer %d, cookie %q; want it expired", home.StatusCode, home.Header.Get("Set-Cookie"))
	}
	if home := h.postHome(without); home.Header.Get("Set-Cookie") != "" {
		t.Error("a cookie that is not there is expired")
	}
	away := h.post(beaconOf(consent.Measure, say{"state": state})).answer(t)
	if away.State == nil || *away.State != "" {
		t.Errorf("state %v, want it empty: forget yours", away.State)
	}
	if forged := h.post(beaconOf(consent.Storage|consent.Measure, say{"state": "AQAB"})).answer(t); forged.State == nil || *forged.State != "" {
		t.Errorf("state %v, want a forged one forgotten", forged.State)
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		name   string
		give   headers
		secure bool
		want   bool
	}{
		{"scheme and host are the same", headers{origin: "http://shop.example", host: "shop.example"}, false, true},
		{"with the port", headers{origin: "http://127.0.0.1:8080", host: "127.0.0.1:8080"}, false, true},
		{"over TLS", headers{origin: "https://shop.example", host: "shop.example"}, true, true},
		{"a default port may be named", headers{origin: "https://shop.example", host: "shop.example:443"}, true, true},
		{"capitals in Host do not matter", headers{origin: "https://shop.example", host: "Shop.Example"}, true, true},
		{"the browser agrees", headers{origin: "https://shop.example", host: "shop.example", fetchSite: "same-origin"}, true, true},
		{"another scheme", headers{origin: "https://shop.example", host: "shop.example"}, false, false},
		{"another host", headers{origin: "https://www.shop.example", host: "shop.example"}, true, false},
		{"another port", headers{origin: "https://shop.example:8443", host: "shop.example"}, true, false},
		{"the other scheme's port is not the default", headers{origin: "https://shop.example", host: "shop.example:80"}, true, false},
		{"the browser says it is the same site only", headers{origin: "https://shop.example", host: "shop.example", fetchSite: "same-site"}, true, false},
		{"the browser says it is another site", headers{origin: "https://shop.example", host: "shop.example", fetchSite: "cross-site"}, true, false},
		{"no host", headers{origin: "http://"}, false, false},
		{"null", headers{origin: "null", host: "null"}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := isSameOrigin(&tt.give, tt.secure); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestATrustedProxyMaySayThatTheClientSpokeTLS(t *testing.T) {
	h := open(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	send := func(proto string) reply {
		return h.do("POST", "/_near/v1/beacon", beaconOf(usual, nil), fromShop, atHomeHost, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: "+proto)
	}
	if res := send("https"); res.Header.Get("Set-Cookie") == "" {
		t.Error("https is not believed")
	}
	if res := send("https, http"); res.Header.Get("Set-Cookie") != "" {
		t.Error("the client's own word is believed")
	}
	untrusting := open(t, nil)
	if res := untrusting.do("POST", "/_near/v1/beacon", beaconOf(usual, nil), fromShop, atHomeHost, "X-Forwarded-Proto: https"); res.Header.Get("Set-Cookie") != "" {
		t.Error("anybody is believed")
	}
}

func TestTLSIsSeenThroughTheDoor(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	h := newHouse(t, func(o *Options) {
		o.MaxConns, o.TLS = 1, &tls.Config{Certificates: certified.TLS.Certificates}
	})
	h.door.roomWait = time.Hour
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(ln, h.Handler()) }()
	transport := certified.Client().Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	req, err := http.NewRequest("POST", "https://example.com/_near/v1/beacon", strings.NewReader(beaconOf(usual, nil)))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop.example"
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("User-Agent", desktopAgent)
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || len(res.Cookies()) != 1 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("answer %d %v, want that of the same origin", res.StatusCode, res.Header)
	}
	// One over the limit is closed without a handshake.
	over := dial(t, ln.Addr().String())
	_ = over.SetReadDeadline(time.Now().Add(5 * time.Second))
	if out, err := io.ReadAll(over); err != nil || len(out) > 0 {
		t.Errorf("read %q, %v", out, err)
	}
	client.CloseIdleConnections()
	if err := errors.Join(h.Shutdown(context.Background()), <-served); err != nil {
		t.Error(err)
	}
}

func TestFindCookie(t *testing.T) {
	tests := []struct{ name, header, site, want string }{
		{"alone", "__Secure-near-demo=AQ", "demo", "AQ"},
		{"among others", "a=b; __Secure-near-demo=AQ;c=d", "demo", "AQ"},
		{"the first counts", "__Secure-near-demo=AQ; __Secure-near-demo=BB", "demo", "AQ"},
		{"of a site with a longer name", "__Secure-near-demo-2=AQ", "demo", ""},
		{"of a site with a shorter name", "__Secure-near-de=AQ", "demo", ""},
		{"in another cookie's value", "x=__Secure-near-demo=AQ", "demo", ""},
		{"without a value", "__Secure-near-demo", "demo", ""},
		{"empty", "__Secure-near-demo=", "demo", ""},
		{"none", "", "demo", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := findCookies(tt.header, tt.site).own; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	h := open(t, nil)
	const asks = "Access-Control-Request-Method: POST"
	res := h.do("OPTIONS", "/v1/beacon", "", fromShop, asks, "Access-Control-Request-Headers: content-type")
	if res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		res.Header.Get("Access-Control-Allow-Methods") != "POST" || res.Header.Get("Access-Control-Allow-Headers") != "Content-Type" ||
		res.Header.Get("Vary") != "Origin" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("answer %d %v", res.StatusCode, res.Header)
	}
	if res := h.do("OPTIONS", "/v1/beacon", "", "Origin: https://evil.example", asks); res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign origin gets %d %v", res.StatusCode, res.Header)
	}
	if res := h.do("OPTIONS", "/v1/beacon", ""); res.StatusCode != 204 || res.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("without an origin %d %v", res.StatusCode, res.Header)
	}
}

// A withdrawal is proved: its receipt says whose it was. Where the log takes none
// the cookie goes all the same, and the tag says it again: that receipt is nobody's,
// for the browser has forgotten who it was.
func TestAWithdrawalsReceipt(t *testing.T) {
	for _, full := range []bool{false, true} {
		h := open(t, nil)
		first := h.do("POST", "/_near/v1/beacon", beaconOf(consent.All, say{"slots": []string{"hero"}}), atHome, atHomeHost)
		cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
		if cookie == "" {
			t.Fatalf("no state: %d %s", first.StatusCode, first.body)
		}
		withdraw := func(headers ...string) reply {
			return h.do("POST", "/_near/v1/withdraw", `{"v":1,"site":"demo","purposes":4}`, append([]string{atHome, atHomeHost}, headers...)...)
		}
		gone := func(res reply) bool { return strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") }
		jar := []string{"Cookie: " + cookie}
		if full {
			h.ledger.set(0, edge.ErrUnavailable)
			if res := withdraw(jar...); res.StatusCode != 503 || res.code(t) != "unavailable" || !gone(res) {
				t.Errorf("with a full log: %d %s, cookie %q", res.StatusCode, res.body, res.Header.Get("Set-Cookie"))
			}
			h.ledger.set(0, nil)
			jar = nil // as a browser has it now
		}
		if res := withdraw(jar...); res.StatusCode != 204 || !gone(res) {
			t.Errorf("answer %d %s", res.StatusCode, res.body)
		}
		kept := h.ledger.kept()
		if len(kept) != 1 || !strings.Contains(kept[0], `"name":"consent_receipt"`) || !strings.Contains(kept[0], `"purposes":4`) || strings.Contains(kept[0], `"visitor"`) == full {
			t.Errorf("after a full log %v: kept %q", full, kept)
		}
	}
}

func TestWithdrawal(t *testing.T) {
	h := open(t, nil)
	expires := func(res reply) bool {
		return strings.Contains(res.Header.Get("Set-Cookie"), "__Secure-near-demo=; Max-Age=0; Path=/_near;")
	}
	home := func(body string, headers ...string) reply {
		return h.do("POST", "/_near/v1/withdraw", body, append([]string{atHome, atHomeHost}, headers...)...)
	}
	if res := home(`{"v":1,"site":"demo","purposes":0}`); res.StatusCode != 204 || !expires(res) || res.body != "" {
		t.Errorf("answer %d, cookie %q", res.StatusCode, res.Header.Get("Set-Cookie"))
	}
	if res := home(`{"v":1,"site":"demo","purposes":6}`); res.StatusCode != 204 || !expires(res) {
		t.Errorf("without storage: answer %d, cookie %q", res.StatusCode, res.Header.Get("Set-Cookie"))
	}
	if res := home(`{"v":1,"site":"demo","purposes":7}`); res.StatusCode != 204 || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("with storage: answer %d, cookie %q", res.StatusCode, res.Header.Get("Set-Cookie"))
	}
	away := h.do("POST", "/v1/withdraw", `{"v":1,"site":"demo","purposes":0}`, fromShop)
	if away.StatusCode != 204 || away.Header.Get("Set-Cookie") != "" || away.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("on another origin: answer %d %v", away.StatusCode, away.Header)
	}
	for body, want := range map[string]string{
		`{"v":1,"site":"other"}`:               "unknown_site site",
		`{"v":1}`:                              "missing site",
		`{"v":1,"site":"demo","purposes":"0"}`: "wrong_type purposes",
		`{`:                                    "bad_json",
	} {
		if res := home(body); res.code(t) != want {
			t.Errorf("%s gives %s, want %s", body, res.body, want)
		}
	}
	if res := h.do("POST", "/v1/withdraw", `{"v":1,"site":"demo"}`, "Origin: https://evil.example"); res.StatusCode != 403 {
		t.Errorf("a foreign origin gets %d", res.StatusCode)
	}
}
