// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"testing"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// document is a rule set as a release: slots of so many rules each, of which every
// one shows a variant of its own.
func (set *ruleSet) document(inSlot int) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: "shop", Number: 1,
		Settings: edge.Settings{Origins: []string{shopOrigin}, Languages: []string{"fr"}, TimeZone: location},
	}
	for _, a := range set.audiences {
		doc.Audiences = append(doc.Audiences, edge.Audience{Name: a.name, When: inOurs.text(a.when)})
	}
	for i, r := range set.rules {
		if i%inSlot == 0 {
			doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprintf("slot-%d", i/inSlot), Kind: "text", Ladder: []edge.RungSpec{{Rung: "profile"}}})
		}
		slot := &doc.Slots[i/inSlot]
		name := fmt.Sprintf("rule-%d", i)
		spec := edge.RuleSpec{Name: name, When: inOurs.text(r.when), Show: []edge.ShowSpec{{Variant: name}}}
		if r.score.perWeekday > 0 {
			spec.Score = inOurs.score(r.score)
		}
		slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, spec)
		doc.Variants = append(doc.Variants, edge.Variant{
			Slot: slot.Name, Name: name, State: "live", Content: map[string]json.RawMessage{"fr": json.RawMessage(`{"text":"Bonjour"}`)},
		})
	}
	return doc
}

// ourRules are a rule set as a node runs it: compiled to a module, loaded by a
// host. They belong to one goroutine.
type ourRules struct {
	set     edge.RuleSet
	doc     *edge.ReleaseDocument // with its module named
	host    *wasmrules.Host
	slots   []int
	held    []edge.Held
	scratch edge.View
}

func newOurRules(t testing.TB, set *ruleSet, inSlot int) *ourRules {
	t.Helper()
	o := &ourRules{doc: set.document(inSlot)}
	wasm, err := lang.Compile(o.doc)
	if err != nil {
		t.Fatal(err)
	}
	modules := &shelf{}
	o.doc.Compiled = &edge.Compiled{Hash: wasmrules.HashOf(wasm)}
	modules.put(module{wasm: wasm, ref: edge.ModuleRef{Hash: o.doc.Compiled.Hash}})
	o.host = newHost(t, modules)
	if o.set, err = o.host.LoadRules("shop", o.doc.Compiled, nil); err != nil {
		t.Fatal(err)
	}
	for i := range o.set.Slots() {
		o.slots = append(o.slots, i)
	}
	o.held = make([]edge.Held, len(o.slots))
	return o
}

// mask has the fields that the rules read.
func (o *ourRules) mask(t testing.TB) (m edge.Mask) {
	t.Helper()
	for _, name := range o.set.Reads() {
		f, ok := edge.FieldByName(name)
		if !ok {
			t.Fatalf("no field %q", name)
		}
		m = m.With(f.Number)
	}
	return m
}

// holds asks about a view whose record may be at hand.
func (o *ourRules) holds(view *edge.View, out *outcome) error {
	if err := o.set.Decide(view, o.slots, o.held); err != nil {
		return err
	}
	for i := range o.held {
		out.held[i] = o.held[i].Bits[0]
	}
	return nil
}

// holdsAnew asks about a view that is encoded for it.
func (o *ourRules) holdsAnew(view *edge.View, out *outcome) error {
	o.scratch.Reuse(view)
	return o.holds(&o.scratch, out)
}

// decides asks about a view that is encoded for it, and lets the candidates that
// hold compete.
func (o *ourRules) decides(view *edge.View, out *outcome) error {
	o.scratch.Reuse(view)
	if err := o.set.Decide(&o.scratch, o.slots, o.held); err != nil {
		return err
	}
	var best [slots]int64
	out.winners = nobody
	for slot := range o.held {
		h := &o.held[slot]
		for word := h.Bits[0]; word != 0; word &= word - 1 {
			n := bits.TrailingZeros64(word)
			out.compete(&best, slot*perSlot+n, h.Scores[n])
		}
	}
	return nil
}
