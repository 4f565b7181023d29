// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// proxyV2 returns a header of version 2.
func proxyV2(command, family byte, addresses ...[]byte) []byte {
	var body []byte
	for _, part := range addresses {
		body = append(body, part...)
	}
	b := append([]byte(nil), proxySignature...)
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func ip(text string) []byte { return netip.MustParseAddr(text).AsSlice() }

var ports = []byte{0x12, 0x67, 0, 80}

func TestParseProxyHeader(t *testing.T) {
	details := append([]byte{4, 1, 44}, make([]byte, 300)...) // a NOOP of 300 bytes
	tests := []struct {
		name, give string
		want       string // "" for an address that is not told, "error"
	}{
		{"version 1 over IPv4", "PROXY TCP4 203.0.113.77 192.0.2.1 4711 443\r\n", "203.0.113.77"},
		{"version 1 over IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "2001:db8::7"},
		{"version 1 that does not know", "PROXY UNKNOWN\r\n", ""},
		{"version 1 that does not know and goes on", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		{"version 2 over IPv4", string(proxyV2(0x21, 0x11, ip("203.0.113.77"), ip("192.0.2.1"), ports)), "203.0.113.77"},
		{"version 2 over IPv6", string(proxyV2(0x21, 0x21, ip("2001:db8::7"), ip("2001:db8::1"), ports)), "2001:db8::7"},
		{"version 2 with details", string(proxyV2(0x21, 0x11, ip("203.0.113.77"), ip("192.0.2.1"), ports, details)), "203.0.113.77"},
		{"version 2 with IPv4 in IPv6", string(proxyV2(0x21, 0x21, ip("::ffff:203.0.113.77"), ip("::ffff:192.0.2.1"), ports)), "203.0.113.77"},
		{"version 2 for the proxy itself", string(proxyV2(0x20, 0x00)), ""},
		{"version 2 for the proxy itself with addresses", string(proxyV2(0x20, 0x11, ip("203.0.113.77"), ip("192.0.2.1"), ports)), ""},
		{"version 2 that does not say", string(proxyV2(0x21, 0x00)), ""},
		{"version 2 over a socket of the machine", string(proxyV2(0x21, 0x31, make([]byte, 216))), ""},

		{"no header", "GET / HTTP/1.1\r\n", "error"},
		{"version 1 in small letters", "proxy TCP4 203.0.113.77 192.0.2.1 4711 443\r\n", "error"},
		{"version 1 of another family", "PROXY UDP4 203.0.113.77 192.0.2.1 4711 443\r\n", "error"},
		{"version 1 without a family", "PROXY \r\n", "error"},
		{"version 1 of the wrong family", "PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n", "error"},
		{"version 1 of two families", "PROXY TCP6 2001:db8::7 192.0.2.1 4711 443\r\n", "error"},
		{"version 1 with a name", "PROXY TCP4 client.example 192.0.2.1 4711 443\r\n", "error"},
		{"version 1 with a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n", "error"},
		{"version 1 without ports", "PROXY TCP4 203.0.113.77 192.0.2.1\r\n", "error"},
		{"version 1 with a port beyond all", "PROXY TCP4 203.0.113.77 192.0.2.1 70000 443\r\n", "error"},
		{"version 1 with a port with a zero", "PROXY TCP4 203.0.113.77 192.0.2.1 0471 443\r\n", "error"},
		{"version 1 with two blanks", "PROXY TCP4  203.0.113.77 192.0.2.1 4711 443\r\n", "error"},
		{"version 1 that ends in LF", "PROXY TCP4 203.0.113.77 192.0.2.1 4711 443\n", "error"},
		{"version 1 with more", "PROXY TCP4 203.0.113.77 192.0.2.1 4711 443 x\r\n", "error"},
		{"version 1 without end", "PROXY UNKNOWN" + strings.Repeat(" ", 100) + "\r\n", "error"},
		{"version 3", string(proxyV2(0x31, 0x11, ip("203.0.113.77"), ip("192.0.2.1"), ports)), "error"},
		{"version 2 with another command", string(proxyV2(0x22, 0x11, ip("203.0.113.77"), ip("192.0.2.1"), ports)), "error"},
		{"version 2 over UDP", string(proxyV2(0x21, 0x12, ip("203.0.113.77"), ip("192.0.2.1"), ports)), "error"},
		{"version 2 without room for its addresses", string(proxyV2(0x21, 0x21, ip("203.0.113.77"), ip("192.0.2.1"), ports)), "error"},
		{"version 2 beyond the limit", string(proxyV2(0x21, 0x11, make([]byte, maxProxyHeader))), "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr, n, err := parseProxyHeader([]byte(tt.give + "GET "))
			got := "error"
			if err == nil {
				if n != len(tt.give) {
					t.Errorf("%d bytes, want %d", n, len(tt.give))
				}
				if got = ""; addr.IsValid() {
					got = addr.String()
				}
				// No beginning of it is a whole header, or a wrong one.
				for i := range n {
					if _, _, err := parseProxyHeader([]byte(tt.give[:i])); err != errProxyMore {
						t.Fatalf("its first %d bytes: %v", i, err)
					}
				}
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.77 192.0.2.1 4711 443\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add(proxyV2(0x21, 0x21, ip("2001:db8::7"), ip("2001:db8::1"), ports))
	f.Add(proxyV2(0x20, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, n, err := parseProxyHeader(b)
		switch {
		case err == errProxyMore:
			if len(b) >= maxProxyHeader {
				t.Fatalf("%d bytes are not enough: %.100q", len(b), b)
			}
			return
		case err != nil:
			if addr.IsValid() || n != 0 {
				t.Fatalf("%q gives %v and %d besides %v", b, addr, n, err)
			}
			return
		case n <= 0 || n > len(b) || n > maxProxyHeader || addr.Zone() != "" || addr.Is4In6():
			t.Fatalf("%q gives %v and %d", b, addr, n)
		}
		again, m, err := parseProxyHeader(b[:n])
		if again != addr || m != n || err != nil {
			t.Fatalf("%q gives %v, %d, %v without what follows", b, again, m, err)
		}
		for i := range n {
			if _, _, err := parseProxyHeader(b[:i]); err != errProxyMore {
				t.Fatalf("%q: its first %d bytes give %v", b, i, err)
			}
		}
	})
}

// An addrConn is only asked who is at its other end.
type addrConn struct {
	net.Conn
	addr net.Addr
}

func (c *addrConn) RemoteAddr() net.Addr { return c.addr }

func TestProxyProtocol(t *testing.T) {
	const timeout = 300 * time.Millisecond
	h := open(t, func(o *Options) {
		o.ProxyProtocol, o.ReadTimeout = true, timeout
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/30")}
	})
	beacon := beaconOf(usual, nil)
	request := fmt.Sprintf("POST /v1/beacon HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: https://shop.example\r\nX-Forwarded-For: 198.51.100.9\r\nContent-Length: %d\r\n\r\n%s", len(beacon), beacon)
	tests := []struct{ name, header, status, addr string }{
		{"version 1", "PROXY TCP4 203.0.113.77 192.0.2.1 4711 443\r\n", "200", "203.0.113.0"},
		{"version 2", string(proxyV2(0x21, 0x21, ip("2001:db8:1:2::7"), ip("2001:db8::1"), ports)), "200", "2001:db8:1::"},
		{"a client that is a proxy says for whom it speaks", "PROXY TCP4 127.0.0.2 192.0.2.1 4711 443\r\n", "200", "198.51.100.0"},
		{"none", "", "400", ""},
		{"another one", "PROXY UDP4\r\n", "400", ""},
	}
	for _, tt := range tests {
		for _, piece := range []int{1000, 1} {
			t.Run(fmt.Sprintf("%s, %d bytes at a time", tt.name, piece), func(t *testing.T) {
				got, _ := raw(t, h.addr, func(c net.Conn) {
					send := []byte(tt.header + request)
					for len(send) > 0 && piece < len(send) && len(send) > len(request) {
						_, _ = c.Write(send[:piece])
						send = send[piece:]
					}
					_, _ = c.Write(send)
				})
				if !strings.HasPrefix(got, "HTTP/1.1 "+tt.status) {
					t.Fatalf("answer %.300q", got)
				}
				if tt.addr != "" && h.places.last() != netip.MustParseAddr(tt.addr) {
					t.Errorf("the client is %v, want %s", h.places.last(), tt.addr)
				}
				if tt.addr == "" && !strings.Contains(got, "bad_proxy_header") {
					t.Errorf("answer %q", got)
				}
			})
		}
	}
	t.Run("a header that does not come", func(t *testing.T) {
		got, took := raw(t, h.addr, func(c net.Conn) { _, _ = c.Write([]byte("PROXY TCP4 ")) })
		if !strings.HasPrefix(got, "HTTP/1.1 408 ") || took > timeout+5*time.Second {
			t.Errorf("after %v: %q", took, got)
		}
	})
	if h.metrics.proxyHeaders.Load() != 4 {
		t.Errorf("%d headers are counted as refused", h.metrics.proxyHeaders.Load())
	}
}

// Whoever is not a proxy may not say who it is, nor connect at all, but for this
// machine itself, which has no header.
func TestStrangersDoNotSpeakTheProxyProtocol(t *testing.T) {
	h := open(t, func(o *Options) {
		o.ProxyProtocol = true
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	got, _ := raw(t, h.addr, func(c net.Conn) {
		_, _ = io.WriteString(c, "PROXY TCP4 203.0.113.77 192.0.2.1 4711 443\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
	})
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") || strings.Contains(got, "ok\n") {
		t.Errorf("answer %q", got)
	}
	if res := h.do("GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("this machine gets %d", res.StatusCode)
	}
	d := newDoor(&h.options, &h.tuning, h.metrics)
	c := &addrConn{addr: &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 1}}
	if _, refused := (&doorway{door: d, proxied: true}).receive(c); refused != errNotAProxy {
		t.Errorf("a stranger is %v", refused)
	}
	c.addr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1}
	if g, refused := (&doorway{door: d, proxied: true}).receive(c); refused != nil {
		t.Errorf("a proxy is %v", refused)
	} else if _, ok := g.Conn.(*proxied); !ok {
		t.Error("a proxy's header is not read")
	}
}
