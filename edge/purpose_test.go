// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A watcher is a rule that declares every field and notes what it was given.
type watcher struct {
	manifest edge.Manifest
	ran      int
	saw      map[string]string
}

func newWatcher() *watcher {
	w := &watcher{saw: map[string]string{}}
	w.manifest = edge.Manifest{ABI: 1, Name: "by-device", Version: "1.0.0",
		Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"phone", "desktop"}}}}
	for _, f := range edge.Fields() {
		if !f.Internal() {
			w.manifest.Reads = append(w.manifest.Reads, f.Name)
		}
	}
	return w
}

func (w *watcher) Manifest() *edge.Manifest { return &w.manifest }

func (w *watcher) Choose(view *edge.View, _ int) (edge.Answer, error) {
	w.ran++
	for n := range edge.FieldNumber(edge.MaxFields) {
		if v := view.Value(n); v.Known() {
			name := "own"
			if int(n) < edge.BuiltinFields {
				name = edge.Fields()[n].Name
			}
			w.saw[name] = string(v.AppendJSON(nil))
		}
	}
	return edge.Answer{Variant: 1}, nil
}

type watchingLoader struct {
	edgetest.Loader
	watcher *watcher
	rules   *edgetest.Rules
}

// LoadRules returns rules that answer everybody and count.
func (l watchingLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	return l.rules.LoadRules(site, c, bind)
}

func (l watchingLoader) Load(site string, ref edge.ModuleRef, bind map[string]int) (edge.Rule, error) {
	if ref.Name == "by-device" {
		return l.watcher, nil
	}
	return l.Loader.Load(site, ref, bind)
}

