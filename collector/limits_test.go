// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// raw sends bytes over a connection of their own and reads the answer to its
// end.
func raw(t *testing.T, addr string, send func(net.Conn)) (answer string, took time.Duration) {
	t.Helper()
	c := dial(t, addr)
	begin := time.Now()
	if send != nil {
		send(c)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	out, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("read %q: %v", out, err)
	}
	return string(out), time.Since(begin)
}

func TestASlowClientIsAnsweredAndLeft(t *testing.T) {
	const timeout = 300 * time.Millisecond
	h := open(t, func(o *Options) { o.ReadTimeout = timeout })
	head := "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\nContent-Length: 100\r\n\r\n"
	tests := []struct {
		name string
		send func(net.Conn)
	}{
		{"half the headers", func(c net.Conn) { _, _ = c.Write([]byte(head[:40])) }},
		{"half the body", func(c net.Conn) { _, _ = c.Write([]byte(head + `{"v":1,`)) }},
		{"a byte now and then", func(c net.Conn) {
			for _, b := range []byte(head) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, took := raw(t, h.addr, tt.send)
			if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, `{"error":{"code":"request_timeout"`) {
				t.Errorf("answer %q", got)
			}
			if took < timeout-100*time.Millisecond || took > timeout+lingerTime+2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestAHugeBodyIsRefusedUnread(t *testing.T) {
	h := open(t, nil)
	const size = 10 << 20
	tests := []struct {
		name, head string
		body       []byte
	}{
		{"that says how long it is", fmt.Sprintf("Content-Length: %d", size), bytes.Repeat([]byte("a"), size)},
		{"that comes in chunks", "Transfer-Encoding: chunked", bytes.Repeat([]byte("8000\r\n"+strings.Repeat("a", 0x8000)+"\r\n"), size/0x8000)},
		{"in one chunk", "Transfer-Encoding: chunked", append([]byte("a00000\r\n"), bytes.Repeat([]byte("a"), size)...)},
		{"just over the limit", "Content-Length: 65537", bytes.Repeat([]byte("a"), 65537)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const clients = 8
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					got, _ := raw(t, h.addr, func(c net.Conn) {
						_, _ = fmt.Fprintf(c, "POST /v1/beacon HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", tt.head)
						_, _ = c.Write(tt.body) // the whole of it, whatever the server thinks
					})
					if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, `"code":"body_too_large"`) {
						t.Errorf("answer %.200q", got)
					}
				})
			}
			wg.Wait()
			runtime.ReadMemStats(&after)
			// What eight clients made the process allocate, their own side included.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > clients*(1<<20) {
				t.Errorf("%d bytes allocated for %d bodies of %d", grown, clients, len(tt.body))
			}
		})
	}
}

func TestOtherRequestsThatCannotBeRead(t *testing.T) {
	h := open(t, func(o *Options) { o.HeaderLimit = 4 << 10 })
	tests := []struct{ name, send, want, code string }{
		{"headers over the limit", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 5000) + "\r\n\r\n", "431", "header_too_large"},
		{"an address over the limit", "GET /" + strings.Repeat("a", 5000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "431", "header_too_large"},
		{"no HTTP", "hello world, this is not HTTP\r\n\r\n", "400", "bad_request"},
		{"two lengths", "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa", "400", "bad_request"},
		{"a negative length", "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400", "bad_request"},
		{"a broken chunk", "POST /v1/beacon HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "bad_request"},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", "400", "bad_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := raw(t, h.addr, func(c net.Conn) { _, _ = c.Write([]byte(tt.send)) })
			if !strings.HasPrefix(got, "HTTP/1.1 "+tt.want+" ") || !strings.Contains(got, `{"error":{"code":"`+tt.code+`"`) {
				t.Errorf("answer %q", got)
			}
		})
	}
	if logged := h.log.String(); strings.Contains(logged, "127.0.0") || strings.Contains(logged, "hello") {
		t.Errorf("the log holds what a client sent: %s", logged)
	}
}

