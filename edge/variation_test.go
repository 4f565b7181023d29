// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A split is an engine whose slot hero has one rule that shows red or blue by weight.
type split struct {
	t      testing.TB
	engine *edge.Engine
	rules  *edgetest.Rules
	people *edgetest.People
	number uint64
	side   string // the name of a rule of the slot side that chooses by weight too, "" for none
}

func newSplit(t testing.TB, red, blue int) *split {
	t.Helper()
	s := &split{t: t, rules: &edgetest.Rules{RuleLoader: edgetest.Loader{}}, people: &edgetest.People{}}
	s.engine = edge.New(edge.Options{Node: "n", Locator: caseLocator{"FR"}, Loader: s.rules, Sealer: caseSealer(t), Profiles: s.people})
	s.weigh(red, blue)
	return s
}

// weigh publishes other weights; 0 takes a variant out of the rule.
func (s *split) weigh(red, blue int) {
	s.t.Helper()
	s.shows(map[string]int{"hat": red, "sock": blue})
}

// shows publishes a rule that shows variants by weight.
func (s *split) shows(weights map[string]int) {
	s.t.Helper()
	s.number++
	d, document := promoting(s.t, func(d *edge.ReleaseDocument) {
		d.Number = s.number
		var show []edge.ShowSpec
		for name, weight := range weights {
			if weight > 0 {
				show = append(show, edge.ShowSpec{Variant: name, Weight: weight})
			}
		}
		slices.SortFunc(show, func(a, b edge.ShowSpec) int { return strings.Compare(a.Variant, b.Variant) })
		d.Slots[0].Ladder[0].Rules = []edge.RuleSpec{{Name: "split", Show: show}}
		if s.side != "" {
			d.Slots[1].Ladder[0].Rules = []edge.RuleSpec{{Name: s.side, Show: []edge.ShowSpec{{Variant: "hat", Weight: 1}, {Variant: "plain", Weight: 1}}}}
		}
		for i := range d.Variants {
			d.Variants[i].Promotes = nil
		}
	})
	s.rules.Doc = d
	if _, err := s.engine.Publish(document); err != nil {
		s.t.Fatal(err)
	}
}

// noHat is a weight of sock beside which no newcomer sees a hat of weight 1.
const noHat = edge.Buckets - 1

// newcomer returns a visitor who was here once, viewed nothing and is in neither the first
// nor the last bucket: what a weight of one in ten thousand would show is not by chance.
func (s *split) newcomer() *shopper {
	s.t.Helper()
	for range 10 {
		one := newShopper(s.t, s.engine)
		one.variant("")
		state, err := s.engine.OpenState("shop", one.state)
		if err != nil {
			s.t.Fatal(err)
		}
		if bucket := edge.Bucket(edge.ShowSalt("hero", "split"), state.VisitorID()); bucket > 0 && bucket < edge.Buckets-1 {
			return one
		}
	}
	s.t.Fatal("ten visitors in a row are in two of ten thousand buckets")
	return nil
}

// whoSaw returns a visitor who has viewed a variant, as the customer or "" for nobody.
func (s *split) whoSaw(variant, customer string, later time.Duration) *shopper {
	s.t.Helper()
	for range 200 {
		one := s.newcomer()
		one.now = one.now.Add(later)
		if one.view(customer) == variant {
			return one
		}
	}
	s.t.Fatalf("nobody of 200 sees %s", variant)
	return nil
}

// view asks for the slot's variant, as seen by a customer or "" for nobody, and has it
// viewed.
func (s *shopper) view(customer string) string {
	s.t.Helper()
	variant := s.variant(customer)
	events := []edge.BeaconEvent{s.seen(&s.out.Decisions[0])}
	s.send(&edge.Beacon{Events: events}, &edge.Request{Profile: customer, Identified: customer != ""})
	return variant
}

func (s *shopper) variant(customer string) string {
	s.t.Helper()
	s.now = s.now.Add(time.Minute)
	s.send(&edge.Beacon{Slots: []edge.BeaconSlot{{Name: "hero"}}, Why: true}, &edge.Request{Profile: customer, Identified: customer != ""})
	return s.out.Decisions[0].Variant
}

