// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A member is one member of a stored event. Needs are the purposes without
// which it is not there; measure, which every event needs, is not among them.
type member struct{ Name, Needs, Text string }

// memberTexts says what the members are that are not fields.
var memberTexts = map[string]string{
	"v":                 "version of the format",
	"id":                "the event's id, made by the page for this page view",
	"name":              "what happened, for example `page_view`",
	"at":                "when, in milliseconds since 1970, by our clock",
	"received":          "when it arrived",
	"site":              "the site",
	"node":              "the process that took it in",
	"view":              "the page view's id, random for each page view",
	"visitor.id":        "the visitor's id on this site, random",
	"session":           "the session's id, random",
	"profile":           "a customer's id as the site's server names it, hashed under this server's key",
	"system":            "which of the site's systems told it, in the site's own word",
	"origin":            "whose data it is: `first`, `second`, `third` or `zero` party; a page's is `first`",
	"origins":           "by property, whose data it is where that is not the event's",
	"purposes":          "by property, which purpose unlocked it where that is not `measure`",
	"consent.purposes":  "what was granted when it happened",
	"consent.authority": "on whose word",
	"consent.policy":    "which defaults were in force",
	"release":           "number of the site's settings in force",
	"decision.slot":     "the slot that was seen or clicked",
	"decision.variant":  "the variant that was chosen for it",
	"decision.rule":     "the rule that chose",
	"decision.campaign": "the campaign of that rule",
	"decision.reason":   "why",
	"decision.release":  "release that decided",
	"decision.decided":  "when, in milliseconds since 1970",
	"decision.shown":    "`variant`, `default` or `late`",
	"items":             "items of a commerce event, as the page names them",
	"value":             "value of a commerce event, as the page gives it",
	"currency":          "currency of the value",
	"props":             "the event's other properties, as the page gives them; no addresses",
}

// eventMembers finds out what an event can hold: every member of the events of
// a visitor who granted everything, and what each purpose takes with it when it
// is refused.
func eventMembers() ([]member, error) {
	v, err := newVisitor()
	if err != nil {
		return nil, err
	}
	all, err := v.members(consent.All)
	if err != nil {
		return nil, err
	}
	needs := make(map[string]consent.Purposes)
	for _, row := range consent.Rows() {
		some, err := v.members(consent.All &^ row.Bit)
		if err != nil {
			return nil, err
		}
		if row.Bit == consent.Measure {
			if len(some) > 0 {
				return nil, fmt.Errorf("events without measure, with %d members", len(some))
			}
			continue
		}
		for name := range all {
			if !some[name] {
				needs[name] |= row.Bit
			}
		}
	}
	delete(needs, "purposes") // it is there for the property of which it tells
	var list []member
	for _, name := range slices.Sorted(maps.Keys(all)) {
		said, ok := memberTexts[name]
		if field, isField := edge.FieldByName(name); isField && !ok {
			said, ok = field.Text, true
		}
		if !ok {
			return nil, fmt.Errorf("no words for the event's member %q", name)
		}
		list = append(list, member{name, strings.Join(needs[name].Names(), ", "), said})
	}
	return list, nil
}

const site = "shop"

// A visitor is somebody who comes back, with everything about them known.
type visitor struct {
	engine *edge.Engine
	state  string // from the first visit
}

var (
	firstVisit = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	nextVisit  = firstVisit.Add(48 * time.Hour)
)

func newVisitor() (*visitor, error) {
	sealer, err := edge.NewSealer(make([]byte, edge.KeyBytes))
	if err != nil {
		return nil, err
	}
	v := &visitor{engine: edge.New(edge.Options{Node: "node", Locator: everywhere{}, Loader: holder{}, Sealer: sealer})}
	_, err = v.engine.Publish([]byte(`{"schema":1,"site":"` + site + `","number":1,
		"settings":{"origins":["https://shop.example"],"languages":["en"]},
		"fields":[{"name":"own.tier","type":"string","purpose":"context","origin":"second","from":"event","event":"loyalty","prop":"tier"}],
		"campaigns":[{"name":"c","state":"live"}],
		"slots":[{"name":"hero","kind":"text","ladder":[{"rung":"context","rules":[{"name":"r","show":[{"variant":"v"}],"campaign":"c"}]}]}],
		"variants":[{"slot":"hero","name":"v","state":"live","content":{"en":{"text":"t"}}}],"modules":[],
		"compiled":{"hash":"` + strings.Repeat("0", 64) + `"}}`))
	if err != nil {
		return nil, err
	}
	out, err := v.visit(consent.All, firstVisit, nil)
	if err != nil {
		return nil, err
	}
	v.state = out.State
	return v, nil
}

