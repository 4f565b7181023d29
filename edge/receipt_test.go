// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// promptEngine counts one version of a prompt.
func promptEngine(t testing.TB) *edge.Engine {
	t.Helper()
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: edgetest.Loader(caseRules()), Sealer: caseSealer(t)})
	document := caseRelease(t, map[string]any{"prompts": []string{"2026-11"}})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	return engine
}

// left is what of the events that consent leaves behind is looked at.
type left struct {
	ID, Name string
	At       int64
	Visitor  struct{ ID string }
	Session  string
	Consent  *struct {
		Purposes                   consent.Purposes
		Authority, Policy, Receipt string
	}
	Props struct{ Answer, Prompt string }
}

func readLeft(t testing.TB, events []edge.Event) (out []left) {
	t.Helper()
	for i := range events {
		var one left
		if err := json.Unmarshal(events[i].JSON(), &one); err != nil {
			t.Fatalf("%s: %v", events[i].JSON(), err)
		}
		if one.ID != events[i].ID() || one.Name != events[i].Name() || one.At != events[i].At().UnixMilli() || events[i].Site() != "shop" {
			t.Errorf("the event %+v is %s", events[i], events[i].JSON())
		}
		out = append(out, one)
	}
	return out
}

func namesOf(events []left) (out []string) {
	for _, e := range events {
		out = append(out, e.Name+" "+e.Props.Answer)
	}
	return out
}

func TestAPromptsAnswerLeavesAReceiptAndACount(t *testing.T) {
	all := []string{"storage", "measure", "context", "profile", "personalise"}
	for _, tt := range []struct {
		name    string
		granted []string
		prompt  edge.BeaconPrompt
		change  func(*edge.Beacon, *edge.Request)
		want    []string
	}{
		{name: "all is granted", granted: all, prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptAccepted}, want: []string{"consent_prompt accepted", "consent_receipt accepted"}},
		{name: "some is granted, and not measure", granted: []string{"context"}, prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptChosen}, want: []string{"consent_prompt chosen", "consent_receipt chosen"}},
		{name: "nothing is granted", prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptRefused}, want: []string{"consent_prompt refused"}},
		{name: "it came up", prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptShown}, want: []string{"consent_prompt shown"}},
		{name: "a version that is not counted", granted: all, prompt: edge.BeaconPrompt{Version: "2026-10", Answer: edge.PromptAccepted}, want: []string{"consent_receipt accepted"}},
		{name: "accepted, they say, and nothing is granted", prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptAccepted}, want: []string{"consent_prompt accepted"}},
		{name: "no prompt", granted: all},
		{
			name: "a crawler", granted: all, prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptAccepted},
			change: func(_ *edge.Beacon, r *edge.Request) { r.Bot = true },
		},
		{
			name: "a page that nobody looks at", granted: all, prompt: edge.BeaconPrompt{Version: "2026-11", Answer: edge.PromptAccepted},
			change: func(_ *edge.Beacon, r *edge.Request) { r.Ahead = true },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := caseGiven{Granted: tt.granted, Lang: "en", State: "returning"}
			beacon, request := given.message(t)
			beacon.Prompt = tt.prompt
			if tt.change != nil {
				tt.change(beacon, request)
			}
			var out edge.Outcome
			if err := promptEngine(t).Decide(beacon, request, &out); err != nil {
				t.Fatal(err)
			}
			events := readLeft(t, out.Events)
			if got := namesOf(events); !slices.Equal(got, tt.want) {
				t.Fatalf("leaves %q, want %q", got, tt.want)
			}
			for i, e := range events {
				if e.Props.Prompt != tt.prompt.Version {
					t.Errorf("%s is of prompt %q", e.Name, e.Props.Prompt)
				}
				if e.Name == edge.PromptEvent {
					isNobodys(t, &out.Events[i], e)
					continue
				}
				granted, _ := consent.ParsePurposes(tt.granted...)
				if c := e.Consent; c == nil || c.Purposes != granted || c.Authority != "owner" || c.Policy != "strict" || c.Receipt != e.ID {
					t.Errorf("the receipt says %+v, want %s: %s", c, granted, out.Events[i].JSON())
				}
				if known := granted.Has(consent.Storage | consent.Profile); known != (e.Visitor.ID != "") || known != (e.Session != "") || known != (out.Events[i].Visitor() != [16]byte{}) {
					t.Errorf("the receipt names %q, %q, %x", e.Visitor.ID, e.Session, out.Events[i].Visitor())
				}
			}
		})
	}
}