func TestWhatWasSeenStaysWhateverTheWeights(t *testing.T) {
	split := newSplit(t, 50, 50)
	const visitors = 60
	shoppers, first := make([]*shopper, visitors), make([]string, visitors)
	for i := range shoppers {
		shoppers[i] = split.newcomer()
		if i%2 == 0 {
			first[i] = shoppers[i].view("")
		} else {
			first[i] = shoppers[i].variant("") // which is never in view
		}
	}
	split.weigh(1, noHat)
	kept, moved := 0, 0
	for i, s := range shoppers {
		got := s.variant("")
		replayed(t, s)
		hero := &s.out.Decisions[0]
		parts := hero.Why.Tried[0].Condition.Parts
		isTold := len(parts) == 1 && parts[0].Text == "kept"
		switch {
		case i%2 == 0 && got != first[i]:
			t.Errorf("visitor %d saw %s and sees %s", i, first[i], got)
		case i%2 == 0 && got == "hat":
			kept++
			if !isTold || hero.Why.Tried[0].Reason != "rule" {
				t.Errorf("explained by %s: %+v", hero.Why.Tried[0].Reason, parts)
			}
		case i%2 == 1 && got == "hat":
			t.Errorf("visitor %d, who saw nothing, sees hat", i)
		case i%2 == 1 && first[i] == "hat":
			moved++
		case isTold:
			t.Errorf("nothing was kept: %+v", parts)
		}
	}
	if kept < 5 || moved < 5 {
		t.Errorf("%d kept and %d moved of %d: this shows little", kept, moved, visitors)
	}
	for i, s := range shoppers {
		if i%2 == 1 || first[i] != "hat" {
			continue
		}
		s.granted &^= consent.Personalise
		if got := s.variant(""); got != "sock" {
			t.Errorf("who lets nothing be remembered sees %s", got)
		}
		s.granted = consent.All
		if got := s.variant(""); got != "sock" {
			t.Errorf("what was forgotten is %s again", got)
		}
		break
	}
	split.weigh(0, 1)
	for i, s := range shoppers {
		if got := s.variant(""); got != "sock" {
			t.Errorf("visitor %d sees %q, which the rule does not show any more", i, got)
		}
		replayed(t, s)
	}
}

// The export tells of it by name.
func TestAVariationIsTold(t *testing.T) {
	split := newSplit(t, 50, 50)
	s := newShopper(t, split.engine)
	variant := s.view("")
	state, err := split.engine.OpenState("shop", s.state)
	if err != nil {
		t.Fatal(err)
	}
	release, _ := split.engine.Release("shop")
	told := release.Disclose(state, s.now).Variations
	if len(told) != 1 || told[0].Rule != "hero/split" || told[0].Variant != variant || !told[0].At.Equal(s.now.Truncate(time.Minute)) {
		t.Errorf("told %+v, want hero/split %s", told, variant)
	}
}

// In whatever browser a person signs in: what the person saw first counts.
func TestAPersonKeepsWhatWasSeenFirst(t *testing.T) {
	split := newSplit(t, 50, 50)
	a, b := split.whoSaw("hat", "", 0), split.whoSaw("sock", "", time.Hour)
	if got := a.variant("c-1"); got != "hat" {
		t.Errorf("signed in, the first browser shows %s", got)
	}
	if got := b.variant("c-1"); got != "hat" {
		t.Errorf("signed in, the second browser shows %s", got)
	}
	split.weigh(1, noHat)
	for name, s := range map[string]*shopper{"first": a, "second": b} {
		if got := s.variant("c-1"); got != "hat" {
			t.Errorf("after other weights the %s browser shows %s", name, got)
		}
		replayed(t, s)
	}
	// What is seen while signed in stays too, in the other browser.
	split = newSplit(t, 50, 50)
	a, b = split.newcomer(), split.newcomer()
	seen := a.view("c-2")
	if seen == "hat" {
		split.weigh(1, noHat)
	} else {
		split.weigh(9999, 1)
	}
	if got := b.variant("c-2"); got != seen {
		t.Errorf("the second browser shows %s of a person who saw %s", got, seen)
	}
}

// Who saw what the rule shows no more keeps what they saw in its place; where it is
// shown again, what was seen first counts.
func TestWhatWasSeenInTheNextPlaceStays(t *testing.T) {
	split := newSplit(t, 9999, 1)
	var second []*shopper
	for range 20 {
		second = append(second, split.whoSaw("hat", "", 0))
	}
	split.shows(map[string]int{"sock": noHat, "plain": 1})
	for _, s := range second {
		if got := s.view(""); got != "sock" {
			t.Fatalf("without hat it shows %s", got)
		}
	}
	split.shows(map[string]int{"sock": 1, "plain": 9999})
	for i, s := range second {
		if got := s.variant(""); got != "sock" {
			t.Errorf("visitor %d, who saw sock since hat is gone, sees %s", i, got)
		}
		replayed(t, s)
	}
	split.shows(map[string]int{"hat": 1, "sock": 1, "plain": 9998})
	for i, s := range second {
		if got := s.variant(""); got != "hat" {
			t.Errorf("visitor %d, who saw hat first, sees %s", i, got)
		}
	}
}

