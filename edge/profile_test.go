// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/nearside/nearside/edge/consent"
)

const keepTest = DefaultProfileDays * 24 * time.Hour

// busyProfile is a profile with something of everything.
func busyProfile(t testing.TB) *Profile {
	t.Helper()
	c := NewProfileChange(mergeDay, keepTest)
	s := busyState(mergeDay)
	c.Join(s.Visitor, &s.History)
	c.isVisit = true
	for i := range 20 {
		c.Learn(&BeaconEvent{ID: fmt.Sprint("e", i), Name: "purchase", Props: fmt.Appendf(nil, `{"transaction_id":"t%d","items":[{"item_id":"sku-%d","price":3.5}]}`, i, i)}, mergeDay.Add(time.Duration(i)*time.Minute))
		c.tell(Attribute{Name: fmt.Sprint("shop.f", i), Value: `"v"`, Origin: uint8(i % 4), Purpose: consent.Personalise, AtMillis: int64(i), ExpiresMillis: int64(i * 2)})
	}
	return (*Profile)(nil).With(c)
}

func TestAProfileSurvivesItsStoredForm(t *testing.T) {
	want := busyProfile(t)
	stored := AppendProfile(nil, want)
	got, err := ParseProfile(stored)
	if err != nil {
		t.Fatal(err)
	}
	if again := AppendProfile(nil, got); !bytes.Equal(again, stored) {
		t.Errorf("%x\n%x", stored, again)
	}
	if got.session != want.session || !reflect.DeepEqual(got.Attributes, want.Attributes) || !reflect.DeepEqual(got.Items, want.Items) || got.Lot != want.Lot || len(got.Linked) != 1 || !got.Linked[0].Merged {
		t.Errorf("%+v\n%+v", got, want)
	}
	t.Logf("%d bytes", len(stored))
}

func TestTheSizeOfAProfileCountsItsVariations(t *testing.T) {
	p := busyProfile(t)
	less := *p
	less.Variations = nil
	if n := len(p.Variations); n == 0 || p.Size()-less.Size() != n*int(unsafe.Sizeof(Variation{})) {
		t.Errorf("%d bytes with %d variations, %d without", p.Size(), n, less.Size())
	}
}

func TestAStoredProfileNeverExceedsItsLimit(t *testing.T) {
	p := busyProfile(t)
	for i := range 200 {
		p.Attributes = append(p.Attributes, Attribute{Name: fmt.Sprint("x.", i), Value: `"` + strings.Repeat("x", 1000) + `"`, AtMillis: int64(i)})
	}
	kept := len(p.Attributes)
	stored := AppendProfile(nil, p)
	if len(stored) > MaxProfileStored || len(p.Attributes) != kept {
		t.Errorf("%d bytes of %d attributes", len(stored), len(p.Attributes))
	}
}

func TestParseProfileRefuses(t *testing.T) {
	good := AppendProfile(nil, busyProfile(t))
	for n := range good {
		if _, err := ParseProfile(good[:n]); err == nil {
			t.Fatalf("%d bytes of %d are a profile", n, len(good))
		}
	}
	for name, bad := range map[string][]byte{
		"another version": append([]byte{profileVersion + 1}, good[1:]...), "more": append(bytes.Clone(good), 0), "too much": make([]byte, MaxProfileStored+1),
	} {
		if _, err := ParseProfile(bad); err == nil {
			t.Errorf("%s is a profile", name)
		}
	}
}

// FuzzParseProfile checks that no bytes make a profile panic, and that what is
// accepted means the same after a trip through our own encoder.
func FuzzParseProfile(f *testing.F) {
	f.Add(AppendProfile(nil, busyProfile(f)))
	f.Add(AppendProfile(nil, &Profile{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		p, err := ParseProfile(stored)
		if err != nil {
			return
		}
		out := AppendProfile(nil, p)
		again, err := ParseProfile(out)
		if err != nil {
			t.Fatalf("our own encoding was refused: %v", err)
		}
		if third := AppendProfile(nil, again); !bytes.Equal(out, third) {
			t.Fatalf("round trip changed it:\n%x\n%x", out, third)
		}
		// Whatever lies on disk can be gone on with.
		c := NewProfileChange(mergeDay, keepTest)
		c.Join([16]byte{1}, &busyState(mergeDay).History)
		c.Learn(&BeaconEvent{ID: "e", Name: "view_item", Props: []byte(`{"items":[{"item_id":"a","item_category":"b"}]}`)}, mergeDay)
		if next := p.With(c); len(AppendProfile(nil, next)) > MaxProfileStored || len(next.Linked) > MaxLinked {
			t.Fatalf("%+v", next)
		}
	})
}

// A change that is applied again, alone or after others, changes nothing twice; in
// which order changes come does not matter.
func TestChangesCountOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var changes []*ProfileChange
		for i := range 1 + r.IntN(5) {
			c := NewProfileChange(mergeDay.Add(time.Duration(r.IntN(100))*time.Minute), keepTest)
			if r.IntN(2) == 0 {
				c.Join([16]byte{byte(1 + r.IntN(3))}, someHistory(r, false))
			}
			for j := range r.IntN(4) {
				c.Learn(&BeaconEvent{ID: fmt.Sprint("e", i, j), Name: "purchase", Props: []byte(`{"items":[{"item_id":"a"}]}`)}, c.at)
			}
			for range r.IntN(4) {
				c.variations = append(c.variations, Variation{Rule: uint32(r.IntN(3)), Variant: uint32(r.IntN(2)), At: Minute(1 + r.IntN(9))})
			}
			changes = append(changes, c)
		}
		var once, again *Profile
		for _, c := range changes {
			once = once.With(c)
			again = again.With(c).With(c)
		}
		for _, i := range r.Perm(len(changes)) {
			again = again.With(changes[i])
		}
		if once.Journey.Orders != again.Journey.Orders || len(once.Linked) != len(again.Linked) || once.Lot != again.Lot || !sameHistory(&once.History, &again.History) {
			t.Fatalf("once:\n%+v\nagain:\n%+v", once, again)
		}
	}
}

