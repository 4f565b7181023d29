// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Limits of a visitor's history. What is dropped beyond them is explained at
// History.drop.
const (
	MaxStateItems     = 40
	maxCartItems      = 16
	maxBoughtItems    = 16
	MaxStateInterests = 16

	maxStateItem  = 64 // bytes of an item id
	maxStateWord  = 48 // bytes of a category
	maxStatePrice = 1e12
	maxStateCents = maxStatePrice * 100
)

// A StateItem is one item of a visitor's history.
type StateItem struct {
	ID       string
	Category string // "" unknown
	// Viewed and Bought are when it was last looked at and bought, 0 never.
	Viewed, Bought Minute
	// Quantity is how many of it are in the cart since Cart. Where Cart is set and
	// Quantity 0 it was taken out then.
	Quantity uint8
	Cart     Minute
	Cents    uint64 // of the price when it was put in the cart
}

// An Interest is a category with how often its items were looked at or put in the
// cart.
type Interest struct {
	Category string
	Decayed
}

// An Activity is an event with how often it happened.
type Activity struct {
	Event ActivityCode
	Decayed
}

// An ActivityCode names an event whose frequency a state keeps. The numbers are
// stored: append, never reorder.
type ActivityCode uint8

// activityNames are the events, by their codes; 0 is none. They are GA4's that a
// site without a shop has too, and our own.
var activityNames = [...]string{
	"", "view_item", "add_to_cart", "remove_from_cart", "purchase", "begin_checkout", "search", "view_item_list",
	"generate_lead", "sign_up", "share", "form_start", "form_submit", "answer", "slot_click", "refund",
}

// activityOrder are the codes, sorted by name.
var activityOrder = func() (order [len(activityNames) - 1]ActivityCode) {
	for i := range order {
		order[i] = ActivityCode(i + 1)
	}
	slices.SortFunc(order[:], func(a, b ActivityCode) int { return cmp.Compare(activityNames[a], activityNames[b]) })
	return order
}()

// activityCode returns the code of an event, 0 for one that is not kept.
func activityCode(name string) ActivityCode {
	for c := 1; c < len(activityNames); c++ {
		if activityNames[c] == name {
			return ActivityCode(c)
		}
	}
	return 0
}

// An ItemEvent is an item's part in an event.
type ItemEvent struct {
	Item, Category string
	Quantity       uint8 // 0 means 1
	Price          float64
}

// Learn adds an event and its items to the history, as the engine does with those
// of a beacon. It does not ask whether the event is known already.
func (h *History) Learn(name string, at time.Time, items ...ItemEvent) {
	minute := minuteOf(at)
	h.note(name, minute)
	for _, e := range items {
		h.add(name, minute, e)
	}
}

// learns reports whether an event of that name has a part in the history.
func learns(name string) bool {
	return activityCode(name) != 0 || progress[name] != IntentNone || name == ComplaintOpened || name == ComplaintSettled
}

// note adds an event and nothing of its items. It reports whether the history changed.
func (h *History) note(name string, at Minute) bool {
	changed := h.Journey.note(name, at)
	code := activityCode(name)
	if code == 0 {
		return changed
	}
	i := slices.IndexFunc(h.Activity, func(a Activity) bool { return a.Event == code })
	if i < 0 {
		i = len(h.Activity)
		h.Activity = append(h.Activity, Activity{Event: code})
	}
	h.Activity[i].add(at)
	h.Activity[i].round()
	return true
}

// add adds an item's part in an event and reports whether the history changed.
func (h *History) add(name string, at Minute, e ItemEvent) bool {
	if e.Item == "" || len(e.Item) > maxStateItem || !hasItems(name) {
		return false
	}
	if len(e.Category) > maxStateWord {
		e.Category = ""
	}
	i := slices.IndexFunc(h.Items, func(known StateItem) bool { return known.ID == e.Item })
	if i < 0 {
		i = len(h.Items)
		h.Items = append(h.Items, StateItem{ID: e.Item})
	}
	if e.Category != "" {
		h.Items[i].Category = e.Category
	}
	switch name {
	case "view_item":
		h.view(i, at)
	case "add_to_cart":
		h.interest(h.Items[i].Category, at)
		h.Items[i].put(&e, at)
	case "remove_from_cart":
		h.Items[i].take(&e, at)
		h.emptied(at)
	case "purchase":
		h.Items[i].buy(at)
	}
	h.limit()
	return true
}

// hasItems reports whether the items of an event have a part in the history.
func hasItems(name string) bool {
	return name == "view_item" || name == "add_to_cart" || name == "remove_from_cart" || name == "purchase"
}

// view notes that the item at a place was looked at.
func (h *History) view(i int, at Minute) {
	item := h.Items[i]
	if item.Category != "" && slices.ContainsFunc(h.Items, func(other StateItem) bool {
		return other.Category == item.Category && other.Viewed > 0 && other.Viewed >= h.session
	}) {
		h.Journey.Compared = true
	}
	h.interest(item.Category, at)
	if at >= item.Viewed {
		item.Viewed = at
		h.Items = append(slices.Delete(h.Items, i, i+1), item)
	}
}

