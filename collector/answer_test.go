// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func TestAnswer(t *testing.T) {
	rule := edge.Decision{
		ID: "d9", Slot: "hero", Variant: "fr-phone", Kind: edge.KindHTML, Lang: "ar", Dir: "rtl", Reason: edge.ReasonRule,
		Rule: "hero-by-place@3", Because: `it "suits" </script>` + "\u2028", Content: json.RawMessage(`{"nodes":["a",["b",{}]]}`),
	}
	tests := []struct {
		name string
		give answer
		want string // "" for nothing to say
	}{
		{"nothing", answer{outcome: &edge.Outcome{}, kept: true}, ""},
		{"a decision", answer{outcome: &edge.Outcome{Verdict: consent.Verdict{Granted: 31}, Decisions: []edge.Decision{rule}}, kept: true},
			`{"v":1,"granted":31,"decisions":[{"id":"d9","slot":"hero","variant":"fr-phone","kind":"html","lang":"ar","dir":"rtl","reason":"rule","rule":"hero-by-place@3","because":"it \"suits\" \u003c/script>\u2028","content":{"nodes":["a",["b",{}]]}}],"accepted":0,"rejected":[]}`},
		{"defaults", answer{outcome: &edge.Outcome{Decisions: []edge.Decision{{ID: "d1", Slot: "a", Reason: edge.ReasonNoConsent}, {Slot: "b", Reason: edge.ReasonUnknownSlot}}}, kept: true},
			`{"v":1,"granted":0,"decisions":[{"id":"d1","slot":"a","kind":"default","reason":"no-consent"},{"slot":"b","kind":"default","reason":"unknown-slot"}],"accepted":0,"rejected":[]}`},
		{"an explanation", answer{outcome: &edge.Outcome{Decisions: []edge.Decision{{ID: "d1", Slot: "a", Why: &edge.Why{Rung: "context", Tried: []edge.Try{}}}}}, kept: true},
			`{"v":1,"granted":0,"decisions":[{"id":"d1","slot":"a","kind":"default","reason":"default","why":{"rung":"context","tried":[]}}],"accepted":0,"rejected":[]}`},
		{"state in the answer", answer{outcome: &edge.Outcome{State: "AQ"}, kept: true, carriesState: true},
			`{"v":1,"granted":0,"decisions":[],"state":"AQ","accepted":0,"rejected":[]}`},
		{"state in a cookie", answer{outcome: &edge.Outcome{State: "AQ"}, kept: true},
			`{"v":1,"granted":0,"decisions":[],"accepted":0,"rejected":[]}`},
		{"state to forget", answer{outcome: &edge.Outcome{DropState: true}, kept: true, carriesState: true, forgetState: true},
			`{"v":1,"granted":0,"decisions":[],"state":"","accepted":0,"rejected":[]}`},
		{"rejections of both kinds", answer{outcome: &edge.Outcome{Rejected: []edge.Rejection{{ID: "e2", Code: "event_too_old", Field: "at"}}}, kept: true,
			rejected: []edge.Rejection{{ID: "e 1", Code: "bad_id", Field: "id"}, {Code: "bad_event"}}},
			`{"v":1,"granted":0,"decisions":[],"accepted":0,"rejected":[{"id":"e 1","code":"bad_id","field":"id"},{"id":"","code":"bad_event"},{"id":"e2","code":"event_too_old","field":"at"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.give.isEmpty() != (tt.want == "") {
				t.Fatalf("empty: %v", tt.give.isEmpty())
			}
			got := string(tt.give.appendJSON(nil))
			if !json.Valid([]byte(got)) {
				t.Fatalf("not JSON: %s", got)
			}
			if tt.want != "" && got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
