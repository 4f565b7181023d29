// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// A fastCase is a request and whether the fast path answers it.
type fastCase struct {
	name, head, body string
	fast             bool
}

// fastCases are requests of browsers, and others that are nearly so. A head is the
// lines between Host and Content-Length; one that begins with a slash names another
// address first.
func fastCases() []fastCase {
	const foreign = "Origin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\n"
	const home = atHome + "\r\nSec-Fetch-Site: same-origin\r\n"
	slots := beaconOf(usual, say{"events": eventsOf("e1"), "slots": []string{"hero", "bare"}})
	events := beaconOf(usual&^8, say{"events": eventsOf("e2")})
	return []fastCase{
		{"slots and an event", foreign, slots, true},
		{"an event alone", foreign, events, true},
		{"below the prefix", "/_near/v1/beacon\r\n" + foreign, slots, true},
		{"a query", "/v1/beacon?a=1\r\n" + foreign, slots, false},
		{"names in small letters", strings.ToLower(foreign) + "accept-language: fr\r\ncontent-type: text/plain\r\n", slots, true},
		{"on the site's own origin", home, slots, true},
		{"with a cookie", home + "Cookie: a=b; __Secure-near-demo=AQAB\r\n", slots, true},
		{"with a quoted cookie", home + "Cookie: __Secure-near-demo=\"AQAB\"\r\n", slots, false},
		{"with blanks in a cookie", home + "Cookie: __Secure-near-demo =AQAB\r\n", slots, false},
		{"with both cookies", home + "Cookie: __Host-near-demo=AQAB; __Secure-near-demo=AQAB\r\n", slots, true},
		{"two cookie headers", home + "Cookie: a=b\r\nCookie: __Secure-near-demo=AQAB\r\n", slots, false},
		{"no origin", "", slots, true},
		{"two origins", foreign + "Origin: https://evil.example\r\n", slots, false},
		{"an origin that says nothing, and one", "Origin:\r\n" + foreign, slots, false},
		{"a foreign origin", "Origin: https://evil.example\r\n", slots, true},
		{"no JSON", foreign, "{", true},
		{"JSON with a fault", foreign, `{"v":1,"site":"demo","slots":[7]}`, true},
		{"an unknown site", foreign, `{"v":1,"site":"none"}`, true},
		{"an empty body", foreign, "", true},
		{"another type", foreign + "Content-Type: text/html\r\n", slots, true},
		{"packed", foreign + "Content-Encoding: gzip\r\n", slots, true},
		{"two types", foreign + "Content-Type: text/html\r\nContent-Type: text/plain\r\n", slots, false},
		{"a page nobody looks at yet", foreign + "Sec-Purpose: prefetch;prerender\r\n", slots, true},
		{"who asks for privacy", foreign + "Sec-GPC: 1\r\n", slots, true},
		{"forwarded", foreign + "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n", slots, true},
		{"forwarded by two headers", foreign + "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n", slots, true},
		{"forwarded by two that disagree", foreign + "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=198.51.100.1\r\n", slots, true},
		{"forwarded in two lines", foreign + "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 127.0.0.1\r\n", slots, false},
		{"kept alive", foreign + "Connection: Keep-Alive\r\n", slots, true},
		{"closed afterwards", foreign + "Connection: close\r\n", slots, false},
		{"an upgrade", foreign + "Connection: Upgrade\r\nUpgrade: h2c\r\n", slots, false},
		{"a tab in a value", foreign + "User-Agent: a\tb\r\n", slots, true},
		{"a control character in a value", foreign + "User-Agent: a\x01b\r\n", slots, false},
		{"a DEL in a value", foreign + "X-Any: 0123456789\x7f\r\n", slots, false},
		{"beyond ASCII", foreign + "User-Agent: Größe\r\n", slots, true},
		{"a trailer that may not be", foreign + "Trailer: Host\r\n", slots, false},
		{"another address", "/v1/withdraw\r\n" + foreign, `{"v":1,"site":"demo","purposes":0}`, false},
		{"no address", "/v1/none\r\n" + foreign, slots, false},
	}
}

