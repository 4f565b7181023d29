// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// promoting is a release of two slots whose rules always hold: hero shows hat (of
// the campaign hats, promoting hat-1), else sock (promoting sock-1), else plain; side
// shows hat too, else plain.
func promoting(t testing.TB, bend func(*edge.ReleaseDocument)) (*edge.ReleaseDocument, []byte) {
	t.Helper()
	text := json.RawMessage(`{"text":"x"}`)
	variant := func(slot, name string, promotes ...string) edge.Variant {
		return edge.Variant{Slot: slot, Name: name, State: "live", Promotes: promotes, Content: map[string]json.RawMessage{"en": text}}
	}
	rule := func(name, campaign string, priority int) edge.RuleSpec {
		return edge.RuleSpec{Name: name, Campaign: campaign, Priority: priority, Show: []edge.ShowSpec{{Variant: name}}}
	}
	d := &edge.ReleaseDocument{
		Schema: 1, Site: "shop", Number: 1,
		Settings:  edge.Settings{Origins: []string{"https://shop.example"}, Languages: []string{"en"}, TimeZone: "Europe/Paris", Why: true},
		Campaigns: []edge.Campaign{{Name: "hats", State: "live"}},
		Slots: []edge.SlotSpec{
			{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{rule("hat", "hats", 3), rule("sock", "", 2), rule("plain", "", 1)}}}},
			{Name: "side", Kind: "text", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{rule("hat", "hats", 3), rule("plain", "", 1)}}}},
		},
		Variants: []edge.Variant{variant("hero", "hat", "hat-1"), variant("hero", "sock", "sock-1"), variant("hero", "plain"),
			variant("side", "hat", "hat-1"), variant("side", "plain")},
		Modules:  []edge.ModuleRef{},
		Compiled: &edge.Compiled{Hash: "0000000000000000000000000000000000000000000000000000000000000000"},
	}
	if bend != nil {
		bend(d)
	}
	return d, marshalRelease(t, *d)
}

func promotingEngine(t testing.TB, bend func(*edge.ReleaseDocument)) *edge.Engine {
	t.Helper()
	d, document := promoting(t, bend)
	engine := edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Loader: &edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: d}, Sealer: caseSealer(t)})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return engine
}

// A shopper is one browser.
type shopper struct {
	t       testing.TB
	engine  *edge.Engine
	granted consent.Purposes
	now     time.Time
	state   string
	ids     int
	out     edge.Outcome
}

func newShopper(t testing.TB, engine *edge.Engine) *shopper {
	return &shopper{t: t, engine: engine, granted: consent.All, now: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)}
}

func (s *shopper) event(name, props string) edge.BeaconEvent {
	s.ids++
	return edge.BeaconEvent{ID: "e" + strconv.Itoa(s.ids), Name: name, AtMillis: s.now.UnixMilli(), Props: []byte(props)}
}

func items(ids ...string) string {
	var out []map[string]string
	for _, id := range ids {
		out = append(out, map[string]string{"item_id": id})
	}
	b, _ := json.Marshal(map[string]any{"items": out})
	return string(b)
}

// ask sends a beacon for both slots and returns what hero and side show.
func (s *shopper) ask(shown []string, events ...edge.BeaconEvent) (hero, side *edge.Decision) {
	s.t.Helper()
	s.send(&edge.Beacon{
		Events: events, Slots: []edge.BeaconSlot{{Name: "hero"}, {Name: "side"}}, Why: true, Shown: shown,
	}, &edge.Request{})
	return &s.out.Decisions[0], &s.out.Decisions[1]
}

// send sends a beacon as the browser's and keeps the state that comes back.
func (s *shopper) send(b *edge.Beacon, r *edge.Request) {
	s.t.Helper()
	b.Site, b.SentMillis = "shop", s.now.UnixMilli()
	b.Consent = consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: s.granted, Refused: consent.All &^ s.granted}}
	r.Now, r.State, r.Addr = s.now, s.state, netip.MustParseAddr("192.0.2.0")
	s.out.Reset()
	if err := s.engine.Decide(b, r, &s.out); err != nil {
		s.t.Fatal(err)
	}
	checkWire(s.t, s.out.Decisions)
	switch {
	case s.out.State != "":
		s.state = string(bytes.Clone([]byte(s.out.State)))
	case s.out.DropState:
		s.state = ""
	}
}

