// SPDX-License-Identifier: Apache-2.0

//go:build !race

package collector

import (
	"testing"

	"github.com/nearside/nearside/edge"
)

// newServerDrill is a drill of a server's request.
func newServerDrill(t testing.TB, path, body string) *drill {
	t.Helper()
	d := newDrill(t, []byte(body))
	d.options.Keys = &keyRing{}
	d.routes = d.publicRoutes()
	r := &d.ctx.Request
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		r.Header.Del(name)
	}
	r.Header.Set("Authorization", "Bearer "+shopKey)
	r.SetRequestURI(path)
	return d
}

func TestDecideAddsNoAllocs(t *testing.T) {
	d := newServerDrill(t, "/v1/decide", askOf(usual&^8, say{
		"page": say{"id": "p7QmX2cK9aLw", "url": "https://shop.example/hats?utm_source=news&utm_medium=email", "lang": "fr"}, "slots": []any{"hero", "bare"},
		"headers": say{"User-Agent": desktopAgent, "Accept-Language": "fr-FR,fr;q=0.9,en;q=0.8"}, "address": "203.0.113.77", "surface": "web",
	}))
	handler := d.Handler()
	whole := func() { d.ctx.Response.Reset(); handler(&d.ctx) }
	whole()
	if d.ctx.Response.StatusCode() != 200 {
		t.Fatalf("answer %s", d.ctx.Response.Body())
	}
	x := new(decideCall)
	if err := x.decoder.decodeDecide(d.ctx.PostBody(), &x.beacon, &x.ask); err != nil {
		t.Fatal(err)
	}
	release, _ := d.engine.Release("demo")
	if err := x.describeAsked(d.Server, release); err != nil {
		t.Fatal(err)
	}
	var out edge.Outcome
	engine := func() {
		out.Reset()
		if err := d.engine.Decide(&x.beacon, &x.request, &out); err != nil {
			t.Fatal(err)
		}
	}
	engine()
	alone := testing.AllocsPerRun(200, engine)
	if n := testing.AllocsPerRun(200, whole); n > alone {
		t.Errorf("the handler allocates %.1f times, the engine alone %.1f", n, alone)
	}
}

// The budget of an event is its place in the index of ids and what its properties
// are parsed into: the text of an id is the body's.
func TestAcceptAllocs(t *testing.T) {
	d := newServerDrill(t, "/v1/events", string(largeBatch(t)))
	handler := d.Handler()
	whole := func() { d.ctx.Response.Reset(); handler(&d.ctx) }
	whole()
	if d.ctx.Response.StatusCode() != 200 {
		t.Fatalf("answer %s", d.ctx.Response.Body())
	}
	perEvent := testing.AllocsPerRun(10, whole) / edge.MaxBatchEvents
	t.Logf("%.1f allocations per event", perEvent)
	if perEvent > 3 {
		t.Errorf("%.1f allocations per event, want at most 3", perEvent)
	}
}

func BenchmarkEvents(b *testing.B) {
	d := newServerDrill(b, "/v1/events", string(largeBatch(b)))
	handler := d.Handler()
	b.ReportAllocs()
	for b.Loop() {
		d.ctx.Response.Reset()
		handler(&d.ctx)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/edge.MaxBatchEvents, "ns/event")
}

func BenchmarkServerDecide(b *testing.B) {
	d := newServerDrill(b, "/v1/decide", askOf(usual&^8, say{"slots": []any{"hero", "bare"}, "headers": say{"User-Agent": desktopAgent, "Accept-Language": "fr-FR"}, "address": "203.0.113.77"}))
	handler := d.Handler()
	b.ReportAllocs()
	for b.Loop() {
		d.ctx.Response.Reset()
		handler(&d.ctx)
	}
}
