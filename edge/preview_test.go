// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A drawer holds previews' documents by id and counts how often it is asked.
type drawer struct {
	documents map[string][]byte
	asked     int
}

func (d *drawer) Preview(_, id string) ([]byte, error) {
	d.asked++
	if document, ok := d.documents[id]; ok {
		return document, nil
	}
	return nil, errors.New("no such preview")
}

// previewing is an engine whose live release shows nothing in France and whose
// preview "draft" does.
func previewing(t *testing.T) (*edge.Engine, *drawer) {
	t.Helper()
	var draft edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 0), &draft); err != nil {
		t.Fatal(err)
	}
	rungs := draft.Slots[0].Ladder
	rungs[1].Rules = []edge.RuleSpec{{Module: "place@2.0.0", Role: "slot"}}
	shown := marshalRelease(t, draft)
	rungs[1].Rules = []edge.RuleSpec{{Module: "place@1.0.0", Role: "slot"}}
	d := &drawer{documents: map[string][]byte{"draft": shown, "broken": []byte("{")}}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Loader: recordRules(), Sealer: caseSealer(t), Previewer: d})
	if _, err := engine.Publish(marshalRelease(t, draft)); err != nil {
		t.Fatal(err)
	}
	return engine, d
}

func marshalRelease(t testing.TB, doc edge.ReleaseDocument) []byte {
	t.Helper()
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// look decides a page view with a preview's token.
func look(t *testing.T, engine *edge.Engine, token string) *edge.Outcome {
	t.Helper()
	given := caseGiven{Granted: (consent.Context | consent.Measure).Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero"},
		Raw: []caseEvent{{ID: "p1.1", Name: "page_view"}}}
	beacon, request := given.message(t)
	request.Preview = token
	out := &edge.Outcome{}
	if err := engine.Decide(beacon, request, out); err != nil {
		t.Fatal(err)
	}
	checkWire(t, out.Decisions)
	return out
}

func previewLink(t *testing.T, site, id string, until time.Time) string {
	t.Helper()
	token, err := caseSealer(t).SealPreview(site, id, until)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAPreviewShowsWhatIsNotLiveAndCountsNothing(t *testing.T) {
	engine, drawer := previewing(t)
	token := previewLink(t, "shop", "draft", caseNow.Add(time.Hour))
	for range 3 {
		out := look(t, engine, token)
		if d := out.Decisions[0]; d.Variant != "phone" || d.Reason != edge.ReasonPreview || d.ID != "" || d.Rule != "place@2.0.0" {
			t.Fatalf("decision %+v", d)
		}
		if len(out.Events) != 0 || out.Record != nil {
			t.Errorf("%d events, record %v", len(out.Events), out.Record)
		}
	}
	if drawer.asked != 1 {
		t.Errorf("the preview was compiled %d times", drawer.asked)
	}
	out := look(t, engine, "")
	if d := out.Decisions[0]; d.Variant != "" || d.Reason == edge.ReasonPreview || len(out.Events) != 1 {
		t.Errorf("without the link: %+v, %d events", d, len(out.Events))
	}
}

func TestALinkThatDoesNotHoldShowsThePageAsItIs(t *testing.T) {
	engine, _ := previewing(t)
	for name, token := range map[string]string{
		"another site's":     previewLink(t, "other", "draft", caseNow.Add(time.Hour)),
		"over":               previewLink(t, "shop", "draft", caseNow),
		"of nothing":         previewLink(t, "shop", "nothing", caseNow.Add(time.Hour)),
		"of what is broken":  previewLink(t, "shop", "broken", caseNow.Add(time.Hour)),
		"made up":            "AAAA",
		"a decision's":       look(t, engine, "").Decisions[0].ID,
		"a state's":          caseState(t, "returning"),
		"far too long a one": string(make([]byte, 4096)),
	} {
		t.Run(name, func(t *testing.T) {
			out := look(t, engine, token)
			if d := out.Decisions[0]; d.Variant != "" || d.Reason == edge.ReasonPreview || d.ID == "" || len(out.Events) != 1 {
				t.Errorf("decision %+v, %d events", d, len(out.Events))
			}
		})
	}
}

func TestAPreviewThatCannotBeMadeIsNotTriedForEachRequest(t *testing.T) {
	engine, drawer := previewing(t)
	token := previewLink(t, "shop", "broken", caseNow.Add(time.Hour))
	for range 5 {
		look(t, engine, token)
	}
	if drawer.asked != 1 {
		t.Errorf("the broken preview was tried %d times", drawer.asked)
	}
}

func TestAPreviewFollowsWhatIsLive(t *testing.T) {
	engine, drawer := previewing(t)
	token := previewLink(t, "shop", "draft", caseNow.Add(time.Hour))
	look(t, engine, token)
	if _, err := engine.Publish(recordRelease(t, 0)); err == nil {
		t.Fatal("a release with a before and no roll-out was taken")
	}
	if _, err := engine.Publish(recordRelease(t, 100)); err != nil {
		t.Fatal(err)
	}
	look(t, engine, token)
	if drawer.asked != 2 {
		t.Errorf("the preview was compiled %d times, want anew after a release", drawer.asked)
	}
}

func TestSealPreviewRefusesAnIDOutOfBounds(t *testing.T) {
	for _, id := range []string{"", string(make([]byte, edge.MaxPreviewIDBytes+1))} {
		if _, err := caseSealer(t).SealPreview("shop", id, caseNow); err == nil {
			t.Errorf("an id of %d bytes was sealed", len(id))
		}
	}
}