// put adds to the cart what was not bought or taken out since.
func (i *StateItem) put(e *ItemEvent, at Minute) {
	if isLate(at, i.Bought) || i.Quantity == 0 && isLate(at, i.Cart) {
		return
	}
	i.Quantity = uint8(min(255, int(i.Quantity)+int(max(1, e.Quantity))))
	i.Cart = max(i.Cart, at)
	if cents := math.Round(max(0, min(e.Price, maxStatePrice)) * 100); cents > 0 {
		i.Cents = uint64(cents)
	}
}

// take takes out of the cart.
func (i *StateItem) take(e *ItemEvent, at Minute) {
	if isLate(at, i.Bought) {
		return
	}
	i.Quantity -= min(i.Quantity, max(1, e.Quantity))
	i.Cart = max(i.Cart, at)
}

// buy notes a purchase, which takes all of the item out of the cart.
func (i *StateItem) buy(at Minute) {
	i.Bought = max(i.Bought, at)
	if !isLate(at, i.Cart) {
		i.Quantity, i.Cart, i.Cents = 0, 0, 0
	}
}

// emptied ends the intent of a cart in which nothing is left.
func (h *History) emptied(at Minute) {
	if h.Journey.Intent == IntentCart && !isLate(at, h.Journey.IntentAt) &&
		!slices.ContainsFunc(h.Items, func(i StateItem) bool { return i.Quantity > 0 }) {
		h.Journey.Intent, h.Journey.IntentAt = IntentNone, 0
	}
}

// interest counts a category, in place of the one of the least interest where there
// are too many.
func (h *History) interest(category string, at Minute) {
	if category == "" {
		return
	}
	i := slices.IndexFunc(h.Interests, func(known Interest) bool { return known.Category == category })
	if i < 0 {
		if len(h.Interests) >= MaxStateInterests {
			h.dropInterest(at)
		}
		i = len(h.Interests)
		h.Interests = append(h.Interests, Interest{Category: category})
	}
	h.Interests[i].add(at)
	h.Interests[i].round()
}

func (h *History) dropInterest(now Minute) {
	least := 0
	for i := range h.Interests {
		if h.Interests[i].value(halfFortnight, now) < h.Interests[least].value(halfFortnight, now) {
			least = i
		}
	}
	h.Interests = slices.Delete(h.Interests, least, least+1)
}

// last is the newest time of an interest.
func (h *History) last() (at Minute) {
	for i := range h.Interests {
		at = max(at, h.Interests[i].At)
	}
	return at
}

// The classes of items, the first to be dropped first.
const (
	classTaken = iota // was in the cart, and nothing else
	classViewed
	classBought
	classCart
)

// class returns an item's class and the time that counts in it.
func (i *StateItem) class() (class int, at Minute) {
	switch {
	case i.Quantity > 0:
		return classCart, i.Cart
	case i.Bought > 0:
		return classBought, i.Bought
	case i.Viewed > 0:
		return classViewed, i.Viewed
	}
	return classTaken, i.Cart
}

// limit drops items beyond the limits.
func (h *History) limit() {
	var have [classCart + 1]int
	for i := range h.Items {
		class, _ := h.Items[i].class()
		have[class]++
	}
	switch {
	case have[classCart] > maxCartItems:
		h.dropItem(classCart)
	case have[classBought] > maxBoughtItems:
		h.dropItem(classBought)
	case len(h.Items) > MaxStateItems:
		h.dropItem(classTaken)
	}
}

// dropItem drops the oldest item of the first class from least on that has any.
func (h *History) dropItem(least int) {
	drop, dropClass, dropAt := -1, 0, Minute(0)
	for i := range h.Items {
		class, at := h.Items[i].class()
		if class >= least && (drop < 0 || class < dropClass || class == dropClass && at < dropAt) {
			drop, dropClass, dropAt = i, class, at
		}
	}
	if drop >= 0 {
		h.Items = slices.Delete(h.Items, drop, drop+1)
	}
}

// drop makes the history smaller and reports whether it could: the oldest attributes
// go first, then the oldest items, those that were only looked at before those that were bought, and those
// before what is in the cart; then interests, the least first, and then whole
// counters from the last on: each begins anew, and knows nothing until its window
// fills; the oldest variations last.
func (h *History) drop() bool {
	switch {
	case len(h.Attributes) > 0:
		i := h.oldestAttribute()
		h.Attributes = slices.Delete(h.Attributes, i, i+1)
	case len(h.Items) > 0:
		h.dropItem(classTaken)
	case len(h.Interests) > 0:
		h.dropInterest(h.last())
	case len(h.Counters) > 0:
		h.Counters = h.Counters[:len(h.Counters)-1]
	case len(h.Variations) > 0:
		h.Variations = slices.Delete(h.Variations, 0, 1)
	default:
		return false
	}
	return true
}
