// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
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
	for i := range MaxStateItems + 3 {
		s.Learn("view_item", now.Add(time.Duration(i-60)*time.Minute), ItemEvent{Item: "sku-" + strings.Repeat("x", i), Category: "hats-" + string(rune('a'+i%3))})
	}
	s.Learn("add_to_cart", now, ItemEvent{Item: "sku-x", Category: "hats-a", Quantity: 3, Price: 12.5}, ItemEvent{Item: "sock", Price: 4})
	s.Learn("remove_from_cart", now, ItemEvent{Item: "sku-x"})
	s.Learn("purchase", now.Add(-time.Hour), ItemEvent{Item: "sku-y"})
	s.Receipt = StateReceipt{ID: "r1", At: minuteOf(now), Purposes: 31, Prompt: "v1"}
	s.CountZone, s.Counted = eventKey("UTC"), []uint32{1, 1 << 31}
	s.Variations = []Variation{{Rule: 1 << 31, Variant: 7, At: minuteOf(now) - 9}, {Rule: 3, Variant: 1 << 31, At: minuteOf(now)}}
	s.Counters = []EventCount{
		{Event: "add_to_cart", From: 20770, Days: []DayCount{{20770, 1}, {20779, 300}}},
		{Event: "search"},
		{Event: "view_item", Days: []DayCount{{20778, 2}}},
	}
	return s
}

// equal reports whether two states say the same.
func equal(a, b *State) bool {
	x, y := *a, *b
	x.ids, y.ids, x.session, y.session = nil, nil, 0, 0 // memory, and what follows from the rest
	return reflect.DeepEqual(x, y)
}

