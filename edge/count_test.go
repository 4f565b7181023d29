// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

type nowhere struct{}

func (nowhere) Locate(netip.Addr) Place { return Place{} }

// A browser is one visitor's browser: it carries the state from page view to page
// view, at a site whose rules count.
type browser struct {
	t       testing.TB
	engine  *Engine
	state   string
	granted consent.Purposes
	now     time.Time
	ids     int
}

func newBrowser(t testing.TB, zone string, windows ...EventWindow) *browser {
	t.Helper()
	b := &browser{
		t: t, engine: New(Options{Node: "n", Locator: nowhere{}, Sealer: testSealer(t)}), granted: consent.All,
		now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC),
	}
	b.publish(zone, windows...)
	return b
}

// publish makes a release live whose rules count in these windows.
func (b *browser) publish(zone string, windows ...EventWindow) {
	b.t.Helper()
	document := `{"schema":1,"site":"shop","number":1,"settings":{"origins":["https://shop.example"],"languages":["en"],"timezone":"` +
		zone + `"},"slots":[],"variants":[],"modules":[]}`
	release, err := CompileRelease([]byte(document), nil)
	if err == nil {
		release.counting, err = newCounting(windows)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.engine.setLive(release)
}

// event is something that happened some time ago.
func (b *browser) event(name string, ago time.Duration) BeaconEvent {
	b.ids++
	return BeaconEvent{ID: fmt.Sprintf("e%d", b.ids), Name: name, AtMillis: b.now.Add(-ago).UnixMilli()}
}

// send lets the engine decide about a beacon and returns the visit's counts as
// JSON and the state that the browser would have then.
func (b *browser) send(events ...BeaconEvent) (counts, state string) {
	b.t.Helper()
	release, _ := b.engine.Release("shop")
	beacon := &Beacon{
		Site: "shop", SentMillis: b.now.UnixMilli(), Events: events,
		Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: b.granted, Refused: consent.All &^ b.granted}},
	}
	var out Outcome
	visit := b.visit(release, beacon, &out)
	view := NewView(visit, Mask{}.With(FieldCounts), out.Verdict.Granted)
	state = b.state
	switch {
	case out.State != "":
		state = out.State
	case out.DropState:
		state = ""
	}
	return string(view.Value(FieldCounts).AppendJSON(nil)), state
}

// visit decides as Decide does and returns the visit, which Decide does not show.
func (b *browser) visit(release *Release, beacon *Beacon, out *Outcome) *Visit {
	b.t.Helper()
	request := &Request{Now: b.now, State: b.state}
	out.Verdict = consent.Evaluate(&beacon.Consent, &release.doc.Settings.Consent, consent.Region{}, time.Now())
	d := &decider{}
	d.begin(release, out.Verdict.Granted, false)
	d.live = release
	d.visit.begin(beacon, request)
	b.engine.openState(d, request, out)
	b.engine.acceptEvents(d, beacon, request, out)
	release.fillCounts(&d.visit, d.untold)
	b.engine.sealState(d, out)
	return &d.visit
}

// view sends and takes the new state.
func (b *browser) view(events ...BeaconEvent) string {
	b.t.Helper()
	counts, state := b.send(events...)
	b.state = state
	return counts
}

func (b *browser) check(what, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s: counts %s, want %s", what, got, want)
	}
}

func TestTheNextDecisionSeesWhatWasJustDone(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"view_item", 7}, EventWindow{"view_item", 1}, EventWindow{"search", 30})
	b.check("a new browser", b.view(b.event("view_item", 0), b.event("view_item", 0), b.event("click", 0)),
		`{"search/30d":0,"view_item/1d":2,"view_item/7d":2}`)
	b.now = b.now.Add(24 * time.Hour)
	b.check("a day later", b.view(b.event("search", 0)), `{"search/30d":1,"view_item/1d":0,"view_item/7d":2}`)
	b.now = b.now.Add(6 * 24 * time.Hour)
	b.check("a week later", b.view(b.event("view_item", 0)), `{"search/30d":1,"view_item/1d":1,"view_item/7d":1}`)
}