// watchedRelease is the release of the cases with a rule without code besides.
func watchedRelease(t *testing.T) []byte {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(caseRelease(t, nil), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Slots = append(doc.Slots, edge.SlotSpec{Name: "counted", Kind: "text", Ladder: []edge.RungSpec{
		{Rung: "context", Rules: []edge.RuleSpec{{Name: "everybody", Show: []edge.ShowSpec{{Variant: "plain"}}}}}}})
	doc.Variants = append(doc.Variants, edge.Variant{Slot: "counted", Name: "plain", State: "live",
		Content: map[string]json.RawMessage{"en": namingAll(t)}})
	doc.Compiled = &edge.Compiled{Hash: strings.Repeat("a", 64)}
	document, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// namingAll is a text that names every field a text can hold: "geo.city=Paris;",
// with a dash for what it does not get.
func namingAll(t *testing.T) json.RawMessage {
	t.Helper()
	text := ""
	for _, f := range edge.Fields() {
		if isTextual(f) {
			text += f.Name + "={{" + f.Name + " | -}};"
		}
	}
	content, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func isTextual(f edge.Field) bool {
	return !f.Internal() && slices.Contains([]edge.Type{edge.TypeString, edge.TypeInt, edge.TypeFloat, edge.TypeBool}, f.Type)
}

// withdraw decides the same page view with everything granted but one purpose.
func withdraw(t *testing.T, purpose consent.Purposes) (*watcher, *edge.Outcome) {
	t.Helper()
	given := caseGiven{
		Granted: consent.All.Names(), Country: "FR", Device: "phone", Lang: "en", Slots: []string{"hero", "counted"},
		Raw: []caseEvent{{ID: "p0.1", Name: "view_item", Props: json.RawMessage(`{"items":[{"item_id":"hat-1","item_category":"hats"}]}`)}},
	}
	w := newWatcher()
	// Needs must name a purpose to read fields that have one; it names one that
	// stays granted, so that the rule runs whatever is withdrawn.
	w.manifest.Needs = consent.Set(consent.Geo)
	if purpose == consent.Geo {
		w.manifest.Needs = consent.Set(consent.Device)
	}
	document := watchedRelease(t)
	rules := codelessLoader(t, document, nil)
	rules.Windows = []edge.EventWindow{{Event: "view_item", Days: 30}, {Event: "add_to_cart", Days: 7}}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{"FR"}, Sealer: caseSealer(t),
		Loader: watchingLoader{edgetest.Loader(caseRules()), w, rules}})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	// The first visit, a week before, leaves a state; the second is watched.
	beacon, request := given.message(t)
	request.Now = request.Now.AddDate(0, 0, -7)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	state := out.State
	w.ran, w.saw = 0, map[string]string{}
	given.Granted, given.Refused = (consent.All &^ purpose).Names(), purpose.Names()
	given.Raw = []caseEvent{{ID: "p1.1", Name: "page_view"}, {ID: "p1.2", Name: "add_to_cart",
		Props: json.RawMessage(`{"items":[{"item_id":"hat-2","item_category":"caps"}]}`)},
		{ID: "p1.3", Name: "purchase", Props: json.RawMessage(`{"transaction_id":"t1","items":[{"item_id":"hat-3"}]}`)},
		{ID: "p1.4", Name: "form_start"}}
	beacon, request = given.message(t)
	request.State = state
	out.Reset()
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	if w.ran == 0 {
		t.Fatal("the rule did not run: the test proves nothing")
	}
	return w, &out
}

// One purpose is withdrawn at a time, and what it unlocks is gone from the
// view, the stored event and the state.
func TestAWithdrawnPurposeTakesItsFieldsWithIt(t *testing.T) {
	full, all := withdraw(t, 0)
	if want := `{"add_to_cart/7d":1,"view_item/30d":1}`; full.saw["counts"] != want {
		t.Errorf("counts are %s with full consent, want %s", full.saw["counts"], want)
	}
	for _, row := range consent.Rows() {
		t.Run(row.Name, func(t *testing.T) {
			w, out := withdraw(t, row.Bit)
			if out.Verdict.Granted.Has(row.Bit) {
				t.Fatalf("%s is still granted", row.Name)
			}
			for _, f := range edge.Fields() {
				if f.Purpose != row.Bit || f.Internal() {
					continue
				}
				if full.saw[f.Name] == "" {
					t.Errorf("%s: nobody sees it even with full consent: the test proves nothing", f.Name)
				}
				if got := w.saw[f.Name]; got != "" {
					t.Errorf("the rule still sees %s = %s", f.Name, got)
				}
				if isTextual(f) {
					text, name := string(out.Decisions[1].Content), ";"+f.Name+"="
					if !strings.Contains(text, name+"-;") || strings.Contains(string(all.Decisions[1].Content), name+"-;") {
						t.Errorf("%s: the text shows %s, with full consent %s", f.Name, text, all.Decisions[1].Content)
					}
				}
				for i := range out.Events {
					if got := eventField(t, out.Events[i].JSON(), f.Name); got != nil {
						t.Errorf("the stored event still has %s = %v", f.Name, got)
					}
				}
			}
			checkUnlocked(t, row.Bit, out, all)
		})
	}
}

// checkUnlocked checks what a purpose unlocks beside fields.
func checkUnlocked(t *testing.T, purpose consent.Purposes, out, all *edge.Outcome) {
	t.Helper()
	if all.State == "" || len(all.Events) != 4 {
		t.Fatal("full consent writes no state or no event: the test proves nothing")
	}
	switch purpose {
	case consent.Storage:
		if out.State != "" || !out.DropState {
			t.Errorf("state %q, dropped %v; want none and dropped", out.State, out.DropState)
		}
		for i := range out.Events {
			if e := &out.Events[i]; e.Visitor() != ([16]byte{}) || bytes.Contains(e.JSON(), []byte(`"session"`)) {
				t.Errorf("the event still tells the visitor: %s", e.JSON())
			}
		}
	case consent.Measure:
		if len(out.Events) != 0 || len(out.Rejected) != 4 || out.Rejected[0].Code != edge.RejectedNoConsent {
			t.Errorf("%d events, rejected %+v; want none and all rejected", len(out.Events), out.Rejected)
		}
	case consent.Profile:
		if out.State != "" || out.DropState {
			t.Errorf("state %q, dropped %v; want it left as it is", out.State, out.DropState)
		}
	case consent.Share:
		for i := range out.Events {
			if bytes.Contains(out.Events[i].JSON(), []byte("gclid-marker")) {
				t.Error("the stored event still holds the click id")
			}
		}
	}
}

// Without profile nothing is written, and what is read is the same: else a
// refusal could make "not been here before" true.
func TestARefusedProfileChangesNothingThatIsRead(t *testing.T) {
	full, _ := withdraw(t, 0)
	refused, _ := withdraw(t, consent.Profile)
	for _, name := range []string{"visitor.returning", "visitor.visits", "visitor.days_since"} {
		if full.saw[name] == "" || refused.saw[name] != full.saw[name] {
			t.Errorf("%s is %q with profile, %q without", name, full.saw[name], refused.saw[name])
		}
	}
}

// eventField finds a field of a stored event by its wire name.
func eventField(t *testing.T, raw []byte, name string) any {
	t.Helper()
	var ev map[string]any
	if err := json.Unmarshal(raw, &ev); err != nil {
		t.Fatal(err)
	}
	first, rest, grouped := strings.Cut(name, ".")
	if !grouped {
		return ev[first]
	}
	group, ok := ev[first].(map[string]any)
	if !ok {
		return nil
	}
	return group[rest]
}
