// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// Two tabs ask at the same moment with the same state; the browser keeps the answer that
// comes last. The next page knows what both told, and counts it once.
func TestTabsLoseNothing(t *testing.T) {
	for _, kept := range []int{0, 1} {
		s := newShopper(t, promotingEngine(t, nil))
		s.ask(nil)
		before := s.state
		events := []edge.BeaconEvent{s.event("add_to_cart", items("hat-1")), s.event("purchase", items("sock-1"))}
		var answers []string
		for _, ev := range events {
			s.state = before
			s.ask(nil, ev)
			answers = append(answers, s.state)
		}
		s.state = answers[kept]
		s.shows("the next page", nil, nil, "plain", "plain")
		s.state = answers[1-kept] // and the other answer comes late
		s.shows("the page after", nil, nil, "plain", "plain")
		state := opened(t, s.state)
		if state.Journey.Orders != 1 || len(state.Items) != 2 {
			t.Errorf("%d orders, items %+v", state.Journey.Orders, state.Items)
		}
	}
}

// What was refused meanwhile is not learned of again, nor after half a minute.
func TestWhatWasRefusedDoesNotComeBack(t *testing.T) {
	for name, meanwhile := range map[string]func(*shopper){
		"personalise is refused": func(s *shopper) {
			s.granted &^= consent.Personalise
			s.ask(nil)
			s.granted = consent.All
		},
		"time passes": func(s *shopper) { s.now = s.now.Add(31 * time.Second) },
	} {
		s := newShopper(t, promotingEngine(t, nil))
		s.ask(nil)
		before := s.state
		s.ask(nil, s.event("purchase", items("hat-1")))
		s.state = before
		meanwhile(s)
		s.shows(name, nil, nil, "hat", "hat")
	}
}

// Whoever shares a part of the memory learns of nothing that is another's.
func TestNobodyLearnsOfAnothersEvents(t *testing.T) {
	engine := promotingEngine(t, nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				s := newShopper(t, engine)
				s.ask(nil, s.event("purchase", items("sock-1")))
				s.shows("who bought socks", nil, nil, "hat", "hat")
				if got := opened(t, s.state); len(got.Items) != 1 || got.Journey.Orders != 1 {
					t.Errorf("items %+v", got.Items)
				}
			}
		})
	}
	all.Wait()
}