// A day is the site's: it ends at its midnight, and lasts 23 or 25 hours when the
// clocks change. In Santiago the clocks skip midnight itself.
func TestDaysEndAtTheSitesMidnight(t *testing.T) {
	tests := []struct {
		name, zone  string
		first, last string // moments of one day
	}{
		{"an ordinary day", "Europe/Berlin", "2026-03-10T00:00", "2026-03-10T23:59"},
		{"23 hours", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T23:59"},
		{"25 hours", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T23:59"},
		{"a day without a midnight", "America/Santiago", "2026-09-06T01:00", "2026-09-06T23:59"},
		{"where the day begins first", "Pacific/Kiritimati", "2026-06-01T00:00", "2026-06-01T23:59"},
		{"where it ends last", "Pacific/Pago_Pago", "2026-06-01T00:00", "2026-06-01T23:59"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			at := func(text string) time.Time {
				when, err := time.ParseInLocation(validityLayout, text, zone)
				if err != nil {
					t.Fatal(err)
				}
				return when
			}
			b := newBrowser(t, tt.zone, EventWindow{"search", 1}, EventWindow{"search", 2})
			b.now = at(tt.first).Add(-time.Second)
			b.check("before midnight", b.view(b.event("search", 0)), `{"search/1d":1,"search/2d":1}`)
			b.now = at(tt.first)
			b.check("at midnight", b.view(b.event("search", 0)), `{"search/1d":1,"search/2d":2}`)
			b.now = at(tt.last).Add(59 * time.Second)
			b.check("at the end", b.view(b.event("search", 0)), `{"search/1d":2,"search/2d":3}`)
			b.now = b.now.Add(time.Second)
			b.check("after it", b.view(), `{"search/1d":0,"search/2d":2}`)
		})
	}
}

// A browser that is known already may have done anything before its events were
// counted: a window is missing until all of its days were.
func TestANewWindowWarmsUp(t *testing.T) {
	b := newBrowser(t, "UTC")
	b.check("nothing is counted", b.view(b.event("search", 0)), `{}`)
	b.publish("UTC", EventWindow{"search", 1}, EventWindow{"search", 3})
	b.now = b.now.Add(time.Hour)
	b.check("the day it begins is known in part", b.view(b.event("search", 0)), `{}`)
	for day, want := range []string{`{"search/1d":1}`, `{"search/1d":1}`, `{"search/1d":1,"search/3d":3}`, `{"search/1d":1,"search/3d":3}`} {
		b.now = b.now.Add(24 * time.Hour)
		b.check(fmt.Sprint("day ", day+1), b.view(b.event("search", 0)), want)
	}
	b.publish("UTC", EventWindow{"search", 5})
	b.now = b.now.Add(time.Hour)
	b.check("a longer window needs days that were dropped", b.view(), `{}`)
	b.now = b.now.Add(24 * time.Hour)
	b.check("one of them is still in it", b.view(), `{}`)
	b.now = b.now.Add(24 * time.Hour)
	b.check("until they have passed", b.view(), `{"search/5d":3}`)
}

func TestWhatIsNotCountedAnyMoreIsDropped(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 7}, EventWindow{"view_item", 7})
	b.view(b.event("search", 0), b.event("view_item", 0))
	b.publish("UTC", EventWindow{"search", 7})
	before := b.state
	if b.view(); b.state != before {
		t.Error("dropping alone wrote the state")
	}
	b.view(b.event("search", 0))
	s, err := b.engine.sealer.OpenState("shop", b.state)
	if err != nil || len(s.Counters) != 1 || s.Counters[0].Event != "search" {
		t.Fatalf("%+v, %v", s, err)
	}
	b.publish("UTC", EventWindow{"search", 7}, EventWindow{"view_item", 7})
	b.check("and begins anew", b.view(), `{"search/7d":2}`)
}

// While the rules are not loaded, nobody knows what they count: what is counted
// already goes on.
func TestCountersOutliveRulesThatCannotBeLoaded(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 7})
	b.view(b.event("search", 0))
	live, _ := b.engine.Release("shop")
	counting := live.counting
	live.counting = nil
	b.check("without rules", b.view(b.event("search", 0)), `{}`)
	live.counting = counting
	b.check("with them again", b.view(b.event("search", 0)), `{"search/7d":3}`)
}

