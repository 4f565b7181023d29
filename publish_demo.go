// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// demoNote is where the demo remembers the ladders that it published last: one
// that differs is somebody's who played with the demo.
const demoNote = "demo.ladders"

// publishDemo publishes the demo site's own release, and keeps what was
// published into it. The demo's settings, texts and modules become its own
// again; a ladder that somebody changed stays as they made it, and so do
// variants that are not the demo's and the wish for a second person.
func (n *node) publishDemo(ctx context.Context, own []byte) error {
	var next edge.ReleaseDocument
	if err := json.Unmarshal(own, &next); err != nil {
		return err
	}
	next.PinVersions() // as rules that somebody placed do
	ladders := map[string][]edge.RungSpec{}
	for _, s := range next.Slots {
		ladders[s.Name] = s.Ladder
	}
	published, document, err := n.events.Published(ctx, demo.Site, 0)
	if err != nil && !errors.Is(err, edge.ErrNone) {
		return err
	}
	before, revision, err := n.events.Note(ctx, demoNote)
	if err != nil && !errors.Is(err, edge.ErrNone) {
		return err
	}
	if document != nil && before != nil {
		var live edge.ReleaseDocument
		known := map[string][]edge.RungSpec{}
		if err := errors.Join(json.Unmarshal(document, &live), json.Unmarshal(before, &known)); err != nil {
			return err
		}
		keepForeign(&next, &live, known)
	}
	if own, err = json.Marshal(next); err != nil {
		return err
	}
	out, err := n.desk.Put(ctx, publishing.Operator(), demo.Site, own, published.Number)
	if err != nil {
		return err
	}
	if out.Proposal != nil {
		n.log.Warn("the demo's release waits for a second person", "proposal", out.Proposal.ID)
		return nil
	}
	value, err := json.Marshal(ladders)
	if err != nil {
		return err
	}
	if reflect.DeepEqual(value, before) {
		return nil
	}
	_, err = n.events.PutNote(ctx, demoNote, value, revision)
	return err
}

// keepForeign takes over from the live release what is not the demo's.
func keepForeign(next, live *edge.ReleaseDocument, known map[string][]edge.RungSpec) {
	next.Settings.SecondPerson = live.Settings.SecondPerson
	for i := range next.Slots {
		slot := &next.Slots[i]
		at := slices.IndexFunc(live.Slots, func(s edge.SlotSpec) bool { return s.Name == slot.Name })
		if at >= 0 && !sameJSON(live.Slots[at].Ladder, known[slot.Name]) {
			slot.Ladder = live.Slots[at].Ladder
		}
	}
	for _, v := range live.Variants {
		mine := slices.ContainsFunc(next.Variants, func(own edge.Variant) bool { return own.Slot == v.Slot && own.Name == v.Name })
		if !mine && v.Owner != demo.Owner {
			next.Variants = append(next.Variants, v)
		}
	}
	used := map[string]bool{}
	next.EachRule(func(r *edge.RuleSpec) { used[r.Module] = true })
	for _, ref := range live.Modules {
		if used[ref.ID()] && !slices.ContainsFunc(next.Modules, func(own edge.ModuleRef) bool { return own.ID() == ref.ID() }) {
			next.Modules = append(next.Modules, ref)
		}
	}
}

// sameJSON reports whether two ladders are the same as documents spell them.
func sameJSON(a, b []edge.RungSpec) bool {
	left, err := json.Marshal(a)
	right, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(left) == string(right)
}

// The demo's own token: whoever started the demo reads it on their terminal.
const (
	demoActor     = "demo"
	demoTokenTime = 24 * time.Hour
)

// demoToken makes the token that the demo prints, and ends those of earlier
// starts.
func (n *node) demoToken(ctx context.Context) (secret string, err error) {
	op := publishing.Operator()
	tokens, err := n.desk.Tokens(ctx, op)
	if err != nil {
		return "", fmt.Errorf("the demo's token: %w", err)
	}
	for _, t := range tokens {
		if t.Actor.Name != demoActor {
			continue
		}
		if err := n.desk.RevokeToken(ctx, op, t.ID); err != nil {
			return "", fmt.Errorf("the demo's token: %w", err)
		}
	}
	actor := publishing.Actor{Name: demoActor, Role: publishing.Publisher, Sites: []string{demo.Site}}
	secret, _, err = n.desk.CreateToken(ctx, op, actor, time.Now().Add(demoTokenTime))
	if err != nil {
		return "", fmt.Errorf("the demo's token: %w", err)
	}
	return secret, nil
}
