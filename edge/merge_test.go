// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

var mergeDay = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// someHistory is what somebody did, of few items, so that histories meet.
func someHistory(r *rand.Rand, counted bool) *History {
	h := &History{}
	if counted {
		h.CountZone = 7
		h.Counters = []EventCount{{Event: "purchase", From: Day(r.IntN(5))}, {Event: "view_item"}}
	}
	names := []string{"view_item", "add_to_cart", "remove_from_cart", "purchase", "search", "form_start", "form_submit"}
	for range r.IntN(30) {
		name, at := names[r.IntN(len(names))], mergeDay.Add(time.Duration(r.IntN(3000))*time.Minute)
		h.Learn(name, at, ItemEvent{Item: fmt.Sprint("i", r.IntN(6)), Category: fmt.Sprint("c", r.IntN(3)), Quantity: uint8(1 + r.IntN(3)), Price: float64(r.IntN(9))})
		if c := h.counter(name); c != nil {
			c.add(Day(r.IntN(9)))
		}
	}
	for range r.IntN(4) {
		h.tell(Attribute{Name: fmt.Sprint("a.b", r.IntN(3)), Value: fmt.Sprint(r.IntN(3)), AtMillis: int64(r.IntN(3))})
	}
	for range r.IntN(6) {
		h.assign(Variation{Rule: uint32(r.IntN(MaxStateVariations + 4)), Variant: uint32(r.IntN(2)), At: Minute(1 + r.IntN(9))}, nil)
	}
	return h
}

func mergedOf(histories ...*History) *History {
	out := &History{}
	for _, h := range histories {
		c := copyHistory(h)
		out.merge(&c)
	}
	return out
}

// sameHistory compares what two histories say; order of attributes means nothing, and
// sums of fading values may differ by what floats lose.
func sameHistory(a, b *History) bool {
	x, y := copyHistory(a), copyHistory(b)
	for _, h := range []*History{&x, &y} {
		slices.SortFunc(h.Attributes, func(a, b Attribute) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
	}
	if len(x.Interests) != len(y.Interests) || len(x.Activity) != len(y.Activity) {
		return false
	}
	near := func(a, b *Decayed) bool {
		same := a.At == b.At
		for i := range a.Values {
			same = same && math.Abs(float64(a.Values[i]-b.Values[i])) < 1e-3
		}
		*b = *a
		return same
	}
	same := true
	for i := range x.Interests {
		same = near(&x.Interests[i].Decayed, &y.Interests[i].Decayed) && same
	}
	for i := range x.Activity {
		same = near(&x.Activity[i].Decayed, &y.Activity[i].Decayed) && same
	}
	x.session, y.session = 0, 0
	return same && reflect.DeepEqual(x, y)
}

// In which order histories become known does not matter, nothing is nobody's history,
// and none of the merged is changed.
func TestMergesAreCommutativeAndAssociative(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		counted := n%2 == 0
		a, b, c := someHistory(r, counted), someHistory(r, counted), someHistory(r, counted || n%3 == 0)
		was := copyHistory(b)
		ab, ba := mergedOf(a, b), mergedOf(b, a)
		if a.isEmpty() || b.isEmpty() {
			if want := mergedOf(a, b); !sameHistory(want, mergedOf(b, a)) {
				t.Fatalf("%d: an empty history changes something", n)
			}
			continue
		}
		if !sameHistory(ab, ba) {
			t.Fatalf("%d: not commutative:\n%+v\n%+v", n, ab, ba)
		}
		if left, right := mergedOf(ab, c), mergedOf(a, mergedOf(b, c)); !sameHistory(left, right) {
			t.Fatalf("%d: not associative:\n%+v\n%+v", n, left, right)
		}
		if !reflect.DeepEqual(was, copyHistory(b)) {
			t.Fatalf("%d: a merged history was changed", n)
		}
		if both := a.Journey.Orders + b.Journey.Orders; ab.Journey.Orders != both {
			t.Fatalf("%d: %d orders, want %d", n, ab.Journey.Orders, both)
		}
	}
}