// text is the whole request.
func (c fastCase) text() string {
	path, head := "/v1/beacon", c.head
	if strings.HasPrefix(head, "/") {
		path, head, _ = strings.Cut(head, "\r\n")
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example\r\n%sContent-Length: %d\r\n\r\n%s", path, head, len(c.body), c.body)
}

// told are the parts of an answer that differ from one to the next.
var told = regexp.MustCompile(`"id":"[^"]*"|"state":"[^"]*"|near-demo=[^;]*`)

// answerOf reads one answer and returns it without what differs.
func answerOf(t *testing.T, from *bufio.Reader) (answer string, closes bool) {
	t.Helper()
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ParseTime(res.Header.Get("Date")); err != nil {
		t.Errorf("Date: %v", err)
	}
	res.Header.Del("Date")
	var b strings.Builder
	fmt.Fprintln(&b, res.Status, res.ContentLength, res.Close)
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		fmt.Fprintln(&b, name, res.Header[name])
	}
	b.Write(body)
	return told.ReplaceAllString(b.String(), "…"), res.Close
}

// The fast path and the server tell of every request the same: to who asked, to the
// log and to the metrics.
func TestTheFastPathAnswersAsTheServerDoes(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		trust := func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }
		fast, server := newHouse(trust).open(), newHouse(trust)
		served := server.serve(server.Handler())
		defer func() {
			if err := errors.Join(server.Shutdown(context.Background()), <-served); err != nil {
				t.Error(err)
			}
		}()
		for _, tt := range fastCases() {
			t.Run(tt.name, func(t *testing.T) {
				var answers [2]string
				for i, h := range []*house{fast, server} {
					c := dial(t, h.addr)
					_ = c.SetDeadline(time.Now().Add(5 * time.Second))
					in := bufio.NewReader(c)
					for range 2 { // as a connection's first request and as another
						if _, err := io.WriteString(c, tt.text()); err != nil {
							t.Fatal(err)
						}
						answer, closes := answerOf(t, in)
						if answers[i] += answer; closes {
							break
						}
					}
					if strings.HasPrefix(tt.head, atHome) && !strings.Contains(answers[i], "Set-Cookie") {
						t.Errorf("no cookie: %s", answers[i])
					}
					if i == 0 && tt.fast {
						waitFor(t, "the fast path to have answered", func() bool { return h.fastRests() })
					} else if h.fastRests() {
						t.Error("the fast path has answered")
					}
					_ = c.Close()
					waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
				}
				if answers[0] != answers[1] {
					t.Errorf("the fast path answers\n%s\nthe server\n%s", answers[0], answers[1])
				}
			})
		}
		var counts [2][]string
		for i, h := range []*house{fast, server} {
			var text bytes.Buffer
			if err := h.WritePrometheus(&text); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(text.String()) {
				if !strings.Contains(line, "_seconds") && !strings.Contains(line, "_bytes_total") {
					counts[i] = append(counts[i], line)
				}
			}
			slices.Sort(counts[i])
		}
		if !slices.Equal(counts[0], counts[1]) {
			t.Errorf("the fast path counts\n%s\nthe server\n%s", counts[0], counts[1])
		}
	})
}

// fastRests reports whether some connection rests after the fast path's answer: in a
// loop, or as a guest.
func (h *house) fastRests() bool {
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	for p := range h.door.open {
		if g, ok := p.holder.(*guest); !ok && p.waits.Load() > 0 || ok && g.fast.state.Load() == fastRests {
			return true
		}
	}
	return false
}

// eachWay runs a test with connections in loops and with a goroutine for each.
func eachWay(t *testing.T, test func(t *testing.T, newHouse func(edit func(*Options)) *house)) {
	for _, alone := range []bool{false, true} {
		t.Run(map[bool]string{false: "in a loop", true: "alone"}[alone], func(t *testing.T) {
			test(t, func(edit func(*Options)) *house {
				h := newHouse(t, edit)
				h.alone = alone
				return h
			})
		})
	}
}

