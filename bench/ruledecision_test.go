// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// BenchmarkRuleDecision is the choice among ten candidates for each of three
// slots, by condition and score, beside the same choice in cel-go, expr and OPA,
// and beside the whole decision that ours is a part of.
func BenchmarkRuleDecision(b *testing.B) {
	set := newRuleSet(ruleSeed, crowded).withScores(ruleSeed)
	visitors := fullVisits(visitSeed, rotating)
	c := newContest(b, set, visitors, true).withPeers(b, set)
	all := append(c.anew(), c.opaRaw(b))
	for name, granted := range map[string]consent.Purposes{"whole-decision": consent.All &^ consent.Measure, "whole-decision-recorded": consent.All} {
		all = append(all, contender{name: name, call: c.ours.wholeDecision(b, visitors, granted)})
	}
	compare(b, "3 slots × 10 rules with scores", "≤ 1 µs, 0 allocations", all...)
}

// An atlas finds the place of a visit by its address, which is its number.
type atlas []visitor

// Locate implements edge.Locator.
func (a atlas) Locate(addr netip.Addr) edge.Place {
	ip := addr.As4()
	return a[int(ip[1])<<8|int(ip[2])].visit.Place
}

// wholeDecision makes a call that has an engine decide beacon after beacon of the
// visitors: consent, the sealed state, the visit, its record, the rules, the
// answers' tokens.
func (o *ourRules) wholeDecision(b *testing.B, visitors []visitor, granted consent.Purposes) func() error {
	b.Helper()
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{1}, edge.KeyBytes))
	if err != nil {
		b.Fatal(err)
	}
	engine := edge.New(edge.Options{Node: "n1", Locator: atlas(visitors), Loader: o.host, Sealer: sealer})
	document, err := json.Marshal(o.doc)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := engine.Publish(document); err != nil {
		b.Fatal(err)
	}
	beacons, requests := make([]edge.Beacon, len(visitors)), make([]edge.Request, len(visitors))
	for i := range visitors {
		beacons[i], requests[i] = asked(i, &visitors[i].visit, granted)
		requests[i].State = sealer.SealState("shop", visitors[i].visit.State)
	}
	var out edge.Outcome
	at := 0
	return func() error {
		i := at % len(visitors)
		at++
		out.Reset()
		if err := engine.Decide(&beacons[i], &requests[i], &out); err != nil {
			return err
		}
		for _, d := range out.Decisions {
			if d.Reason != edge.ReasonRule {
				return fmt.Errorf("%s: reason %s", d.Slot, d.Reason)
			}
		}
		if len(out.Decisions) != slots || (out.Record != nil) != granted.Has(consent.Measure) {
			return fmt.Errorf("%d decisions, recorded: %t", len(out.Decisions), out.Record != nil)
		}
		return nil
	}
}

// asked is a visit as the collector hands it to the engine, asking for every slot.
func asked(number int, v *edge.Visit, granted consent.Purposes) (edge.Beacon, edge.Request) {
	beacon := edge.Beacon{
		Site:    "shop",
		Page:    edge.BeaconPage{ID: "p1", Title: v.Page.Title, Type: v.Page.Type, Category: v.Page.Category, Item: v.Page.Item, Tags: v.Page.Tags},
		Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}},
		Client:  edge.BeaconClient{Viewport: [2]int{v.ViewportWidth, 900}},
	}
	for i := range slots {
		beacon.Slots = append(beacon.Slots, edge.BeaconSlot{Name: fmt.Sprintf("slot-%d", i)})
	}
	return beacon, edge.Request{
		Now: v.Now.Add(time.Minute / 2), Addr: netip.AddrFrom4([4]byte{10, byte(number >> 8), byte(number)}), Device: v.Device, Lang: v.Lang, PageLang: "fr",
		Host: v.Page.Host, Path: v.Page.Path, Ref: v.Ref, Source: v.Source, Surface: v.Surface,
	}
}