func TestWhatAMergeKeeps(t *testing.T) {
	at := func(minutes int) time.Time { return mergeDay.Add(time.Duration(minutes) * time.Minute) }
	hat := func(n uint8) ItemEvent { return ItemEvent{Item: "hat", Category: "hats", Quantity: n} }
	history := func(do func(h *History)) *History { h := &History{}; do(h); return h }
	tests := []struct {
		name  string
		a, b  *History
		check func(h *History) bool
	}{
		{"the newest cart", history(func(h *History) { h.Learn("add_to_cart", at(1), hat(5)) }), history(func(h *History) { h.Learn("add_to_cart", at(2), hat(1)) }),
			func(h *History) bool { return h.Items[0].Quantity == 1 && h.Journey.Intent == IntentCart }},
		{"bought later elsewhere is in no cart", history(func(h *History) { h.Learn("add_to_cart", at(1), hat(5)) }), history(func(h *History) { h.Learn("purchase", at(2), hat(1)) }),
			func(h *History) bool {
				return h.Items[0].Quantity == 0 && h.Items[0].Bought > 0 && h.Journey.Intent == IntentNone
			}},
		{"bought before is in the cart again", history(func(h *History) { h.Learn("add_to_cart", at(3), hat(5)) }), history(func(h *History) { h.Learn("purchase", at(2), hat(1)) }),
			func(h *History) bool { return h.Items[0].Quantity == 5 && h.Journey.Intent == IntentCart }},
		{"the latest look", history(func(h *History) { h.Learn("view_item", at(1), hat(1)) }), history(func(h *History) { h.Learn("view_item", at(9), hat(1)) }),
			func(h *History) bool { return h.Items[0].Viewed == minuteOf(at(9)) && h.Journey.Views == 2 }},
		{"days that both counted", &History{CountZone: 1, Counters: []EventCount{{Event: "x", From: 3, Days: []DayCount{{3, 1}, {5, 2}}}}, Activity: []Activity{{Event: 1}}},
			&History{CountZone: 1, Counters: []EventCount{{Event: "x", From: 4, Days: []DayCount{{5, 4}, {6, 1}}}, {Event: "y"}}},
			func(h *History) bool {
				return len(h.Counters) == 1 && h.Counters[0].From == 4 && reflect.DeepEqual(h.Counters[0].Days, []DayCount{{5, 6}, {6, 1}})
			}},
		{"no days of another zone", &History{CountZone: 1, Counters: []EventCount{{Event: "x"}}}, &History{CountZone: 2, Counters: []EventCount{{Event: "x"}}},
			func(h *History) bool { return len(h.Counters) == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, h := range []*History{mergedOf(tt.a, tt.b), mergedOf(tt.b, tt.a)} {
				if !tt.check(h) {
					t.Errorf("%+v", h)
				}
			}
		})
	}
}

func TestMergesKeepTheLimits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	big := func() *History {
		h := &History{}
		for i := range 60 {
			h.Learn([]string{"view_item", "add_to_cart", "purchase"}[i%3], mergeDay.Add(time.Duration(r.IntN(999))*time.Minute),
				ItemEvent{Item: fmt.Sprint(r.IntN(1e6)), Category: fmt.Sprint(r.IntN(1e6))})
		}
		return h
	}
	h := mergedOf(big(), big(), big())
	have := map[int]int{}
	for i := range h.Items {
		class, _ := h.Items[i].class()
		have[class]++
	}
	if len(h.Items) > MaxStateItems || have[classCart] > maxCartItems || have[classBought] > maxBoughtItems || len(h.Interests) > MaxStateInterests {
		t.Errorf("%d items, %v, %d interests", len(h.Items), have, len(h.Interests))
	}
}

// Of too many variations the oldest is not kept, and noting it again changes nothing.
func TestVariationsThatAreTooManyChangeNothing(t *testing.T) {
	var full History
	for i := range uint32(16) {
		if !full.assign(Variation{Rule: i, Variant: 1, At: Minute(100 + i)}, nil) {
			t.Fatalf("variation %d of 16 is not kept", i)
		}
	}
	if full.assign(Variation{Rule: 99, Variant: 1, At: 99}, nil) || len(full.Variations) != 16 {
		t.Errorf("one older than the sixteen changes something: %+v", full.Variations)
	}
	if full.assign(Variation{Rule: 3, Variant: 1, At: 200}, nil) || !full.assign(Variation{Rule: 3, Variant: 1, At: 50}, nil) || full.Variations[0].Rule != 3 {
		t.Errorf("of a variation the first time does not count: %+v", full.Variations)
	}
	if !full.assign(Variation{Rule: 99, Variant: 1, At: 300}, nil) || len(full.Variations) != 16 || full.Variations[0].Rule != 0 {
		t.Errorf("a new one is not kept in place of the oldest: %+v", full.Variations)
	}
}