// A connection may change between the fast path and the server at every request, and
// several requests may come at once.
func TestTheFastPathAndTheServerShareAConnection(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		h := newHouse(nil).open()
		c := dial(t, h.addr)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		in := bufio.NewReader(c)
		beacon := fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()
		const health = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
		for _, send := range [][]string{
			{beacon}, {health}, {beacon}, {beacon}, {beacon, beacon}, {health, beacon}, {beacon, health, beacon}, {beacon[:50], beacon[50:]}, {beacon},
			{beacon, beacon[:50], beacon[50:] + beacon}, {beacon},
		} {
			want := strings.Count(strings.Join(send, ""), " HTTP/1.1\r\n")
			switch {
			case strings.Contains(send[0], "Content-Length") || len(send) == 1, send[0] == health:
				if _, err := io.WriteString(c, strings.Join(send, "")); err != nil {
					t.Fatal(err)
				}
			default:
				for _, part := range send {
					if _, err := io.WriteString(c, part); err != nil {
						t.Fatal(err)
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
			for range want {
				if got, _ := answerOf(t, in); !strings.HasPrefix(got, "200 OK") {
					t.Fatalf("answer %s", got)
				}
			}
		}
		if in.Buffered() > 0 {
			t.Error("there are more answers than requests")
		}
	})
}

func TestAPanicStaysInItsRequestOnTheFastPath(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		h := newHouse(func(o *Options) { o.Publisher = panicker{o.Publisher} }).open()
		c := dial(t, h.addr)
		if _, err := io.WriteString(c, fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual&^8, say{"events": eventsOf("e1")})}.text()); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 500 ")) || !bytes.Contains(got, []byte("\r\nConnection: close\r\n")) || !bytes.Contains(got, []byte(`"code":"internal"`)) || bytes.Contains(got, []byte("shop.example")) {
			t.Errorf("answer %q, %v", got, err)
		}
		if logged := h.log.String(); h.metrics.panics.Load() != 1 || strings.Contains(logged, "secret") || !strings.Contains(logged, "cause=string") {
			t.Errorf("%d panics counted: %s", h.metrics.panics.Load(), logged)
		}
		if res := h.do("GET", "/healthz", ""); res.StatusCode != 200 {
			t.Errorf("afterwards: answer %d", res.StatusCode)
		}
	})
}

type panicker struct{ edge.Publisher }

func (panicker) Publish([]edge.Event, time.Duration) error { panic("secret of a visitor") }

func (panicker) Submit([]edge.Event) (edge.Pending, error) { panic("secret of a visitor") }

// Shutdown waits for what the fast path answers, and at once closes what it does not.
func TestShutdownLetsTheFastPathFinish(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		full := &gate{entered: make(chan struct{}), leave: make(chan struct{})}
		h := newHouse(func(o *Options) { full.Publisher, o.Publisher = o.Publisher, full })
		served := h.serve(nil)
		idle := dial(t, h.addr)
		if _, err := io.WriteString(idle, fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()); err != nil {
			t.Fatal(err)
		}
		readSome(t, idle, "200 OK")
		waitFor(t, "the fast path to have answered", func() bool { return h.fastRests() })
		busy := dial(t, h.addr)
		if _, err := io.WriteString(busy, fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual&^8, say{"events": eventsOf("e1")})}.text()); err != nil {
			t.Fatal(err)
		}
		<-full.entered
		time.AfterFunc(300*time.Millisecond, func() { close(full.leave) })
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("shutdown took %v", took)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		for _, one := range []struct {
			c    net.Conn
			want string
		}{{idle, ""}, {busy, "HTTP/1.1 204 No Content\r\n"}} {
			_ = one.c.SetReadDeadline(time.Now().Add(3 * time.Second))
			if got, err := io.ReadAll(one.c); err != nil || !strings.HasPrefix(string(got), one.want) || len(got) > 0 != (one.want != "") {
				t.Errorf("read %q, %v; want %q", got, err, one.want)
			}
		}
		if kept := h.ledger.kept(); len(kept) != 1 {
			t.Errorf("kept %v", kept)
		}
	})
}

// A gate is a log that takes its time.
type gate struct {
	edge.Publisher
	entered, leave chan struct{}
}

func (g *gate) Publish(events []edge.Event, wait time.Duration) error {
	close(g.entered)
	<-g.leave
	return g.Publisher.Publish(events, wait)
}

func (g *gate) Submit(events []edge.Event) (edge.Pending, error) {
	close(g.entered)
	events = slices.Clone(events)
	return submitLater(func() { <-g.leave }, func() error { return g.Publisher.Publish(events, time.Hour) }), nil
}

func TestDrainingClosesTheFastPath(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		h := newHouse(nil).open()
		c := dial(t, h.addr)
		beacon := fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()
		if _, err := io.WriteString(c, beacon); err != nil {
			t.Fatal(err)
		}
		readSome(t, c, "200 OK")
		h.Drain()
		got, _ := raw(t, h.addr, func(c net.Conn) { _, _ = io.WriteString(c, beacon) })
		if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "\r\nConnection: close\r\n") {
			t.Errorf("answer %q", got)
		}
	})
}

