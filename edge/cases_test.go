// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

var update = flag.Bool("update", false, "rewrite what the case files want")

// caseNow is when every case happens: a Sunday evening in Paris.
var caseNow = time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC)

// A decisionCase is one file of testdata/cases: a page view and what must come
// of it. Its name is the sentence it proves.
type decisionCase struct {
	Why string `json:"why"`
	// Release is the document it is decided with, "release" when empty.
	Release string `json:"release,omitempty"`
	// RulesFail is what the rules without code fail with.
	RulesFail string                    `json:"rulesFail,omitempty"`
	Rules     map[string]*edgetest.Rule `json:"rules,omitempty"`
	Edit      map[string]any            `json:"edit,omitempty"` // members of the release's settings to change
	Given     caseGiven                 `json:"given"`
	Want      caseWant                  `json:"want"`
	source    string
}

type caseGiven struct {
	Granted []string           `json:"granted,omitempty"` // by the owner's prompt
	Refused []string           `json:"refused,omitempty"`
	GPC     bool               `json:"gpc,omitempty"`
	Country string             `json:"country,omitempty"`
	Bot     bool               `json:"bot,omitempty"`
	Why     bool               `json:"askWhy,omitempty"`
	Device  string             `json:"device,omitempty"`
	Lang    string             `json:"lang,omitempty"`
	State   string             `json:"state,omitempty"` // "", "returning" or "tampered"
	Slots   []string           `json:"slots,omitempty"`
	Events  []edge.BeaconEvent `json:"-"`
	Raw     []caseEvent        `json:"events,omitempty"`
}

type caseEvent struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	AgeSec int64           `json:"age,omitempty"`
	Props  json.RawMessage `json:"props,omitempty"`
}

type caseWant struct {
	Granted   []string          `json:"granted"`
	Decisions []caseDecision    `json:"decisions,omitempty"`
	Events    []json.RawMessage `json:"events,omitempty"`
	Rejected  []edge.Rejection  `json:"rejected,omitempty"`
	State     string            `json:"state,omitempty"` // written, dropped or "" for untouched
}

type caseDecision struct {
	Slot, Variant, Kind, Lang, Reason, Rule, Because string
	Campaign                                         string          `json:",omitempty"`
	Content                                          json.RawMessage `json:",omitempty"`
	Why                                              *edge.Why       `json:",omitempty"`
}

var paris = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		panic(err)
	}
	return zone
}()

type caseLocator struct{ country string }

func (l caseLocator) Locate(netip.Addr) edge.Place {
	if l.country == "" {
		return edge.Place{}
	}
	return edge.Place{Country: l.country, Region: "IDF", City: "Paris", Postcode: "75001", Lat: 48.85, Lon: 2.35, HasPoint: true, Zone: paris}
}

func TestDecisionCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no case files: %v", err)
	}
	for _, file := range files {
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".json"), "-", " ")
		t.Run(name, func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := decisionCase{source: file}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	if c.Why == "" {
		t.Error("the case does not say why")
	}
	got := c.run(t)
	if *update {
		c.Want = got
		out, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if g, w := asJSON(t, got), asJSON(t, c.Want); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func caseSealer(t testing.TB) *edge.Sealer {
	t.Helper()
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{1}, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

// caseRules are the rules every case has unless it brings its own.
func caseRules() map[string]*edgetest.Rule {
	manifest := func(name, role string, needs consent.Purposes, reads []string, variants ...string) edge.Manifest {
		return edge.Manifest{ABI: 1, Name: name, Version: "1.0.0", Needs: consent.Set(needs), Reads: reads,
			Slots: []edge.ManifestSlot{{Name: role, Variants: variants}}}
	}
	return map[string]*edgetest.Rule{
		"by-device": {
			Declares: manifest("by-device", "slot", consent.Context, []string{"device.type", "geo.country"}, "phone", "desktop"),
			Cases: []edgetest.Case{
				{Field: "device.type", Is: `"phone"`, Variant: 1, Because: "you are on a phone"},
				{Field: "device.type", Is: `"desktop"`, Variant: 2},
			},
		},
		"by-history": {
			Declares: manifest("by-history", "offer", consent.Storage|consent.Personalise, []string{"recent", "visitor.visits", "geo.lat"}, "seen", "again"),
			Cases: []edgetest.Case{
				{Field: "recent", Is: `["hat-1"]`, Variant: 1},
				{Field: "visitor.visits", Is: `2`, Variant: 2},
			},
		},
	}
}

func caseRelease(t testing.TB, edit map[string]any) []byte { return editRelease(t, "release", edit) }

// editRelease returns a release of testdata with members of its settings changed.
func editRelease(t testing.TB, name string, edit map[string]any) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	maps.Copy(doc["settings"].(map[string]any), edit)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *decisionCase) run(t *testing.T) caseWant {
	t.Helper()
	rules := caseRules()
	maps.Copy(rules, c.Rules)
	document := editRelease(t, cmp.Or(c.Release, "release"), c.Edit)
	loader := codelessLoader(t, document, edgetest.Loader(rules))
	if c.RulesFail != "" {
		loader.Fails = errors.New(c.RulesFail)
	}
	engine := edge.New(edge.Options{Node: "n1", Locator: caseLocator{c.Given.Country}, Loader: loader, Sealer: caseSealer(t)})
	if _, err := engine.Publish(document); err != nil {
		t.Fatal(err)
	}
	beacon, request := c.Given.message(t)
	var out edge.Outcome
	if err := engine.Decide(beacon, request, &out); err != nil {
		t.Fatal(err)
	}
	checkWire(t, out.Decisions)
	if left := edge.LeftInDecider(); len(left) > 0 {
		t.Errorf("the next request's work space holds %s", left)
	}
	return summary(t, &out)
}

// codelessLoader loads a document's rules without code, and the rest as modules.
func codelessLoader(t testing.TB, document []byte, modules edge.RuleLoader) *edgetest.Rules {
	t.Helper()
	loader := &edgetest.Rules{RuleLoader: modules, Doc: &edge.ReleaseDocument{}}
	if err := json.Unmarshal(document, loader.Doc); err != nil {
		t.Fatal(err)
	}
	return loader
}

func (g *caseGiven) message(t testing.TB) (*edge.Beacon, *edge.Request) {
	t.Helper()
	granted, err := consent.ParsePurposes(g.Granted...)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := consent.ParsePurposes(g.Refused...)
	if err != nil {
		t.Fatal(err)
	}
	b := &edge.Beacon{
		Site:       "shop",
		Page:       edge.BeaconPage{ID: "p1", Title: "Hats", Type: "category", Category: "hats", Item: "hat-9", Tags: []string{"felt"}},
		SentMillis: 1795305600000,
		Consent:    consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: refused}, GPC: g.GPC},
		Client:     edge.BeaconClient{Viewport: [2]int{1234, 800}},
		Why:        g.Why,
	}
	for _, s := range g.Slots {
		b.Slots = append(b.Slots, edge.BeaconSlot{Name: s})
	}
	for _, ev := range g.Raw {
		b.Events = append(b.Events, edge.BeaconEvent{ID: ev.ID, Name: ev.Name, AtMillis: b.SentMillis - ev.AgeSec*1000, Props: ev.Props})
	}
	r := &edge.Request{
		Now: caseNow, Addr: netip.MustParseAddr("192.0.2.0"), Bot: g.Bot,
		Device: edge.Device{Type: g.Device, Model: "Model-X", OSVersion: "17.1", Screen: "390x844", TimeZone: "Europe/Paris"},
		Lang:   g.Lang, PageLang: g.Lang, Host: "shop.example", Path: "/hats",
		Ref:    edge.Ref{Host: "www.google.com", Class: "search"},
		Source: edge.Source{Channel: "ads", Campaign: "autumn", UTM: edge.UTM{Source: "google", Medium: "cpc", Campaign: "autumn", Term: "warm hats", Content: "banner-1"}, ClickID: "gclid-marker"},
	}
	r.State = caseState(t, g.State)
	return b, r
}

