// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// erasedAt says when persons were erased.
type erasedAt map[edge.Person]time.Time

func (e erasedAt) Erased(p edge.Person, at time.Time) bool {
	asked, ok := e[p]
	return ok && !at.After(asked)
}

// A server's event about somebody who was erased is refused if it happened
// before, whether their state names them or their id as a customer; what
// happened later is kept, without the old state.
func TestAServersEventOfAnErasedPerson(t *testing.T) {
	erased := erasedAt{}
	engine := edge.New(edge.Options{Node: "test", Locator: caseLocator{}, Loader: edgetest.Loader{}, Sealer: caseSealer(t), Erasures: erased})
	if _, err := engine.Publish([]byte(`{"schema":1,"site":"shop","number":2,"settings":{"origins":["https://shop.example"],"languages":["en"],"timezone":"Europe/Berlin"},
		"slots":[],"variants":[],"modules":[]}`)); err != nil {
		t.Fatal(err)
	}
	began := batchNow.Add(-24 * time.Hour)
	state := &edge.State{Visitor: [16]byte{7}, First: began, Last: batchNow.Add(-time.Hour), Visits: 1, Started: began}
	sealed := caseSealer(t).SealState("shop", state)
	visitor := edge.Person{Site: "shop", Key: edge.PersonKeyOf("shop", state.VisitorID())}
	customer := edge.Person{Site: "shop", Key: edge.PersonKeyOf("shop", caseSealer(t).ProfileID("shop", "crm-1"))}
	byState, byProfile := told("login", "{}"), told("login", "{}")
	byState.State, byProfile.Profile = sealed, "crm-1"

	for _, ev := range []edge.BatchEvent{byState, byProfile} {
		if _, refused := accept(t, engine, consent.All, ev); refused != "" {
			t.Errorf("before: %s", refused)
		}
	}
	erased[visitor], erased[customer] = batchNow, batchNow
	for want, ev := range map[string]edge.BatchEvent{"erased state": byState, "erased profile": byProfile} {
		if _, refused := accept(t, engine, consent.All, ev); refused != want {
			t.Errorf("after: %q, want %q", refused, want)
		}
	}
	erased[visitor], erased[customer] = began.Add(time.Minute), batchNow.Add(-time.Hour)
	stored, refused := accept(t, engine, consent.All, byState)
	if refused != "" || stored["visitor"] != nil {
		t.Errorf("what came later: %s, %v", refused, stored)
	}
	if stored, refused = accept(t, engine, consent.All, byProfile); refused != "" || stored["profile"] == nil {
		t.Errorf("a customer who is back: %s, %v", refused, stored)
	}
	if !slices.Contains(edge.RejectionCodes(), edge.RejectedErased) {
		t.Error("nobody counts the code")
	}

	// Nor does a withdrawal tell whose it was.
	var out edge.Outcome
	if err := engine.Withdraw(&edge.Withdrawal{Site: "shop", State: sealed, Now: batchNow}, &out); err != nil || len(out.Events) != 1 {
		t.Fatal(err, out.Events)
	}
	if out.Events[0].Visitor() != (edge.PersonKey{}) {
		t.Error("a withdrawal tells of an erased visitor")
	}
}

// A state that began before an erasure, by any node's clock, starts afresh.
func TestAnErasedStateStartsAfresh(t *testing.T) {
	erased := erasedAt{}
	engine := edge.New(edge.Options{Node: "test", Locator: caseLocator{}, Loader: edgetest.Loader{}, Sealer: caseSealer(t), Erasures: erased})
	if _, err := engine.Publish([]byte(`{"schema":1,"site":"shop","number":2,"settings":{"origins":["https://shop.example"],"languages":["en"],"timezone":"Europe/Berlin"},
		"slots":[],"variants":[],"modules":[]}`)); err != nil {
		t.Fatal(err)
	}
	began := batchNow.Add(-24 * time.Hour)
	state := &edge.State{Visitor: [16]byte{7}, First: began, Last: batchNow.Add(-time.Hour), Visits: 1, Started: began}
	person := edge.Person{Site: "shop", Key: edge.PersonKeyOf("shop", state.VisitorID())}
	sealed := caseSealer(t).SealState("shop", state)
	decide := func() *edge.Outcome {
		t.Helper()
		var out edge.Outcome
		beacon := &edge.Beacon{Site: "shop", SentMillis: 3_600_000, Consent: granted(consent.All), Events: []edge.BeaconEvent{
			{ID: "now", Name: "page_view", AtMillis: 3_600_000}, {ID: "late", Name: "page_view", AtMillis: 0},
		}}
		if err := engine.Decide(beacon, &edge.Request{Now: batchNow, State: sealed}, &out); err != nil {
			t.Fatal(err)
		}
		return &out
	}
	key := func(out *edge.Outcome) edge.PersonKey { e := out.Events[0]; return e.Visitor() }
	if out := decide(); len(out.Events) != 2 || key(out) != person.Key {
		t.Errorf("before: %+v", out.Events)
	}
	erased[person] = batchNow.Add(-time.Minute)
	out := decide()
	if len(out.Events) != 1 || out.Events[0].ID() != "now" || key(out) == person.Key || key(out) == (edge.PersonKey{}) {
		t.Errorf("after: %+v", out.Events)
	}
	if len(out.Rejected) != 1 || out.Rejected[0].Code != edge.RejectedErased || out.State == "" {
		t.Errorf("rejected %+v, state %q", out.Rejected, out.State)
	}
	if fresh, err := caseSealer(t).OpenState("shop", out.State); err != nil || fresh.Visitor == state.Visitor || fresh.Visits != 1 {
		t.Errorf("the state is %+v, %v", fresh, err)
	}
	erased[person] = began.Add(-time.Minute) // another node's clock
	if out := decide(); key(out) == person.Key {
		t.Error("a state that began as the erasure was asked, by a clock that is a minute off, goes on")
	}
	erased[person] = began.Add(-time.Hour)
	if out := decide(); key(out) != person.Key {
		t.Error("a state that began after the erasure was dropped")
	}
}
