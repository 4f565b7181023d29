// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

func opened(t *testing.T, sealed string) *edge.State {
	t.Helper()
	s, err := caseSealer(t).OpenState("shop", sealed)
	if err != nil {
		t.Fatalf("state of %d characters: %v", len(sealed), err)
	}
	return s
}

// A state full of caps fits, and opens.
func TestAStateOfManyCapsOpens(t *testing.T) {
	cap := &edge.Cap{Times: 16, Hours: 90 * 24}
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Campaigns = nil
		d.Variants, d.Slots[0].Ladder[0].Rules, d.Slots[1].Ladder[0].Rules = nil, nil, nil
		for i := range 24 {
			name := fmt.Sprintf("v%d", i)
			d.Variants = append(d.Variants, edge.Variant{Slot: "hero", Name: name, State: "live", Cap: cap, Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"x"}`)}})
			d.Slots[0].Ladder[0].Rules = append(d.Slots[0].Ladder[0].Rules, edge.RuleSpec{Name: name, Show: []edge.ShowSpec{{Variant: name}}})
		}
	}))
	hero, _ := s.ask(nil, s.event("purchase", items("hat-1", "hat-2", "hat-3")))
	first := opened(t, s.state).Visitor
	var bought int
	for range 24 * 16 {
		s.now = s.now.Add(5 * time.Hour)
		hero, _ = s.ask(nil, s.seen(hero))
		st := opened(t, s.state)
		bought = len(st.Items)
	}
	t.Logf("state has %d characters, %d items, shown %d", len(s.state), bought, len(opened(t, s.state).Shown))
	var many []edge.BeaconEvent
	names := []string{"view_item", "add_to_cart", "begin_checkout", "search", "view_item_list", "generate_lead", "sign_up", "share", "form_start", "form_submit", "answer", "refund", "remove_from_cart"}
	for i := range 64 {
		many = append(many, s.event(names[i%len(names)], items(fmt.Sprintf("%064d", i))))
	}
	s.ask(nil, many...)
	if len(s.state) > edge.MaxStateBytes {
		t.Errorf("the state has %d characters, at most %d", len(s.state), edge.MaxStateBytes)
	}
	s.ask(nil)
	if s.state == "" {
		t.Fatal("the state was dropped")
	}
	if again := opened(t, s.state); again.Visitor != first || again.Visits == 1 {
		t.Errorf("the visitor starts fresh: visits %d, %d shown", again.Visits, len(again.Shown))
	}
}

// Events that waited in the browser of somebody who was erased stay out of the next state, however old they are.
func TestErasedEventsStayOutOfTheState(t *testing.T) {
	erased := erasedAt{}
	d, document := promoting(t, nil)
	engine := edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Loader: &edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: d}, Sealer: caseSealer(t), Erasures: erased})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	s := newShopper(t, engine)
	s.ask(nil)
	person := edge.Person{Site: "shop", Key: edge.PersonKeyOf("shop", opened(t, s.state).VisitorID())}
	secret := s.event("purchase", items("hat-1"))
	recent := s.event("purchase", items("sock-1"))
	s.now = s.now.Add(80 * time.Hour)
	recent.AtMillis = s.now.Add(-2 * time.Hour).UnixMilli()
	erased[person] = s.now.Add(-time.Hour)
	s.ask(nil, secret, recent)
	t.Logf("rejected %+v", s.out.Rejected)
	for _, i := range opened(t, s.state).Items {
		t.Errorf("the fresh state knows of %s", i.ID)
	}
}

// Without profile no visit is written, though the history goes where personalise is refused as well.
func TestWithoutProfileTheVisitIsNotWritten(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	s.ask(nil, s.event("view_item", items("hat-1")))
	before := opened(t, s.state)
	s.now = s.now.Add(3 * time.Hour)
	s.granted = consent.All &^ (consent.Profile | consent.Personalise)
	s.ask(nil)
	after := opened(t, s.state)
	if len(after.Items) > 0 {
		t.Error("the history is kept")
	}
	if after.Visits != before.Visits || !after.Last.Equal(before.Last) || !after.Started.Equal(before.Started) || !after.PreviousLast.Equal(before.PreviousLast) {
		t.Errorf("written without profile: visits %d → %d, last %s → %s, started %s → %s, previous %s → %s", before.Visits, after.Visits, before.Last, after.Last, before.Started, after.Started, before.PreviousLast, after.PreviousLast)
	}
}

// An event that is sent again counts once.
func TestAnEventSentAgainCountsOnce(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	var page []edge.BeaconEvent
	for i := range 16 {
		page = append(page, s.event("view_item", items(fmt.Sprintf("i%d", i))))
	}
	page[0] = s.event("purchase", items("x"))
	s.ask(nil, page...) // the log was full: "unavailable", to be sent again
	s.now = s.now.Add(2 * time.Minute)
	s.ask(nil, s.event("page_view", `{}`)) // the next page's slots come first
	for i := range page {
		page[i].AtMillis = s.now.Add(-2 * time.Minute).UnixMilli()
	}
	s.ask(nil, page...) // again
	if st := opened(t, s.state); st.Journey.Orders != 1 || st.Journey.Views != 15 {
		t.Errorf("%d orders and %d views, want 1 and 15", st.Journey.Orders, st.Journey.Views)
	}
}

// The same with what docs/RATIONALE.md promises: at least sixteen keys.
func TestSixteenKeysAreKept(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	bought := s.event("purchase", items("x"))
	s.ask(nil, bought)
	for i := range 10 {
		s.ask(nil, s.event("view_item", items(fmt.Sprintf("i%d", i))))
	}
	s.ask(nil, bought)
	if st := opened(t, s.state); st.Journey.Orders != 1 {
		t.Errorf("%d orders, want 1", st.Journey.Orders)
	}
}

// A thank-you page that is loaded again is one order.
func TestAReloadedThankYouPageIsOneOrder(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	props := `{"transaction_id":"T1","items":[{"item_id":"hat-1"}]}`
	s.ask(nil, s.event("purchase", props))
	s.now = s.now.Add(time.Minute)
	s.ask(nil, s.event("purchase", props))
	if st := opened(t, s.state); st.Journey.Orders != 1 {
		t.Errorf("%d orders, want 1; the log keeps one", st.Journey.Orders)
	}
}

// What was taken out of the cart stays out, though it is told later that it was put in before.
func TestARemovalThatComesFirstCounts(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for _, viewed := range []bool{true, false} {
		s := &edge.State{First: now, Last: now, Started: now, Visits: 1}
		if viewed {
			s.Learn("view_item", now, edge.ItemEvent{Item: "hat-1"})
		}
		s.Learn("remove_from_cart", now.Add(time.Hour), edge.ItemEvent{Item: "hat-1"})
		s.Learn("add_to_cart", now, edge.ItemEvent{Item: "hat-1"}) // another tab, late
		for _, i := range s.Items {
			if i.Quantity > 0 {
				t.Errorf("viewed %t: %d of %s in the cart, it was taken out an hour later", viewed, i.Quantity, i.ID)
			}
		}
	}
}

// A click of no decision of ours is not learned, however old it is.
func TestAForgedClickIsNotLearned(t *testing.T) {
	for _, age := range []time.Duration{0, 80 * time.Hour} {
		s := newShopper(t, promotingEngine(t, nil))
		s.ask(nil)
		ev := s.event("slot_click", `{"decision":"forged"}`)
		ev.AtMillis -= age.Milliseconds()
		s.ask(nil, ev)
		if n := len(opened(t, s.state).Activity); n > 0 {
			t.Errorf("%s old: learned, rejected %+v", age, s.out.Rejected)
		}
	}
}

// A numeric item_id, which shops send, is an item.
func TestANumericItemIsAnItem(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Variants[0].Promotes = []string{"4711"} }))
	s.shows("bought", nil, []edge.BeaconEvent{s.event("purchase", `{"items":[{"item_id":4711}]}`)}, "sock", "hat")
}

func randomState(r *rand.Rand, now time.Time) *edge.State {
	s := &edge.State{Visitor: [16]byte{1}, First: now.Add(-time.Duration(r.IntN(390*24)) * time.Hour), Last: now, Started: now.Add(-time.Minute), Visits: r.Uint32()}
	names := []string{"view_item", "add_to_cart", "remove_from_cart", "purchase", "begin_checkout", "form_start", "form_submit", "complaint_opened", "complaint_settled", "search", "refund", "share"}
	for range r.IntN(300) {
		at := now.Add(-time.Duration(r.IntN(180*24*60)) * time.Minute)
		s.Learn(names[r.IntN(len(names))], at, edge.ItemEvent{
			Item:     fmt.Sprintf("%0*d", 1+r.IntN(64), r.IntN(60)),
			Category: fmt.Sprintf("%0*d", 1+r.IntN(50), r.IntN(30)), Quantity: uint8(r.IntN(256)), Price: float64(r.IntN(1e9)) / 100})
	}
	for range r.IntN(8) {
		s.Counted = append(s.Counted, r.Uint32())
	}
	for range r.IntN(6) {
		x := edge.ShownTimes{Key: r.Uint32(), Count: uint8(1 + r.IntN(16))}
		for i := range x.Count {
			x.At[i] = edge.Minute(now.Unix()/60) - edge.Minute(r.IntN(90*24*60))
		}
		s.Shown = append(s.Shown, x)
	}
	return s
}

// What is sealed opens, and says the same.
func TestStatesRoundTrip(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	sealer := caseSealer(t)
	for range 3000 {
		s := randomState(r, now)
		sealed := sealer.SealState("shop", s)
		if len(sealed) > edge.MaxStateBytes {
			t.Fatalf("%d characters with %d shown", len(sealed), len(s.Shown))
		}
		got, err := sealer.OpenState("shop", sealed)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Items, s.Items) && len(s.Items) > 0 || got.Journey != s.Journey || len(s.Interests) > 0 && !reflect.DeepEqual(got.Interests, s.Interests) || !reflect.DeepEqual(got.Activity, s.Activity) && len(s.Activity) > 0 || !reflect.DeepEqual(got.Shown, s.Shown) && len(s.Shown) > 0 {
			t.Fatalf("got %+v, want %+v", got, s)
		}
	}
}

// One pooled work space after another tells nothing of who was there before.
func TestPooledSpacesDoNotMix(t *testing.T) {
	engine := promotingEngine(t, func(d *edge.ReleaseDocument) { d.Variants[0].Cap = &edge.Cap{Times: 2, Hours: 24} })
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			s := newShopper(t, engine)
			want := map[string]bool{}
			for i := range 150 {
				s.now = s.now.Add(time.Duration(i%40) * time.Minute)
				id := fmt.Sprintf("visitor-%d-with-a-long-shared-beginning-%d", g, i%20)
				want[id] = true
				hero, _ := s.ask(nil, s.event([]string{"view_item", "add_to_cart", "purchase"}[i%3], items(id)))
				s.ask(nil, s.seen(hero))
				st, err := caseSealer(t).OpenState("shop", s.state)
				if err != nil {
					t.Error(err)
					return
				}
				for _, it := range st.Items {
					if !want[it.ID] {
						t.Errorf("visitor %d has %q", g, it.ID)
						return
					}
				}
			}
		}()
	}
	wait.Wait()
}

// A removal that becomes known late does not take out what was put in after a purchase.
func TestALateRemovalTakesOutNoLaterAddition(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := &edge.State{First: now, Last: now, Started: now, Visits: 1}
	at := func(name string, minutes int) {
		s.Learn(name, now.Add(time.Duration(minutes)*time.Minute), edge.ItemEvent{Item: "hat-1"})
	}
	at("add_to_cart", 0)
	at("add_to_cart", 30)
	at("purchase", 40)
	at("add_to_cart", 60)
	at("remove_from_cart", 20) // another tab was offline
	if s.Items[0].Quantity != 1 {
		t.Errorf("%d in the cart, want the one of the 60th minute", s.Items[0].Quantity)
	}
}

// With profile or personalise alone refused, nothing is written that needs it.
func TestOneRefusalWritesNothingItMayNot(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	s.ask(nil, s.event("purchase", items("hat-1")))
	before := s.state
	s.now = s.now.Add(3 * time.Hour)
	s.granted = consent.All &^ consent.Profile
	s.ask(nil, s.event("purchase", items("sock-1")))
	if s.out.State != "" || s.state != before {
		t.Error("written without profile")
	}
	s.granted = consent.All &^ consent.Personalise
	s.ask(nil, s.event("purchase", items("sock-1")))
	if st := opened(t, s.state); len(st.Items)+len(st.Activity)+len(st.Interests)+len(st.Counters) > 0 || st.Journey != (edge.Journey{}) {
		t.Errorf("kept %+v", st.History)
	}
	s.granted = consent.All &^ consent.Storage
	s.ask(nil)
	if s.state != "" {
		t.Error("kept without storage")
	}
}
