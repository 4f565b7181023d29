// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestRoutes(t *testing.T) {
	h := open(t, nil)
	tests := []struct {
		name, method, path string
		status             int
		code, allow        string
	}{
		{"health", "GET", "/healthz", 200, "", ""},
		{"health under the prefix", "GET", "/_near/healthz", 200, "", ""},
		{"health without a body", "HEAD", "/healthz", 200, "", ""},
		{"readiness", "GET", "/readyz", 200, "", ""},
		{"the tag under the prefix", "GET", "/_near/tag.js", 200, "", ""},
		{"nothing", "GET", "/", 404, "not_found", ""},
		{"nothing under the prefix", "GET", "/_near", 404, "not_found", ""},
		{"the prefix twice", "GET", "/_near/_near/tag.js", 404, "not_found", ""},
		{"something like the prefix", "GET", "/_nearby/tag.js", 404, "not_found", ""},
		{"the admin side", "GET", "/metrics", 404, "not_found", ""},
		{"the admin side under the prefix", "GET", "/_near/v1/events", 404, "not_found", ""},
		{"the admin side by a detour", "GET", "/_near/../metrics", 404, "not_found", ""},
		{"a beacon that is fetched", "GET", "/v1/beacon", 405, "method_not_allowed", "POST, OPTIONS"},
		{"a beacon that is put", "PUT", "/_near/v1/beacon", 405, "method_not_allowed", "POST, OPTIONS"},
		{"a tag that is posted", "POST", "/tag.js", 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
		{"a withdrawal that is fetched", "GET", "/v1/withdraw", 405, "method_not_allowed", "POST, OPTIONS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := h.do(tt.method, tt.path, "")
			if res.StatusCode != tt.status || res.Header.Get("Allow") != tt.allow {
				t.Errorf("answer %d, allow %q, want %d, %q", res.StatusCode, res.Header.Get("Allow"), tt.status, tt.allow)
			}
			if tt.code != "" && res.code(t) != tt.code {
				t.Errorf("code %q, want %q", res.code(t), tt.code)
			}
			if got := res.Header.Get("Server"); got != "" {
				t.Errorf("server %q", got)
			}
		})
	}
}

func TestTag(t *testing.T) {
	h := open(t, nil)
	tag := strings.Repeat("near();", 200)
	plain := h.do("GET", "/tag.js", "", "Cookie: __Secure-near-demo=AQ")
	if plain.StatusCode != 200 || plain.body != tag {
		t.Fatalf("answer %d, %d bytes", plain.StatusCode, len(plain.body))
	}
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "cross-origin",
		"Vary": "Accept-Encoding", "Access-Control-Allow-Origin": "*", "Cache-Control": scriptCache, "Content-Encoding": "", "Set-Cookie": "",
	} {
		if got := plain.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	packed := h.do("GET", "/tag.js", "", "Accept-Encoding: br, gzip")
	if packed.Header.Get("Content-Encoding") != "gzip" || len(packed.body) >= len(tag) {
		t.Errorf("not packed: %v", packed.Header)
	}
	r, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := io.ReadAll(r); err != nil || string(out) != tag {
		t.Errorf("unpacked %d bytes, %v", len(out), err)
	}
	etag, etagPacked := plain.Header.Get("ETag"), packed.Header.Get("ETag")
	if etag == "" || etag == etagPacked {
		t.Errorf("entity tags %q and %q", etag, etagPacked)
	}
	for _, tt := range []struct {
		name, match, encoding string
		status                int
	}{
		{"the same", etag, "", 304},
		{"the same, weak, among others", `"x", W/` + etagPacked, "gzip", 304},
		{"another one", `"x"`, "", 200},
		{"the other encoding's", etagPacked, "", 200},
	} {
		res := h.do("GET", "/tag.js", "", "If-None-Match: "+tt.match, "Accept-Encoding: "+tt.encoding)
		if res.StatusCode != tt.status || tt.status == 304 && (res.body != "" || res.Header.Get("ETag") == "") {
			t.Errorf("%s: answer %d, want %d", tt.name, res.StatusCode, tt.status)
		}
	}
	if head := h.do("HEAD", "/tag.js", ""); head.StatusCode != 200 || head.body != "" || head.ContentLength != int64(len(tag)) {
		t.Errorf("HEAD: answer %d, length %d", head.StatusCode, head.ContentLength)
	}
}

