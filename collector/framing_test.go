// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// smuggled is what an attacker hopes for: a second request that whoever stood in
// front did not see.
const smuggled = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"

// TestAmbiguousRequests sends, over a real connection, requests that two
// readers could read in two ways, each followed by another that must not be
// answered.
func TestAmbiguousRequests(t *testing.T) {
	h := open(t, nil)
	get := func(headers string) string { return "GET /readyz HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" }
	post := func(headers, body string) string {
		return "POST /v1/beacon HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body
	}
	tests := []struct{ name, send, want string }{
		{"a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
		{"chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "400"},
		{"two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "{}"), "400"},
		{"one length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), "400"},
		{"a list of lengths", post("Content-Length: 2, 2\r\n", "{}"), "400"},
		{"a length with a sign", post("Content-Length: +2\r\n", "{}"), "400"},
		{"a negative length", post("Content-Length: -2\r\n", "{}"), "400"},
		{"a length in hexadecimal", post("Content-Length: 0x2\r\n", "{}"), "400"},
		{"a length with a blank inside", post("Content-Length: 1 2\r\n", "{}"), "400"},
		{"an empty length", post("Content-Length:\r\n", "{}"), "400"},
		{"a length beyond all numbers", post("Content-Length: 99999999999999999999\r\n", "{}"), "400"},
		{"a header that goes on in the next line", get("X: a\r\n b\r\n"), "400"},
		{"a length that goes on in the next line", post("Content-Length:\r\n 2\r\n", "{}"), "400"},
		{"a first header that goes on from nothing", "GET /readyz HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
		{"a request line that ends in LF", "GET /readyz HTTP/1.1\nHost: a\r\n\r\n", "400"},
		{"a header that ends in LF", get("X: a\n"), "400"},
		{"a head that ends in LF", "GET /readyz HTTP/1.1\r\nHost: a\r\n\n", "400"},
		{"LF throughout", "GET /readyz HTTP/1.1\nHost: a\n\n", "400"},
		{"a CR within a header", get("X: a\rb\r\n"), "400"},
		{"a CR before the end", get("X: a\r\r\n"), "400"},
		{"a CR within the request line", "GET /readyz\r HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a blank before the colon", get("X : a\r\n"), "400"},
		{"a length with a blank before its colon", post("Content-Length : 2\r\n", "{}"), "400"},
		{"a tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), "400"},
		{"a blank within a name", get("Content Length: 5\r\n"), "400"},
		{"a header without a colon", get("X\r\n"), "400"},
		{"a header without a name", get(": x\r\n"), "400"},
		{"a NUL in a header", get("X: a\x00b\r\n"), "400"},
		{"a NUL in a name", get("X\x00: a\r\n"), "400"},
		{"a NUL in the target", "GET /ready\x00z HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"another encoding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400"},
		{"an encoding before chunks", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "400"},
		{"an encoding after chunks", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "400"},
		{"identity", post("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "{}"), "400"},
		{"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
		{"chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "400"},
		{"chunked behind a strange blank", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), "400"},
		{"no encoding at all", post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "400"},
		{"chunks in HTTP/1.0", "POST /v1/beacon HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"a chunk with an extension", post("Transfer-Encoding: chunked\r\n", "2;x=y\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a last chunk with an extension", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0;x\r\n\r\n"), "400"},
		{"a chunk's size that ends in LF", post("Transfer-Encoding: chunked\r\n", "2\n{}\r\n0\r\n\r\n"), "400"},
		{"a chunk that ends in LF", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\n0\r\n\r\n"), "400"},
		{"a chunk longer than it says", post("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a chunk's size beyond all numbers", post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff2\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a chunk's size with 0x", post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a chunk's size after a blank", post("Transfer-Encoding: chunked\r\n", " 2\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a chunk's size before a blank", post("Transfer-Encoding: chunked\r\n", "2 \r\n{}\r\n0\r\n\r\n"), "400"},
		{"a negative chunk", post("Transfer-Encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"), "400"},
		{"a trailer", post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n"), "400"},
		{"no host", "GET /readyz HTTP/1.1\r\n\r\n", "400"},
		{"two hosts", get("Host: b\r\n"), "400"},
		{"one host twice", get("Host: a\r\n"), "400"},
		{"an empty host", "GET /readyz HTTP/1.1\r\nHost:\r\n\r\n", "400"},
		{"a list of hosts", "GET /readyz HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
		{"a host with a path", "GET /readyz HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
		{"a host with a user", "GET /readyz HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"},
		{"an address of another host", "GET http://b/readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"an address of no host", "GET http:///readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"an address of another scheme", "GET ftp://a/readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a target without a slash", "GET readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a target with a blank", "GET /ready z HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a target with bytes of a text", "GET /r\xc3\xa9adyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a tunnel", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "400"},
		{"a star that asks for nothing", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"two blanks", "GET  /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a blank before the method", " GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a blank after the version", "GET /readyz HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
		{"a method that is no token", "G(T /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"a line before the request", "\r\nGET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"HTTP/0.9", "GET /readyz\r\n", "400"},
		{"HTTP/2 by force", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
		{"HTTP/1.2", "GET /readyz HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
		{"HTTP in small letters", "GET /readyz http/1.1\r\nHost: a\r\n\r\n", "400"},
		{"HTTP with two digits", "GET /readyz HTTP/1.10\r\nHost: a\r\n\r\n", "400"},
		{"an expectation of its own", post("Expect: 200-ok\r\nContent-Length: 2\r\n", "{}"), "417"},
		{"too many headers", get(strings.Repeat("X: a\r\n", maxHeaderLines)), "431"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, before := range []string{"", smuggled} { // as a first request and as a second
				got, _ := raw(t, h.addr, func(c net.Conn) { _, _ = c.Write([]byte(before + tt.send + smuggled)) })
				if before != "" {
					first, rest, ok := strings.Cut(got, "ok\n")
					if !ok || !strings.HasPrefix(first, "HTTP/1.1 200 ") {
						t.Fatalf("the good request before it: %q", got)
					}
					got = rest
				}
				head, body, _ := strings.Cut(got, "\r\n\r\n")
				if !strings.HasPrefix(got, "HTTP/1.1 "+tt.want+" ") || !strings.Contains(head, "\r\nConnection: close") || !strings.HasPrefix(body, `{"error":{"code":"`) {
					t.Errorf("answer %q, want one %s", got, tt.want)
				}
				if n := strings.Count(got, "HTTP/1.1 "); n != 1 {
					t.Errorf("%d answers: %q", n, got)
				}
			}
		})
	}
	if h.metrics.framing.Load() == 0 {
		t.Error("none of them is counted")
	}
}

// What browsers, proxies and command lines send is served, in one write, byte by
// byte, and one after the other.
func TestPlainRequestsAreServed(t *testing.T) {
	h := open(t, nil)
	requests := []string{
		"GET /healthz HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nhost:[2001:db8::1]:80\r\nX-Empty:\r\nX-Blank:  a b \t\r\n\r\n",
		"GET http://shop.example/healthz HTTP/1.1\r\nHost: SHOP.example\r\n\r\n",
		"GET /healthz?a=%20&b=[1]|{} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n00a\r\n0123456789\r\n0\r\n\r\n",
		"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: " + strconv.Itoa(len(smuggled)) + "\r\n\r\n" + smuggled,
		"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	}
	whole := strings.Join(requests, "")
	for _, piece := range []int{len(whole), 1, 7} {
		t.Run(fmt.Sprintf("%d bytes at a time", piece), func(t *testing.T) {
			got, _ := raw(t, h.addr, func(c net.Conn) {
				for part := range slices.Chunk([]byte(whole), piece) {
					if _, err := c.Write(part); err != nil {
						t.Error(err)
					}
				}
			})
			if n, ok := strings.Count(got, "HTTP/1.1 200 OK\r\n"), strings.Count(got, "ok\n"); n != len(requests) || ok != n || strings.Count(got, "HTTP/1.1 ") != n {
				t.Errorf("%d answers of %d: %s", n, len(requests), got)
			}
		})
	}
}

func TestContinueIsAnswered(t *testing.T) {
	h := open(t, nil)
	c := dial(t, h.addr)
	body := beaconOf(usual, nil)
	fmt.Fprintf(c, "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	readSome(t, c, "HTTP/1.1 100 Continue\r\n\r\n")
	fmt.Fprint(c, body)
	readSome(t, c, "HTTP/1.1 20")
}

// ends returns where each request in b ends as a framing sees it, and how many
// bytes it read before it found one that is wrong.
func ends(b []byte, limit int) (list []int, read int) {
	f := framing{limit: limit}
	for i := range b {
		if _, bad := f.follow(b[i : i+1]); bad != nil {
			return list, i + 1
		}
		if f.between() {
			list = append(list, i+1)
		}
	}
	return list, len(b)
}

func FuzzFraming(f *testing.F) {
	for _, seed := range []string{
		smuggled + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + smuggled,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"GET http://a/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + smuggled,
		"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
	} {
		f.Add([]byte(seed), uint8(9))
	}
	const limit = 1 << 10
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		want, _ := ends(b, limit)
		compareStandard(t, b, want)
		comparePieces(t, b, limit, int(piece)+1)
		compareServer(t, b, limit, want)
	})
}

// compareStandard reads the requests with net/http: what both read ends at the
// same byte.
func compareStandard(t *testing.T, b []byte, want []int) {
	from := bytes.NewReader(b)
	r := bufio.NewReader(from)
	for i, end := range want {
		req, err := http.ReadRequest(r)
		if err != nil {
			return // net/http looks at values that the framing leaves to fasthttp
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			t.Fatalf("request %d of %q: net/http cannot read the body: %v", i, b, err)
		}
		if at := len(b) - from.Len() - r.Buffered(); at != end {
			t.Fatalf("request %d of %q ends at %d, for net/http at %d", i, b, end, at)
		}
	}
}

// comparePieces checks that it makes no difference how the bytes arrive.
func comparePieces(t *testing.T, b []byte, limit, piece int) {
	whole, pieces := framing{limit: limit}, framing{limit: limit}
	_, bad := whole.follow(b)
	var badToo *refusal
	for part := range slices.Chunk(b, piece) {
		if _, badToo = pieces.follow(part); badToo != nil {
			break
		}
	}
	if bad != badToo {
		t.Fatalf("%.2000q is %v at once and %v by %d bytes", b, bad, badToo, piece)
	}
}

// A name with a control character, which in small letters would be a dash, is none
// however its line arrives.
func TestAControlCharacterIsNoDash(t *testing.T) {
	for _, header := range []string{"Content\rLength: 2", "Transfer\rEncoding: chunked", "sec\rch\rua: \"Chromium\"", "user\ragent: Mozilla", "a\rb: c", "Host\x7f: a"} {
		request := []byte("POST /v1/beacon HTTP/1.1\r\nHost: a\r\n" + header + "\r\nContent-Length: 2\r\n\r\n{}")
		f := framing{limit: 8 << 10, picks: new(picked)}
		if _, bad := f.follow(request); bad != errFraming {
			t.Errorf("%q is %v", header, bad)
		}
		for piece := range len(request) {
			comparePieces(t, request, 8<<10, piece+1)
		}
	}
}

// compareServer serves the bytes: no more requests are handled than the framing
// has seen end.
func compareServer(t *testing.T, b []byte, limit int, want []int) {
	handled := 0
	server := &fasthttp.Server{
		Handler:      func(ctx *fasthttp.RequestCtx) { handled++; ctx.SetBodyString("ok") },
		ErrorHandler: func(ctx *fasthttp.RequestCtx, _ error) { ctx.SetStatusCode(400) }, ReadBufferSize: limit,
		Logger: quietLogger{slog.New(slog.DiscardHandler)}, NoDefaultServerHeader: true, MaxRequestBodySize: 1 << 20, DisablePreParseMultipartForm: true,
	}
	c := &tapeConn{in: bytes.NewReader(b)}
	m := newMetrics()
	_ = server.ServeConn(&guest{Conn: c, door: &door{metrics: m, open: map[*seat]struct{}{}}, seat: &seat{}, framing: framing{limit: limit}})
	if handled > len(want) {
		t.Fatalf("%d requests were handled of %q, which has %d", handled, b, len(want))
	}
	if n := bytes.Count(c.out.Bytes(), []byte("HTTP/1.1 ")) - bytes.Count(c.out.Bytes(), []byte("HTTP/1.1 100 ")); n > handled+1 {
		t.Fatalf("%d answers to %q, of which %d requests were handled", n, b, handled)
	}
}

// A tapeConn says what it was given and keeps what it hears.
type tapeConn struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *tapeConn) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *tapeConn) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *tapeConn) Close() error                     { return nil }
func (c *tapeConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *tapeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *tapeConn) SetDeadline(time.Time) error      { return nil }
func (c *tapeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *tapeConn) SetWriteDeadline(time.Time) error { return nil }

func TestFramingAllocs(t *testing.T) {
	request := []byte("POST /_near/v1/beacon HTTP/1.1\r\nHost: near.example\r\nContent-Length: 2\r\nUser-Agent: " + desktopAgent + "\r\nOrigin: https://shop.example\r\n\r\n{}")
	f := framing{limit: DefaultHeaderLimit}
	if n := testing.AllocsPerRun(200, func() {
		if good, bad := f.follow(request); bad != nil || good != len(request) {
			t.Fatalf("%d bytes, %v", good, bad)
		}
	}); n != 0 {
		t.Errorf("%.1f allocations, want 0", n)
	}
}

func BenchmarkFraming(b *testing.B) {
	request := []byte("POST /_near/v1/beacon HTTP/1.1\r\nHost: near.example\r\nConnection: keep-alive\r\nContent-Length: 2\r\nsec-ch-ua-platform: \"Windows\"\r\nUser-Agent: " + desktopAgent +
		"\r\nsec-ch-ua: \"Chromium\";v=\"156\"\r\nContent-Type: text/plain;charset=UTF-8\r\nsec-ch-ua-mobile: ?0\r\nAccept: */*\r\nOrigin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\n" +
		"Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: fr-FR,fr;q=0.9\r\n\r\n{}")
	f := framing{limit: DefaultHeaderLimit}
	b.ReportAllocs()
	for b.Loop() {
		if _, bad := f.follow(request); bad != nil {
			b.Fatal(bad)
		}
	}
}