func (s *shopper) seen(d *edge.Decision) edge.BeaconEvent {
	return s.event("slot_impression", fmt.Sprintf(`{"decision":%q,"shown":"variant"}`, d.ID))
}

func (s *shopper) shows(what string, shown []string, events []edge.BeaconEvent, hero, side string) (h, d *edge.Decision) {
	s.t.Helper()
	h, d = s.ask(shown, events...)
	if got := h.Variant + " " + d.Variant; got != hero+" "+side {
		s.t.Errorf("%s: %s, want %s %s", what, got, hero, side)
	}
	return h, d
}

// What is in the cart or was bought is not promoted, from that very beacon on, in
// every slot; taken out of the cart or after the site's days it is again.
func TestWhatWasBoughtIsNotPromoted(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Settings.BoughtDays = 10 }))
	did := func(name string, ids ...string) []edge.BeaconEvent {
		return []edge.BeaconEvent{s.event(name, items(ids...))}
	}
	s.shows("at first", nil, nil, "hat", "hat")
	s.shows("a hat in the cart", nil, did("add_to_cart", "hat-1"), "sock", "plain")
	s.shows("a page later", nil, nil, "sock", "plain")
	s.shows("out of the cart", nil, did("remove_from_cart", "hat-1"), "hat", "hat")
	hero, _ := s.shows("both bought", nil, did("purchase", "hat-1", "sock-1"), "plain", "plain")
	if tries := hero.Why.Tried; tries[0].Reason != "suppressed" || tries[1].Reason != "suppressed" || tries[2].Reason != "rule" {
		t.Errorf("tried %+v", tries)
	}
	replayed(t, s)
	s.now = s.now.Add(10*24*time.Hour - time.Minute)
	s.shows("nearly ten days later", nil, nil, "plain", "plain")
	s.now = s.now.Add(time.Minute)
	s.shows("ten days later", nil, nil, "hat", "hat")
	s.granted &^= consent.Personalise
	s.shows("nobody may know what was bought", nil, did("purchase", "hat-1"), "hat", "hat")
}

// replayed checks that the beacon's decisions replay to what they were.
func replayed(t *testing.T, s *shopper) {
	t.Helper()
	release, _ := s.engine.Release("shop")
	replay, err := release.Replay(s.out.Record.Bytes(), s.out.Decisions[0].ID, decodeRecorded)
	if err != nil {
		t.Fatal(err)
	}
	if !replay.Same {
		t.Errorf("replayed otherwise: %+v", replay)
	}
}

func TestAnOpenComplaintStopsPromotion(t *testing.T) {
	s := newShopper(t, promotingEngine(t, nil))
	s.shows("a complaint", nil, []edge.BeaconEvent{s.event(edge.ComplaintOpened, `{}`)}, "plain", "plain")
	replayed(t, s)
	s.now = s.now.Add(40 * 24 * time.Hour)
	s.shows("still open", nil, nil, "plain", "plain")
	s.shows("settled", nil, []edge.BeaconEvent{s.event(edge.ComplaintSettled, `{}`)}, "hat", "hat")
	service := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Campaigns[0].Transactional = true }))
	service.shows("what was asked for goes on", nil, []edge.BeaconEvent{service.event(edge.ComplaintOpened, `{}`)}, "hat", "hat")
}

// It is half past ten in Paris.
func TestQuietHoursAreTheVisitors(t *testing.T) {
	for quiet, want := range map[edge.QuietHours]string{
		{From: "22:00", Until: "10:31"}: "sock", {From: "10:30", Until: "11:00"}: "sock",
		{From: "22:00", Until: "10:30"}: "hat", {From: "10:31", Until: "10:30"}: "hat",
	} {
		s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Campaigns[0].Quiet = &quiet }))
		if hero, _ := s.ask(nil); hero.Variant != want {
			t.Errorf("%+v: %s, want %s", quiet, hero.Variant, want)
		}
	}
}