// What a server tells that a person saw stays theirs in their browsers too.
func TestWhatAServerTellsWasSeenStays(t *testing.T) {
	split := newSplit(t, 1, 0)
	a := split.newcomer()
	if got := a.variant("c-1"); got != "hat" {
		t.Fatalf("it shows %s", got)
	}
	split.weigh(1, noHat)
	tell := func(allowed consent.Purposes) {
		t.Helper()
		seen := edge.BatchEvent{BeaconEvent: a.seen(&a.out.Decisions[0]), Profile: "c-1", Surface: "app"}
		seen.ID = "server-1"
		var out edge.BatchOutcome
		if err := split.engine.Accept(&edge.Batch{Site: "shop", Consents: []consent.Signals{granted(allowed)}, Events: []edge.BatchEvent{seen}}, a.now, &out); err != nil || len(out.Events) != 1 {
			t.Fatalf("error %v, rejected %+v", err, out.Rejected)
		}
	}
	tell(consent.All &^ consent.Personalise)
	b := split.newcomer()
	if got := b.variant("c-1"); got != "sock" {
		t.Errorf("what may not be kept of a person is kept: it shows %s", got)
	}
	tell(consent.All)
	if got := b.variant("c-1"); got != "hat" {
		t.Errorf("it shows %s to who saw hat", got)
	}
}

// What was seen of rules that are gone does not push out what was seen of one that is
// live: in a state, and in a person's profile.
func TestRulesThatAreGoneMakeRoom(t *testing.T) {
	for _, customer := range []string{"", "c-1"} {
		split := newSplit(t, 9999, 1)
		s := split.whoSaw("hat", customer, 0)
		for i := range 20 {
			split.side = fmt.Sprintf("passing-%c", 'a'+i)
			split.weigh(9999, 1)
			s.now = s.now.Add(time.Minute)
			request := edge.Request{Profile: customer, Identified: customer != ""}
			s.send(&edge.Beacon{Slots: []edge.BeaconSlot{{Name: "side"}}}, &request)
			s.send(&edge.Beacon{Events: []edge.BeaconEvent{s.seen(&s.out.Decisions[0])}}, &request)
		}
		split.weigh(1, noHat)
		if got := s.variant(customer); got != "hat" {
			t.Errorf("customer %q: after twenty rules that are gone it shows %s", customer, got)
		}
	}
}

// To keep what was seen allocates nothing.
func TestDecideWhatIsKeptAllocs(t *testing.T) {
	split := newSplit(t, 9999, 1)
	s := split.whoSaw("hat", "", 0)
	split.weigh(1, noHat)
	beacon := edge.Beacon{Site: "shop", Slots: []edge.BeaconSlot{{Name: "hero"}}, Consent: granted(consent.All)}
	request, out := edge.Request{Now: s.now, State: s.state}, edge.Outcome{}
	got := testing.AllocsPerRun(200, func() {
		out.Reset()
		if err := split.engine.Decide(&beacon, &request, &out); err != nil || out.Decisions[0].Variant != "hat" {
			t.Fatalf("error %v, decisions %+v", err, out.Decisions)
		}
	})
	if got > 0 && !raceEnabled { // under the race detector a pool forgets at random
		t.Errorf("Decide allocates %v times, want 0", got)
	}
}

// FuzzReplayOfWhatWasKept checks that no record that says what was kept makes a replay
// panic.
func FuzzReplayOfWhatWasKept(f *testing.F) {
	split := newSplit(f, 9999, 1)
	s := split.whoSaw("hat", "", 0)
	split.weigh(1, noHat)
	if s.variant("") != "hat" {
		f.Fatal("nothing is kept")
	}
	f.Add(bytes.Clone(s.out.Record.Bytes()))
	release, _ := split.engine.Release("shop")
	f.Fuzz(func(_ *testing.T, record []byte) {
		_, _ = release.Replay(record, "", decodeRecorded)
	})
}
