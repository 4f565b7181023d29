// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

func testSealer(t testing.TB) *Sealer {
	t.Helper()
	s, err := NewSealer(bytes.Repeat([]byte{7}, KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func busyState(now time.Time) *State {
	s := newState(now.Add(-48 * time.Hour))
	s.touch(now)
	for i := range MaxStateEvents + 3 {
		s.add(StateEvent{At: now.Add(time.Duration(i) * time.Second), Code: StateViewItem, Item: "sku-" + strings.Repeat("x", i), Category: "hats", Quantity: 1, Price: 12.5})
	}
	s.CountZone, s.Counted = eventKey("UTC"), []uint32{1, 1 << 31}
	s.Counters = []EventCount{
		{Event: "add_to_cart", From: 20770, Days: []DayCount{{20770, 1}, {20779, 300}}},
		{Event: "search"},
		{Event: "view_item", Days: []DayCount{{20778, 2}}},
	}
	return s
}

func TestStateSurvivesSealing(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	sealer, want := testSealer(t), busyState(now)
	sealed := sealer.SealState("shop", want)
	got, err := sealer.OpenState("shop", sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("state came back as %+v, want %+v", got, want)
	}
	if len(want.Events) != MaxStateEvents || want.Events[0].Item != "sku-xxx" {
		t.Errorf("the oldest events did not go first: %d events, first %q", len(want.Events), want.Events[0].Item)
	}
}

func TestOpenStateRefusesWhatIsNotThisSites(t *testing.T) {
	sealer := testSealer(t)
	sealed := sealer.SealState("shop", newState(time.Now()))
	other, err := NewSealer(bytes.Repeat([]byte{8}, KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(i int) string {
		b := []byte(sealed)
		b[i] ^= 1
		return string(b)
	}
	tests := map[string]struct {
		sealer *Sealer
		site   string
		sealed string
	}{
		"another site's state":       {sealer, "other", sealed},
		"another key":                {other, "shop", sealed},
		"one bit of the ciphertext":  {sealer, "shop", flip(40)},
		"another version":            {sealer, "shop", flip(1)},
		"cut short":                  {sealer, "shop", sealed[:len(sealed)-4]},
		"nothing":                    {sealer, "shop", ""},
		"too long":                   {sealer, "shop", strings.Repeat("A", MaxStateBytes+1)},
		"not base64":                 {sealer, "shop", "!!!!" + sealed[4:]},
		"a decision id of that site": {sealer, "shop", sealer.seal(sealedDecision, "shop", []byte("x"))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if s, err := tt.sealer.OpenState(tt.site, tt.sealed); err == nil {
				t.Errorf("opened as %+v", s)
			}
		})
	}
}

func TestSealedStateNeverExceedsItsLimit(t *testing.T) {
	s := newState(time.Now())
	for range MaxStateEvents {
		s.add(StateEvent{At: time.Now(), Code: StatePurchase, Item: strings.Repeat("i", maxStateItem), Category: strings.Repeat("c", maxStateWord), Quantity: 255, Price: 1e15})
	}
	sealed := testSealer(t).SealState(strings.Repeat("s", MaxSiteBytes), s)
	if len(sealed) > MaxStateBytes {
		t.Errorf("sealed state has %d characters, at most %d", len(sealed), MaxStateBytes)
	}
	if _, err := testSealer(t).OpenState(strings.Repeat("s", MaxSiteBytes), sealed); err != nil {
		t.Errorf("the largest state does not open: %v", err)
	}
}

func TestSessionsAreCounted(t *testing.T) {
	start := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	s := newState(start)
	first := s.Session
	if s.touch(start.Add(10 * time.Second)); s.Visits != 1 || s.Session != first {
		t.Errorf("ten seconds later: %d visits, want the same session", s.Visits)
	}
	if !s.touch(start.Add(20*time.Minute)) || s.Visits != 1 {
		t.Errorf("twenty minutes later: %d visits, want 1 and a moved state", s.Visits)
	}
	if s.touch(start.Add(20*time.Minute + SessionGap)); s.Visits != 2 || s.Session == first {
		t.Errorf("after the gap: %d visits, want a second session", s.Visits)
	}
	v := &Visit{State: s, Now: start.Add(75 * time.Hour)}
	if got := fieldOf(v, FieldDaysSince); got.Int != 3 {
		t.Errorf("days since = %+v, want 3", got)
	}
}

// fieldOf is a field's value where everything is granted.
func fieldOf(v *Visit, n FieldNumber) Value { return NewView(v, Mask{}.With(n), consent.All).Value(n) }

func TestCartRecentAndBoughtFollowTheEvents(t *testing.T) {
	s := newState(time.Now())
	add := func(code StateCode, item string, quantity uint8) {
		s.add(StateEvent{At: time.Now(), Code: code, Item: item, Category: "hats", Quantity: quantity, Price: 10})
	}
	add(StateViewItem, "a", 1)
	add(StateViewItem, "b", 1)
	add(StateViewItem, "a", 1)
	add(StateAddToCart, "a", 2)
	add(StateAddToCart, "b", 1)
	add(StateAddToCart, "a", 1)
	add(StateRemoveFromCart, "a", 1)
	add(StatePurchase, "b", 1)
	v := &Visit{State: s}
	if got := string(fieldOf(v, FieldCart).AppendJSON(nil)); got != `[{"id":"a","quantity":2,"price":10}]` {
		t.Errorf("cart = %s", got)
	}
	if got := string(fieldOf(v, FieldRecent).AppendJSON(nil)); got != `["a","b"]` {
		t.Errorf("recent = %s", got)
	}
	if got := string(fieldOf(v, FieldBought).AppendJSON(nil)); got != `["b"]` {
		t.Errorf("bought = %s", got)
	}
	if got := string(fieldOf(v, FieldCounters).AppendJSON(nil)); got != `{"add_to_cart":3,"purchase":1,"remove_from_cart":1,"view_item":3}` {
		t.Errorf("counters = %s", got)
	}
	if got := string(fieldOf(v, FieldInterests).AppendJSON(nil)); got != `{"hats":6}` {
		t.Errorf("interests = %s", got)
	}
}

// A typical visitor looked at a few things, put one in the cart, and is counted
// in two windows.
func TestATypicalStateIsSmall(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now.Add(-7 * 24 * time.Hour))
	for i, code := range []StateCode{StateViewItem, StateViewItem, StateAddToCart, StateViewItem, StateViewItem, StatePurchase} {
		s.add(StateEvent{Key: uint32(i), At: now, Code: code, Item: "sku-100" + string(rune('0'+i)), Category: "hats", Quantity: 1, Price: 49.9})
	}
	for _, event := range []string{"add_to_cart", "view_item"} {
		c := EventCount{Event: event, From: 20772}
		for day := range Day(5) {
			c.Days = append(c.Days, DayCount{20772 + day, 3})
		}
		s.Counters = append(s.Counters, c)
	}
	for i := range minCountedKeys {
		s.Counted = append(s.Counted, uint32(i))
	}
	if n := len(testSealer(t).SealState("shop", s)); n > 512 {
		t.Errorf("a typical state has %d characters, want at most 512", n)
	}
}

// A browser may bring a state that an older program wrote. Its events are kept,
// and the next write makes a state of this version of it.
func TestAStateOfVersion1IsMigrated(t *testing.T) {
	plain, err := hex.DecodeString("010102030000000000000000000000000004000000000000001813006b18b6026bdcb5026b2821006b0200000002efbeadde08a8026b01015613000000000000056861742d3104686174730700000018b6026b04030000000000000000056861742d3200")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	want := &State{
		Visitor: [16]byte{1, 2, 3}, Session: [8]byte{4}, First: now.Add(-48 * time.Hour), Last: now, Started: now.Add(-time.Minute),
		PreviousLast: now.Add(-47 * time.Hour), Visits: 2,
		Events: []StateEvent{
			{Key: 0xdeadbeef, At: now.Add(-time.Hour), Code: StateViewItem, Item: "hat-1", Category: "hats", Quantity: 1, Price: 49.5},
			{Key: 7, At: now, Code: StatePurchase, Item: "hat-2", Quantity: 3},
		},
	}
	got, err := parseState(plain)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
	again := appendState(nil, got)
	if again[0] != stateVersion {
		t.Errorf("written as version %d, want %d", again[0], stateVersion)
	}
	if got, err := parseState(again); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after the first write it is %+v, %v", got, err)
	}
}

func TestPricesKeepTheirCents(t *testing.T) {
	for _, price := range []float64{0, 0.01, 1.15, 12.29, 1e6 + 0.99, maxStatePrice, -3, 1e300} {
		s := &State{Events: []StateEvent{{Code: StateViewItem, Item: "a", Price: price}}}
		got, err := parseState(appendState(nil, s))
		if want := max(0, min(price, maxStatePrice)); err != nil || got.Events[0].Price != want {
			t.Errorf("price %v came back as %+v, %v", price, got, err)
		}
	}
}

// What one visitor's state leaves in a work space is not in the next one's.
func TestStateSpaceForgets(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	sealer := testSealer(t)
	var space stateSpace
	for range 2 {
		for _, want := range []*State{busyState(now), newState(now), {First: now, Events: []StateEvent{{Code: StatePurchase, Item: "a"}}}} {
			got, err := sealer.openState(&space, "shop", sealer.SealState("shop", want))
			if err != nil {
				t.Fatal(err)
			}
			if got.VisitorID() != want.VisitorID() {
				t.Errorf("visitor %s, want %s", got.VisitorID(), want.VisitorID())
			}
			if again, first := appendState(nil, got), appendState(nil, want); !bytes.Equal(again, first) {
				t.Errorf("read %x, want %x", again, first)
			}
			space.free()
			if left := bytes.Trim(space.plain, "\x00"); len(left) > 0 {
				t.Errorf("%d bytes of the state are left", len(left))
			}
		}
	}
}

// FuzzParseState checks that no bytes make a state panic or come back larger
// than its limits, and that what is accepted means the same after a trip
// through our own encoder.
func FuzzParseState(f *testing.F) {
	f.Add(appendState(nil, newState(time.Unix(1795305600, 0))))
	f.Add(appendState(nil, busyState(time.Unix(1795305600, 0))))
	f.Add([]byte{})
	f.Add([]byte{stateVersion})
	f.Add([]byte{stateVersion1})
	f.Add(appendState(nil, &State{Customer: true}))
	old := appendState(nil, newState(time.Unix(1795305600, 0)))
	old = append(old[:len(old)-2], 1)                                                       // one event, as version 1 has it
	old = append(old, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 1, 'a', 1, 'b') // and no counters
	old[0] = stateVersion1
	f.Add(old)
	used := &State{}
	f.Fuzz(func(t *testing.T, plain []byte) {
		s, err := parseState(plain)
		if errUsed := readState(used, plain); (err == nil) != (errUsed == nil) {
			t.Fatalf("%v in new memory, %v in used", err, errUsed)
		}
		if err != nil {
			return
		}
		if fresh, same := appendState(nil, s), appendState(nil, used); !bytes.Equal(fresh, same) {
			t.Fatalf("read in used memory it is %x, in new %x", same, fresh)
		}
		if len(s.Events) > MaxStateEvents || len(s.Counters) > MaxEventWindows || len(s.Counted) > MaxEvents {
			t.Fatalf("%d events, %d counters, %d keys", len(s.Events), len(s.Counters), len(s.Counted))
		}
		again, err := parseState(appendState(nil, s))
		if err != nil {
			t.Fatalf("our own encoding was refused: %v", err)
		}
		if len(again.Events) == len(s.Events) && len(again.Counters) == len(s.Counters) && !reflect.DeepEqual(again, s) {
			t.Fatalf("round trip changed it:\n%+v\n%+v", s, again)
		}
	})
}

// FuzzOpenState checks that no text opens that was not sealed here.
func FuzzOpenState(f *testing.F) {
	sealer := testSealer(f)
	f.Add(sealer.SealState("other", newState(time.Unix(1795305600, 0))))
	f.Add("AQAA")
	f.Fuzz(func(t *testing.T, sealed string) {
		if s, err := sealer.OpenState("shop", sealed); err == nil {
			t.Fatalf("opened as %+v", s)
		}
	})
}

func BenchmarkSealState(b *testing.B) {
	sealer, s := testSealer(b), busyState(time.Now())
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = sealer.appendState(text[:0], "shop", s)
	}
}

func BenchmarkOpenState(b *testing.B) {
	sealer := testSealer(b)
	sealed := sealer.SealState("shop", busyState(time.Now()))
	var space stateSpace
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.openState(&space, "shop", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