// caseState is a sealed state: a second visit that looked at a hat before.
func caseState(t testing.TB, which string) string {
	t.Helper()
	if which == "" {
		return ""
	}
	week := 7 * 24 * time.Hour
	s := &edge.State{
		Visitor: [16]byte{1, 2, 3}, Session: [8]byte{4}, First: caseNow.Add(-week), Started: caseNow.Add(-week), Last: caseNow.Add(-week), Visits: 1,
	}
	s.Learn("view_item", caseNow.Add(-week), edge.ItemEvent{Item: "hat-1", Category: "hats", Price: 49})
	sealed := caseSealer(t).SealState("shop", s)
	if which == "tampered" {
		sealed = sealed[:30] + "AAAA" + sealed[34:]
	}
	return sealed
}

func summary(t testing.TB, out *edge.Outcome) caseWant {
	t.Helper()
	w := caseWant{Granted: out.Verdict.Granted.Names(), Rejected: out.Rejected}
	for _, d := range out.Decisions {
		if (d.ID == "") != (d.Reason == edge.ReasonUnknownSlot) {
			t.Errorf("slot %s: id %q with reason %s", d.Slot, d.ID, d.Reason)
		}
		w.Decisions = append(w.Decisions, caseDecision{d.Slot, d.Variant, d.Kind.String(), d.Lang, d.Reason.String(), d.Rule, d.Because, d.Campaign, d.Content, d.Why})
	}
	for i := range out.Events {
		w.Events = append(w.Events, stable(t, out.Events[i].JSON()))
	}
	switch {
	case out.State != "":
		w.State = "written"
	case out.DropState:
		w.State = "dropped"
	}
	return w
}

// stable replaces what is random in a stored event.
func stable(t testing.TB, raw []byte) json.RawMessage {
	t.Helper()
	var ev map[string]any
	if err := json.Unmarshal(raw, &ev); err != nil {
		t.Fatalf("stored event is not JSON: %v\n%s", err, raw)
	}
	if n := topMembers(t, raw); n != len(ev) {
		t.Errorf("stored event has %d members, %d of them distinct:\n%s", n, len(ev), raw)
	}
	if s, ok := ev["session"].(string); ok {
		ev["session"] = strings.Repeat("x", len(s))
	}
	if visitor, ok := ev["visitor"].(map[string]any); ok {
		visitor["id"] = strings.Repeat("x", len(visitor["id"].(string)))
	}
	out, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// topMembers counts an object's members, repeated ones too.
func topMembers(t testing.TB, object []byte) int {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; dec.More(); n++ {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Every case file is read by TestDecisionCases: a stray file of another kind
// is a case nobody runs.
func TestNoStrayCases(t *testing.T) {
	entries, err := os.ReadDir("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || !slices.Contains([]rune("abcdefghijklmnopqrstuvwxyz0123456789"), rune(e.Name()[0])) {
			t.Errorf("testdata/cases/%s is read by no test", e.Name())
		}
	}
}
