// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// An impression that becomes known late does not push out a newer one.
func TestALateImpressionMakesNoRoomInACap(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Variants[0].Cap = &edge.Cap{Times: 2, Hours: 24}
		d.Slots[1].Ladder[0].Rules = d.Slots[1].Ladder[0].Rules[1:]
	}))
	hero, _ := s.ask(nil)
	old := s.seen(hero) // in a tab that was offline for two days
	s.now = s.now.Add(48 * time.Hour)
	hero, _ = s.ask(nil, s.event("page_view", `{}`))
	for range 2 {
		s.now = s.now.Add(time.Minute)
		hero, _ = s.ask(nil, s.seen(hero))
	}
	if hero.Variant != "sock" {
		t.Fatalf("capped: %s", hero.Variant)
	}
	s.shows("after the late one", nil, []edge.BeaconEvent{old}, "sock", "plain")
}

// Nor do many.
func TestLateImpressionsDoNotEmptyACap(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Variants[0].Cap = &edge.Cap{Times: 3, Hours: 24}
		d.Slots[1].Ladder[0].Rules = d.Slots[1].Ladder[0].Rules[1:]
	}))
	hero, _ := s.ask(nil)
	var old []edge.BeaconEvent
	for range 3 {
		old = append(old, s.seen(hero))
	}
	s.now = s.now.Add(48 * time.Hour)
	hero, _ = s.ask(nil)
	shown := 0
	for i := range 9 {
		s.now = s.now.Add(time.Minute)
		if hero.Variant == "hat" {
			shown++
			hero, _ = s.ask(nil, s.seen(hero))
		} else if len(old) > 0 {
			hero, _ = s.ask(nil, old[0])
			old = old[1:]
		}
		_ = i
	}
	if shown > 3 {
		t.Errorf("one tab that told of each was shown the hat %d times in ten minutes, at most 3", shown)
	}
}

type zoneLocator struct{ zone *time.Location }

func (l zoneLocator) Locate(netip.Addr) edge.Place { return edge.Place{Country: "XX", Zone: l.zone} }

// Quiet hours read the hour where the visitor is without context.
func TestQuietHoursReadNothingRefused(t *testing.T) {
	var got []string
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("far", 9*3600)} {
		d, document := promoting(t, func(d *edge.ReleaseDocument) {
			d.Campaigns[0].Quiet = &edge.QuietHours{From: "18:00", Until: "19:00"}
		})
		engine := edge.New(edge.Options{Node: "n", Locator: zoneLocator{zone}, Loader: &edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: d}, Sealer: caseSealer(t)})
		release, err := engine.Publish(document)
		if err != nil {
			t.Fatal(err)
		}
		s := newShopper(t, engine)
		s.granted = consent.All &^ consent.Context
		hero, _ := s.ask(nil)
		got = append(got, hero.Variant)
		in := release.Inputs()["hero"]
		t.Logf("inputs %s, %v", consent.Purposes(in.Purposes), in.Reads)
		if len(got) == 2 {
			t.Logf("why %+v", hero.Why.Tried[0])
		}
	}
	if got[0] != got[1] {
		t.Errorf("without context the place's time zone decides: %v", got)
	}
}

// A cap of a surface counts what was decided for it.
func TestAMailsCapCountsMails(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Settings.Caps = map[string]edge.Cap{"mail": {Times: 1, Hours: 24}}
	}))
	mail := func() string {
		s.send(&edge.Beacon{Slots: []edge.BeaconSlot{{Name: "hero"}}}, &edge.Request{Surface: "mail"})
		return s.out.Decisions[0].Variant
	}
	if v := mail(); v != "hat" {
		t.Fatal(v)
	}
	seen := s.seen(&s.out.Decisions[0])
	s.send(&edge.Beacon{Events: []edge.BeaconEvent{seen}}, &edge.Request{}) // the mail's page tells, as web
	if v := mail(); v == "hat" {
		t.Errorf("a mail shows %s again: its view was counted on web", v)
	}
}

