// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/stream"
)

const (
	slots    = 3
	perSlot  = 10
	crowded  = slots * perSlot
	location = "Europe/Paris"
)

// now is a Sunday evening in Paris.
var now = time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC)

type france struct{ zone *time.Location }

func (f france) Locate(netip.Addr) edge.Place { return edge.Place{Country: "FR", Zone: f.zone} }

// A crowd is an engine with a release of three slots, in each of which ten
// modules compete, no two of the thirty alike.
type crowd struct {
	engine  *edge.Engine
	sealer  *edge.Sealer
	modules []module
	rules   []edge.Rule
}

func newCrowd(b *testing.B, language string) *crowd {
	b.Helper()
	zone, err := time.LoadLocation(location)
	if err != nil {
		b.Fatal(err)
	}
	modules := &shelf{}
	host := newHost(b, modules)
	c := &crowd{}
	if c.sealer, err = edge.NewSealer(bytes.Repeat([]byte{1}, edge.KeyBytes)); err != nil {
		b.Fatal(err)
	}
	c.engine = edge.New(edge.Options{Node: "n1", Locator: france{zone}, Loader: host, Sealer: c.sealer})
	wasm := guest(b, language)
	for n := range crowded {
		m := mustNumber(b, wasm, n)
		modules.put(m)
		rule, err := host.Load("shop", m.ref, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.modules, c.rules = append(c.modules, m), append(c.rules, rule)
	}
	if _, err := c.engine.Publish(releaseOf(b, c.modules)); err != nil {
		b.Fatal(err)
	}
	return c
}

// releaseOf is a release that deals the modules out to its slots.
func releaseOf(t testing.TB, modules []module) []byte {
	t.Helper()
	doc := edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: "shop", Number: 1,
		Settings: edge.Settings{Origins: []string{shopOrigin}, Languages: []string{"fr"}, TimeZone: location},
	}
	perSlot := len(modules) / slots
	for i := range slots {
		slot := edge.SlotSpec{Name: fmt.Sprintf("slot-%d", i), Kind: "text", Ladder: []edge.RungSpec{{Rung: "profile"}}}
		for _, m := range modules[i*perSlot : (i+1)*perSlot] {
			slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, edge.RuleSpec{Module: m.ref.ID(), Role: "offer"})
			doc.Modules = append(doc.Modules, m.ref)
		}
		doc.Slots = append(doc.Slots, slot)
		for _, name := range []string{"plain", "warm", "hot"} {
			doc.Variants = append(doc.Variants, edge.Variant{
				Slot: slot.Name, Name: name, State: "live", Content: map[string]json.RawMessage{"fr": json.RawMessage(`{"text":"Bonjour"}`)},
			})
		}
	}
	document, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

const shopOrigin = "https://shop.example"

// decides is a whole decision of a visitor whom every module finds hot: consent,
// the sealed state, the visit, its record, all rules, the answers' tokens. What
// is recorded, if anything, is handed to keep.
func (c *crowd) decides(granted consent.Purposes, keep func(*edge.Record)) func() error {
	week := 7 * 24 * time.Hour
	state := &edge.State{
		Visitor: [16]byte{1}, Session: [8]byte{2}, Visits: 6,
		First: now.Add(-10 * week), Started: now.Add(-week), Last: now.Add(-week),
	}
	state.Learn("add_to_cart", now.Add(-week), edge.ItemEvent{Item: "shoe-3", Category: "shoes", Quantity: 2, Price: 80})
	for i := range 12 {
		item := fmt.Sprintf("hat-%d", i)
		state.Learn("view_item", now.Add(-week), edge.ItemEvent{Item: item, Category: "hats", Price: 49})
	}
	beacon := &edge.Beacon{
		Site:    "shop",
		Page:    edge.BeaconPage{ID: "p1", Type: "category", Tags: []string{"felt", "wool", "winter", "women", "new", "sale", "vip", "brim"}},
		Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}},
	}
	for i := range slots {
		beacon.Slots = append(beacon.Slots, edge.BeaconSlot{Name: fmt.Sprintf("slot-%d", i)})
	}
	request := &edge.Request{
		Now: now, Addr: netip.MustParseAddr("192.0.2.0"), Device: edge.Device{Type: "phone"}, Lang: "fr", PageLang: "fr",
		Host: "shop.example", Path: "/hats", State: c.sealer.SealState("shop", state),
	}
	var out edge.Outcome
	return func() error {
		out.Reset()
		if err := c.engine.Decide(beacon, request, &out); err != nil {
			return err
		}
		for _, d := range out.Decisions {
			if d.Reason != edge.ReasonRule || d.Variant != "hot" {
				return fmt.Errorf("%s: %q for reason %s", d.Slot, d.Variant, d.Reason)
			}
		}
		if recorded := out.Record != nil; recorded != (keep != nil) {
			return fmt.Errorf("a decision record: %t", recorded)
		}
		if keep != nil {
			keep(out.Record)
		}
		return nil
	}
}

// unrecorded is what the modules need; recorded is that and measure, under which
// a decision is recorded.
const (
	unrecorded = consent.Context | consent.Storage | consent.Personalise
	recorded   = unrecorded | consent.Measure
)

// BenchmarkDecision is the thirty calls of 3 slots × 10 modules on one visit,
// beside the same calls on plain wazero and under Extism, and beside the whole
// decision that they are a part of.
func BenchmarkDecision(b *testing.B) {
	targets := map[string]string{"c": "≤ 20 µs", "rust": "≤ 40 µs", "assemblyscript": "≤ 150 µs"}
	for _, language := range []string{"c", "rust", "assemblyscript"} {
		b.Run(language, func(b *testing.B) {
			c := newCrowd(b, language)
			view := hot.view(b, &c.modules[0].manifest)
			alone := each(crowded, func(i int) func() error { return choosing(c.rules[i], view, hot) })
			if err := alone(); err != nil {
				b.Fatal(err)
			}
			record, err := recordOf(view)
			if err != nil {
				b.Fatal(err)
			}
			plain := each(crowded, func(i int) func() error { return bareCall(b, c.modules[i].wasm, record) })
			plugins := each(crowded, func(i int) func() error {
				return extismCall(b, mustNumber(b, guest(b, "extism"), i).wasm, record, 0)
			})
			compare(b, "3 slots × 10 modules, "+language, targets[language],
				contender{name: "calls", call: alone},
				contender{name: "plain-wazero", call: plain},
				contender{name: "extism", call: plugins},
				contender{name: "the-whole-decision", call: c.decides(unrecorded, nil)})
		})
	}
}

// each makes n calls into one that does them all.
func each(n int, make func(i int) func() error) func() error {
	var calls []func() error
	for i := range n {
		calls = append(calls, make(i))
	}
	return func() error {
		for _, call := range calls {
			if err := call(); err != nil {
				return err
			}
		}
		return nil
	}
}

// BenchmarkRecord is the same decision, and what it costs more where measure is
// granted: the record is built and handed to a real log, which stores it in its
// next commit group and drops it where the disk does not keep up.
func BenchmarkRecord(b *testing.B) {
	log, err := stream.Open(stream.Options{Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close(b.Context()) })
	c := newCrowd(b, "c")
	compare(b, "decision of 3 slots × 10, without record", "",
		contender{name: "without", call: c.decides(unrecorded, nil)},
		contender{name: "record-built", call: c.decides(recorded, func(*edge.Record) {})},
		contender{name: "record-built-and-queued", call: c.decides(recorded, log.Record)})
	if s := log.Stats(); s.RecordsStored == 0 {
		b.Error("no record was stored")
	}
}