func TestCaps(t *testing.T) {
	twice := &edge.Cap{Times: 2, Hours: 24}
	for name, bend := range map[string]func(*edge.ReleaseDocument){
		"of a variant":   func(d *edge.ReleaseDocument) { d.Variants[0].Cap = twice },
		"of a campaign":  func(d *edge.ReleaseDocument) { d.Campaigns[0].Cap = twice },
		"on a surface":   func(d *edge.ReleaseDocument) { d.Settings.Caps = map[string]edge.Cap{"web": *twice} },
		"of all":         func(d *edge.ReleaseDocument) { d.Settings.Cap = twice },
		"of another one": func(d *edge.ReleaseDocument) { d.Settings.Caps = map[string]edge.Cap{"mail": *twice} },
	} {
		t.Run(name, func(t *testing.T) {
			after := map[string]string{"of a variant": "sock", "of a campaign": "sock", "on a surface": "plain", "of all": "plain", "of another one": "hat"}[name]
			s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { bend(d); d.Slots[1].Ladder[0].Rules = d.Slots[1].Ladder[0].Rules[1:] }))
			hero, _ := s.shows("at first", nil, nil, "hat", "plain")
			hero, _ = s.shows("seen once", nil, []edge.BeaconEvent{s.seen(hero)}, "hat", "plain")
			late := s.event("slot_impression", fmt.Sprintf(`{"decision":%q,"shown":"late"}`, hero.ID))
			s.shows("what came late was not shown", nil, []edge.BeaconEvent{late}, "hat", "plain")
			s.now = s.now.Add(time.Hour)
			again := s.seen(hero)
			hero, _ = s.shows("seen twice", nil, []edge.BeaconEvent{again}, after, "plain")
			if reason := hero.Why.Tried[0].Reason; (reason == "capped") != (after != "hat") {
				t.Errorf("the hat came out as %s", reason)
			}
			replayed(t, s)
			s.shows("told again", nil, []edge.BeaconEvent{again}, after, "plain")
			s.now = s.now.Add(23*time.Hour - time.Minute)
			s.shows("nearly a day after the first", nil, nil, after, "plain")
			s.now = s.now.Add(2 * time.Minute)
			s.shows("a day after the first", nil, nil, "hat", "plain")
		})
	}
}

// Two slots of one answer count together.
func TestACapHoldsWithinAnAnswer(t *testing.T) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Campaigns[0].Cap = &edge.Cap{Times: 1, Hours: 1} }))
	s.shows("one of two", nil, nil, "hat", "plain")
}

// Where nothing may be kept, what the page says that it showed counts.
func TestACapHoldsInADocumentWithoutStorage(t *testing.T) {
	for _, granted := range []consent.Purposes{consent.Context, consent.All &^ consent.Profile, consent.All &^ consent.Measure, consent.All &^ consent.Storage} {
		t.Run(granted.String(), func(t *testing.T) { holdsInADocument(t, granted) })
	}
}

func holdsInADocument(t *testing.T, granted consent.Purposes) {
	s := newShopper(t, promotingEngine(t, func(d *edge.ReleaseDocument) { d.Variants[0].Cap = &edge.Cap{Times: 1, Hours: 1} }))
	s.granted = granted
	hero, _ := s.shows("at first", nil, nil, "hat", "hat")
	id := string(bytes.Clone([]byte(hero.ID)))
	s.shows("in view", []string{id, "nonsense"}, nil, "sock", "hat")
	if s.granted == consent.Context && (s.state != "" || len(s.out.Events) > 0 || s.out.Record != nil) {
		t.Error("something was kept")
	}
	s.now = s.now.Add(time.Hour + time.Minute)
	s.shows("an hour later", []string{id}, nil, "hat", "hat")
}