func TestAPurchaseOfTwoSourcesIsOne(t *testing.T) {
	var p *Profile
	for _, id := range []string{"page-1", "till-1"} {
		c := NewProfileChange(mergeDay, keepTest)
		c.Learn(&BeaconEvent{ID: id, Name: "purchase", Props: []byte(`{"transaction_id":"R-1"}`)}, mergeDay)
		p = p.With(c)
	}
	if p.Journey.Orders != 1 {
		t.Errorf("%d orders", p.Journey.Orders)
	}
}

func TestAProfileEnds(t *testing.T) {
	p := busyProfile(t)
	c := NewProfileChange(mergeDay.Add(keepTest+time.Hour), keepTest)
	if next := p.With(c); len(next.Linked) != 0 || !next.History.isEmpty() || next.Began != minuteOf(c.at) {
		t.Errorf("%+v", next)
	}
	if p.IsOver(mergeDay.Add(keepTest-time.Hour), keepTest) {
		t.Error("it ends before its time")
	}
}

func TestOfManyLinksTheLotStays(t *testing.T) {
	var p *Profile
	for i := range MaxLinked + 5 {
		c := NewProfileChange(mergeDay, keepTest)
		c.Join([16]byte{1, byte(i)}, &History{})
		p = p.With(c)
	}
	if len(p.Linked) != MaxLinked || p.Lot != [16]byte{1, 0} || p.Linked[0].Visitor != p.Lot || p.Linked[1].Visitor[1] != 6 {
		t.Errorf("%d linked, lots by %x, then %x", len(p.Linked), p.Lot, p.Linked[1].Visitor)
	}
}

func TestAnswersOfAStrangerAreInTheState(t *testing.T) {
	sealer := testSealer(t)
	s := newState(mergeDay)
	for i := range 40 {
		s.tell(Attribute{Name: fmt.Sprint("shop.f", i), Value: `"` + strings.Repeat("x", i) + `"`, Origin: 3, Purpose: consent.Personalise, AtMillis: int64(i + 1)})
		s.limitAttributes(MaxStateAttributes, maxStateAttrBytes)
	}
	size := 0
	for i := range s.Attributes {
		size += s.Attributes[i].size()
	}
	if len(s.Attributes) > MaxStateAttributes || size > maxStateAttrBytes || s.attribute("shop.f39") == nil {
		t.Fatalf("%d attributes of %d bytes", len(s.Attributes), size)
	}
	s.Known = StatePerson{ProfileID{1}, minuteOf(mergeDay), 7}
	got, err := sealer.OpenState("shop", sealer.SealState("shop", s))
	if err != nil || !equal(got, s) {
		t.Fatalf("%v: %+v, want %+v", err, got, s)
	}
	before := *s.attribute("shop.f39")
	if s.tell(Attribute{Name: "shop.f39", Value: "1", AtMillis: 1}) || *s.attribute("shop.f39") != before {
		t.Error("what was told before takes the place of what was told later")
	}
	for s.drop() {
	}
	if !s.History.isEmpty() && s.Journey == (Journey{}) {
		t.Errorf("%+v is left", s.History)
	}
}

// A profile that begins with its counters knows all that ever was, any other knows the
// next day first.
func TestAProfileCountsByDays(t *testing.T) {
	logins, err := newCounting([]EventWindow{{Event: "login", Days: 7}})
	if err != nil {
		t.Fatal(err)
	}
	clock := countClock{time.UTC, eventKey("UTC"), dayOf(mergeDay, time.UTC)}
	change := func(by *counting, events ...string) *ProfileChange {
		c := NewProfileChange(mergeDay, keepTest)
		c.counting, c.clock = by, clock
		for _, id := range events {
			c.learn(&Release{counting: by}, &told{BeaconEvent: &BeaconEvent{ID: id, Name: "login"}, at: mergeDay})
		}
		return c
	}
	within := func(p *Profile) string {
		c := p.counter("login")
		if c == nil {
			return "none"
		}
		n, known := c.within(7, clock.today)
		return fmt.Sprint(n, known)
	}
	joining := func(isNew bool) *ProfileChange {
		c := change(logins, "b")
		c.Join([16]byte{1}, &History{})
		c.joined.isNew = isNew
		return c
	}
	none := (*Profile)(nil)
	for name, tt := range map[string]struct {
		p    *Profile
		want string
	}{
		"new":                               {none.With(change(logins, "a", "b")), "2 true"},
		"told again":                        {none.With(change(logins, "a")).With(change(logins, "a")), "1 true"},
		"from a browser that begins":        {none.With(joining(true)), "1 true"},
		"from a browser that did not count": {none.With(joining(false)), "0 false"},
		"not counted by the release it began with": {none.With(change(nil)).With(change(logins, "a")), "0 false"},
	} {
		if got := within(tt.p); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	// While the rules are not loaded, what there is stays.
	p := none.With(change(logins, "a"))
	if got := within(p.With(change(nil))); got != "1 true" {
		t.Errorf("without rules %s is left", got)
	}
}