// What is known to be bought is not promoted where measure is refused either.
func TestAnUntoldViewLetsNoPromotionThrough(t *testing.T) {
	for _, name := range []string{"purchase", "add_to_cart", "complaint_opened"} {
		t.Run(name, func(t *testing.T) {
			s := newShopper(t, promotingEngine(t, nil))
			s.ask(nil, s.event(name, items("hat-1", "sock-1")))
			s.granted &^= consent.Measure
			s.shows("known", nil, nil, "plain", "plain")
			s.shows("a view that is refused", nil, []edge.BeaconEvent{s.event("view_item", items("glove-1"))}, "plain", "plain")
		})
	}
}

// A sample is held back as a visitor is.
func TestASampleReadsNothingRefused(t *testing.T) {
	engine := promotingEngine(t, nil)
	release, _ := engine.Release("shop")
	got, err := release.Sample(sample(t, `{"granted":["context"],"fields":{"bought":["hat-1"],"cart":[{"id":"sock-1","quantity":1}]}}`), []string{"hero"})
	if err != nil || got[0].Variant != "hat" {
		t.Errorf("a visitor who refuses personalise gets the hat, the sample %s (%v)", got[0].Variant, err)
	}
}

func TestASampleExplainsWhatItSuppresses(t *testing.T) {
	engine := promotingEngine(t, nil)
	release, _ := engine.Release("shop")
	got, err := release.Sample(sample(t, `{"granted":["storage","personalise"],"fields":{"bought":["hat-1"]}}`), []string{"hero"})
	if err != nil || got[0].Variant != "sock" {
		t.Fatalf("%s (%v)", got[0].Variant, err)
	}
	if r := got[0].Why.Tried[0].Reason; r != "suppressed" {
		t.Errorf("the hat came out as %q, want suppressed", r)
	}
}

func TestASampleHoldsACapWithinAnAnswer(t *testing.T) {
	engine := promotingEngine(t, func(d *edge.ReleaseDocument) { d.Campaigns[0].Cap = &edge.Cap{Times: 1, Hours: 1} })
	release, _ := engine.Release("shop")
	got, err := release.Sample(sample(t, `{"granted":["context"]}`), []string{"hero", "side"})
	if err != nil || got[0].Variant != "hat" || got[1].Variant != "plain" {
		t.Errorf("%s %s, a visit gets hat plain (%v)", got[0].Variant, got[1].Variant, err)
	}
}

func TestASampleHasQuietHours(t *testing.T) {
	engine := promotingEngine(t, func(d *edge.ReleaseDocument) { d.Campaigns[0].Quiet = &edge.QuietHours{From: "22:00", Until: "07:00"} })
	release, _ := engine.Release("shop")
	got, err := release.Sample(sample(t, `{"granted":["context"],"fields":{"now":"2026-11-22T23:30:00Z","time.hour":0}}`), []string{"hero"})
	if err != nil || got[0].Variant != "sock" {
		t.Errorf("at half past midnight in Paris: %s, want sock (%v)", got[0].Variant, err)
	}
}

// A shadow that answers nothing changes nothing.
func TestAShadowIsNotCappedByTheLiveAnswer(t *testing.T) {
	none := &edgetest.Rule{Declares: edge.Manifest{ABI: 1, Name: "none", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"plain"}}}}}
	d, document := promoting(t, func(d *edge.ReleaseDocument) {
		d.Modules = []edge.ModuleRef{{Name: "none", Version: "1.0.0", Hash: d.Compiled.Hash}}
		d.Variants[0].Cap = &edge.Cap{Times: 1, Hours: 1}
		d.Slots[0].Ladder[0].Rules = append(d.Slots[0].Ladder[0].Rules, edge.RuleSpec{Module: "none", Role: "slot", Shadow: true})
	})
	engine := edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Sealer: caseSealer(t),
		Loader: &edgetest.Rules{RuleLoader: edgetest.Loader{"none": none}, Doc: d}})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	s := newShopper(t, engine)
	hero, _ := s.ask(nil)
	if hero.Variant != "hat" {
		t.Fatal(hero.Variant)
	}
	if r := engine.Shadows("shop"); len(r) != 1 || len(r[0].Changes) > 0 {
		t.Errorf("%+v", r)
	}
}

