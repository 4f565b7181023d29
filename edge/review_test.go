// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// review asks what is decided for the shopper, and why.
func (s *shopper) review(granted consent.Purposes) *edge.Outcome {
	s.t.Helper()
	out := &edge.Outcome{}
	release, _ := s.engine.Release("shop")
	b := &edge.Beacon{Site: "shop", Slots: release.Slots(), Consent: consent.Signals{Claimed: consent.All,
		Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}}}
	if err := s.engine.Review(b, &edge.Request{Now: s.now, State: s.state, Addr: netip.MustParseAddr("192.0.2.0")}, out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// A review answers as a page would be answered, from the same state, and leaves
// nothing behind.
func TestAReviewDecidesAsForAPageAndKeepsNothing(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Settings.Why = false // of the site's pages
		d.Settings.Cap = &edge.Cap{Times: 2, Hours: 24}
	}))
	s.shows("a hat in the cart", nil, []edge.BeaconEvent{s.event("add_to_cart", items("hat-1"))}, "sock", "plain")
	for range 3 { // it counts against no cap
		out := s.review(consent.All)
		if got := out.Decisions[0].Variant + " " + out.Decisions[1].Variant; got != "sock plain" {
			t.Errorf("the review shows %s", got)
		}
		for _, d := range out.Decisions {
			if d.ID != "" || d.Why == nil || len(d.Why.Tried) == 0 {
				t.Errorf("slot %s: id %q, why %+v", d.Slot, d.ID, d.Why)
			}
			for _, try := range d.Why.Tried {
				if try.Condition != nil {
					t.Errorf("slot %s: a condition is explained", d.Slot)
				}
			}
		}
		if out.State != "" || out.DropState || out.Record != nil || len(out.Events) > 0 {
			t.Errorf("the review leaves state %q, drop %v, record %v, %d events", out.State, out.DropState, out.Record, len(out.Events))
		}
	}
	s.shows("after it", nil, nil, "sock", "plain")
	s.state = ""
	if out := s.review(consent.All); out.State != "" || len(out.Decisions) != 2 {
		t.Errorf("without a state: %q, %d decisions", out.State, len(out.Decisions))
	}
	if err := s.engine.Review(&edge.Beacon{Site: "nobody"}, &edge.Request{Now: s.now}, &edge.Outcome{}); !errors.Is(err, edge.ErrUnknownSite) {
		t.Errorf("an unknown site gives %v", err)
	}
}

// What is not granted is withheld from the review as from a page.
func TestAReviewReadsWhatIsGrantedAndNoMore(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	s.shows("a hat in the cart", nil, []edge.BeaconEvent{s.event("add_to_cart", items("hat-1"))}, "sock", "plain")
	if out := s.review(consent.Context); out.Decisions[0].Variant != "hat" {
		t.Errorf("without personalise the cart is read: %s", out.Decisions[0].Variant)
	}
}
