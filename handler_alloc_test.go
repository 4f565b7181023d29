// SPDX-License-Identifier: Apache-2.0

//go:build !race

// Allocations mean nothing under the race detector, whose pools drop what they
// are given.

package main

import "testing"

// TestHandlerAllocs holds whole requests to what they may allocate: nothing, but
// for the reason in words of a module, which outlives the module's memory.
func TestHandlerAllocs(t *testing.T) {
	budgets := map[string]float64{"pageview": 1, "itemview": 1}
	x := newExchanger(t)
	for _, r := range wholeRequests(t, x) {
		x.ask(r.body)
		x.log = handover{}
		n := testing.AllocsPerRun(200, x.answer)
		if code := x.ctx.Response.StatusCode(); code != 200 && code != 204 {
			t.Fatalf("%s: answer %d %s", r.name, code, x.ctx.Response.Body())
		}
		if n > budgets[r.name] {
			t.Errorf("%s: %.1f allocations, budget %.0f", r.name, n, budgets[r.name])
		}
		if wantEvents := r.name != "decide" && r.name != "recorded"; (x.log.events > 0) != wantEvents {
			t.Errorf("%s: %d events handed over", r.name, x.log.events)
		}
		if wantRecords := r.name != "decide" && r.name != "collect"; (x.log.records > 0) != wantRecords {
			t.Errorf("%s: %d records handed over", r.name, x.log.records)
		}
	}
}