func TestConnectionLimits(t *testing.T) {
	h := open(t, func(o *Options) { o.MaxConns, o.MaxConnsPerIP = 4, 2 })
	busy := func(c net.Conn) {
		if _, err := c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		readSome(t, c, "ok\n")
	}
	first, second := dial(t, h.addr), dial(t, h.addr)
	busy(first)
	busy(second)
	got, _ := raw(t, h.addr, nil)
	if !strings.HasPrefix(got, "HTTP/1.1 429 ") || !strings.Contains(got, "too_many_connections") || !strings.Contains(got, "Retry-After: 1\r\n") {
		t.Errorf("the third gets %q", got)
	}
	_ = first.Close()
	waitFor(t, "a place to be free", func() bool { return h.metrics.connections.Load() == 1 })
	busy(dial(t, h.addr))

	all := open(t, func(o *Options) {
		o.MaxConns, o.MaxConnsPerIP = 2, 1
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	all.door.mu.Lock()
	all.door.roomWait = time.Hour
	all.door.mu.Unlock()
	busy(dial(t, all.addr))
	busy(dial(t, all.addr)) // a proxy is not limited by itself
	if got, _ := raw(t, all.addr, nil); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "too_many_connections") {
		t.Errorf("over all limits: %q", got)
	}
	var out bytes.Buffer
	if err := all.WritePrometheus(&out); err != nil || !strings.Contains(out.String(), `nearside_connections_refused_total{limit="all"} 1`) {
		t.Errorf("metrics: %v\n%s", err, out.String())
	}
}

// A full house closes who only waits, and no one who is served.
func TestAFullHouseMakesRoom(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.MaxConns, o.MaxConnsPerIP = 3, 100 })
	h.door.roomWait = time.Hour
	handler := h.Handler()
	entered, leave := make(chan struct{}), make(chan struct{})
	served := h.serve(func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/slow" {
			close(entered)
			<-leave
		}
		handler(ctx)
	})
	request := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }
	idle, busy, arriving := dial(t, h.addr), dial(t, h.addr), dial(t, h.addr)
	_, _ = io.WriteString(idle, request("/healthz"))
	readSome(t, idle, "ok\n")
	waitFor(t, "the idle one to wait", func() bool { // before the other does
		h.door.mu.Lock()
		defer h.door.mu.Unlock()
		for p := range h.door.open {
			if p.waits.Load() > 0 {
				return true
			}
		}
		return false
	})
	_, _ = io.WriteString(busy, request("/slow"))
	<-entered
	read := h.metrics.bytesIn.Load()
	_, _ = io.WriteString(arriving, request("/healthz")[:20])
	waitFor(t, "the beginning to be read", func() bool { return h.metrics.bytesIn.Load() > read })
	time.Sleep(20 * time.Millisecond) // both wait from now on
	if got, _ := raw(t, h.addr, nil); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("at once: %q", got)
	}
	h.door.mu.Lock()
	h.door.roomWait = 0
	h.door.mu.Unlock()
	late := dial(t, h.addr)
	_, _ = io.WriteString(late, request("/healthz"))
	readSome(t, late, "ok\n")
	_ = idle.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := idle.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the idle one is kept: %v", err)
	}
	_, _ = io.WriteString(arriving, request("/healthz")[20:])
	readSome(t, arriving, "ok\n")
	close(leave)
	readSome(t, busy, "HTTP/1.1 404")
	if h.metrics.evicted.Load() != 1 {
		t.Errorf("%d connections were closed to make room", h.metrics.evicted.Load())
	}
	for _, c := range []net.Conn{idle, busy, arriving, late} {
		_ = c.Close()
	}
	if err := errors.Join(h.Shutdown(context.Background()), <-served); err != nil {
		t.Error(err)
	}
}

// A full house closes who does not get on with a request: who never begins the
// handshake, and who never ends a head.
func TestAFullHouseIsNotHeldBySilence(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	tests := []struct {
		name   string
		secure bool
		send   string
	}{
		{"no handshake", true, ""},
		{"half a handshake", true, "\x16\x03\x01\x02"},
		{"nothing", false, ""},
		{"one byte", false, "G"},
		{"half a head", false, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const most, silent = 4, 6
			h := open(t, func(o *Options) {
				o.MaxConns, o.MaxConnsPerIP = most, 100
				if tt.secure {
					o.TLS = &tls.Config{Certificates: certified.TLS.Certificates}
				}
			})
			h.door.mu.Lock()
			h.door.roomWait = 50 * time.Millisecond
			h.door.mu.Unlock()
			for range silent {
				_, _ = io.WriteString(dial(t, h.addr), tt.send) // some are turned away
			}
			waitFor(t, "the house to be full", func() bool { return h.metrics.connections.Load() >= most })
			time.Sleep(100 * time.Millisecond) // longer than anybody may keep others waiting
			visitor := dial(t, h.addr)
			if tt.secure {
				visitor = tls.Client(visitor, &tls.Config{InsecureSkipVerify: true})
			}
			_ = visitor.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := io.WriteString(visitor, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				t.Fatalf("a visitor is kept out: %v", err)
			}
			readSome(t, visitor, "ok\n")
			if h.metrics.evicted.Load() == 0 {
				t.Error("nobody was closed")
			}
		})
	}
}

// One that is answered is not closed because the next request begins behind its own.
func TestAFullHouseKeepsWhoIsAnswered(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.MaxConns, o.MaxConnsPerIP = 1, 100 })
	h.door.roomWait = 0
	handler := h.Handler()
	entered, leave := make(chan struct{}), make(chan struct{})
	served := h.serve(func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/slow" {
			close(entered)
			<-leave
		}
		handler(ctx)
	})
	busy := dial(t, h.addr)
	_, _ = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /hea")
	<-entered
	if got, _ := raw(t, h.addr, nil); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("another gets %q", got)
	}
	close(leave)
	readSome(t, busy, "HTTP/1.1 404")
	_ = busy.Close()
	if err := errors.Join(h.Shutdown(context.Background()), <-served); err != nil {
		t.Error(err)
	}
}