// members returns the names of the members of the events that come of a visit
// of a purchase and a seen slot, those of nested objects with a dot.
func (v *visitor) members(granted consent.Purposes) (map[string]bool, error) {
	seen, err := v.visit(granted, nextVisit, nil)
	if err != nil {
		return nil, err
	}
	shown, err := json.Marshal(map[string]string{"decision": seen.Decisions[0].ID, "shown": "default"})
	if err != nil {
		return nil, err
	}
	out, err := v.visit(granted, nextVisit, []edge.BeaconEvent{
		{ID: "a", Name: "slot_impression", Props: shown},
		{ID: "b", Name: "purchase", Props: []byte(
			`{"transaction_id":"t","value":9.5,"currency":"EUR","coupon":"c","items":[{"item_id":"i","price":9.5}]}`)},
	})
	if err != nil {
		return nil, err
	}
	told, err := v.told(granted)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, event := range append(out.Events, told...) {
		var document map[string]json.RawMessage
		if err := json.Unmarshal(event.JSON(), &document); err != nil {
			return nil, fmt.Errorf("event: %w", err)
		}
		for name, value := range document {
			var inner map[string]json.RawMessage
			if name == "own" {
				continue // a site's own fields are not everybody's
			}
			if name == "props" || name == "origins" || name == "purposes" || json.Unmarshal(value, &inner) != nil {
				names[name] = true
			}
			if name == "origins" || name == "purposes" {
				continue // by the properties' names
			}
			for second := range inner {
				names[name+"."+second] = true
			}
		}
	}
	delete(names, "props.")
	return names, nil
}

// told are the events of a site's server about the same visitor.
func (v *visitor) told(granted consent.Purposes) ([]edge.Event, error) {
	batch := edge.Batch{
		Site:     site,
		Consents: []consent.Signals{signals(granted)},
		Events: []edge.BatchEvent{{
			BeaconEvent: edge.BeaconEvent{ID: "c", Name: "loyalty", AtMillis: nextVisit.UnixMilli(), Props: []byte(`{"tier":"gold","shoe":"44"}`)},
			System:      "till", Origins: []byte(`{"shoe":"zero"}`), State: v.state, Profile: "customer",
		}},
	}
	var out edge.BatchOutcome
	if err := v.engine.Accept(&batch, nextVisit, &out); err != nil {
		return nil, err
	}
	if len(out.Rejected) > 0 && granted.Has(consent.Measure) {
		return nil, fmt.Errorf("a server's event refused: %v", out.Rejected)
	}
	return out.Events, nil
}

// signals are those of a visitor who answered the site's prompt.
func signals(granted consent.Purposes) consent.Signals {
	return consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: granted, Refused: consent.All &^ granted}}
}

// visit is one page view of a visitor who answered the site's prompt.
func (v *visitor) visit(granted consent.Purposes, now time.Time, events []edge.BeaconEvent) (*edge.Outcome, error) {
	for i := range events {
		events[i].AtMillis = now.UnixMilli()
	}
	beacon := edge.Beacon{
		Site:       site,
		Page:       edge.BeaconPage{ID: "p", Title: "t", Type: "t", Category: "c", Item: "i", Lang: "en", Tags: []string{"t"}},
		SentMillis: now.UnixMilli(),
		Consent:    signals(granted),
		Client:     edge.BeaconClient{Langs: []string{"en"}, Viewport: [2]int{800, 600}, Screen: [2]int{800, 600}, TimeZone: "Asia/Tokyo"},
		Events:     events,
		Slots:      []edge.BeaconSlot{{Name: "hero"}},
	}
	request := edge.Request{
		Now:    now,
		Addr:   netip.MustParseAddr("192.0.2.0"),
		Device: edge.Device{Type: "phone", Model: "m", OSVersion: "1", Screen: "800x600", TimeZone: "Asia/Tokyo"},
		Lang:   "en", PageLang: "en", Host: "shop.example", Path: "/",
		Ref: edge.Ref{Host: "search.example", Class: "search"},
		Source: edge.Source{Channel: "ads", Campaign: "c", ClickID: "c",
			UTM: edge.UTM{Source: "s", Medium: "m", Campaign: "c", Term: "t", Content: "c"}},
		State: v.state,
	}
	out := new(edge.Outcome)
	if err := v.engine.Decide(&beacon, &request, out); err != nil {
		return nil, err
	}
	if len(out.Rejected) > 0 && granted.Has(consent.Measure) {
		return nil, fmt.Errorf("event refused: %v", out.Rejected)
	}
	return out, nil
}

// everywhere knows everything about every address.
type everywhere struct{}

func (everywhere) Locate(netip.Addr) edge.Place {
	return edge.Place{Country: "JP", Region: "13", City: "Tokyo", Postcode: "100-0001",
		Lat: 35.7, Lon: 139.8, HasPoint: true, Zone: time.UTC}
}
