// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/geo"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/tag"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// A handover is where the collector's work ends: what a log would be handed is
// only counted.
type handover struct{ events, eventBytes, records, recordBytes int }

// Publish implements edge.Publisher.
func (h *handover) Publish(events []edge.Event, _ time.Duration) error {
	h.events += len(events)
	for i := range events {
		h.eventBytes += len(events[i].JSON())
	}
	return nil
}

// Submit implements edge.Publisher.
func (h *handover) Submit(events []edge.Event) (edge.Pending, error) {
	return nil, h.Publish(events, 0)
}

// Record implements edge.Publisher.
func (h *handover) Record(r *edge.Record) {
	h.records++
	h.recordBytes += len(r.Bytes())
}

// An exchanger answers requests without a network, with all the parts of a node
// but its log: the engine, the demo's release with its compiled rules and its
// module, places, collector.
type exchanger struct {
	handler fasthttp.RequestHandler
	log     handover
	ctx     fasthttp.RequestCtx
}

// wire is the other end of an exchanger's connection: somebody in France.
type wire struct {
	net.Conn
	from net.TCPAddr
}

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return &w.from }

func newExchanger(t testing.TB) *exchanger {
	t.Helper()
	cfg := defaults()
	cfg.Data = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	w, err := openWorkshop(cfg, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	document, err := demoDocument([]string{shopOrigin}, wasmrules.Embedded())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Put(t.Context(), publishing.Operator(), "demo", document, 0); err != nil {
		t.Fatal(err)
	}
	if _, document, err = w.events.Release(t.Context(), "demo"); err != nil {
		t.Fatal(err)
	}
	places, err := geo.Open(geo.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := places.Close(); err != nil {
			t.Error(err)
		}
	})
	engine := edge.New(edge.Options{Node: "n1", Locator: places, Loader: w.rules, Sealer: w.sealer, Erasures: w.events, Profiles: w.people.profiles})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	x := &exchanger{}
	pace := collector.Rate{PerSecond: 1e6, Burst: 1e6} // counted, and above what one goroutine sends
	server, err := collector.New(collector.Options{
		Engine: engine, Publisher: &x.log, Tag: tag.Script, Logger: log,
		Tuning: collector.Tuning{AddressRate: pace, NetworkRate: pace},
	})
	if err != nil {
		t.Fatal(err)
	}
	x.handler = server.Handler()
	x.ctx.Init2(&wire{from: net.TCPAddr{IP: net.IPv4(2, 2, 2, 2), Port: 4711}}, nil, false)
	return x
}

// ask prepares a browser's request with a body.
func (x *exchanger) ask(body string) {
	r := &x.ctx.Request
	r.Reset()
	r.Header.SetMethod("POST")
	r.SetRequestURI("/_near/v1/beacon")
	for _, h := range [][2]string{
		{"Host", "near.example"}, {"Connection", "keep-alive"}, {"Sec-Ch-Ua-Platform", `"Android"`},
		{"User-Agent", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Mobile Safari/537.36"},
		{"Sec-Ch-Ua", `"Chromium";v="154", "Not A Brand";v="99"`}, {"Content-Type", "text/plain;charset=UTF-8"}, {"Sec-Ch-Ua-Mobile", "?1"},
		{"Accept", "*/*"}, {"Origin", shopOrigin}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "cors"},
		{"Sec-Fetch-Dest", "empty"}, {"Referer", shopOrigin + "/"}, {"Accept-Encoding", "gzip, deflate, br, zstd"},
		{"Accept-Language", "fr-FR,fr;q=0.9,en;q=0.8"},
	} {
		r.Header.Set(h[0], h[1])
	}
	r.SetBodyString(body)
}

// answer answers the request that ask prepared.
func (x *exchanger) answer() {
	x.ctx.Response.Reset()
	x.handler(&x.ctx)
}

// visitBeacon is a beacon of the demo site as a phone in France sends it.
func visitBeacon(granted int, events, slots, state string) string {
	return fmt.Sprintf(`{"v":1,"site":"demo","page":{"id":"p7QmX2cK9aLw","url":"https://shop.example/en/hats?utm_source=news&utm_medium=mail","ref":"https://www.google.com/","title":"Hats for every weather","type":"category","category":"hats","tags":["felt","wool"],"lang":"en"},"sent":1000,"consent":{"purposes":%d,"policy":"strict","owner":{"granted":%d,"refused":%d},"gpc":false},"client":{"langs":["fr-FR","fr","en"],"viewport":[390,800]},"state":%q,"events":[%s],"slots":[%s]}`,
		granted, granted, 255&^granted, state, events, slots)
}

const (
	twoSlots   = `"hero","offer"`
	threeSlots = `"hero","offer","announce"`
)

func viewEvent(n int) string {
	return fmt.Sprintf(`{"id":"v%d","name":"view_item","at":1000,"props":{"items":[{"item_id":"hat-%d","item_category":"hats","price":49.9}]}}`, n, n%12)
}

// history returns the sealed state of somebody who has looked at twelve things.
func (x *exchanger) history(t testing.TB) string {
	t.Helper()
	events := make([]string, 12)
	for i := range events {
		events[i] = viewEvent(i)
	}
	x.ask(visitBeacon(255, strings.Join(events, ","), twoSlots, ""))
	x.answer()
	var answer struct{ State string }
	if err := json.Unmarshal(x.ctx.Response.Body(), &answer); err != nil || answer.State == "" {
		t.Fatalf("no state in %s: %v", x.ctx.Response.Body(), err)
	}
	return answer.State
}

// wholeRequests are the requests whose cost is watched.
func wholeRequests(t testing.TB, x *exchanger) []struct{ name, body string } {
	state := x.history(t)
	page := `{"id":"e1","name":"page_view","at":1000}`
	return []struct{ name, body string }{
		{"decide", visitBeacon(4, "", threeSlots, "")},
		{"recorded", visitBeacon(6, "", threeSlots, "")},
		{"collect", visitBeacon(2, page, "", "")},
		{"pageview", visitBeacon(255, page, twoSlots, state)},
		{"itemview", visitBeacon(255, viewEvent(12), twoSlots, state)},
	}
}

// BenchmarkHandler answers whole requests, from the bytes of the body to those of
// the answer and what the log is handed.
func BenchmarkHandler(b *testing.B) {
	x := newExchanger(b)
	for _, r := range wholeRequests(b, x) {
		b.Run(r.name, func(b *testing.B) {
			x.ask(r.body)
			x.log = handover{}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				x.answer()
				n++
			}
			if code := x.ctx.Response.StatusCode(); code != 200 && code != 204 {
				b.Fatalf("answer %d %s", code, x.ctx.Response.Body())
			}
			b.ReportMetric(float64(x.log.eventBytes)/float64(n), "event-B/op")
			b.ReportMetric(float64(x.log.recordBytes)/float64(n), "record-B/op")
			b.ReportMetric(float64(len(x.ctx.Response.Body())), "answer-B/op")
		})
	}
}
