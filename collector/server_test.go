// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// testNow is when every beacon of the tests arrives.
var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	phoneAgent   = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"
	desktopAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)

// A gazetteer places every address in one country and remembers which
// addresses it was asked about.
type gazetteer struct {
	mu    sync.Mutex
	asked []netip.Addr
}

func (g *gazetteer) Locate(addr netip.Addr) edge.Place {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.asked) < 1000 {
		g.asked = append(g.asked, addr)
	}
	return edge.Place{Country: "FR"}
}

func (g *gazetteer) last() netip.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.asked) == 0 {
		return netip.Addr{}
	}
	return g.asked[len(g.asked)-1]
}

// A ledger keeps events in memory. Within a wait shorter than its pace it does
// not answer, like a log whose disk is slow.
type ledger struct {
	mu      sync.Mutex
	events  []string
	records int
	pace    time.Duration
	err     error
}

func (l *ledger) Publish(events []edge.Event, wait time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if wait < l.pace {
		return fmt.Errorf("commit group: %w", edge.ErrUnavailable)
	}
	return l.keep(textsOf(events))
}

func (l *ledger) Submit(events []edge.Event) (edge.Pending, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pace == 0 || l.err != nil {
		return nil, l.keep(textsOf(events))
	}
	texts, pace := textsOf(events), l.pace
	return submitLater(func() { time.Sleep(pace) }, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.keep(texts)
	}), nil
}

func (l *ledger) keep(texts []string) error {
	if l.err == nil {
		l.events = append(l.events, texts...)
	}
	return l.err
}

func textsOf(events []edge.Event) (texts []string) {
	for i := range events {
		texts = append(texts, string(events[i].JSON()))
	}
	return texts
}

// submitLater publishes events once wait is over.
func submitLater(wait func(), publish func() error) edge.Pending {
	f := &fate{done: make(chan struct{})}
	go func() {
		wait()
		f.err = publish()
		close(f.done)
	}()
	return f
}

// A fate is what becomes of events some time.
type fate struct {
	done  chan struct{}
	err   error
	given atomic.Int64 // calls that gave up
}

func (f *fate) Done() <-chan struct{} { return f.done }
func (f *fate) Err() error            { return f.err }
func (f *fate) GiveUp(calls int)      { f.given.Add(int64(calls)) }

func (l *ledger) Record(r *edge.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(r.Bytes()) > 0 {
		l.records++
	}
}

func (l *ledger) set(pace time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pace, l.err = pace, err
}

func (l *ledger) recorded() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records
}

func (l *ledger) kept() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// A house is a server at work, with all that it needs.
type house struct {
	*Server
	t      testing.TB
	addr   string
	alone  bool // each connection has a goroutine, none is in a loop
	places *gazetteer
	ledger *ledger
	log    *syncBuffer
	client *http.Client
}

// A syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newEngine returns the real engine with the test's release.
func newEngine(t testing.TB, places edge.Locator) *edge.Engine {
	t.Helper()
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{7}, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	rule := &edgetest.Rule{
		Declares: edge.Manifest{
			ABI: 1, Name: "by-device", Version: "1.0.0", Needs: consent.Set(consent.Context), Reads: []string{"device.type"},
			Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"phone", "desktop"}}},
		},
		Cases: []edgetest.Case{
			{Field: "device.type", Is: `"phone"`, Variant: 1},
			{Field: "device.type", Is: `"desktop"`, Variant: 2},
		},
	}
	engine := edge.New(edge.Options{Node: "test", Locator: places, Loader: edgetest.Loader{"by-device": rule}, Sealer: sealer})
	document, err := os.ReadFile("testdata/release.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return engine
}

// open returns a server on a loopback port. edit may change its options.
func open(t testing.TB, edit func(*Options)) *house {
	t.Helper()
	return newHouse(t, edit).open()
}

