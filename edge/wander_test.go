// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// A wanderer is a simulated visitor with a few tabs.
type wanderer struct {
	*shopper
	random *rand.Rand
	nodes  []*edge.Engine
	skew   []time.Duration
	tabs   [3]tab
	unread []edge.BeaconEvent // events whose answer was not read
	stored map[string]int     // by event id, how often a node took it
	sent   map[string]bool

	cart, bought map[string]time.Time
	views        int
	orders       int
	shown        map[string][]time.Time // impressions by slot
}

// A tab has told its visitor's browser nothing yet of what it shows.
type tab struct{ pending []edge.BeaconEvent }

func newWanderer(t *testing.T, nodes []*edge.Engine, seed uint64) *wanderer {
	random := rand.New(rand.NewPCG(seed, 7))
	w := &wanderer{
		shopper: newShopper(t, nodes[0]), random: random, nodes: nodes, stored: map[string]int{}, sent: map[string]bool{},
		cart: map[string]time.Time{}, bought: map[string]time.Time{}, shown: map[string][]time.Time{},
	}
	for range nodes {
		w.skew = append(w.skew, time.Duration(random.IntN(301)-150)*time.Second)
	}
	return w
}

// wander makes a few sessions and returns how many.
func (w *wanderer) wander() int {
	n := 1 + w.random.IntN(6)
	for range n {
		w.now = w.now.Add(time.Duration(31+w.random.IntN(4*24*60)) * time.Minute)
		for range 1 + w.random.IntN(12) {
			w.now = w.now.Add(time.Duration(2+w.random.IntN(180)) * time.Second)
			w.page(&w.tabs[w.random.IntN(len(w.tabs))])
		}
		for i := range w.tabs { // they are left, and send what they have
			w.beacon(&w.tabs[i], true)
		}
	}
	w.check()
	return n
}

// page is one page view in a tab.
func (w *wanderer) page(tab *tab) {
	item := fmt.Sprintf("%s-%d", [...]string{"hat", "sock", "glove"}[w.random.IntN(3)], 1+w.random.IntN(2))
	switch w.random.IntN(5) {
	case 0:
		tab.pending = append(tab.pending, w.event("add_to_cart", items(item)))
		w.cart[item] = w.now
	case 1:
		if w.random.IntN(4) == 0 {
			tab.pending = append(tab.pending, w.event("purchase", items(item)))
			w.bought[item] = w.now
			delete(w.cart, item)
			w.orders++
		}
	default:
		tab.pending = append(tab.pending, w.event("view_item", items(item)))
		w.views++
	}
	w.beacon(tab, false)
}

// beacon sends what a tab and the answers that nobody read left. One request of a
// browser is under way at a time; TestTabsLoseNothing has two. A page that is being left
// shows nothing any more.
func (w *wanderer) beacon(tab *tab, isLeaving bool) {
	node := w.random.IntN(len(w.nodes))
	events := append(slices.Clone(w.unread), tab.pending...)
	for _, ev := range events {
		w.sent[ev.ID] = true
	}
	before, real := w.state, w.now
	w.engine, w.now = w.nodes[node], w.now.Add(w.skew[node])
	for i := range events { // the browser's clock is its own: only differences count
		events[i].AtMillis += w.skew[node].Milliseconds()
	}
	hero, side := w.ask(nil, events...)
	w.now = real
	for i := range events {
		events[i].AtMillis -= w.skew[node].Milliseconds()
	}
	for i := range w.out.Events {
		w.stored[w.out.Events[i].ID()]++
	}
	for _, d := range []*edge.Decision{hero, side} {
		w.checkPromotion(d)
	}
	tab.pending, w.unread = nil, nil
	switch w.random.IntN(24) {
	case 0: // the tab was closed, and the browser did not get the state
		w.state, w.unread = before, events
		return
	case 1: // it did
		w.unread = events
		return
	}
	for _, d := range []*edge.Decision{hero, side} {
		if !isLeaving && d.Variant != "" && w.random.IntN(3) > 0 {
			id := *d
			id.ID = string([]byte(d.ID))
			tab.pending = append(tab.pending, w.seen(&id))
			if d.Variant == "hat" {
				w.shown[d.Slot] = append(w.shown[d.Slot], w.now)
			}
		}
	}
}

func (w *wanderer) checkPromotion(d *edge.Decision) {
	item := map[string]string{"hat": "hat-1", "sock": "sock-1"}[d.Variant]
	if _, ok := w.cart[item]; ok {
		w.t.Errorf("%s shows %s, and %s is in the cart", d.Slot, d.Variant, item)
	}
	// Nodes' clocks are up to five minutes apart.
	if at, ok := w.bought[item]; ok && w.now.Sub(at) < 30*24*time.Hour-6*time.Minute {
		w.t.Errorf("%s shows %s, and %s was bought %s ago", d.Slot, d.Variant, item, w.now.Sub(at))
	}
}

// check sends what is left and compares the state with what was done.
func (w *wanderer) check() {
	w.now = w.now.Add(time.Second)
	for i := range w.tabs {
		w.ask(nil, append(w.unread, w.tabs[i].pending...)...)
		for j := range w.out.Events {
			w.stored[w.out.Events[j].ID()]++
		}
		w.unread = nil
	}
	for id := range w.sent {
		if w.stored[id] == 0 {
			w.t.Errorf("event %s was lost", id)
		}
	}
	s, err := caseSealer(w.t).OpenState("shop", w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := int(s.Journey.Orders); got != w.orders {
		w.t.Errorf("%d orders are counted, %d were made", got, w.orders)
	}
	if got := int(s.Journey.Views); got != w.views {
		w.t.Errorf("%d views are counted, there were %d", got, w.views)
	}
	for _, item := range s.Items {
		if _, inCart := w.cart[item.ID]; inCart != (item.Quantity > 0) {
			w.t.Errorf("%s: %d in the cart, want some: %t", item.ID, item.Quantity, inCart)
		}
	}
	// Three in a day, and one more for each other tab that had not told of its own.
	most := 3 + len(w.tabs) - 1
	for slot, times := range w.shown {
		for i := range times {
			n := 0
			for _, at := range times[i:] {
				if at.Sub(times[i]) < 24*time.Hour-6*time.Minute {
					n++
				}
			}
			if n > most {
				w.t.Errorf("%s showed the hat %d times within a day, at most %d", slot, n, most)
			}
		}
	}
}