// A client that asks and asks and reads nothing is cut off, and what it is owed
// meanwhile is bounded by its connection's buffers.
func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	const timeout = 300 * time.Millisecond
	h := open(t, func(o *Options) { o.WriteTimeout, o.Tag = timeout, bytes.Repeat([]byte("x"), 1<<20) })
	c := dial(t, h.addr)
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	_ = c.SetWriteDeadline(begin.Add(20 * time.Second))
	request := []byte("GET /tag.js HTTP/1.1\r\nHost: a\r\n\r\n")
	for {
		if _, err := c.Write(request); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("it is still there after 20 s")
			}
			break // reset, or closed
		}
		time.Sleep(time.Millisecond)
	}
	waitFor(t, "its place to be free", func() bool { return h.metrics.connections.Load() == 0 })
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d bytes are held for it", grown)
	}
	if took := time.Since(begin); took < timeout {
		t.Errorf("cut off after %v", took)
	}
}

// Requests in a row without waiting for answers are served one after the other,
// in order, and take no more memory than one.
func TestAFloodOfPipelinedRequests(t *testing.T) {
	h := open(t, nil)
	const requests = 20_000
	flood := bytes.Repeat([]byte("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), requests/2)
	c := dial(t, h.addr)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		_, _ = c.Write(flood)
		_, _ = c.Write([]byte("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
	}()
	_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
	statuses := bufio.NewScanner(c)
	answers := 0
	for statuses.Scan() {
		_, line, found := strings.Cut(statuses.Text(), "HTTP/1.1 ") // after a body, perhaps
		if !found {
			continue
		}
		if want := []string{"200", "404"}[answers%2]; !strings.HasPrefix(line, want) {
			t.Fatalf("answer %d is %q", answers, line)
		}
		answers++
	}
	runtime.ReadMemStats(&after)
	if answers != requests+1 {
		t.Errorf("%d answers to %d requests", answers, requests+1)
	}
	if per := (after.TotalAlloc - before.TotalAlloc) / requests; per > 1<<10 {
		t.Errorf("%d bytes allocated for each request, this test's own included", per)
	}
}

// Connections that wait are closed in time: before the first request, and
// between two.
func TestIdleConnectionsAreClosed(t *testing.T) {
	const idle = 300 * time.Millisecond
	h := open(t, func(o *Options) { o.ReadTimeout, o.IdleTimeout = idle, idle })
	for name, send := range map[string]string{"silent": "", "between two requests": "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"} {
		got, took := raw(t, h.addr, func(c net.Conn) { _, _ = io.WriteString(c, send) })
		if took < idle-100*time.Millisecond || took > idle+5*time.Second {
			t.Errorf("%s: closed after %v", name, took)
		}
		if send != "" && strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
	waitFor(t, "all places to be free", func() bool { return h.metrics.connections.Load() == 0 })
}

func TestNeighboursCountAsOne(t *testing.T) {
	for give, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "::ffff:203.0.113.9": "203.0.113.9",
	} {
		if got := neighbour(netip.MustParseAddr(give).Unmap()); got.String() != want {
			t.Errorf("%s counts as %v, want %s", give, got, want)
		}
	}
}

// Without a descriptor left the door makes room and goes on.
func TestNoDescriptorLeft(t *testing.T) {
	h := newHouse(t, nil)
	h.door.roomWait = 20 * time.Millisecond
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	served := make(chan error, 1)
	full := &fullListener{Listener: ln}
	full.left.Store(2)
	go func() { served <- h.Serve(full, nil) }()
	if res := h.do("GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("answer %d", res.StatusCode)
	}
	var text bytes.Buffer
	if err := h.WritePrometheus(&text); err != nil || !strings.Contains(text.String(), `nearside_connections_refused_total{limit="descriptors"} 2`) {
		t.Errorf("%v, counted: %s", err, text.String())
	}
	h.client.CloseIdleConnections()
	waitFor(t, "the first to be gone", func() bool { return h.metrics.connections.Load() == 0 })
	idle := dial(t, h.addr)
	_, _ = io.WriteString(idle, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
	readSome(t, idle, "ok\n")
	time.Sleep(2 * h.door.roomWait)
	full.left.Store(1) // for the one after the next
	_ = dial(t, h.addr)
	_ = idle.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := idle.Read(make([]byte, 1)); n > 0 || err == nil || isTimeout(err) {
		t.Errorf("the idle one is kept: read %d bytes, %v", n, err)
	}
	if err := errors.Join(h.Shutdown(t.Context()), <-served); err != nil {
		t.Error(err)
	}
}

// A fullListener has no descriptor for some connections.
type fullListener struct {
	net.Listener
	left atomic.Int32
}

func (l *fullListener) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
