// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// oneModule is a source of one module.
type oneModule []byte

func (m oneModule) Open(string) ([]byte, error) { return m, nil }
func (oneModule) List() ([]Listed, error)       { return nil, nil }

// lyon is where every visitor is.
type lyon struct{}

func (lyon) Locate(netip.Addr) edge.Place { return typicalVisit().Place }

// codelessRelease compiles the engine's own example of rules without code.
func codelessRelease(t *testing.T) (document []byte, host *Host) {
	t.Helper()
	raw, err := os.ReadFile("../edge/testdata/codeless.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	rules := doc.Slots[0].Ladder[1].Rules
	doc.Slots[0].Ladder[1].Rules, doc.Modules = append(rules[:1], rules[2:]...), nil // without the uploaded one
	doc.Slots[0].Ladder[0].Rules[0].When = `inAudience("hat-people") && (visitor.visits > 1 || count("view_item", "7d") > 5)`
	doc.Slots[0].Ladder[0].Rules[0].Score = `visitor.visits`
	wasm, err := lang.Compile(&doc)
	if err != nil {
		t.Fatal(err)
	}
	doc.Compiled = &edge.Compiled{Hash: HashOf(wasm)}
	if document, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	host, err = New(Options{Source: oneModule(wasm), CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	return document, host
}

// Whatever a visitor grants, what each rule is said to have done is what it did,
// and the record of it replays.
func TestRulesWithoutCodeExplainAndReplayUnderEveryConsent(t *testing.T) {
	document, host := codelessRelease(t)
	sealer, err := edge.NewSealer(make([]byte, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	engine := edge.New(edge.Options{Node: "n", Locator: lyon{}, Loader: host, Sealer: sealer})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	again, err := edge.CompileRelease(document, host.Rehearsal())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC) // when the campaign named over is over
	history := &edge.State{Visitor: [16]byte{1, 2, 3}, First: now.Add(-time.Hour), Last: now.Add(-time.Hour), Visits: 1}
	history.Learn("view_item", now.Add(-time.Hour), edge.ItemEvent{Item: "hat-1", Category: "hats"})
	state := sealer.SealState("shop", history)
	rules := map[string]int{}
	for granted := consent.Purposes(0); granted <= consent.All; granted++ {
		b := &edge.Beacon{Site: "shop", Why: true, Slots: []edge.BeaconSlot{{Name: "hero"}, {Name: "offer"}, {Name: "place"}}}
		b.Consent = consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}}
		var out edge.Outcome
		if err := engine.Decide(b, &edge.Request{Now: now, Device: edge.Device{Type: "phone"}, Lang: "en", State: state}, &out); err != nil {
			t.Fatal(err)
		}
		for i := range out.Decisions {
			rules[out.Decisions[i].Rule]++
			checkTried(t, out.Decisions[i].Why.Tried)
		}
		if !granted.Has(consent.Measure) {
			continue
		}
		replay, err := again.Replay(out.Record.Bytes(), out.Decisions[0].ID, DecodeRecord)
		if err != nil {
			t.Fatal(err)
		}
		if !replay.Same || len(replay.Decisions) != 3 {
			t.Errorf("%s: the replay differs: %+v", granted, replay)
		}
	}
	for _, rule := range []string{"", "looked", "in-france", "split", "everybody"} {
		if rules[rule] == 0 {
			t.Errorf("nobody was answered by %q: the test proves little", rule)
		}
	}
}

// checkTried compares what a rule did with what its condition is said to have
// come to.
func checkTried(t *testing.T, tried []edge.Try) {
	t.Helper()
	for i := range tried {
		try := &tried[i]
		if try.Condition == nil {
			t.Errorf("%s does not say what became of its condition", try.Rule)
			continue
		}
		held := try.Condition.Verdict == edge.VerdictHeld
		if did := try.Reason == edge.ReasonRule.String(); did && !held || !did && held && try.Outside == "" {
			t.Errorf("%s: %s, outside %q, its condition is said to be %s", try.Rule, try.Reason, try.Outside, try.Condition.Verdict)
		}
	}
}
