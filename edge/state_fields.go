// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

// The fields below are read from the state. Without a state they are unknown,
// never zero: a rule must be able to tell "new here" from "refused". With one,
// lists and maps are known and possibly empty, but for those that this very page
// view would change and may not.

func (v *Visit) returning() Value {
	if v.State == nil {
		return Value{}
	}
	return boolValue(v.State.Visits > 1)
}

func (v *Visit) visits() Value {
	if v.State == nil {
		return Value{}
	}
	return intValue(int64(v.State.Visits))
}

func (v *Visit) daysSince() Value {
	if v.State == nil || v.State.PreviousLast.IsZero() {
		return Value{}
	}
	return intValue(int64(v.Now.Sub(v.State.PreviousLast).Hours() / 24))
}

func (v *Visit) visitorID() Value {
	if v.State == nil {
		return Value{}
	}
	return stringValue(v.State.VisitorID())
}

func (v *Visit) counts() Value {
	if v.State == nil {
		return Value{}
	}
	return Value{Type: TypeMap, Map: v.Counts}
}

func (v *Visit) interests() Value {
	return v.tally(func(e StateEvent) string {
		if e.Code == StateViewItem || e.Code == StateAddToCart {
			return e.Category
		}
		return ""
	})
}

func (v *Visit) counters() Value {
	return v.tally(func(e StateEvent) string {
		if int(e.Code) < len(stateCodes) {
			return stateCodes[e.Code]
		}
		return ""
	})
}

// tally counts the remembered events by key, sorted by key.
func (v *Visit) tally(key func(StateEvent) string) Value {
	if v.State == nil || v.Untold {
		return Value{}
	}
	var out []Entry
	for _, e := range v.State.Events {
		k := key(e)
		if k == "" {
			continue
		}
		i := slices.IndexFunc(out, func(x Entry) bool { return x.Key == k })
		if i < 0 {
			out = append(out, Entry{Key: k, Purpose: consent.Personalise})
			i = len(out) - 1
		}
		out[i].Value++
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
	return Value{Type: TypeMap, Map: out}
}

func (v *Visit) recent() Value { return v.latest(StateViewItem) }
func (v *Visit) bought() Value { return v.latest(StatePurchase) }

// latest lists the items of one kind of event, latest first, each once.
func (v *Visit) latest(code StateCode) Value {
	if v.State == nil || v.Untold {
		return Value{}
	}
	var out []string
	for _, e := range slices.Backward(v.State.Events) {
		if e.Code == code && !slices.Contains(out, e.Item) {
			out = append(out, e.Item)
		}
	}
	return listValue(out)
}

// cart replays what was put in, taken out and bought.
func (v *Visit) cart() Value {
	if v.State == nil || v.Untold {
		return Value{}
	}
	var out []Item
	for _, e := range v.State.Events {
		i := slices.IndexFunc(out, func(x Item) bool { return x.ID == e.Item })
		switch {
		case e.Code == StateAddToCart && i < 0:
			out = append(out, Item{ID: e.Item, Quantity: int64(e.Quantity), Price: e.Price, Purpose: consent.Personalise})
		case e.Code == StateAddToCart:
			out[i].Quantity += int64(e.Quantity)
		case e.Code == StateRemoveFromCart && i >= 0:
			if out[i].Quantity -= int64(e.Quantity); out[i].Quantity <= 0 {
				out = slices.Delete(out, i, i+1)
			}
		case e.Code == StatePurchase && i >= 0:
			out = slices.Delete(out, i, i+1)
		}
	}
	return Value{Type: TypeItems, Items: out}
}
