// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"encoding/json"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

func TestASampleVisitIsExplained(t *testing.T) {
	b := newBench(t)
	b.upload(t, "1.0.0")
	if _, err := b.Do(t.Context(), publishing.Operator(), "shop", publish(placement("1.0.0"))); err != nil {
		t.Fatal(err)
	}
	eve := actor("eve", publishing.Viewer)
	explain := func(granted string, slots ...string) *publishing.Explanation {
		t.Helper()
		visit := &edge.SampleVisit{}
		if err := json.Unmarshal([]byte(`{"granted":[`+granted+`],"fields":{"geo.country":"FR"}}`), visit); err != nil {
			t.Fatal(err)
		}
		out, err := b.Explain(t.Context(), eve, "shop", visit, slots)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	all := explain(`"context"`)
	if all.Site != "shop" || all.Release != 2 || len(all.Decisions) != 2 || all.Decisions[0].Slot != "hero" || all.Decisions[1].Slot != "offer" {
		t.Fatalf("explained %+v", all)
	}
	saw := all.Decisions[0].Why.Tried[0]
	if saw.Rule != "weather@1.0.0" || len(saw.Saw) != 1 || string(saw.Saw[0].Value) != `"FR"` {
		t.Errorf("with context the rule's part is %+v", saw)
	}
	refused := explain("", "hero")
	if tried := refused.Decisions[0].Why.Tried; len(refused.Decisions) != 1 || tried[0].Reason != "no-consent" || len(tried[0].Withheld) != 1 || len(tried[0].Saw) != 0 {
		t.Errorf("without context the hero is %+v", refused.Decisions)
	}
	if got := b.document(t).Number; got != 2 {
		t.Errorf("release %d is live after explaining, want 2", got)
	}
}

func TestASampleVisitIsRefused(t *testing.T) {
	b := newBench(t)
	stranger := publishing.Actor{Name: "eve", Role: publishing.Admin, Sites: []string{"blog"}}
	tests := []struct {
		name        string
		by          publishing.Actor
		field       string
		slots       []string
		code, where string
	}{
		{"by who does not see the site", stranger, "lang", nil, "forbidden", "site"},
		{"of a field that is not there", actor("eve", publishing.Viewer), "geo.cuntry", nil, "invalid", "visit"},
		{"of a field of another type", actor("eve", publishing.Viewer), "time.hour", nil, "invalid", "visit"},
		{"of a slot that is not there", actor("eve", publishing.Viewer), "lang", []string{"hero", "foot"}, "not_found", "slots"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			visit := &edge.SampleVisit{Fields: map[string]json.RawMessage{tt.field: []byte(`"fr"`)}}
			_, err := b.Explain(t.Context(), tt.by, "shop", visit, tt.slots)
			checkCode(t, "explain", err, tt.code, tt.where)
		})
	}
}