// After a request on the fast path the next one has the time that every request has, and
// none has the time of an idle connection, whose end is told to nobody.
func TestTimesAfterTheFastPath(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		const short = 300 * time.Millisecond
		h := newHouse(func(o *Options) { o.ReadTimeout, o.IdleTimeout = short, 2*short }).open()
		beacon := fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()
		for _, tt := range []struct {
			name, then, want string
			least            time.Duration
		}{
			{"nothing", "", "", 2*short - 100*time.Millisecond},
			{"half a head", beacon[:40], "HTTP/1.1 408 ", short - 100*time.Millisecond},
			{"half a body", beacon[:len(beacon)-10], "HTTP/1.1 408 ", short - 100*time.Millisecond},
		} {
			t.Run(tt.name, func(t *testing.T) {
				c := dial(t, h.addr)
				if _, err := io.WriteString(c, beacon); err != nil {
					t.Fatal(err)
				}
				in := bufio.NewReader(c)
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
				answerOf(t, in)
				begin := time.Now()
				if _, err := io.WriteString(c, tt.then); err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(in)
				if err != nil || !strings.HasPrefix(string(rest), tt.want) || len(rest) > 0 != (tt.want != "") {
					t.Errorf("read %q, %v; want %q", rest, err, tt.want)
				}
				if took := time.Since(begin); took < tt.least || took > tt.least+lingerTime+2*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	})
}

// The times to write an answer and to be idle begin when they should: a log that
// takes long has used up neither.
func TestTimesBehindASlowLog(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		const short, long = 200 * time.Millisecond, 400 * time.Millisecond
		h := newHouse(func(o *Options) {
			o.WriteTimeout, o.IdleTimeout, o.Publisher = short, long, sleeper{o.Publisher, long}
		}).open()
		c := dial(t, h.addr)
		if _, err := io.WriteString(c, fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual&^8, say{"events": eventsOf("e1")})}.text()); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		in := bufio.NewReader(c)
		if got, _ := answerOf(t, in); !strings.HasPrefix(got, "204 ") {
			t.Errorf("answer %s", got)
		}
		begin := time.Now()
		if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 || time.Since(begin) < long/2 {
			t.Errorf("closed after %v: %q, %v", time.Since(begin), rest, err)
		}
	})
}

type sleeper struct {
	edge.Publisher
	time.Duration
}

func (s sleeper) Publish(events []edge.Event, wait time.Duration) error {
	time.Sleep(s.Duration)
	return s.Publisher.Publish(events, wait)
}

func (s sleeper) Submit(events []edge.Event) (edge.Pending, error) {
	events = slices.Clone(events)
	return submitLater(func() { time.Sleep(s.Duration) }, func() error { return s.Publisher.Publish(events, time.Hour) }), nil
}

// A connection that ends after a request on the fast path sent no bad one, however
// it ends.
func TestTheEndAfterTheFastPathIsNoRequest(t *testing.T) {
	eachWay(t, func(t *testing.T, newHouse func(func(*Options)) *house) {
		h := newHouse(func(o *Options) { o.MaxConns = 1 }).open()
		beacon := fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, say{"slots": []string{"hero"}})}.text()
		rest := func() net.Conn {
			c := dial(t, h.addr)
			if _, err := io.WriteString(c, beacon); err != nil {
				t.Fatal(err)
			}
			readSome(t, c, "200 OK")
			waitFor(t, "the fast path to have answered", func() bool { return h.fastRests() })
			return c
		}
		gone := func() {
			waitFor(t, "the connection to be gone", func() bool { return h.metrics.connections.Load() == 0 })
		}
		reset := rest()
		_ = reset.(*net.TCPConn).SetLinger(0)
		_ = reset.Close()
		gone()
		evicted := rest()
		time.Sleep(roomWait)
		second := rest() // takes the place of the first
		_ = evicted.Close()
		_ = second.Close()
		gone()
		rest()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := h.WritePrometheus(&text); err != nil || strings.Contains(text.String(), `route="unread"`) || strings.Contains(text.String(), "bad_request") {
			t.Errorf("%v, counted: %s", err, text.String())
		}
	})
}

