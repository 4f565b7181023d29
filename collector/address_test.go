// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestPeerOf(t *testing.T) {
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	const proxy = "10.1.2.3"
	tests := []struct {
		name    string
		socket  string
		headers [][2]string
		want    string // "" for unknown
	}{
		{"an IPv4 address keeps 24 bits", "203.0.113.77", nil, "203.0.113.0"},
		{"an IPv4 address inside a 6to4 address keeps its 24 bits", "2002:cb00:7109:1::1", nil, "2002:cb00:7100::"},
		{"an IPv6 address keeps 48 bits", "2001:db8:1:2:3:4:5:6", nil, "2001:db8:1::"},
		{"an IPv4 address in IPv6 is IPv4", "::ffff:203.0.113.77", nil, "203.0.113.0"},
		{"headers of a stranger mean nothing", "203.0.113.77", [][2]string{{"X-Forwarded-For", "198.51.100.1"}, {"Forwarded", "for=198.51.100.1"}}, "203.0.113.0"},
		{"a proxy speaks for its client", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77"}}, "203.0.113.0"},
		{"an IPv6 proxy too", "fd00::1", [][2]string{{"X-Forwarded-For", "2001:db8:1:2::7"}}, "2001:db8:1::"},
		{"the right-most stranger is the client", proxy, [][2]string{{"X-Forwarded-For", "198.51.100.1, 203.0.113.77, 10.9.9.9"}}, "203.0.113.0"},
		{"lines of one header are one list", proxy, [][2]string{{"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-For", "203.0.113.77"}, {"X-Forwarded-For", "10.9.9.9"}}, "203.0.113.0"},
		{"if all are ours the left-most is", proxy, [][2]string{{"X-Forwarded-For", "10.7.7.7, 10.9.9.9"}}, "10.7.7.0"},
		{"a port may be there", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77:4711"}}, "203.0.113.0"},
		{"brackets may be there", proxy, [][2]string{{"X-Forwarded-For", "[2001:db8:1:2::7]"}}, "2001:db8:1::"},
		{"brackets and a port may be there", proxy, [][2]string{{"X-Forwarded-For", "[2001:db8:1:2::7]:4711"}}, "2001:db8:1::"},
		{"an IPv4 proxy written as IPv6 is ours", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77, ::ffff:10.9.9.9"}}, "203.0.113.0"},
		{"empty elements are passed over", proxy, [][2]string{{"X-Forwarded-For", " , 203.0.113.77, ,"}}, "203.0.113.0"},
		{"what stands left of a stranger may be anything", proxy, [][2]string{{"X-Forwarded-For", "unknown, 203.0.113.77"}}, "203.0.113.0"},
		{"what is no address leaves it unknown", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77, unknown"}}, ""},
		{"a name leaves it unknown", proxy, [][2]string{{"X-Forwarded-For", "client.example"}}, ""},
		{"a chain without end leaves it unknown", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77" + repeat(", 10.0.0.1", 20)}}, ""},
		{"a proxy that says nothing leaves it unknown", proxy, nil, ""},
		{"Forwarded is read", proxy, [][2]string{{"Forwarded", `for=203.0.113.77;proto=https;by=10.1.2.3`}}, "203.0.113.0"},
		{"Forwarded in capitals, quoted, with a port", proxy, [][2]string{{"Forwarded", `proto=https; For="[2001:db8:1:2::7]:4711"`}}, "2001:db8:1::"},
		{"the right-most element of Forwarded counts", proxy, [][2]string{{"Forwarded", `for=198.51.100.1, for=203.0.113.77, for=10.2.2.2`}}, "203.0.113.0"},
		{"an obfuscated client is unknown", proxy, [][2]string{{"Forwarded", `for=_hidden`}}, ""},
		{"an element without a client is unknown", proxy, [][2]string{{"Forwarded", `proto=https`}}, ""},
		{"both headers may agree", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77"}, {"Forwarded", "for=203.0.113.77"}}, "203.0.113.0"},
		{"headers that disagree leave it unknown", proxy, [][2]string{{"X-Forwarded-For", "203.0.113.77"}, {"Forwarded", "for=198.51.100.1"}}, ""},
		{"a zone is dropped", proxy, [][2]string{{"X-Forwarded-For", "fe80::1%eth0"}}, "fe80::"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := netip.Addr{}
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if got := trusted.clientOf(requestFrom(tt.socket, tt.headers)); truncate(got.addr) != want {
				t.Errorf("got %v, want %v", truncate(got.addr), want)
			}
		})
	}
}

func TestASocketWithoutAnAddressIsUnknown(t *testing.T) {
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, &net.UnixAddr{Name: "/tmp/s", Net: "unix"}, nil)
	ctx.Request.Header.Set("X-Forwarded-For", "203.0.113.77")
	if got := (proxies{netip.MustParsePrefix("0.0.0.0/0")}).clientOf(new(senderOf(&ctx))); got.addr.IsValid() {
		t.Errorf("got %v", got.addr)
	}
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"203.0.113.9", "[::1]:80, 10.0.0.1", `for="[2001:db8::1]:9";proto=https`, ",,", "a, ::ffff:1.2.3.4%x", "for=;for=", `for="`} {
		f.Add(seed)
	}
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{headerForwardedFor, headerForwarded} {
			got := trusted.clientOf(requestFrom("10.1.2.3", [][2]string{{name, value}})).addr
			if got.Is4In6() || got.Zone() != "" {
				t.Errorf("%s: %q gives %v", name, value, got)
			}
		}
	})
}

func requestFrom(socket string, headers [][2]string) *sender {
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(socket), 4711)), nil)
	for _, h := range headers {
		ctx.Request.Header.Add(h[0], h[1])
	}
	return new(senderOf(&ctx))
}

func repeat(s string, n int) string {
	var out []byte
	for range n {
		out = append(out, s...)
	}
	return string(out)
}

// Whatever the address, what is left of it is its network's first address.
func TestTruncate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := func(addr netip.Addr) netip.Addr {
		addr = addr.Unmap().WithZone("")
		bits := v6Bits
		switch {
		case addr.Is4():
			bits = 24
		case v6to4.Contains(addr):
			bits = v6to4Bits
		}
		prefix, err := addr.Prefix(bits)
		if err != nil {
			return netip.Addr{}
		}
		return prefix.Addr()
	}
	addrs := []netip.Addr{{}, netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("::ffff:1.2.3.4%x"), netip.MustParseAddr("::")}
	for range 10_000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		addrs = append(addrs, netip.AddrFrom4([4]byte(b[:])), netip.AddrFrom16(b))
		b[0], b[1] = 0x20, 2
		addrs = append(addrs, netip.AddrFrom16(b))
		copy(b[:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff")
		addrs = append(addrs, netip.AddrFrom16(b), netip.AddrFrom16(b).WithZone("a"))
	}
	for _, addr := range addrs {
		if got := truncate(addr); got != want(addr) {
			t.Fatalf("%s becomes %s, want %s", addr, got, want(addr))
		}
	}
}
