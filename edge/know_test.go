// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A meeting is one browser at an engine that knows people.
type meeting struct {
	t       *testing.T
	engine  *edge.Engine
	people  *edgetest.People
	rule    *watcher
	state   string
	now     time.Time
	granted consent.Purposes
	events  int
	out     edge.Outcome
}

func newMeeting(t *testing.T) *meeting {
	t.Helper()
	m := &meeting{t: t, people: &edgetest.People{}, rule: newWatcher(), now: caseNow, granted: consent.All}
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(caseRelease(t, nil), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Fields = append(doc.Fields,
		edge.OwnField{Name: "shop.points", Type: "i64", Purpose: "personalise", Origin: "first", From: "profile", Event: "loyalty", Prop: "points", ExpireDays: 30},
		edge.OwnField{Name: "shop.shared", Type: "string", Purpose: "share", Origin: "third", From: "profile", Event: "loyalty", Prop: "shared"},
		edge.OwnField{Name: "shop.style", Type: "string", Purpose: "personalise", Origin: "zero", From: "answer", Prop: "style", ExpireDays: 1},
	)
	for _, f := range doc.Fields {
		m.rule.manifest.Reads = append(m.rule.manifest.Reads, f.Name)
	}
	m.rule.manifest.Needs = consent.Set(consent.Geo) // which stays granted
	document, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	m.engine = edge.New(edge.Options{
		Node: "n1", Locator: caseLocator{"FR"}, Sealer: caseSealer(t), Profiles: m.people,
		Loader: watchingLoader{Loader: edgetest.Loader(caseRules()), watcher: m.rule},
	})
	if _, err := m.engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return m
}

// other is another browser at the same engine.
func (m *meeting) other() *meeting {
	o := *m
	o.state, o.events, o.out = "", m.events+1000, edge.Outcome{}
	return &o
}

// meet decides about a beacon and returns what a rule saw, by field; own fields are
// in their order, joined.
func (m *meeting) meet(edit func(r *edge.Request), events ...caseEvent) map[string]string {
	m.t.Helper()
	for i := range events {
		m.events++
		events[i].ID = fmt.Sprint("e", m.events)
	}
	given := caseGiven{Granted: m.granted.Names(), Refused: (consent.All &^ m.granted).Names(), Device: "phone", Lang: "en", Slots: []string{"hero"}, Raw: events}
	beacon, request := given.message(m.t)
	request.State, request.Now = m.state, m.now
	if edit != nil {
		edit(request)
	}
	clear(m.rule.saw)
	m.out.Reset()
	if err := m.engine.Decide(beacon, request, &m.out); err != nil {
		m.t.Fatal(err)
	}
	switch {
	case m.out.State != "":
		m.state = strings.Clone(m.out.State)
	case m.out.DropState:
		m.state = ""
	}
	return m.rule.saw
}

func (m *meeting) opened() *edge.State {
	m.t.Helper()
	s, err := caseSealer(m.t).OpenState("shop", m.state)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *meeting) profile(customer string) *edge.Profile {
	m.t.Helper()
	id, err := edge.ParseProfileID(caseSealer(m.t).ProfileID("shop", customer))
	if err != nil {
		m.t.Fatal(err)
	}
	return m.people.Of(id)
}

// as says that a customer is signed in by a token.
func as(customer string) func(*edge.Request) {
	return func(r *edge.Request) { r.Profile, r.Identified = customer, true }
}

func item(name, id string) caseEvent {
	return caseEvent{Name: name, Props: json.RawMessage(fmt.Sprintf(`{"items":[{"item_id":%q,"item_category":"hats"}]}`, id))}
}

func TestWhereAProfileIsNotThereInTimeNothingSeemsUndone(t *testing.T) {
	m := newMeeting(t)
	m.meet(as("c-1"), item("purchase", "hat-1"))
	b := m.other()
	m.people.Fail()
	if saw := b.meet(as("c-1"), item("view_item", "sock")); saw["bought"] != "" || saw["stage"] != "" || saw["recent"] != "" {
		t.Errorf("of a person who is not known it sees %v", saw)
	}
	if saw := b.meet(nil, item("view_item", "cap")); saw["bought"] != "" {
		t.Errorf("a moment later it sees %v", saw)
	}
	if saw := m.meet(nil); saw["bought"] != `["hat-1"]` {
		t.Errorf("the browser that followed the profile sees %v", saw)
	}
	m.people.Mend()
	if saw := b.meet(nil); saw["bought"] != `["hat-1"]` || saw["recent"] != `["cap","sock"]` {
		t.Errorf("once it is there it sees %v", saw)
	}
	if p := m.profile("c-1"); p.Journey.Views != 2 || p.Journey.Orders != 1 || len(p.Linked) != 2 {
		t.Errorf("the profile is %+v", p)
	}
	if b.opened().VisitorID() != m.opened().VisitorID() {
		t.Error("the second browser does not draw the first one's lots")
	}
}

// A page that is loaded ahead, and a colleague's look, leave no trace.
func TestNobodyIsIdentifiedByAPageThatNobodySees(t *testing.T) {
	m := newMeeting(t)
	m.meet(func(r *edge.Request) { as("c-1")(r); r.Ahead = true }, item("purchase", "hat-1"))
	if m.people.Changes != 0 || m.profile("c-1") != nil {
		t.Errorf("%d changes", m.people.Changes)
	}
	m.meet(as("c-1"))
	changes := m.people.Changes
	if saw := m.meet(func(r *edge.Request) { r.Ahead = true }, item("purchase", "hat-1")); m.people.Changes != changes || saw["orders.count"] != "0" {
		t.Errorf("%d changes more, sees %v", m.people.Changes-changes, saw)
	}
	m.meet(func(r *edge.Request) { as("c-2")(r); r.Bot = true })
	if m.profile("c-2") != nil {
		t.Error("a crawler is somebody")
	}
}

func TestAStrangerCostsThePeopleNothing(t *testing.T) {
	m := newMeeting(t)
	m.meet(nil, item("view_item", "a"))
	m.meet(nil, item("purchase", "a"), caseEvent{Name: "answer", Props: json.RawMessage(`{"style":"plain"}`)})
	if m.people.Reads+m.people.Changes != 0 {
		t.Errorf("%d reads, %d changes", m.people.Reads, m.people.Changes)
	}
	if saw := m.meet(nil); saw["own"] != `"plain"` {
		t.Errorf("a stranger's answer is %s", saw["own"])
	}
	m.granted &^= consent.Measure
	if saw := m.meet(nil, caseEvent{Name: "answer", Props: json.RawMessage(`{"style":"loud"}`)}); saw["own"] == `"plain"` {
		t.Error("an answer that may not be learned of leaves the old one true")
	}
	m.granted |= consent.Measure
	m.now = m.now.Add(25 * time.Hour)
	if saw := m.meet(nil); saw["own"] == `"plain"` {
		t.Error("an answer is known after its day")
	}
	m.meet(nil, caseEvent{Name: "answer", Props: json.RawMessage(`{"style":"loud"}`)})
	m.granted &^= consent.Personalise
	m.meet(nil)
	m.granted |= consent.Personalise
	if saw := m.meet(nil); saw["own"] == `"loud"` || len(m.opened().Attributes) != 0 {
		t.Error("an answer outlives a refusal of personalise")
	}
}

func TestErasedNobodyIsKnownAnyMore(t *testing.T) {
	m := newMeeting(t)
	m.meet(as("c-1"), item("purchase", "hat-1"))
	was := m.opened().VisitorID()
	m.people.Erase()
	if m.meet(nil); m.opened().VisitorID() != was {
		t.Error("a node that was not told yet begins the state anew")
	}
	m.people.Erase()
	m.now = m.now.Add(3 * time.Minute)
	if saw := m.meet(nil, item("view_item", "sock")); saw["bought"] != "[]" || m.opened().VisitorID() == was || m.opened().Known != (edge.StatePerson{}) {
		t.Errorf("after the erasure it sees %v, visitor %s", saw, m.opened().VisitorID())
	}
	if m.profile("c-1") != nil {
		t.Error("the profile is there again")
	}
}

func TestAProfileThatNothingTouchedIsOver(t *testing.T) {
	m := newMeeting(t)
	m.meet(as("c-1"), item("purchase", "hat-1"))
	b := m.other()
	b.now = m.now.AddDate(0, 0, edge.DefaultProfileDays+1)
	if saw := b.meet(as("c-1")); saw["bought"] != "[]" {
		t.Errorf("after its time it says %v", saw)
	}
}

func TestATouchIsNotedNowAndThen(t *testing.T) {
	m := newMeeting(t)
	m.meet(as("c-1"))
	changes := m.people.Changes
	for range 9 {
		m.now = m.now.Add(time.Minute)
		m.meet(nil, caseEvent{Name: "page_view"})
	}
	if got := m.people.Changes - changes; got != 0 {
		t.Errorf("%d changes in nine minutes", got)
	}
	m.now = m.now.Add(time.Minute)
	m.meet(nil)
	if got := m.people.Changes - changes; got != 1 {
		t.Errorf("%d changes in ten minutes", got)
	}
}

func TestEventsOfAKnownPersonNameTheProfile(t *testing.T) {
	m := newMeeting(t)
	want := `"profile":"` + caseSealer(t).ProfileID("shop", "c-1") + `"`
	for i, edit := range []func(*edge.Request){as("c-1"), nil} {
		m.meet(edit, caseEvent{Name: "page_view"})
		if len(m.out.Events) != 1 || !strings.Contains(string(m.out.Events[0].JSON()), want) {
			t.Errorf("event %d does not name the profile", i)
		}
	}
	b := m.other()
	b.granted &^= consent.Personalise
	b.meet(as("c-1"), caseEvent{Name: "page_view"})
	if b.out.Identify != edge.IdentifyNoConsent || strings.Contains(string(b.out.Events[0].JSON()), `"profile"`) {
		t.Errorf("without personalise: %q, %s", b.out.Identify, b.out.Events[0].JSON())
	}
}

// A server tells attributes, each with its own purpose; what is told late does not
// undo what was told later, and null takes back.
func TestServersTellAttributes(t *testing.T) {
	m := newMeeting(t)
	tell := func(id, props string, at time.Time, granted consent.Purposes) {
		t.Helper()
		b := &edge.Batch{Site: "shop", Consents: []consent.Signals{{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}}},
			Events: []edge.BatchEvent{{BeaconEvent: edge.BeaconEvent{ID: id, Name: "loyalty", AtMillis: at.UnixMilli(), Props: []byte(props)}, Profile: "c-1", Origins: []byte(`{"points":"second"}`)}}}
		var out edge.BatchOutcome
		if err := m.engine.Accept(b, m.now, &out); err != nil || len(out.Events) != 1 {
			t.Fatalf("%v, %+v", err, out.Rejected)
		}
	}
	values := func() string {
		var list []string
		if p := m.profile("c-1"); p != nil {
			for _, a := range p.Attributes {
				list = append(list, fmt.Sprintf("%s=%s %s", strings.TrimPrefix(a.Name, "shop."), a.Value, edge.Origins[a.Origin]))
			}
		}
		slices.Sort(list)
		return strings.Join(list, "; ")
	}
	for i, step := range []struct {
		name, props string
		ago         time.Duration
		granted     consent.Purposes
		want        string
	}{
		{"without personalise", `{"points":1}`, time.Hour, consent.All &^ consent.Personalise, ""},
		{"without profile", `{"points":1}`, time.Hour, consent.All &^ consent.Profile, ""},
		{"without storage", `{"points":1}`, time.Hour, consent.All &^ consent.Storage, ""},
		{"with all", `{"points":2,"shared":"x"}`, time.Hour, consent.All, "points=2 second; shared=\"x\" third"},
		{"late", `{"points":3}`, 2 * time.Hour, consent.All, "points=2 second; shared=\"x\" third"},
		{"without the field's purpose", `{"shared":"y","points":4}`, time.Minute, consent.All &^ consent.Share, "points=4 second; shared=\"x\" third"},
		{"as text", `{"points":"5"}`, time.Second, consent.All, "points=5 second; shared=\"x\" third"},
		{"taken back", `{"points":null}`, 0, consent.All, "points=null second; shared=\"x\" third"},
	} {
		tell(fmt.Sprint("t", i), step.props, m.now.Add(-step.ago), step.granted)
		if got := values(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

// BenchmarkDecideKnown decides the page view of a known person, whose profile is in
// memory; BenchmarkDecidePageView is the same of a stranger.
func BenchmarkDecideKnown(b *testing.B) {
	engine := plainEngine(b)
	beacon, request := pageView(b, engine)
	var out edge.Outcome
	as("c-1")(request)
	if err := engine.Decide(beacon, request, &out); err != nil {
		b.Fatal(err)
	}
	request.State, request.Profile, request.Identified = strings.Clone(out.State), "", false
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := engine.Decide(beacon, request, &out); err != nil {
			b.Fatal(err)
		}
	}
}