// Items that content lists are left out too.
func TestWrittenItemsThatWereBoughtAreLeftOut(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Slots[0].Kind = "items"
		for i := range d.Variants[:3] {
			d.Variants[i].Promotes = nil
			d.Variants[i].Content = map[string]json.RawMessage{"en": json.RawMessage(`{"items":[{"id":"hat-1"},{"id":"b"}]}`)}
		}
		d.Campaigns = nil
		for i := range d.Slots {
			for j := range d.Slots[i].Ladder[0].Rules {
				d.Slots[i].Ladder[0].Rules[j].Campaign = ""
			}
		}
	}))
	hero, _ := s.ask(nil, s.event("purchase", items("hat-1")))
	release, _ := s.engine.Release("shop")
	if strings.Contains(string(hero.Content), "hat-1") {
		t.Errorf("%s %s after hat-1 was bought; inputs say it depends on %v", hero.Variant, hero.Content, release.Inputs()["hero"].Reads)
	}
}

// A preview does not show the variant's own items in the place of a module's.
func TestAPreviewShowsAllItems(t *testing.T) {
	s := newShopper(t, listing(t))
	s.ask(nil, s.event("purchase", items("a", "b")))
	token, err := caseSealer(t).SealPreview("shop", "p", s.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.send(&edge.Beacon{Slots: []edge.BeaconSlot{{Name: "hero"}}}, &edge.Request{Preview: token})
	if got := s.out.Decisions[0]; string(got.Content) == `{"items":[{"id":"z"}]}` {
		t.Errorf("%s: %s, which the module did not answer and no visitor gets", got.Reason, got.Content)
	}
}

// What the state knows was shown counts where profile or measure is refused since.
func TestARefusalDoesNotForgetWhatWasShown(t *testing.T) {
	for _, p := range []consent.Purposes{consent.Profile, consent.Measure} {
		t.Run(p.String(), func(t *testing.T) {
			s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Variants[0].Cap = &edge.Cap{Times: 1, Hours: 24} }))
			hero, _ := s.ask(nil)
			s.shows("seen", nil, []edge.BeaconEvent{s.seen(hero)}, "sock", "hat")
			s.granted &^= p
			s.shows("the state still says so, and storage lets it be read", nil, nil, "sock", "hat")
		})
	}
}

// A cap holds in any window of its length.
func TestACapsWindowIsWhole(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Variants[0].Cap = &edge.Cap{Times: 1, Hours: 1}
		d.Slots[1].Ladder[0].Rules = d.Slots[1].Ladder[0].Rules[1:]
	}))
	s.now = s.now.Truncate(time.Minute).Add(59 * time.Second)
	hero, _ := s.ask(nil)
	s.shows("seen", nil, []edge.BeaconEvent{s.seen(hero)}, "sock", "plain")
	s.now = s.now.Add(time.Hour - 50*time.Second)
	s.shows("59 minutes and 10 seconds later", nil, nil, "sock", "plain")
}

// Nothing is promoted while a complaint is open.
func TestAComplaintStopsAModulesItems(t *testing.T) {
	s := newShopper(t, listing(t))
	hero, _ := s.ask(nil, s.event("complaint_opened", `{}`))
	if hero.Variant != "" {
		t.Errorf("a complaint is open: %s %s", hero.Variant, hero.Content)
	}
}