// listing is an engine whose slot hero shows what a module lists, the items a and b.
// Where it lists none, the variant's own content does: the item z.
func listing(t testing.TB) *edge.Engine {
	t.Helper()
	list := &edgetest.Rule{
		Declares: edge.Manifest{ABI: 1, Name: "list", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"list"}}}},
		Cases:    []edgetest.Case{{Variant: 1, Items: []edge.AnswerItem{{ID: "a"}, {ID: "b"}}}},
	}
	d, document := promoting(t, func(d *edge.ReleaseDocument) {
		d.Modules = []edge.ModuleRef{{Name: "list", Version: "1.0.0", Hash: d.Compiled.Hash}}
		d.Slots[0] = edge.SlotSpec{Name: "hero", Kind: "items", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{{Module: "list", Role: "slot"}}}}}
		d.Variants = append(d.Variants[3:], edge.Variant{Slot: "hero", Name: "list", State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"items":[{"id":"z"}]}`)}})
	})
	engine := edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Sealer: caseSealer(t), Previewer: onePreview{document},
		Loader: &edgetest.Rules{RuleLoader: edgetest.Loader{"list": list}, Doc: d}})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return engine
}

// onePreview previews one document, whatever the link says.
type onePreview struct{ doc []byte }

func (p onePreview) Preview(string, string) ([]byte, error) { return p.doc, nil }

// A rule of items loses those that must not be promoted.
func TestItemsThatMustNotBePromotedAreLeftOut(t *testing.T) {
	s := newShopper(t, listing(t))
	for _, step := range []struct{ event, item, want string }{
		{"view_item", "a", `{"items":[{"id":"a"},{"id":"b"}]}`},
		{"add_to_cart", "a", `{"items":[{"id":"b"}]}`},
		{"purchase", "b", ``},
	} {
		hero, _ := s.ask(nil, s.event(step.event, items(step.item)))
		if string(hero.Content) != step.want || (step.want == "") != (hero.Reason == edge.ReasonSuppressed) {
			t.Errorf("after %s of %s: %s, %s; want %s", step.event, step.item, hero.Content, hero.Reason, step.want)
		}
		replayed(t, s)
	}
}

func TestCapsThatCannotBeAreRefused(t *testing.T) {
	for want, bend := range map[string]func(*edge.ReleaseDocument){
		"variants: hero/hat: cap: 0 times":     func(d *edge.ReleaseDocument) { d.Variants[0].Cap = &edge.Cap{Hours: 1} },
		"campaigns: hats: cap: 17 times":       func(d *edge.ReleaseDocument) { d.Campaigns[0].Cap = &edge.Cap{Times: 17, Hours: 1} },
		"settings: cap: 1 times in 2161 hours": func(d *edge.ReleaseDocument) { d.Settings.Cap = &edge.Cap{Times: 1, Hours: 2161} },
		`settings.caps: "tv" is none of`:       func(d *edge.ReleaseDocument) { d.Settings.Caps = map[string]edge.Cap{"tv": {Times: 1, Hours: 1}} },
		`campaigns: hats: quiet: from "25:00"`: func(d *edge.ReleaseDocument) { d.Campaigns[0].Quiet = &edge.QuietHours{From: "25:00", Until: "07:00"} },
		"settings.boughtDays: 91":              func(d *edge.ReleaseDocument) { d.Settings.BoughtDays = 91 },
		"promotes: 17 items":                   func(d *edge.ReleaseDocument) { d.Variants[0].Promotes = slices.Repeat([]string{"a"}, 17) },
		"promotes: an item's id has 1 to 64":   func(d *edge.ReleaseDocument) { d.Variants[0].Promotes = []string{""} },
	} {
		d, document := promoting(t, bend)
		if _, err := edge.CompileRelease(document, &edgetest.Rules{RuleLoader: edgetest.Loader{}, Doc: d}); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("error %v, want one about %s", err, want)
		}
	}
}

// sessions is how many browsing sessions TestManySessions simulates.
func sessions() int {
	if n, err := strconv.Atoi(os.Getenv("NEARSIDE_TEST_SESSIONS")); err == nil {
		return n
	}
	return 3000
}

// Visitors with several tabs, at several nodes whose clocks are up to five minutes
// apart; one answer in twelve is not read, and in half of those the browser got the
// state. What was not answered is sent again, as the tag does. Then every event
// is counted once, what is in the cart or bought is never promoted, and nothing is
// shown more often than its cap but for the tabs that had not told of it yet.
func TestManySessions(t *testing.T) {
	nodes := make([]*edge.Engine, 3)
	for i := range nodes {
		nodes[i] = promotingEngine(t, func(d *edge.ReleaseDocument) {
			d.Settings.BoughtDays = 30
			d.Variants[0].Cap, d.Variants[3].Cap = &edge.Cap{Times: 3, Hours: 24}, &edge.Cap{Times: 3, Hours: 24}
		})
	}
	for n, seed := 0, uint64(1); n < sessions(); seed++ {
		n += newWanderer(t, nodes, seed).wander()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