// isNobodys holds a count to what it may say.
func isNobodys(t *testing.T, e *edge.Event, read left) {
	t.Helper()
	if e.Purposes() != 0 || e.Visitor() != [16]byte{} || read.Consent != nil || read.At%(24*3600*1000) != 0 {
		t.Errorf("a count says %s", e.JSON())
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(e.JSON(), &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if !slices.Contains([]string{"v", "id", "name", "at", "site", "node", "received", "origin", "props", "release"}, name) {
			t.Errorf("a count has %s", name)
		}
	}
}

// A receipt that comes before the tag's first beacon is nobody's, and makes nobody
// up: the state would be another than the tag's.
func TestAReceiptBeginsNoState(t *testing.T) {
	given := caseGiven{Granted: []string{"storage", "measure", "profile"}, Lang: "en"}
	beacon, request := given.message(t)
	beacon.Prompt = edge.BeaconPrompt{ID: "a1", Version: "2026-11", Answer: edge.PromptAccepted}
	var out edge.Outcome
	if err := promptEngine(t).Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if out.State != "" || len(out.Events) != 2 {
		t.Fatalf("state %q and %d events", out.State, len(out.Events))
	}
	for _, e := range readLeft(t, out.Events) {
		if e.Visitor.ID != "" || e.Session != "" {
			t.Errorf("%s names %q", e.Name, e.Visitor.ID)
		}
	}
	if count, receipt := out.Events[0].ID(), out.Events[1].ID(); strings.Contains(count, receipt) || receipt != "a1" {
		t.Errorf("the count is %q, the receipt %q", count, receipt)
	}
}

// An answer that is sent again has the ids that it had.
func TestAPromptsAnswerIsTheSameWhenItIsSentAgain(t *testing.T) {
	engine := promptEngine(t)
	ids := func(id string) (out []string) {
		given := caseGiven{Granted: []string{"context"}, Lang: "en"}
		beacon, request := given.message(t)
		beacon.Prompt = edge.BeaconPrompt{ID: id, Version: "2026-11", Answer: edge.PromptAccepted}
		var o edge.Outcome
		if err := engine.Decide(beacon, request, &o); err != nil {
			t.Fatal(err)
		}
		for _, e := range o.Events {
			out = append(out, e.ID())
		}
		return out
	}
	if a, b := ids("a1"), ids("a1"); !slices.Equal(a, b) || len(a) != 2 || a[0] == a[1] {
		t.Errorf("ids %q and %q", a, b)
	}
	if a, b := ids(""), ids(""); slices.ContainsFunc(a, func(id string) bool { return id == "" || slices.Contains(b, id) }) {
		t.Errorf("ids %q and %q", a, b)
	}
}

func TestAWithdrawalLeavesAReceipt(t *testing.T) {
	engine := promptEngine(t)
	given := caseGiven{Granted: []string{"storage", "measure", "profile"}, Lang: "en"}
	beacon, request := given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil || out.State == "" {
		t.Fatalf("no state: %v", err)
	}
	state := strings.Clone(out.State)
	for _, tt := range []struct {
		name  string
		state string
		still consent.Purposes
		gpc   bool
		known bool
	}{
		{"all of it", state, 0, false, true},
		{"a part of it", state, consent.Context | consent.Measure, false, true},
		{"a part of it, they say, against GPC", state, consent.All, true, true},
		{"without a state", "", 0, false, false},
		{"with a state of no site of ours", "nonsense", 0, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out edge.Outcome
			if err := engine.Withdraw(&edge.Withdrawal{Site: "shop", Left: tt.still, GPC: tt.gpc, State: tt.state, Now: caseNow}, &out); err != nil {
				t.Fatal(err)
			}
			want := tt.still
			if tt.gpc {
				want &^= consent.Share | consent.Profile | consent.Personalise // the site reads it strictly
			}
			events := readLeft(t, out.Events)
			if len(events) != 1 || events[0].Name != edge.ReceiptEvent || events[0].Props.Answer != "withdrawn" || events[0].Consent.Purposes != want || events[0].Consent.Policy != "" || out.Events[0].Purposes() != 0 {
				t.Fatalf("leaves %+v", events)
			}
			if e := events[0]; tt.known != (e.Visitor.ID != "") || tt.known != (out.Events[0].Visitor() != [16]byte{}) {
				t.Errorf("the receipt names %q", e.Visitor.ID)
			}
		})
	}
	if err := engine.Withdraw(&edge.Withdrawal{Site: "nobody"}, &edge.Outcome{}); err == nil {
		t.Error("a site that is not there takes a withdrawal")
	}
}

// What consent leaves behind is nobody else's to tell.
func TestNobodyForgesAReceipt(t *testing.T) {
	for _, name := range []string{edge.ReceiptEvent, edge.PromptEvent} {
		given := caseGiven{Granted: []string{"measure"}, Lang: "en", Raw: []caseEvent{{ID: "p1.1", Name: name}}}
		beacon, request := given.message(t)
		var out edge.Outcome
		if err := promptEngine(t).Decide(beacon, request, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Events) != 0 || len(out.Rejected) != 1 || out.Rejected[0].Code != edge.RejectedName {
			t.Errorf("%s: kept %d, rejected %+v", name, len(out.Events), out.Rejected)
		}
	}
}
