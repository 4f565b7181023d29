// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

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

// told reports whether what the state knows of items is known, toldActs whether
// what it knows of any event is.
func (v *Visit) told() bool     { return v.State != nil && !v.Untold }
func (v *Visit) toldActs() bool { return v.State != nil && !v.UntoldActs }

// minute is the page view's.
func (v *Visit) minute() Minute { return minuteOf(v.Now) }

func (v *Visit) interests(to *Value)     { v.faded(halfFortnight, to) }
func (v *Visit) dayInterests(to *Value)  { v.faded(halfDay, to) }
func (v *Visit) hourInterests(to *Value) { v.faded(halfHour, to) }

// faded lists the categories by what is left of their views and cart additions.
func (v *Visit) faded(life int, to *Value) {
	if !v.told() {
		return
	}
	out := to.Map[:0]
	for i := range v.State.Interests {
		n := &v.State.Interests[i]
		if left := n.value(life, v.minute()); left > 0 {
			out = append(out, Entry{Key: n.Category, Value: left, Purpose: consent.Personalise})
		}
	}
	for i := range out { // they are few
		for j := i; j > 0 && out[j].Key < out[j-1].Key; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	to.Type, to.Map = TypeMap, out
}

func (v *Visit) counters(to *Value)     { v.activity(halfFortnight, to) }
func (v *Visit) dayCounters(to *Value)  { v.activity(halfDay, to) }
func (v *Visit) hourCounters(to *Value) { v.activity(halfHour, to) }

// activity lists the events by what is left of them, sorted by name.
func (v *Visit) activity(life int, to *Value) {
	if !v.toldActs() {
		return
	}
	var at [len(activityNames)]*Activity
	for i := range v.State.Activity {
		at[v.State.Activity[i].Event] = &v.State.Activity[i]
	}
	to.Type, to.Map = TypeMap, to.Map[:0]
	for _, code := range activityOrder {
		if a := at[code]; a != nil {
			if left := a.value(life, v.minute()); left > 0 {
				to.Map = append(to.Map, Entry{Key: activityNames[code], Value: left, Purpose: consent.Personalise})
			}
		}
	}
}

func (v *Visit) stage(to *Value) {
	if v.toldActs() {
		to.setText(v.State.Journey.stage(v.minute()).String())
	}
}

func (v *Visit) intent(to *Value) {
	if v.toldActs() {
		if stage := v.State.Journey.stage(v.minute()); stage == StageIntent || stage == StageAbandoned {
			to.setText(intentNames[v.State.Journey.Intent])
		}
	}
}

func (v *Visit) orders(to *Value) {
	if v.told() {
		to.setInt(int64(v.State.Journey.Orders))
	}
}

func (v *Visit) daysSinceOrder(to *Value) {
	if v.told() && v.State.Journey.Orders > 0 {
		to.setInt(int64((v.minute() - min(v.minute(), v.State.Journey.LastOrder)) / (24 * 60)))
	}
}

func (v *Visit) sessionMinutes(to *Value) {
	if v.State != nil {
		to.setInt(max(0, int64(v.Now.Sub(v.State.Started).Minutes())))
	}
}

func (v *Visit) recent(to *Value) { v.latest(to, func(i *StateItem) Minute { return i.Viewed }) }
func (v *Visit) bought(to *Value) { v.latest(to, func(i *StateItem) Minute { return i.Bought }) }

// latest lists the items that have a time, latest first; of two with the same the
// one that is later in the state.
func (v *Visit) latest(to *Value, timeOf func(*StateItem) Minute) {
	if !v.told() {
		return
	}
	var order [MaxStateItems]uint8
	var times [MaxStateItems]Minute // by order
	n := 0
	items := v.State.Items
	for i := len(items) - 1; i >= 0; i-- { // mostly the latest first
		at := timeOf(&items[i])
		if at == 0 {
			continue
		}
		j := n
		for ; j > 0 && times[j-1] < at; j-- {
			order[j], times[j] = order[j-1], times[j-1]
		}
		order[j], times[j] = uint8(i), at
		n++
	}
	to.Type, to.List = TypeList, to.List[:0]
	for _, i := range order[:n] {
		to.List = append(to.List, items[i].ID)
	}
}

// cart lists what is in the cart.
func (v *Visit) cart(to *Value) {
	if !v.told() {
		return
	}
	out := to.Items[:0]
	for i := range v.State.Items {
		if item := &v.State.Items[i]; item.Quantity > 0 {
			out = append(out, Item{ID: item.ID, Quantity: int64(item.Quantity), Price: float64(item.Cents) / 100, Purpose: consent.Personalise})
		}
	}
	to.Type, to.Items = TypeItems, out
}