func TestAnotherTimeZoneBeginsAnew(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 1})
	b.view(b.event("search", 0))
	b.publish("Asia/Tokyo", EventWindow{"search", 1})
	b.check("another zone's days are other days", b.view(b.event("search", 0)), `{}`)
	b.now = b.now.Add(24 * time.Hour)
	b.check("the day after", b.view(b.event("search", 0)), `{"search/1d":1}`)
}

func TestAnEventThatIsSentAgainCountsOnce(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 7})
	var beacon []BeaconEvent
	for range MaxEvents {
		beacon = append(beacon, b.event("search", 0))
	}
	for range 3 {
		b.check("the whole beacon again", b.view(beacon...), `{"search/7d":64}`)
	}
	before := b.state
	if b.view(beacon...); b.state != before {
		t.Error("what is known already wrote the state")
	}
	beacon = append(beacon[60:], b.event("search", 0))
	b.check("some of it with others", b.view(beacon...), `{"search/7d":65}`)
	b.check("and that again", b.view(beacon...), `{"search/7d":65}`)
	s, err := b.engine.sealer.OpenState("shop", b.state)
	if err != nil || len(s.Counted) != minCountedKeys {
		t.Errorf("%d keys, %v; want %d", len(s.Counted), err, minCountedKeys)
	}
}

func TestALateEventCountsOnTheDayItHappened(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 1}, EventWindow{"search", 3})
	b.check("of the days before a new browser came", b.view(b.event("search", 71*time.Hour), b.event("search", 30*time.Hour)), `{"search/1d":0,"search/3d":1}`)
	b.now = b.now.Add(24 * time.Hour)
	b.check("of yesterday", b.view(b.event("search", 20*time.Hour), b.event("search", 0)), `{"search/1d":1,"search/3d":3}`)
	b.publish("UTC", EventWindow{"search", 4}, EventWindow{"search", 5})
	b.check("a day that was too old is not known any more", b.view(), `{"search/4d":3}`)
}

func TestAClockThatJumpsDoesNotMakeAWrongNumber(t *testing.T) {
	for _, jump := range []time.Duration{-90 * 24 * time.Hour, -25 * time.Hour, 25 * time.Hour, 60 * 24 * time.Hour, 75 * 365 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			b := newBrowser(t, "UTC", EventWindow{"search", 3})
			right := b.now
			b.view(b.event("search", 0), b.event("search", 0))
			b.now = right.Add(jump)
			b.view(b.event("search", 0))
			b.now = right
			b.view()
			for range 4 { // every counter is warm again after three days and the one it began on
				b.now = b.now.Add(24 * time.Hour)
				b.view(b.event("search", 0))
			}
			b.check("after the days of a window", b.view(), `{"search/3d":3}`)
		})
	}
}

// Whoever refuses that the state learns of an event must not look like somebody
// who has not done it.
func TestARefusalDoesNotMakeASmallerNumber(t *testing.T) {
	for _, tt := range []struct {
		refused   consent.Purposes
		event     string
		counts    string
		remembers bool
	}{
		{0, "view_item", `{"search/7d":1,"view_item/7d":2}`, true},
		{consent.Measure, "view_item", `{"search/7d":1}`, false},
		{consent.Profile, "view_item", `{"search/7d":1}`, false},
		{consent.Profile, "search", `{"view_item/7d":1}`, true},
		{consent.Profile, "click", `{"search/7d":1,"view_item/7d":1}`, true},
		{consent.Personalise, "click", `null`, false},
		{consent.Storage, "click", `null`, false},
	} {
		t.Run(tt.refused.String()+" "+tt.event, func(t *testing.T) {
			b := newBrowser(t, "UTC", EventWindow{"search", 7}, EventWindow{"view_item", 7})
			b.view(b.event("search", 0), b.event("view_item", 0))
			b.granted &^= tt.refused
			event := b.event(tt.event, 0)
			counts, _ := b.send(event)
			b.check("with the event", counts, tt.counts)
			var out Outcome
			release, _ := b.engine.Release("shop")
			visit := b.visit(release, &Beacon{Site: "shop", SentMillis: b.now.UnixMilli(), Events: []BeaconEvent{event},
				Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: b.granted, Refused: consent.All &^ b.granted}}}, &out)
			view := NewView(visit, Mask{}.With(FieldBought).With(FieldCart).With(FieldInterests), out.Verdict.Granted)
			for n := view.Mask().Next(0); n >= 0; n = view.Mask().Next(n + 1) {
				if view.Value(n).Known() != tt.remembers {
					t.Errorf("%s is known: %t, want %t", fields[n].Name, !tt.remembers, tt.remembers)
				}
			}
		})
	}
}