func TestStateSurvivesSealing(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	sealer, want := testSealer(t), busyState(now)
	sealed := sealer.SealState("shop", want)
	got, err := sealer.OpenState("shop", sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !equal(got, want) {
		t.Errorf("state came back as %+v, want %+v", got, want)
	}
	if len(want.Items) != MaxStateItems || want.Items[0].ID != "sku-xxxxxx" {
		t.Errorf("the oldest items did not go first: %d items, first %q", len(want.Items), want.Items[0].ID)
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

// The largest history there can be fits, and what is dropped goes in its order.
func TestSealedStateNeverExceedsItsLimit(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now)
	for i := range 4 * MaxStateItems {
		item := ItemEvent{Item: fmt.Sprintf("%0*d", maxStateItem, i), Category: fmt.Sprintf("%0*d", maxStateWord, i), Quantity: 255, Price: 1e15}
		for _, name := range [...]string{"view_item", "add_to_cart", "purchase"} {
			if i%3 == 0 || name == "view_item" || i%3 == 1 && name != "purchase" {
				s.Learn(name, now.Add(time.Duration(i)*time.Minute), item)
			}
		}
	}
	for _, name := range activityNames[1:] {
		s.Learn(name, now)
	}
	for i := range MaxEventWindows {
		c := EventCount{Event: fmt.Sprintf("e%0*d", MaxNameBytes-1, i), From: 20000}
		for day := range Day(maxCountDays) {
			c.Days = append(c.Days, DayCount{20000 + day, 1 << 30})
		}
		s.Counters = append(s.Counters, c)
	}
	s.Receipt = StateReceipt{strings.Repeat("r", maxReceiptID), minuteOf(now), consent.All, strings.Repeat("p", MaxPromptBytes)}
	s.Counted = make([]uint32, MaxEvents)
	for i := range maxShown {
		shown := ShownTimes{Key: uint32(i), Count: MaxCapTimes}
		for j := range shown.At {
			shown.At[j] = minuteOf(now) - Minute(90*24*60-i-j)
		}
		s.Shown = append(s.Shown, shown)
	}
	for i := range uint32(MaxStateVariations) {
		s.assign(Variation{Rule: i, Variant: 1 << 31, At: minuteOf(now) - Minute(90*24*60-i)}, nil)
	}
	site := strings.Repeat("s", MaxSiteBytes)
	sealed := testSealer(t).SealState(site, s)
	if len(sealed) > MaxStateBytes {
		t.Errorf("sealed state has %d characters, at most %d", len(sealed), MaxStateBytes)
	}
	if got, err := testSealer(t).OpenState(site, sealed); err != nil || got.Journey != s.Journey || got.Receipt != s.Receipt {
		t.Errorf("the largest state does not open: %v", err)
	}
}

// What was only looked at is dropped before what was bought, and that before what is
// in the cart; of each the oldest first.
func TestTheOldestIsDroppedByRule(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now)
	for i, name := range []string{"add_to_cart", "purchase", "view_item", "view_item", "purchase", "add_to_cart"} {
		s.Learn(name, now.Add(time.Duration(i)*time.Minute), ItemEvent{Item: name + string(rune('0'+i)), Category: "hats"})
	}
	s.Learn("remove_from_cart", now, ItemEvent{Item: "add_to_cart0"})
	s.Counters = []EventCount{{Event: "search"}}
	s.Variations = []Variation{{Rule: 2, At: 1}, {Rule: 1, At: 2}}
	s.Shown = []ShownTimes{{Key: 1}}
	var order []string
	for {
		items, interests, counters, variations, shown := slices.Clone(s.Items), len(s.Interests), len(s.Counters), slices.Clone(s.Variations), len(s.Shown)
		if !s.drop() {
			break
		}
		for _, item := range items {
			if !slices.ContainsFunc(s.Items, func(i StateItem) bool { return i.ID == item.ID }) {
				order = append(order, item.ID)
			}
		}
		if len(s.Interests) < interests {
			order = append(order, "hats")
		}
		if len(s.Counters) < counters {
			order = append(order, "counts")
		}
		if len(s.Variations) < len(variations) {
			order = append(order, fmt.Sprint("variation", variations[0].Rule))
		}
		if len(s.Shown) < shown {
			order = append(order, "shown")
		}
	}
	if got, want := strings.Join(order, " "), "add_to_cart0 view_item2 view_item3 purchase1 purchase4 add_to_cart5 hats counts variation2 variation1 shown"; got != want {
		t.Errorf("dropped %s, want %s", got, want)
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
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now)
	add := func(name, item string, quantity uint8) {
		s.Learn(name, now, ItemEvent{Item: item, Category: "hats", Quantity: quantity, Price: 10})
	}
	add("view_item", "a", 1)
	add("view_item", "b", 1)
	add("view_item", "a", 1)
	add("add_to_cart", "a", 2)
	add("add_to_cart", "b", 1)
	add("add_to_cart", "a", 1)
	add("remove_from_cart", "a", 1)
	add("purchase", "b", 1)
	v := &Visit{State: s, Now: now}
	for field, want := range map[FieldNumber]string{
		FieldCart:      `[{"id":"a","quantity":2,"price":10}]`,
		FieldRecent:    `["a","b"]`,
		FieldBought:    `["b"]`,
		FieldCounters:  `{"add_to_cart":3,"purchase":1,"remove_from_cart":1,"view_item":3}`,
		FieldInterests: `{"hats":6}`,
		FieldOrders:    `1`,
	} {
		if got := string(fieldOf(v, field).AppendJSON(nil)); got != want {
			t.Errorf("%s = %s, want %s", fields[field].Name, got, want)
		}
	}
	v.Now = now.Add(24 * time.Hour)
	for field, want := range map[FieldNumber]string{
		FieldDayInterests: `{"hats":3}`, FieldHourInterests: `{}`, FieldInterests: `{"hats":5.7}`, FieldDaysSinceOrder: `1`,
	} {
		if got := string(fieldOf(v, field).AppendJSON(nil)); got != want {
			t.Errorf("a day later %s = %s, want %s", fields[field].Name, got, want)
		}
	}
}

// Events that become known late change nothing that came after them.
func TestLateEventsDoNotUndoLaterOnes(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now)
	item := ItemEvent{Item: "a", Category: "hats"}
	s.Learn("purchase", now, item)
	s.Learn("add_to_cart", now.Add(-6*time.Minute), item)
	s.Learn("view_item", now.Add(-7*time.Minute), item)
	v := &Visit{State: s, Now: now}
	if got := string(fieldOf(v, FieldCart).AppendJSON(nil)); got != `[]` {
		t.Errorf("cart = %s: it was bought since", got)
	}
	if got := fieldOf(v, FieldStage).Str; got != "customer" {
		t.Errorf("stage %s, want customer", got)
	}
	s.Learn("add_to_cart", now.Add(time.Minute), item)
	s.Learn("remove_from_cart", now.Add(10*time.Minute), item)
	s.Learn("add_to_cart", now.Add(2*time.Minute), item)
	if got := string(fieldOf(v, FieldCart).AppendJSON(nil)); got != `[]` {
		t.Errorf("cart = %s: it was taken out since", got)
	}
}