// What is held back in a roll-out with a rule before replays.
func TestHeldBackInARollOutReplays(t *testing.T) {
	module := func(version string, variant string) *edgetest.Rule {
		return &edgetest.Rule{
			Declares: edge.Manifest{ABI: 1, Name: "m", Version: version, Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{variant}}}},
			Cases:    []edgetest.Case{{Variant: 1}},
		}
	}
	for _, share := range []int{1, 5000, 9999} {
		d, document := promoting(t, func(d *edge.ReleaseDocument) {
			d.Modules = []edge.ModuleRef{{Name: "m", Version: "1.0.0", Hash: d.Compiled.Hash}, {Name: "m", Version: "2.0.0", Hash: d.Compiled.Hash}}
			d.Slots[0].Ladder[0].Rules = append([]edge.RuleSpec{{Module: "m@2.0.0", Role: "slot", Priority: 9, Rollout: share, Before: &edge.RuleSpec{Module: "m@1.0.0", Role: "slot", Priority: 9}}}, d.Slots[0].Ladder[0].Rules...)
			d.Variants[0].Cap = &edge.Cap{Times: 1, Hours: 24}
		})
		loader := versions{&edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: d}, map[string]*edgetest.Rule{"m@1.0.0": module("1.0.0", "hat"), "m@2.0.0": module("2.0.0", "sock")}}
		engine := edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Loader: loader, Sealer: caseSealer(t)})
		if _, err := engine.Publish(document); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			s := newShopper(t, engine)
			hero, _ := s.ask(nil)
			replayed(t, s)
			s.ask(nil, s.seen(hero))
			replayed(t, s)
			s.ask(nil, s.event([]string{"purchase", "add_to_cart", "complaint_opened"}[i%3], items([]string{"hat-1", "sock-1"}[i%2])))
			replayed(t, s)
			if h := s.out.Decisions[0].Variant; i%3 < 2 && h == []string{"hat", "sock"}[i%2] {
				t.Errorf("%s after it was bought", h)
			}
		}
	}
}

type versions struct {
	*edgetest.Rules
	by map[string]*edgetest.Rule
}

func (l versions) Load(site string, ref edge.ModuleRef, bind map[string]int) (edge.Rule, error) {
	if r, ok := l.by[ref.ID()]; ok {
		return r, nil
	}
	return l.Rules.Load(site, ref, bind)
}

// A site has no more caps than a state counts.
func TestMoreCapsThanAStateCountsAreRefused(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) {
		d.Campaigns = nil
		d.Variants, d.Slots[0].Ladder[0].Rules, d.Slots[1].Ladder[0].Rules = nil, nil, nil
		for i := range 26 {
			name := fmt.Sprintf("v%d", i)
			d.Variants = append(d.Variants, edge.Variant{Slot: "hero", Name: name, State: "live", Cap: &edge.Cap{Times: 1, Hours: 90 * 24}, Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"x"}`)}})
			d.Slots[0].Ladder[0].Rules = append(d.Slots[0].Ladder[0].Rules, edge.RuleSpec{Name: name, Show: []edge.ShowSpec{{Variant: name}}})
		}
	}))
	hero, _ := s.ask(nil)
	times := map[string]int{}
	for range 60 {
		if hero.Variant == "" {
			break
		}
		times[hero.Variant]++
		s.now = s.now.Add(time.Minute)
		hero, _ = s.ask(nil, s.seen(hero))
	}
	for v, n := range times {
		if n > 1 {
			t.Errorf("%s was shown %d times in an hour, at most once in 90 days", v, n)
			return
		}
	}
}

// A decision that a page names twice was shown once.
func TestADecisionNamedTwiceCountsOnce(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Variants[0].Cap = &edge.Cap{Times: 2, Hours: 1} }))
	s.granted = consent.Context
	hero, _ := s.ask(nil)
	id := string(bytes.Clone([]byte(hero.ID)))
	s.shows("shown once, named twice", []string{id, id}, nil, "hat", "hat")
}