func (h *house) open() *house {
	t := h.t
	served := h.serve(nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.client.CloseIdleConnections()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return h
}

// serve answers on a loopback port and sends what Serve returned.
func (h *house) serve(handler fasthttp.RequestHandler) <-chan error {
	h.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	if h.alone {
		ln = aloneListener{ln}
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(ln, handler) }()
	return served
}

// An aloneListener's connections are no sockets of the system's to who takes them.
type aloneListener struct{ net.Listener }

func (l aloneListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &begun{Conn: c}, nil
}

// newHouse is open without a listener.
func newHouse(t testing.TB, edit func(*Options)) *house {
	t.Helper()
	h := &house{t: t, places: &gazetteer{}, ledger: &ledger{}, log: &syncBuffer{}, client: &http.Client{
		Transport: &http.Transport{DisableCompression: true}, Timeout: 10 * time.Second,
	}}
	o := Options{
		Engine: newEngine(t, h.places), Publisher: h.ledger, Tag: []byte(strings.Repeat("near();", 200)),
		Now: func() time.Time { return testNow }, Logger: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if edit != nil {
		edit(&o)
	}
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = server
	return h
}

// A reply is an answer that has been read.
type reply struct {
	*http.Response
	body string
}

func (r reply) code(t testing.TB) string {
	t.Helper()
	var e struct {
		Error struct{ Code, Field, Message string }
	}
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatalf("answer %d %q is not JSON: %v", r.StatusCode, r.body, err)
	}
	if e.Error.Message == "" {
		t.Errorf("answer %d says no message: %s", r.StatusCode, r.body)
	}
	return strings.TrimSuffix(e.Error.Code+" "+e.Error.Field, " ")
}

// An answerJSON is an answer to a beacon as a client reads it.
type answerJSON struct {
	V         int
	Granted   int
	Decisions []struct {
		ID, Slot, Variant, Kind, Lang, Dir, Reason, Rule, Because string
		Content                                                   json.RawMessage
		Why                                                       *edge.Why
	}
	State    *string
	Accepted int
	Rejected []struct{ ID, Code, Field string }
	Resend   bool
	Refused  []refusedPart
}

func (r reply) answer(t testing.TB) answerJSON {
	t.Helper()
	var a answerJSON
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil || r.StatusCode != 200 {
		t.Fatalf("answer %d %q: %v", r.StatusCode, r.body, err)
	}
	return a
}

// do sends a request with headers "Name: value".
func (h *house) do(method, path, body string, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequest(method, "http://"+h.addr+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("User-Agent", desktopAgent)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Host":
			req.Host = value
		case "User-Agent":
			req.Header.Set(name, value)
		default:
			req.Header.Add(name, value)
		}
	}
	res, err := h.client.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{res, string(text)}
}

const (
	fromShop = "Origin: https://shop.example"
	// atHome is a page on the server's own origin.
	atHome     = "Origin: http://shop.example"
	atHomeHost = "Host: shop.example"
)

// post sends a beacon from the shop to a server of another origin.
func (h *house) post(body string, headers ...string) reply {
	h.t.Helper()
	return h.do("POST", "/v1/beacon", body, append([]string{fromShop}, headers...)...)
}

// postHome sends a beacon from a page of the server's own origin.
func (h *house) postHome(body string, headers ...string) reply {
	h.t.Helper()
	return h.do("POST", "/_near/v1/beacon", body, append([]string{atHome, atHomeHost}, headers...)...)
}

// A say is a beacon in the making.
type say map[string]any

// beaconOf returns a beacon with the owner's consent to purposes.
func beaconOf(purposes consent.Purposes, more say) string {
	b := say{"v": 1, "site": "demo", "sent": testNow.UnixMilli(),
		"consent": say{"purposes": purposes, "owner": say{"granted": purposes, "refused": 0}}}
	for name, value := range more {
		b[name] = value
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func eventsOf(ids ...string) []say {
	var list []say
	for _, id := range ids {
		list = append(list, say{"id": id, "name": "page_view", "at": testNow.UnixMilli() - 100, "props": say{}})
	}
	return list
}

func TestThisMachinesPagesGetTheTagForDevelopers(t *testing.T) {
	h := open(t, func(o *Options) { o.DevTag = []byte("dev") })
	for host, want := range map[string]string{
		"shop.example": "near();", "localhost:8080": "dev", "shop.localhost": "dev", "127.0.0.1:8080": "dev", "[::1]:8080": "dev", "localhost.example": "near();",
	} {
		if res := h.do("GET", "/tag.js", "", "Host: "+host); !strings.HasPrefix(res.body, want) {
			t.Errorf("host %s got %.10q, want %q", host, res.body, want)
		}
	}
}

// A debugger finds the sources by a header, so that no script carries a word of it.
func TestScriptsNameTheirSourceMaps(t *testing.T) {
	h := open(t, func(o *Options) {
		o.DevTag, o.TagMap, o.DevTagMap = []byte("dev"), "tag.0.js.map", "tag.dev.js.map"
		o.Files = []File{{Name: "tag.full.js", Body: []byte("full"), SourceMap: "tag.1.js.map"}, {Name: "tag.1.js.map", Body: []byte("{}")}}
	})
	for _, tt := range []struct{ path, host, want string }{
		{"/tag.js", "shop.example", "tag.0.js.map"}, {"/tag.js", "localhost", "tag.dev.js.map"},
		{"/tag.full.js", "shop.example", "tag.1.js.map"}, {"/tag.1.js.map", "shop.example", ""},
	} {
		if got := h.do("GET", tt.path, "", "Host: "+tt.host).Header.Get("SourceMap"); got != tt.want {
			t.Errorf("%s at %s names %q, want %q", tt.path, tt.host, got, tt.want)
		}
	}
}
