// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

// The fields below are read from the state. Without a state they are unknown,
// never zero: a rule must be able to tell "new here" from "refused". With one,
// lists and maps are known and possibly empty, but for those that this very page
// view would change and may not.

func (v *Visit) returning(to *Value) {
	if v.State == nil {
		return
	}
	to.Type, to.Int = TypeBool, 0
	if v.State.Visits > 1 {
		to.Int = 1
	}
}

func (v *Visit) visits(to *Value) {
	if v.State != nil {
		to.setInt(int64(v.State.Visits))
	}
}

func (v *Visit) daysSince(to *Value) {
	if v.State != nil && !v.State.PreviousLast.IsZero() {
		to.setInt(int64(v.Now.Sub(v.State.PreviousLast).Hours() / 24))
	}
}

func (v *Visit) visitorID(to *Value) {
	if v.State != nil {
		to.setText(v.State.VisitorID())
	}
}

func (v *Visit) counts(to *Value) {
	if v.State != nil {
		to.Type, to.Map = TypeMap, append(to.Map[:0], v.Counts...)
	}
}

// told reports whether the lists and maps are known.
func (v *Visit) told() bool { return v.State != nil && !v.Untold }

// interests counts the remembered views and cart additions by category.
func (v *Visit) interests(to *Value) {
	if !v.told() {
		return
	}
	out := to.Map[:0]
	for i := range v.State.Events {
		if e := &v.State.Events[i]; e.Category != "" && (e.Code == StateViewItem || e.Code == StateAddToCart) {
			out = counted(out, e.Category)
		}
	}
	for i := range out { // they are few
		for j := i; j > 0 && out[j].Key < out[j-1].Key; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	to.Type, to.Map = TypeMap, out
}

// counted adds one to a key's entry.
func counted(entries []Entry, key string) []Entry {
	for i := range entries {
		if entries[i].Key == key {
			entries[i].Value++
			return entries
		}
	}
	return append(entries, Entry{Key: key, Value: 1, Purpose: consent.Personalise})
}

// counterOrder are the remembered events, sorted by name.
var counterOrder = [...]StateCode{StateAddToCart, StatePurchase, StateRemoveFromCart, StateViewItem}

// counters counts the remembered events by name.
func (v *Visit) counters(to *Value) {
	if !v.told() {
		return
	}
	var times [len(stateCodes)]int
	for i := range v.State.Events {
		if code := v.State.Events[i].Code; int(code) < len(times) {
			times[code]++
		}
	}
	to.Type, to.Map = TypeMap, to.Map[:0]
	for _, code := range counterOrder {
		if times[code] > 0 {
			to.Map = append(to.Map, Entry{Key: stateCodes[code], Value: float64(times[code]), Purpose: consent.Personalise})
		}
	}
}

func (v *Visit) recent(to *Value) { v.latest(StateViewItem, to) }
func (v *Visit) bought(to *Value) { v.latest(StatePurchase, to) }

// latest lists the items of one kind of event, latest first, each once.
func (v *Visit) latest(code StateCode, to *Value) {
	if !v.told() {
		return
	}
	out := to.List[:0]
	for i := len(v.State.Events) - 1; i >= 0; i-- {
		if e := &v.State.Events[i]; e.Code == code && !holds(out, e.Item) {
			out = append(out, e.Item)
		}
	}
	to.Type, to.List = TypeList, out
}

// holds reports whether a text is in a list. The items of a site are often equal but
// for their last character, so that is compared first.
func holds(list []string, text string) bool {
	last := len(text) - 1
	for _, s := range list {
		if len(s) == len(text) && (last < 0 || s[last] == text[last] && s == text) {
			return true
		}
	}
	return false
}

// cart replays what was put in, taken out and bought.
func (v *Visit) cart(to *Value) {
	if !v.told() {
		return
	}
	out := to.Items[:0]
	for i := range v.State.Events {
		e := &v.State.Events[i]
		if e.Code == StateViewItem {
			continue
		}
		at := slices.IndexFunc(out, func(x Item) bool { return x.ID == e.Item })
		switch {
		case e.Code == StateAddToCart && at < 0:
			out = append(out, Item{ID: e.Item, Quantity: int64(e.Quantity), Price: e.Price, Purpose: consent.Personalise})
		case e.Code == StateAddToCart:
			out[at].Quantity += int64(e.Quantity)
		case e.Code == StateRemoveFromCart && at >= 0:
			if out[at].Quantity -= int64(e.Quantity); out[at].Quantity <= 0 {
				out = slices.Delete(out, at, at+1)
			}
		case e.Code == StatePurchase && at >= 0:
			out = slices.Delete(out, at, at+1)
		}
	}
	to.Type, to.Items = TypeItems, out
}
