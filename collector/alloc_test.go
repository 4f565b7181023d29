// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Allocations mean nothing under the race detector, whose pools drop what they
// are given.

package collector

import (
	"bytes"
	"testing"

	"github.com/nearside/nearside/edge"
)

// slotsBeacon asks for slots and carries no event: what is answered costs the
// collector most, and keeping events is not its work.
func slotsBeacon() []byte {
	return []byte(beaconOf(usual&^8, say{
		"page":   say{"id": "p7QmX2cK9aLw", "url": "https://shop.example/hats?utm_source=news&utm_medium=email", "ref": "https://www.google.com/", "lang": "fr"},
		"client": say{"langs": []string{"fr-FR", "fr", "en"}, "viewport": []int{1200, 800}},
		"slots":  []any{"hero", "bare"},
	}))
}

// TestStageAllocs holds each of the collector's own stages to no allocation.
func TestStageAllocs(t *testing.T) {
	d := newDrill(t, slotsBeacon())
	x := new(exchange)
	x.hear(&d.ctx)
	if err := x.begin(d.Server); err != nil {
		t.Fatal(err)
	}
	if err := x.decoder.DecodeBeacon(d.ctx.PostBody(), &x.beacon); err != nil {
		t.Fatal(err)
	}
	release, err := d.admit(x, x.beacon.Site)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.describe(d.Server, release); err != nil {
		t.Fatal(err)
	}
	if err := d.engine.Decide(&x.beacon, &x.request, &x.outcome); err != nil {
		t.Fatal(err)
	}
	if len(x.outcome.Decisions) != 2 || x.request.Lang != "fr" || x.request.Device.Type != "desktop" || x.request.Source.MediumChannel != "mail" {
		t.Fatalf("the drill is not what it should be: %+v %+v", x.request, x.outcome)
	}
	d.conclude(x, true)
	for _, stage := range []struct {
		name string
		run  func()
	}{
		{"headers and peer", func() { x.hear(&d.ctx); _ = x.begin(d.Server) }},
		{"decode", func() { _ = x.decoder.DecodeBeacon(d.ctx.PostBody(), &x.beacon) }},
		{"origin", func() { _, _ = d.admit(x, x.beacon.Site) }},
		{"device, language, source", func() { _ = x.describe(d.Server, release) }},
		{"answer", func() { d.conclude(x, true); x.reply(&d.ctx, nil) }},
		{"cookie", func() { d.setCookie(x, "demo", "AQAB"); x.jar.empty() }},
	} {
		if n := testing.AllocsPerRun(200, stage.run); n != 0 {
			t.Errorf("%s: %.1f allocations, want 0", stage.name, n)
		}
	}
}

// TestHandlerAddsNoAllocs compares the whole handler with the engine alone.
func TestHandlerAddsNoAllocs(t *testing.T) {
	d := newDrill(t, slotsBeacon())
	handler := d.Handler()
	whole := func() { d.ctx.Response.Reset(); handler(&d.ctx) }
	whole()
	if d.ctx.Response.StatusCode() != 200 {
		t.Fatalf("answer %s", d.ctx.Response.Body())
	}
	var dec Decoder
	var b edge.Beacon
	if err := dec.DecodeBeacon(slotsBeacon(), &b); err != nil {
		t.Fatal(err)
	}
	request := edge.Request{Now: testNow, Lang: "fr", Device: edge.Device{Type: "desktop"}}
	var out edge.Outcome
	engine := func() {
		out.Reset()
		if err := d.engine.Decide(&b, &request, &out); err != nil {
			t.Fatal(err)
		}
	}
	engine()
	alone := testing.AllocsPerRun(200, engine)
	if n := testing.AllocsPerRun(200, whole); n > alone {
		t.Errorf("the handler allocates %.1f times, the engine alone %.1f", n, alone)
	}
}

func BenchmarkHandler(b *testing.B) {
	d := newDrill(b, slotsBeacon())
	handler := d.Handler()
	b.ReportAllocs()
	for b.Loop() {
		d.ctx.Response.Reset()
		handler(&d.ctx)
	}
	if d.ctx.Response.StatusCode() != 200 {
		b.Fatalf("answer %s", d.ctx.Response.Body())
	}
}

func BenchmarkStages(b *testing.B) {
	d := newDrill(b, slotsBeacon())
	x := new(exchange)
	x.hear(&d.ctx)
	if err := x.begin(d.Server); err != nil {
		b.Fatal(err)
	}
	if err := x.decoder.DecodeBeacon(d.ctx.PostBody(), &x.beacon); err != nil {
		b.Fatal(err)
	}
	release, err := d.admit(x, x.beacon.Site)
	if err != nil {
		b.Fatal(err)
	}
	if err := x.describe(d.Server, release); err != nil {
		b.Fatal(err)
	}
	if err := d.engine.Decide(&x.beacon, &x.request, &x.outcome); err != nil {
		b.Fatal(err)
	}
	reader := question{prefers: x.beacon.Client.Langs, accept: x.headers.acceptLanguage}
	page, _ := splitAddress(x.beacon.Page.URL)
	for _, stage := range []struct {
		name string
		run  func()
	}{
		{"headers", func() { x.headers.read(&d.ctx.Request.Header) }},
		{"peer", func() { x.peer = d.peerOf(&x.from) }},
		{"decode", func() { _ = x.decoder.DecodeBeacon(d.ctx.PostBody(), &x.beacon) }},
		{"origin", func() { _, _ = d.admit(x, x.beacon.Site) }},
		{"device", func() { _, _, x.key = d.devices.read(&x.headers, x.key) }},
		{"language", func() { _, x.key = d.languages.match(d.languages.of(release), &reader, x.key) }},
		{"source", func() { _, _, x.text = d.referrers.readSource(page, x.beacon.Page.Ref, x.text[:0]) }},
		{"answer", func() { d.conclude(x, true); x.reply(&d.ctx, nil) }},
	} {
		b.Run(stage.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				stage.run()
			}
		})
	}
	b.Run("device-uncached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.devices.work([]string{desktopAgent, "?0", `"Windows"`, "", ""})
		}
	})
	b.Run("language-uncached", func(b *testing.B) {
		site := d.languages.of(release)
		b.ReportAllocs()
		for b.Loop() {
			site.match(&reader)
		}
	})
}

func TestFastPathAllocs(t *testing.T) {
	d := newDrill(t, slotsBeacon())
	handler := d.Handler()
	server := testing.AllocsPerRun(100, func() { d.ctx.Response.Reset(); handler(&d.ctx) })
	l, answer := onRepeater(t, fastCase{head: "Origin: https://shop.example\r\nAccept-Language: fr\r\nUser-Agent: " + desktopAgent + "\r\n", body: string(slotsBeacon())}.text())
	answer(10)
	if !bytes.HasPrefix(l.answer, []byte("HTTP/1.1 200 OK\r\n")) {
		t.Fatalf("answer %q", l.answer)
	}
	const each = 100
	if n := testing.AllocsPerRun(20, func() { answer(each) }) / each; n > server+0.5 {
		t.Errorf("%.2f allocations a request, the server %.2f", n, server)
	}
}

func BenchmarkFastPath(b *testing.B) {
	_, answer := onRepeater(b, fastCase{head: "Origin: https://shop.example\r\nAccept-Language: fr\r\nUser-Agent: " + desktopAgent + "\r\n", body: string(slotsBeacon())}.text())
	b.ReportAllocs()
	for b.Loop() {
		answer(1)
	}
}