// Nothing is answered again where nothing has come.
func TestAnEmptyReadIsNoRequest(t *testing.T) {
	h := newHouse(t, nil)
	l := &repeater{request: []byte(fastCase{head: "Origin: https://shop.example\r\n", body: beaconOf(usual, nil)}.text()), left: 1}
	g, refused := (&doorway{door: h.door, fast: h.Server}).receive(emptyAtLast{l})
	if refused != nil {
		t.Fatal(refused)
	}
	if n, err := g.Read(make([]byte, 4<<10)); n != 0 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// An emptyAtLast is a repeater that says nothing at its end.
type emptyAtLast struct{ *repeater }

func (e emptyAtLast) Read(b []byte) (int, error) {
	n, err := e.repeater.Read(b)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Whoever closes while an answer is under way leaves it to the fast path.
func TestAnAnswerIsNotCutOff(t *testing.T) {
	var p fastPath
	if !p.enter() || p.close() || p.close() || p.leave() || !p.close() || p.enter() {
		t.Errorf("state %d", p.state.Load())
	}
}

// FuzzPicked holds what the fast path picks out of a request to what the server reads of
// it: what the fast path takes, both read alike.
func FuzzPicked(f *testing.F) {
	for _, c := range fastCases() {
		f.Add([]byte(c.text()))
	}
	f.Add([]byte("POST /v1/beacon HTTP/1.1\r\nHost: a\r\nSec-CH-UA: \"a\"\r\nSec-Ch-Ua-Mobile: ?1\r\nSec-CH-UA-Platform-Version: 1\r\nX-Moz: prefetch\r\nContent-Length: 1\r\n\r\na"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text := bytes.Clone(b)
		var p picked
		fr := framing{limit: 8 << 10, picks: &p}
		if good, bad := fr.follow(text); bad != nil || good != len(b) || !fr.fresh || fr.behind || !fr.between() || !p.plain {
			return
		}
		var ctx fasthttp.RequestCtx
		ctx.Init2(&tapeConn{}, nil, false)
		if err := ctx.Request.Read(bufio.NewReaderSize(bytes.NewReader(b), 16<<10)); err != nil {
			t.Fatalf("the fast path takes %q, the server says %v", b, err)
		}
		var want headers
		want.read(&ctx.Request.Header)
		if got, want := findCookies(p.headers.cookie, "demo"), findCookies(want.cookie, "demo"); got != want {
			t.Fatalf("%q: the fast path reads the cookies %+v, the server %+v", b, got, want)
		}
		want.cookie = p.headers.cookie // which the server writes anew
		if p.headers != want {
			t.Fatalf("%q: the fast path reads\n%+v\nthe server\n%+v", b, p.headers, want)
		}
		if ctx.Request.ConnectionClose() || string(ctx.Method()) != "POST" {
			t.Fatalf("%q: the connection is not to be kept", b)
		}
		if body := text[len(text)-int(fr.head.length):]; !bytes.Equal(body, ctx.PostBody()) {
			t.Fatalf("%q: the body is %q, for the server %q", b, body, ctx.PostBody())
		}
		for _, name := range []string{headerForwardedFor, headerForwarded, headerForwardedProto} {
			if got, want := p.PeekAll(name), ctx.Request.Header.PeekAll(name); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("%q: %s is %q, for the server %q", b, name, got, want)
			}
		}
		if p.path == "/v1/beacon" && string(ctx.Path()) != "/v1/beacon" {
			t.Fatalf("%q: the path is %q, for the server %q", b, p.path, ctx.Path())
		}
	})
}

// A repeater is a connection on which the same request comes again and again.
type repeater struct {
	tapeConn
	request []byte
	left    int
	answer  []byte
}

func (l *repeater) RemoteAddr() net.Addr { return &repeaterAddr }

var repeaterAddr = net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4711}

func (l *repeater) Read(b []byte) (int, error) {
	if l.left--; l.left < 0 {
		return 0, io.EOF
	}
	return copy(b, l.request), nil
}

func (l *repeater) Write(b []byte) (int, error) {
	l.answer = append(l.answer[:0], b...)
	return len(b), nil
}

// onRepeater makes a connection's guest and a function that has n requests answered.
func onRepeater(t testing.TB, request string) (l *repeater, answer func(n int)) {
	t.Helper()
	h := newHouse(t, func(o *Options) {
		o.Tuning.AddressRate, o.Tuning.NetworkRate = Rate{PerSecond: -1}, Rate{PerSecond: -1}
	})
	l = &repeater{request: []byte(request)}
	g, refused := (&doorway{door: h.door, fast: h.Server}).receive(l)
	if refused != nil {
		t.Fatal(refused)
	}
	space := make([]byte, 16<<10)
	return l, func(n int) {
		l.left = n
		if read, err := g.Read(space); read != 0 || err != io.EOF {
			t.Fatalf("the fast path leaves %q to the server: %v", space[:read], err)
		}
	}
}
