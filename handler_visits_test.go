// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkVisits answers beacons of many different visits by turns, so that no request is
// like the one before: BenchmarkHandler's are each learnt by heart.
func BenchmarkVisits(b *testing.B) {
	x := newExchanger(b)
	state := x.history(b)
	page := `{"id":"e1","name":"page_view","at":1000}`
	var bodies []string
	for _, granted := range []int{0, 2, 4, 6, 7, 14, 31, 255} {
		for _, slots := range []string{twoSlots, threeSlots, `"announce"`, `"offer","announce","hero","nowhere"`} {
			for _, lang := range []string{"en", "de", "fr"} {
				events, carried := "", ""
				if granted == 255 {
					events, carried = page, state
				}
				body := visitBeacon(granted, events, slots, carried)
				bodies = append(bodies, strings.NewReplacer(`"lang":"en"`, `"lang":"`+lang+`"`, "/en/", "/"+lang+"/").Replace(body))
			}
		}
	}
	visits := make([]fasthttp.RequestCtx, len(bodies))
	for i := range visits {
		n := i * 37 % len(bodies) // beside each other are different ones
		x.ask(bodies[n])
		visits[i].Init2(&wire{from: net.TCPAddr{IP: net.IPv4(2, 2, byte(n), 2), Port: 4711}}, nil, false)
		x.ctx.Request.CopyTo(&visits[i].Request)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ctx := &visits[i%len(visits)]
		ctx.Response.Reset()
		x.handler(ctx)
		if code := ctx.Response.StatusCode(); code != 200 && code != 204 {
			b.Fatalf("answer %d %s", code, ctx.Response.Body())
		}
	}
}