// Somebody who looks at a preview has their events counted as if they looked at
// the live page: the preview's rules count other things, for a while.
func TestAPreviewKeepsWhatTheLiveReleaseCounts(t *testing.T) {
	b := newBrowser(t, "UTC", EventWindow{"search", 7})
	b.view(b.event("search", 0))
	b.engine.previewer = previewOf(`{"schema":1,"site":"shop","number":2,"settings":{"origins":["https://shop.example"],"languages":["en"],"timezone":"Asia/Tokyo"},"slots":[],"variants":[],"modules":[]}`)
	token, err := b.engine.sealer.SealPreview("shop", "p1", b.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var out Outcome
	beacon := &Beacon{Site: "shop", SentMillis: b.now.UnixMilli(), Events: []BeaconEvent{b.event("search", 0)},
		Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: consent.All}}}
	if err := b.engine.Decide(beacon, &Request{Now: b.now, State: b.state, Preview: token}, &out); err != nil || out.State == "" {
		t.Fatalf("state %q, %v", out.State, err)
	}
	if len(b.engine.previews.compiled) != 1 {
		t.Fatal("there was no preview: the test proves nothing")
	}
	b.state = out.State
	b.check("after the preview", b.view(b.event("search", 0)), `{"search/7d":3}`)
}

type previewOf string

func (p previewOf) Preview(string, string) ([]byte, error) { return []byte(p), nil }

func TestNewCountingRefuses(t *testing.T) {
	var many []EventWindow
	for i := range MaxEventWindows + 1 {
		many = append(many, EventWindow{"search", i + 1})
	}
	for _, tt := range []struct {
		give []EventWindow
		want string
	}{
		{many, "at most 16"},
		{[]EventWindow{{"Search", 7}}, "no name of an event"},
		{[]EventWindow{{"search", 0}}, "0 days"},
		{[]EventWindow{{"search", MaxWindowDays + 1}}, "91 days"},
	} {
		if _, err := newCounting(tt.give); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want %q", tt.give, err, tt.want)
		}
	}
	c, err := newCounting([]EventWindow{{"b", 7}, {"a", 3}, {"b", 30}, {"b", 7}})
	if err != nil || len(c.windows) != 3 || len(c.events) != 2 || c.longest("b") != 30 || c.longest("c") != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestFillCountsAllocs(t *testing.T) {
	b := newBrowser(t, "Europe/Berlin", EventWindow{"search", 7}, EventWindow{"view_item", 30})
	b.view(b.event("search", 0))
	state, err := b.engine.sealer.OpenState("shop", b.state)
	if err != nil {
		t.Fatal(err)
	}
	release, _ := b.engine.Release("shop")
	visit := &Visit{State: state, Now: b.now, Counts: make([]Entry, 0, MaxEventWindows)}
	if got := testing.AllocsPerRun(100, func() { release.fillCounts(visit, nil) }); got > 0 || len(visit.Counts) != 2 {
		t.Errorf("fillCounts allocates %v times for %d counts, budget 0", got, len(visit.Counts))
	}
}

// The day of a moment is what the calendar says in its zone.
func TestDayOf(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati", "America/Sao_Paulo"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 20_000 {
			at := time.Unix(random.Int64N(3e9)-2e8, random.Int64N(1e9))
			year, month, date := at.In(zone).Date()
			want := max(0, Day(time.Date(year, month, date, 0, 0, 0, 0, time.UTC).Unix()/(24*60*60)))
			if got := dayOf(at, zone); got != want {
				t.Fatalf("%v in %s is on day %d, want %d", at.UTC(), name, got, want)
			}
		}
	}
}

// A key is the text's FNV-1a (32 bit): states hold them.
func TestEventKey(t *testing.T) {
	for _, text := range []string{"", "a", "page_view", "e5mT7q", "Ein Fräulein stand am Meere"} {
		h := fnv.New32a()
		h.Write([]byte(text))
		if got, want := eventKey(text), h.Sum32(); got != want {
			t.Errorf("%q has the key %08x, want %08x", text, got, want)
		}
	}
}
