// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

var batchNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// batchEngine has a site with own fields of every origin.
func batchEngine(t testing.TB) *edge.Engine {
	t.Helper()
	engine := edge.New(edge.Options{Node: "test", Locator: caseLocator{}, Loader: edgetest.Loader{}, Sealer: caseSealer(t)})
	_, err := engine.Publish([]byte(`{"schema":1,"site":"shop","number":2,
		"settings":{"origins":["https://shop.example"],"languages":["en"],"timezone":"Europe/Berlin","retainDays":30},
		"fields":[
			{"name":"loyalty.tier","type":"string","purpose":"storage","origin":"second","from":"event","event":"loyalty","prop":"tier"},
			{"name":"loyalty.points","type":"i64","purpose":"personalise","origin":"first","from":"event","event":"loyalty","prop":"points"},
			{"name":"shop.season","type":"string","purpose":"context","origin":"first","from":"settings","value":"winter"}],
		"slots":[{"name":"hero","kind":"text","ladder":[]}],"variants":[],"modules":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// granted is a person's whole answer.
func granted(purposes consent.Purposes) consent.Signals {
	return consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: purposes, Refused: consent.All &^ purposes}}
}

// told is an event as a server would tell it, a minute ago.
func told(name, props string) edge.BatchEvent {
	return edge.BatchEvent{BeaconEvent: edge.BeaconEvent{ID: "e1", Name: name, AtMillis: batchNow.Add(-time.Minute).UnixMilli(), Props: []byte(props)}}
}

// accept hands one event to the engine and returns what became of it.
func accept(t testing.TB, engine *edge.Engine, purposes consent.Purposes, ev edge.BatchEvent) (stored map[string]any, rejected string) {
	t.Helper()
	var out edge.BatchOutcome
	batch := edge.Batch{Site: "shop", Consents: []consent.Signals{granted(purposes)}, Events: []edge.BatchEvent{ev}}
	if err := engine.Accept(&batch, batchNow, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Rejected) == 1 && len(out.Events) == 0 {
		return nil, strings.TrimSpace(out.Rejected[0].Code + " " + out.Rejected[0].Field)
	}
	if len(out.Events) != 1 {
		t.Fatalf("%d events, rejected %+v", len(out.Events), out.Rejected)
	}
	if err := json.Unmarshal(out.Events[0].JSON(), &stored); err != nil {
		t.Fatal(err)
	}
	return stored, ""
}

func TestAServersEventsAreJudgedAlone(t *testing.T) {
	engine := batchEngine(t)
	at := func(ago time.Duration) int64 { return batchNow.Add(-ago).UnixMilli() }
	tests := []struct {
		name string
		edit func(*edge.BatchEvent)
		want string
	}{
		{"as it should be", func(*edge.BatchEvent) {}, ""},
		{"nobody says what was allowed", func(e *edge.BatchEvent) { e.Consent = -1 }, "no_consent consent"},
		{"measure was refused", func(e *edge.BatchEvent) { e.Consent = 1 }, "no_consent consent"},
		{"a bad id", func(e *edge.BatchEvent) { e.ID = "a b" }, "bad_id id"},
		{"a bad name", func(e *edge.BatchEvent) { e.Name = "Purchase" }, "bad_name name"},
		{"within what the site keeps", func(e *edge.BatchEvent) { e.AtMillis = at(30*24*time.Hour - time.Second) }, ""},
		{"older than what the site keeps", func(e *edge.BatchEvent) { e.AtMillis = at(30 * 24 * time.Hour) }, "event_too_old at"},
		{"a clock five seconds ahead", func(e *edge.BatchEvent) { e.AtMillis = at(-5 * time.Second) }, ""},
		{"a clock further ahead", func(e *edge.BatchEvent) { e.AtMillis = at(-5001 * time.Millisecond) }, "event_in_future at"},
		{"a time beyond all", func(e *edge.BatchEvent) { e.AtMillis = 1 << 53 }, "event_in_future at"},
		{"an impression of nothing we decided", func(e *edge.BatchEvent) { e.Name, e.Props = "slot_impression", []byte(`{"decision":"AQAB"}`) }, "bad_decision props.decision"},
		{"a state that is not ours", func(e *edge.BatchEvent) { e.State = "AQAB" }, "bad_state state"},
	}
	batch := edge.Batch{Site: "shop", Consents: []consent.Signals{granted(consent.All), granted(consent.All &^ consent.Measure)}}
	for i, tt := range tests {
		e := told("loyalty", `{"tier":"gold"}`)
		e.ID, e.Index = fmt.Sprint("e", i), i
		tt.edit(&e)
		batch.Events = append(batch.Events, e)
	}
	again := told("loyalty", `{}`)
	again.ID, again.Index = "e0", len(tests)
	batch.Events = append(batch.Events, again)
	tests = append(tests, struct {
		name string
		edit func(*edge.BatchEvent)
		want string
	}{"an id twice", nil, "repeated_id id"})

	var out edge.BatchOutcome
	for range 2 { // a reused outcome remembers nothing
		out.Reset()
		if err := engine.Accept(&batch, batchNow, &out); err != nil {
			t.Fatal(err)
		}
		got := map[int]string{}
		for _, r := range out.Rejected {
			got[r.Index] = r.Code + " " + r.Field
		}
		kept := 0
		for i, tt := range tests {
			if got[i] != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got[i], tt.want)
			}
			if tt.want == "" {
				kept++
			}
		}
		if len(out.Events) != kept || kept != 3 {
			t.Errorf("%d events, want %d", len(out.Events), kept)
		}
	}
	for i := range out.Events {
		if e := &out.Events[i]; e.At().After(batchNow) || !e.Expires().Equal(e.At().Add(30*24*time.Hour)) {
			t.Errorf("%s: at %v until %v", e.ID(), e.At(), e.Expires())
		}
	}
	if err := engine.Accept(&edge.Batch{Site: "none"}, batchNow, &out); err != edge.ErrUnknownSite {
		t.Errorf("an unknown site: %v", err)
	}
}

// What an event says of where it comes from stays with it, down to the property.
func TestEveryPropertyKeepsItsOriginAndPurpose(t *testing.T) {
	engine := batchEngine(t)
	ev := told("loyalty", `{"tier":"gold","points":12,"score":0.7,"shoe":"44","note":"x"}`)
	ev.Origin, ev.System, ev.Surface = "first", "loyalty-desk", "service"
	ev.Origins = []byte(`{"sc\u006fre":"third", "shoe":"zero", "gone":"second", "note":"first"}`)
	stored, _ := accept(t, engine, consent.All, ev)
	for member, want := range map[string]string{
		"origin": `"first"`, "system": `"loyalty-desk"`, "surface": `"service"`,
		"origins":  `{"score":"third","shoe":"zero","tier":"second"}`,
		"purposes": `{"tier":"storage"}`,
		"props":    `{"note":"x","score":0.7,"shoe":"44","tier":"gold"}`,
		"loyalty":  `{"tier":"gold"}`,
		"shop":     `{"season":"winter"}`,
	} {
		if got, _ := json.Marshal(stored[member]); string(got) != want {
			t.Errorf("%s is %s, want %s", member, got, want)
		}
	}

	ev = told("purchase", `{"transaction_id":"t","value":1}`)
	ev.Origin = "third"
	stored, _ = accept(t, engine, consent.Measure, ev)
	if stored["origin"] != "third" || stored["origins"] != nil || stored["purposes"] != nil || stored["system"] != nil {
		t.Errorf("stored %v", stored)
	}
}

// What is refused is not in the event, and the event is kept all the same.
func TestAPersonIsInAServersEventsUnderItsPurposesOnly(t *testing.T) {
	engine := batchEngine(t)
	state := &edge.State{Visitor: [16]byte{1}, Session: [8]byte{2}, Visits: 3, First: batchNow.Add(-time.Hour), Last: batchNow.Add(-10 * time.Minute), Started: batchNow.Add(-20 * time.Minute)}
	ev := told("loyalty", `{"tier":"gold","points":12}`)
	ev.State, ev.Profile = caseSealer(t).SealState("shop", state), "customer-4711"
	profile := caseSealer(t).ProfileID("shop", "customer-4711")
	for _, row := range consent.Rows() {
		stored, rejected := accept(t, engine, consent.All&^row.Bit, ev)
		if row.Bit == consent.Measure {
			if rejected != "no_consent consent" {
				t.Errorf("without measure: %v, rejected %q", stored, rejected)
			}
			continue
		}
		text, _ := json.Marshal(stored)
		has := func(what string, want bool) {
			t.Helper()
			if strings.Contains(string(text), what) != want {
				t.Errorf("without %s: %s in the event is %v, want %v: %s", row.Name, what, !want, want, text)
			}
		}
		visible := row.Bit != consent.Storage
		has(state.VisitorID(), visible)
		has(state.SessionID(), visible)
		has("gold", visible)
		has(profile, visible && row.Bit != consent.Profile)
		has("winter", row.Bit != consent.Context)
		has(`"surface"`, row.Bit != consent.Context)
		has(`"points"`, false) // what needs personalise is never in the log
		has("4711", false)
	}

	long := ev
	long.AtMillis = batchNow.Add(-time.Hour).UnixMilli()
	if stored, _ := accept(t, engine, consent.All, long); stored["session"] != nil {
		t.Errorf("an event of before the session is in it: %v", stored)
	}
	late := *state
	late.Last = batchNow.Add(-edge.StateMaxAge)
	ev.State = caseSealer(t).SealState("shop", &late)
	if stored, _ := accept(t, engine, consent.All, ev); stored["visitor"] != nil {
		t.Errorf("a state that was to be forgotten: %v", stored)
	}
}

func TestAProfilesNameTellsNothing(t *testing.T) {
	sealer, other := caseSealer(t), func() *edge.Sealer {
		s, err := edge.NewSealer(make([]byte, edge.KeyBytes))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}()
	id := sealer.ProfileID("shop", "crm-1")
	if len(id) != 22 || id != sealer.ProfileID("shop", "crm-1") {
		t.Errorf("%q is not the one id", id)
	}
	for what, not := range map[string]string{
		"another site": sealer.ProfileID("blog", "crm-1"), "another customer": sealer.ProfileID("shop", "crm-2"),
		"another key": other.ProfileID("shop", "crm-1"), "a site that runs into the id": sealer.ProfileID("shopc", "rm-1"),
	} {
		if not == id {
			t.Errorf("%s gives the same id", what)
		}
	}
}

// A person is found by one key, whichever of the ids an event has.
func TestAServersEventsAreFoundByTheirPerson(t *testing.T) {
	engine, sealer := batchEngine(t), caseSealer(t)
	state := &edge.State{Visitor: [16]byte{1}, Visits: 1, First: batchNow, Last: batchNow}
	sealed := sealer.SealState("shop", state)
	profile := sealer.ProfileID("shop", "c")
	for _, tt := range []struct {
		name, state, profile string
		want                 [16]byte
	}{
		{"nobody", "", "", [16]byte{}},
		{"a customer", "", "c", edge.PersonKeyOf("shop", profile)},
		{"a visitor", sealed, "", edge.PersonKeyOf("shop", state.VisitorID())},
		{"both", sealed, "c", edge.PersonKeyOf("shop", state.VisitorID())},
	} {
		ev := told("login", `{}`)
		ev.State, ev.Profile = tt.state, tt.profile
		var out edge.BatchOutcome
		err := engine.Accept(&edge.Batch{Site: "shop", Consents: []consent.Signals{granted(consent.All)}, Events: []edge.BatchEvent{ev}}, batchNow, &out)
		if err != nil || len(out.Events) != 1 || out.Events[0].Visitor() != tt.want {
			t.Errorf("%s: %v, %+v", tt.name, err, out)
		}
	}
}

func TestABatchIsBoundedInTheLog(t *testing.T) {
	engine := batchEngine(t)
	batch := edge.Batch{Site: "shop", Consents: []consent.Signals{granted(consent.All)}}
	for i := range edge.MaxBatchEvents {
		e := told("note", `{"a":"`+strings.Repeat("<", edge.MaxPropsBytes-9)+`/"}`)
		e.ID, e.Index = fmt.Sprint(i), i
		batch.Events = append(batch.Events, e)
	}
	var out edge.BatchOutcome
	if err := engine.Accept(&batch, batchNow, &out); err != nil {
		t.Fatal(err)
	}
	total := 0
	for i := range out.Events {
		total += len(out.Events[i].JSON())
	}
	if total > 8<<20 || len(out.Rejected) == 0 || out.Rejected[0].Code != edge.RejectedSize {
		t.Errorf("%d bytes, %d rejected", total, len(out.Rejected))
	}
}