func TestStages(t *testing.T) {
	start := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	s := newState(start)
	now := start
	day := 24 * time.Hour
	steps := []struct {
		after  time.Duration
		event  string
		item   ItemEvent
		want   string
		intent string
	}{
		{0, "", ItemEvent{}, "unaware", ""},
		{time.Minute, "view_item", ItemEvent{Item: "a", Category: "hats"}, "unaware", ""},
		{time.Minute, "view_item", ItemEvent{Item: "b", Category: "socks"}, "browsing", ""},
		{time.Minute, "view_item", ItemEvent{Item: "c", Category: "hats"}, "comparing", ""},
		{8 * day, "", ItemEvent{}, "browsing", ""},
		{3 * day, "", ItemEvent{}, "comparing", ""},
		{time.Minute, "form_start", ItemEvent{}, "intent", "form"},
		{29 * time.Minute, "", ItemEvent{}, "intent", "form"},
		{time.Minute, "", ItemEvent{}, "abandoned", "form"},
		{time.Minute, "form_submit", ItemEvent{}, "comparing", ""},
		{time.Minute, "add_to_cart", ItemEvent{Item: "a"}, "intent", "cart"},
		{time.Minute, "remove_from_cart", ItemEvent{Item: "a"}, "comparing", ""},
		{time.Minute, "add_to_cart", ItemEvent{Item: "a"}, "intent", "cart"},
		{25 * time.Minute, "begin_checkout", ItemEvent{}, "intent", "cart"},
		{25 * time.Minute, "add_payment_info", ItemEvent{}, "intent", "cart"},
		{31 * time.Minute, "", ItemEvent{}, "abandoned", "cart"},
		{day, "purchase", ItemEvent{Item: "a"}, "customer", ""},
		{10 * day, "purchase", ItemEvent{Item: "b"}, "repeat", ""},
		{20 * day, "", ItemEvent{}, "repeat", ""},
		{time.Hour, "", ItemEvent{}, "lapsing", ""},
		{time.Minute, "add_to_cart", ItemEvent{Item: "c"}, "intent", "cart"},
		{31 * day, "", ItemEvent{}, "lapsing", ""},
	}
	for i, step := range steps {
		now = now.Add(step.after)
		s.touch(now)
		if step.event != "" {
			s.Learn(step.event, now, step.item)
		}
		sealed, err := parseState(appendState(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		v := &Visit{State: sealed, Now: now}
		if stage, intent := fieldOf(v, FieldStage).Str, fieldOf(v, FieldIntent).Str; stage != step.want || intent != step.intent {
			t.Errorf("step %d, %s after %s: %s %q, want %s %q", i, step.event, step.after, stage, intent, step.want, step.intent)
		}
		s = sealed
	}
}

// visitorOf is the state of a visitor of two weeks who did so much, and is counted in
// so many windows.
func visitorOf(viewed, put, bought, windows int) *State {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now.Add(-14 * 24 * time.Hour))
	s.Visits, s.Receipt = 4, StateReceipt{"Zx81aBcD93kQ", minuteOf(s.First), 159, "v1"}
	for i := range viewed {
		item := ItemEvent{Item: fmt.Sprintf("sku-%d", 1000+i), Category: []string{"hats", "scarves", "gloves"}[i%3], Price: 49.9}
		at := now.Add(time.Duration(i-viewed) * 97 * time.Minute)
		s.Learn("view_item", at, item)
		if i < put+bought {
			s.Learn("add_to_cart", at, item)
		}
		if i < bought {
			s.Learn("purchase", at, item)
		}
	}
	s.Last = now
	for _, event := range []string{"add_to_cart", "view_item"}[:windows] {
		c := EventCount{Event: event, From: 20772}
		for day := range Day(5) {
			c.Days = append(c.Days, DayCount{20772 + day, 3})
		}
		s.Counters = append(s.Counters, c)
	}
	for i := range minCountedKeys {
		s.Counted = append(s.Counted, uint32(i))
	}
	return s
}

// A small visitor looked at one thing; a typical one looked at a dozen, put two in
// the cart, bought two, and is counted in two windows; a heavy one did more than a
// state holds.
func TestStatesAreSmall(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state *State
		most  int
	}{
		{"small", visitorOf(1, 0, 0, 0), 272},
		{"typical", visitorOf(12, 2, 2, 2), 512},
		{"heavy", visitorOf(200, 16, 16, 2), 1400},
	} {
		n := len(testSealer(t).SealState("shop", tt.state))
		t.Logf("%s: %d characters", tt.name, n)
		if n > tt.most {
			t.Errorf("a %s state has %d characters, want at most %d", tt.name, n, tt.most)
		}
	}
}

