// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"slices"
)

// merge adds what another history knows, of which h knows nothing yet: what is summed
// would count twice. In which order histories are merged does not matter, but for
// what is dropped because it is too much. An empty history changes nothing.
//
// Items are united, each with its latest times and the cart of its newest change;
// what fades is added up at the later time; of two intents the later one counts, and
// none from before the last purchase; days are added up for as long as both histories
// counted them; of each variant that was seen the first time counts.
func (h *History) merge(other *History) {
	if other.isEmpty() {
		return
	}
	if h.isEmpty() {
		session := h.session
		h.become(other)
		h.session = session
		return
	}
	h.mergeItems(other)
	h.mergeFading(other)
	h.Journey = h.Journey.merged(other.Journey)
	h.mergeCounters(other)
	for _, v := range other.Variations {
		h.assign(v, nil)
	}
	for _, a := range other.Attributes {
		if known := h.attribute(a.Name); known != nil && a.AtMillis == known.AtMillis && a.Value < known.Value {
			continue // of two told at once the greater one counts
		}
		h.tell(a)
	}
}

// mergeItems unites the items, in the order of their times.
func (h *History) mergeItems(other *History) {
	for i := range other.Items {
		item := other.Items[i]
		at := slices.IndexFunc(h.Items, func(known StateItem) bool { return known.ID == item.ID })
		if at < 0 {
			h.Items = append(h.Items, item)
			continue
		}
		h.Items[at] = h.Items[at].merged(item)
	}
	slices.SortFunc(h.Items, func(a, b StateItem) int {
		return cmp.Or(cmp.Compare(a.Viewed, b.Viewed), cmp.Compare(a.last(), b.last()), cmp.Compare(a.ID, b.ID))
	})
	for range len(other.Items) {
		h.limit()
	}
}

func (i *StateItem) last() Minute { return max(i.Viewed, i.Bought, i.Cart) }

// merged returns what two histories know of an item.
func (i StateItem) merged(other StateItem) StateItem {
	switch a, b := i.last(), other.last(); {
	case i.Category == "", b > a && other.Category != "", a == b && other.Category > i.Category:
		i.Category = other.Category
	}
	if cmp.Or(cmp.Compare(other.Cart, i.Cart), cmp.Compare(other.Quantity, i.Quantity), cmp.Compare(other.Cents, i.Cents)) > 0 {
		i.Cart, i.Quantity, i.Cents = other.Cart, other.Quantity, other.Cents
	}
	i.Viewed, i.Bought = max(i.Viewed, other.Viewed), max(i.Bought, other.Bought)
	if i.Bought > 0 && i.Bought >= i.Cart {
		i.Quantity, i.Cart, i.Cents = 0, 0, 0
	}
	return i
}

// mergeFading adds up interests and activity.
func (h *History) mergeFading(other *History) {
	for _, o := range other.Interests {
		at := slices.IndexFunc(h.Interests, func(known Interest) bool { return known.Category == o.Category })
		if at < 0 {
			h.Interests = append(h.Interests, o)
			continue
		}
		h.Interests[at].Decayed = h.Interests[at].merged(o.Decayed)
	}
	for len(h.Interests) > MaxStateInterests {
		h.dropInterest(h.last())
	}
	slices.SortFunc(h.Interests, func(a, b Interest) int { return cmp.Compare(a.Category, b.Category) })
	for _, o := range other.Activity {
		at := slices.IndexFunc(h.Activity, func(known Activity) bool { return known.Event == o.Event })
		if at < 0 {
			h.Activity = append(h.Activity, o)
			continue
		}
		h.Activity[at].Decayed = h.Activity[at].merged(o.Decayed)
	}
	slices.SortFunc(h.Activity, func(a, b Activity) int { return cmp.Compare(a.Event, b.Event) })
}

// merged returns what is left of what two counted, at the later time.
func (d Decayed) merged(other Decayed) Decayed {
	at := max(d.At, other.At)
	d, other = d.at(at), other.at(at)
	for i := range d.Values {
		d.Values[i] = min(d.Values[i]+other.Values[i], maxDecayed)
	}
	return d
}

// merged returns one journey of two.
func (j Journey) merged(other Journey) Journey {
	j.Views = uint8(min(255, int(j.Views)+int(other.Views)))
	j.Compared = j.Compared || other.Compared
	if cmp.Or(cmp.Compare(other.IntentAt, j.IntentAt), cmp.Compare(other.Intent, j.Intent)) > 0 {
		j.Intent, j.IntentAt = other.Intent, other.IntentAt
	}
	if j.Orders == 0 || other.Orders > 0 && other.FirstOrder < j.FirstOrder {
		j.FirstOrder = other.FirstOrder
	}
	j.LastOrder = max(j.LastOrder, other.LastOrder)
	j.Orders = uint32(min(uint64(j.Orders)+uint64(other.Orders), 1<<32-1))
	if j.Orders > 0 && j.LastOrder >= j.IntentAt { // of a form too, or it would matter which were merged first
		j.Intent, j.IntentAt = IntentNone, 0
	}
	return j
}

// mergeCounters adds up the days. What one of two did not count, or by other days, is
// not known.
func (h *History) mergeCounters(other *History) {
	if h.CountZone != other.CountZone {
		h.Counters, h.CountZone = nil, 0
		return
	}
	h.Counters = slices.DeleteFunc(h.Counters, func(c EventCount) bool { return other.counter(c.Event) == nil })
	for i := range h.Counters {
		c, o := &h.Counters[i], other.counter(h.Counters[i].Event)
		from := max(c.From, o.From)
		for _, d := range o.Days {
			c.put(d)
		}
		c.From = from
		c.Days = slices.DeleteFunc(c.Days, func(d DayCount) bool { return d.Day < from })
		if n := len(c.Days) - maxCountDays; n > 0 {
			c.forget(c.Days[n].Day)
		}
	}
}

// put adds a day's count.
func (c *EventCount) put(d DayCount) {
	i, found := slices.BinarySearchFunc(c.Days, d.Day, func(d DayCount, day Day) int { return cmp.Compare(d.Day, day) })
	if !found {
		c.Days = slices.Insert(c.Days, i, d)
		return
	}
	c.Days[i].Count = uint32(min(uint64(c.Days[i].Count)+uint64(d.Count), 1<<32-1))
}