func TestFilesBesideTheTag(t *testing.T) {
	h := open(t, func(o *Options) {
		o.Files = []File{
			{Name: "tag.full.js", Body: []byte("full()")},
			{Name: "tag.0a.js", Body: []byte("near()"), Immutable: true},
			{Name: "tag.json", Body: []byte("{}")},
		}
	})
	for _, tt := range []struct{ path, body, contentType, cache string }{
		{"/tag.full.js", "full()", "text/javascript; charset=utf-8", scriptCache},
		{"/_near/tag.0a.js", "near()", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/_near/tag.json", "{}", "application/json", scriptCache},
	} {
		res := h.do("GET", tt.path, "")
		if res.StatusCode != 200 || res.body != tt.body || res.Header.Get("Content-Type") != tt.contentType || res.Header.Get("Cache-Control") != tt.cache {
			t.Errorf("%s: answer %d %q, %v", tt.path, res.StatusCode, res.body, res.Header)
		}
	}
	if res := h.do("GET", "/tag.0b.js", ""); res.StatusCode != 404 {
		t.Errorf("another version: answer %d, want 404", res.StatusCode)
	}
}

func TestReadiness(t *testing.T) {
	var broken atomic.Bool
	h := open(t, func(o *Options) {
		o.Ready = func() error {
			if broken.Load() {
				return errors.New("no stream")
			}
			return nil
		}
	})
	if res := h.do("GET", "/readyz", ""); res.StatusCode != 200 {
		t.Errorf("answer %d", res.StatusCode)
	}
	broken.Store(true)
	if res := h.do("GET", "/readyz", ""); res.StatusCode != 503 || res.code(t) != "not_ready" || strings.Contains(res.body, "stream") {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
	if res := h.do("GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("not ready is not dead: %d", res.StatusCode)
	}
}

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{Engine: newEngine(t, &gazetteer{}), Publisher: &ledger{}, Tag: []byte("x")}
	}
	s, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	if o := s.options; o.Prefix != "/_near" || o.PublishWait != 20*time.Millisecond || o.PublishPatience != time.Second || o.MaxConns != DefaultMaxConns || o.ReadTimeout != DefaultReadTimeout {
		t.Errorf("defaults %+v", o)
	}
	for name, edit := range map[string]func(*Options){
		"no engine":                     func(o *Options) { o.Engine = nil },
		"no publisher":                  func(o *Options) { o.Publisher = nil },
		"no tag":                        func(o *Options) { o.Tag = nil },
		"a prefix without a slash":      func(o *Options) { o.Prefix = "near" },
		"a prefix that ends in a slash": func(o *Options) { o.Prefix = "/near/" },
		"a prefix that ends a cookie":   func(o *Options) { o.Prefix = "/a;b" },
		"the root as a prefix":          func(o *Options) { o.Prefix = "/" },
		"a negative time":               func(o *Options) { o.ReadTimeout = -1 },
		"hardly any header":             func(o *Options) { o.HeaderLimit = 10 },
		"negative connections":          func(o *Options) { o.MaxConns = -1 },
		"a proxy that is no prefix":     func(o *Options) { o.TrustedProxies = make([]netip.Prefix, 1) },
	} {
		o := good()
		edit(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestAPanicStaysInItsRequest(t *testing.T) {
	h := newHouse(t, nil)
	handler := h.Handler()
	served := h.serve(func(ctx *fasthttp.RequestCtx) {
		panicAt(string(ctx.Path()))
		handler(ctx)
	})
	defer func() {
		if err := errors.Join(h.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	}()
	for _, path := range []string{"/index", "/value"} {
		if res := h.do("GET", path, ""); res.StatusCode != 500 || res.code(t) != "internal" {
			t.Errorf("%s: answer %d %s", path, res.StatusCode, res.body)
		}
	}
	if res := h.do("GET", "/healthz", ""); res.StatusCode != 200 {
		t.Errorf("afterwards: answer %d", res.StatusCode)
	}
	logged := h.log.String()
	if !strings.Contains(logged, "index out of range") || strings.Contains(logged, "secret") || !strings.Contains(logged, "cause=string") {
		t.Errorf("log: %s", logged)
	}
	if h.metrics.panics.Load() != 2 {
		t.Errorf("%d panics counted", h.metrics.panics.Load())
	}
}

func panicAt(path string) {
	switch path {
	case "/index":
		var none []int
		_ = none[len(path)]
	case "/value":
		panic("secret of a visitor")
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.PublishPatience = 5 * time.Second })
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := h.Handler()
	served := h.serve(func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/v1/beacon" {
			close(entered)
			<-leave
		}
		handler(ctx)
	})

	idle := dial(t, h.addr)
	if _, err := idle.Write([]byte("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	readSome(t, idle, "200 OK")
	silent := dial(t, h.addr)
	answered := make(chan reply, 1)
	go func() {
		answered <- h.post(beaconOf(usual&^8, say{"events": eventsOf("e1"), "slots": []string{"hero"}}))
	}()
	<-entered
	down := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		down <- h.Shutdown(ctx)
	}()
	for _, c := range []net.Conn{idle, silent} {
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
		if rest, err := io.ReadAll(c); err != nil {
			t.Errorf("an idle connection is kept: %q, %v", rest, err)
		}
	}
	select {
	case err := <-down:
		t.Fatalf("shutdown did not wait: %v", err)
	default:
	}
	close(leave)
	if res := <-answered; res.StatusCode != 200 || len(h.ledger.kept()) != 1 || !res.Close {
		t.Errorf("answer %d, kept %d, close %v", res.StatusCode, len(h.ledger.kept()), res.Close)
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := net.Dial("tcp", h.addr); err == nil {
		t.Error("the listener is open")
	}
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Serve(second, handler); !errors.Is(err, ErrClosed) {
		t.Errorf("serve after shutdown: %v", err)
	}
	if _, err := second.Accept(); err == nil {
		t.Error("the second listener is open")
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	h := newHouse(t, nil)
	stuck, entered := make(chan struct{}), make(chan struct{})
	served := h.serve(func(*fasthttp.RequestCtx) { close(entered); <-stuck })
	c := dial(t, h.addr)
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := h.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the connection is still open: %v", err)
	}
	close(stuck)
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	h := open(t, nil)
	h.post(beaconOf(usual, say{"events": append(eventsOf("e1"), say{"id": "secret id"}), "slots": []string{"hero", "bare"}}))
	h.post("{")
	h.do("GET", "/secret", "")
	var out bytes.Buffer
	if err := h.WritePrometheus(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		`nearside_http_requests_total{route="beacon",status="2xx"} 1`, `nearside_http_requests_total{route="beacon",status="4xx"} 1`,
		`nearside_http_requests_total{route="none",status="4xx"} 1`, `nearside_http_errors_total{code="bad_json"} 1`,
		`nearside_http_errors_total{code="not_found"} 1`, `nearside_events_rejected_total{code="bad_id"} 1`,
		`nearside_events_accepted_total 1`, `nearside_consent_total{authority="owner",outcome="counts"} 1`, `nearside_decisions_total{reason="rule"} 1`, `nearside_decisions_total{reason="default"} 1`,
		"# TYPE nearside_connections gauge", "nearside_panics_total 0",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "127.0.0") {
		t.Errorf("metrics hold what a client sent:\n%s", text)
	}
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// readSome reads until the answer holds want.
func readSome(t testing.TB, c net.Conn, want string) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var got []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(got, []byte(want)) {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatalf("read %q, want %q: %v", got, want, err)
		}
	}
	return string(got)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