// Browsers may bring states that older programs wrote. What they remember is kept,
// and the next write makes a state of this version of it.
func TestOlderStatesAreMigrated(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for version, text := range map[byte]string{
		1: "010102030000000000000000000000000004000000000000001813006b18b6026bdcb5026b2821006b0200000002efbeadde08a8026b01015613000000000000056861742d3104686174730700000018b6026b04030000000000000000056861742d3200",
		2: "020102030000000000000000000000000004000000000000001813006b18b6026bdcb5026b2821006b0200000002efbeadde08a8026b0101d626056861742d3104686174730700000018b6026b040300056861742d320000",
	} {
		plain, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		want := &State{
			Visitor: [16]byte{1, 2, 3}, Session: [8]byte{4}, First: now.Add(-48 * time.Hour), Last: now, Started: now.Add(-time.Minute),
			PreviousLast: now.Add(-47 * time.Hour), Visits: 2, Counted: []uint32{0xdeadbeef, 7},
		}
		want.Learn("view_item", now.Add(-time.Hour), ItemEvent{Item: "hat-1", Category: "hats", Price: 49.5})
		want.Learn("purchase", now, ItemEvent{Item: "hat-2", Quantity: 3})
		got, err := parseState(plain)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if !equal(got, want) {
			t.Errorf("version %d is read as %+v, want %+v", version, got, want)
		}
		again := appendState(nil, got)
		if again[0] != stateVersion {
			t.Errorf("written as version %d, want %d", again[0], stateVersion)
		}
		if got, err := parseState(again); err != nil || !equal(got, want) {
			t.Errorf("after the first write it is %+v, %v", got, err)
		}
	}
}

func TestPricesKeepTheirCents(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for _, price := range []float64{0, 0.01, 1.15, 12.29, 1e6 + 0.99, maxStatePrice, -3, 1e300} {
		s := &State{Last: now}
		s.Learn("add_to_cart", now, ItemEvent{Item: "a", Price: price})
		got, err := parseState(appendState(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		cart := fieldOf(&Visit{State: got, Now: now}, FieldCart).Items
		if want := max(0, min(price, maxStatePrice)); len(cart) != 1 || cart[0].Price != want {
			t.Errorf("price %v came back as %+v", price, cart)
		}
	}
}

// A state does not outlive its ages, nor an epoch that the site has ended.
func TestAStateEnds(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		name        string
		first, last time.Duration
		epoch       uint32
		want        bool
	}{
		{"seen lately", 300 * 24 * time.Hour, time.Hour, 2, false},
		{"not seen for half a year", 200 * 24 * time.Hour, StateMaxAge, 2, true},
		{"known for more than thirteen months", StateMaxLife, time.Hour, 2, true},
		{"of an epoch that has ended", time.Hour, time.Hour, 1, true},
		{"of an epoch to come", time.Hour, time.Hour, 3, false},
	} {
		s := &State{First: now.Add(-tt.first), Last: now.Add(-tt.last), Epoch: tt.epoch}
		if got := s.isOver(now, 2); got != tt.want {
			t.Errorf("%s: over %t, want %t", tt.name, got, tt.want)
		}
	}
}

// What one visitor's state leaves in a work space is not in the next one's.
func TestStateSpaceForgets(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	sealer := testSealer(t)
	var space stateSpace
	for range 2 {
		for _, want := range []*State{busyState(now), newState(now), {First: now, Last: now, History: History{Items: []StateItem{{ID: "a", Bought: 7}}}}} {
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
	for _, old := range []string{"01", "02"} {
		plain, err := hex.DecodeString(old + "0102030000000000000000000000000004000000000000001813006b18b6026bdcb5026b2821006b0200000000")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain[:len(plain)-1])
		f.Add(plain)
	}
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
		if len(s.Items) > MaxStateItems || len(s.Interests) > MaxStateInterests || len(s.Counters) > MaxEventWindows || len(s.Counted) > MaxEvents {
			t.Fatalf("%d items, %d interests, %d counters, %d keys", len(s.Items), len(s.Interests), len(s.Counters), len(s.Counted))
		}
		again, err := parseState(appendState(nil, s))
		if err != nil {
			t.Fatalf("our own encoding was refused: %v", err)
		}
		if !equal(again, s) {
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
	sealer, s := testSealer(b), visitorOf(12, 2, 2, 2)
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		text = sealer.appendState(text[:0], "shop", s)
	}
}

func BenchmarkOpenState(b *testing.B) {
	sealer := testSealer(b)
	sealed := sealer.SealState("shop", visitorOf(12, 2, 2, 2))
	var space stateSpace
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.openState(&space, "shop", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
