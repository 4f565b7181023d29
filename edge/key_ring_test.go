// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// rotated is a ring with more keys, the last of which seals.
func rotated(t testing.TB, s *Sealer, r KeyRing, times int) KeyRing {
	t.Helper()
	for range times {
		var err error
		if r, err = s.Rotate(r, time.Now().Add(-time.Minute), 0); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func numberOf(t testing.TB, sealed string) byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 2 {
		t.Fatalf("%q is not sealed", sealed)
	}
	return raw[1]
}

func TestTheNewestKeySealsAndEachOpens(t *testing.T) {
	s, now := testSealer(t), time.Now()
	ring := s.FirstRing(now)
	var sealed []string
	for number := range 4 {
		text := s.SealState("shop", newState(now))
		if got := numberOf(t, text); int(got) != number {
			t.Errorf("key %d sealed, want %d", got, number)
		}
		sealed = append(sealed, text)
		ring = rotated(t, s, ring, 1)
		s.SetRing(ring, false)
	}
	preview, err := s.SealPreview("shop", "p1", now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.SetRing(rotated(t, s, ring, 1), false)
	if id, err := s.OpenPreview("shop", preview, now); id != "p1" || err != nil {
		t.Errorf("a preview of an older key: %q, %v", id, err)
	}
	for number, text := range sealed {
		if _, err := s.OpenState("shop", text); err != nil {
			t.Errorf("what key %d sealed: %v", number, err)
		}
		if _, err := s.OpenState("blog", text); err == nil {
			t.Errorf("what key %d sealed opens at another site", number)
		}
		if !s.isOutdated(text) {
			t.Errorf("what key %d sealed is not outdated", number)
		}
	}
	if s.isOutdated(s.SealState("shop", newState(now))) || s.isOutdated("") || s.isOutdated("!!!!") || s.isOutdated("AQ") {
		t.Error("what the newest key sealed, or nothing, is outdated")
	}
}

// A key's number is not what opens a text.
func TestANumberThatIsChangedOpensNothing(t *testing.T) {
	s := testSealer(t)
	s.SetRing(rotated(t, s, s.FirstRing(time.Now()), 2), false)
	raw, err := base64.RawURLEncoding.DecodeString(s.SealState("shop", newState(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	for number := range 256 {
		raw[1] = byte(number)
		_, err := s.OpenState("shop", base64.RawURLEncoding.EncodeToString(raw))
		if (err == nil) != (number == 2) || err != nil && !errors.Is(err, errSealed) {
			t.Errorf("number %d: %v", number, err)
		}
	}
}

func TestProfileIDOutlivesItsKey(t *testing.T) {
	s := testSealer(t)
	// The events of years are found by it: this is what it was before there were rings.
	const want = "3W3Oj64vvXOuzG7aO9zA9A"
	ring := rotated(t, s, s.FirstRing(time.Now()), 2)
	retired, err := ring.Retire(0, time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]KeyRing{"first": s.FirstRing(time.Now()), "rotated": ring, "key 0 retired": retired} {
		s.SetRing(r, false)
		if got := s.ProfileID("shop", "customer-4711"); got != want {
			t.Errorf("%s: ProfileID is %s, want %s", name, got, want)
		}
	}
}

// A key that is announced opens at once and seals at its time, without anybody
// doing anything.
func TestAnAnnouncedKeyOpensAtOnceAndSealsAtItsTime(t *testing.T) {
	s := testSealer(t)
	announced, err := s.Rotate(s.FirstRing(time.Now()), time.Now(), 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	early := testSealer(t) // a node whose clock is ahead
	early.ring.Store(useRing(announced, 1, false))
	s.SetRing(announced, false)
	if got := numberOf(t, s.SealState("shop", newState(time.Now()))); got != 0 {
		t.Errorf("key %d seals, want 0", got)
	}
	text := early.SealState("shop", newState(time.Now()))
	if _, err := s.OpenState("shop", text); err != nil || numberOf(t, text) != 1 || s.isOutdated(text) {
		t.Errorf("what the announced key sealed elsewhere: %v", err)
	}
	keys := announced.Keys(time.Now())
	if keys[0].State != KeySealing || keys[1].State != KeyAnnounced || !keys[0].Until.Equal(keys[1].From) || !keys[0].Retirable.Equal(keys[1].From.Add(StateMaxAge)) {
		t.Errorf("keys are %+v", keys)
	}
	time.Sleep(time.Until(keys[1].From) + 10*time.Millisecond)
	if got := numberOf(t, s.SealState("shop", newState(time.Now()))); got != 1 {
		t.Errorf("key %d seals after its time, want 1", got)
	}
	if s.ring.Load().then != nil {
		t.Error("the clock is asked still")
	}
	if keys := announced.Keys(time.Now()); keys[0].State != KeyOpening || keys[1].State != KeySealing {
		t.Errorf("keys are %+v", keys)
	}
}

func codeOfKey(err error) string {
	if known, ok := errors.AsType[*KeyError](err); ok {
		return known.Code
	}
	return fmt.Sprint(err)
}

func TestAKeyIsRetiredWhenNothingOfItCounts(t *testing.T) {
	s, now := testSealer(t), time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	ring, err := s.Rotate(s.FirstRing(now), now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	turn := now.Add(time.Hour)
	tests := []struct {
		name   string
		number int
		at     time.Time
		early  bool
		want   string // code, "" for retired
	}{
		{"the newest", 1, turn.Add(2 * StateMaxAge), true, KeyNeeded},
		{"one that is not there", 2, turn, true, KeyUnknown},
		{"a number that none has", 256, turn, true, KeyUnknown},
		{"a number below none", -1, turn, true, KeyUnknown},
		{"one that seals still", 0, turn.Add(-time.Second), true, KeyNeeded},
		{"one whose states count", 0, turn.Add(StateMaxAge - time.Second), false, KeyNeeded},
		{"one whose states count, by command", 0, turn, true, ""},
		{"one whose states do not count", 0, turn.Add(StateMaxAge), false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			left, err := ring.Retire(tt.number, tt.at, tt.early)
			if err != nil && codeOfKey(err) != tt.want || (err == nil) != (tt.want == "") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if want := map[bool]int{true: 1, false: 2}[err == nil]; len(left.keys) != want || len(ring.keys) != 2 {
				t.Errorf("%d keys left of %d, want %d of 2", len(left.keys), len(ring.keys), want)
			}
		})
	}
	if _, err := s.Rotate(ring, turn.Add(-time.Second), 0); codeOfKey(err) != KeyPending {
		t.Errorf("a second rotation before the first key seals: %v", err)
	}
}

// A key that was made while the clock was far ahead neither seals nor keeps another
// from it.
func TestAKeyOfAClockThatWasAheadHoldsNobodyUp(t *testing.T) {
	s, now := testSealer(t), time.Now()
	ring, err := s.Rotate(s.FirstRing(now), now.AddDate(4, 0, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	if ring, err = s.Rotate(ring, now, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	s.SetRing(ring, false)
	if got := numberOf(t, s.SealState("shop", newState(now))); got != 0 {
		t.Errorf("key %d seals, want 0", got)
	}
	time.Sleep(time.Until(ring.keys[2].from) + 10*time.Millisecond)
	if got := numberOf(t, s.SealState("shop", newState(now))); got != 2 {
		t.Errorf("key %d seals, want 2", got)
	}
	if ring, err = ring.Retire(1, time.Now(), true); err != nil || ring.Newest() != 2 {
		t.Errorf("the key cannot be retired: %v", err)
	}
}

func TestNumbersCountUpAndBeginAnew(t *testing.T) {
	s, now := testSealer(t), time.Now()
	ring := s.FirstRing(now)
	for i := range 300 {
		next, err := s.Rotate(ring, now, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1 + i%255; next.Newest() != want {
			t.Fatalf("rotation %d makes key %d, want %d", i, next.Newest(), want)
		}
		if ring, err = next.Retire(ring.Newest(), now, true); err != nil {
			t.Fatal(err)
		}
	}
	for len(ring.keys) < MaxRingKeys {
		ring = rotated(t, s, ring, 1)
	}
	if _, err := s.Rotate(ring, time.Now(), 0); codeOfKey(err) != KeyTooMany {
		t.Errorf("one key too many: %v", err)
	}
	if doc, err := ring.Document(); err != nil || len(doc) > MaxRingBytes {
		t.Errorf("the largest ring takes %d bytes, %v", len(doc), err)
	}
}

func TestARingIsReadAsItWasKept(t *testing.T) {
	s := testSealer(t)
	ring := rotated(t, s, s.FirstRing(time.Now()), 3)
	ring, err := ring.Retire(1, time.Now(), true)
	if err != nil {
		t.Fatal(err)
	}
	s.SetRing(ring, false)
	sealed := s.SealState("shop", newState(time.Now()))
	doc, err := ring.Document()
	if err != nil {
		t.Fatal(err)
	}
	other := testSealer(t) // another node of the house
	read, err := other.OpenRing(doc)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(read.Keys(time.Now())), fmt.Sprint(ring.Keys(time.Now())); got != want {
		t.Errorf("keys are %s, were %s", got, want)
	}
	other.SetRing(read, false)
	if _, err := other.OpenState("shop", sealed); err != nil {
		t.Errorf("another node: %v", err)
	}
	again, err := read.Document()
	if err != nil || !bytes.Equal(again, doc) {
		t.Errorf("written again it is %s, %v; was %s", again, err, doc)
	}
}

func TestOpenRingRefuses(t *testing.T) {
	s := testSealer(t)
	ring := rotated(t, s, s.FirstRing(time.Now()), 2)
	change := func(f func(*ringDocument)) string {
		doc, err := ring.Document()
		if err != nil {
			t.Fatal(err)
		}
		var d ringDocument
		if err := json.Unmarshal(doc, &d); err != nil {
			t.Fatal(err)
		}
		f(&d)
		if doc, err = json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	stranger, err := NewSealer(bytes.Repeat([]byte{8}, KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	foreign := rotated(t, stranger, stranger.FirstRing(time.Now()), 1)
	tests := map[string]string{
		"nothing":                     "",
		"no JSON":                     "{",
		"too much":                    change(func(*ringDocument) {}) + strings.Repeat(" ", MaxRingBytes),
		"a newer version":             change(func(d *ringDocument) { d.Version = 2 }),
		"no key":                      change(func(d *ringDocument) { d.Keys = nil }),
		"too many":                    change(func(d *ringDocument) { d.Keys = slices.Repeat(d.Keys, MaxRingKeys) }),
		"a key twice":                 change(func(d *ringDocument) { d.Keys[1].Number = 2 }),
		"a key under another number":  change(func(d *ringDocument) { d.Keys[1].Number = 3 }),
		"a bit of a key":              change(func(d *ringDocument) { d.Keys[1].Kept[20] ^= 1 }),
		"half a key":                  change(func(d *ringDocument) { d.Keys[1].Kept = d.Keys[1].Kept[:30] }),
		"no key where one is":         change(func(d *ringDocument) { d.Keys[1].Kept = nil }),
		"another key 0":               change(func(d *ringDocument) { d.Keys[0].Kept = d.Keys[1].Kept }),
		"another house's":             change(func(d *ringDocument) { d.Keys[1].Kept = foreign.keys[1].kept }),
		"the newest was replaced":     change(func(d *ringDocument) { d.Keys[2].Until = time.Now() }),
		"one that was never replaced": change(func(d *ringDocument) { d.Keys[1].Until = time.Time{} }),
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			if r, err := s.OpenRing([]byte(doc)); !errors.Is(err, ErrKeyRing) {
				t.Errorf("read as %v, %v; want ErrKeyRing", r.Keys(time.Now()), err)
			}
		})
	}
	if _, err := s.OpenRing([]byte(change(func(*ringDocument) {}))); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

// carryEngine is an engine with a site and what carries a state through it.
func carry(t *testing.T, e *Engine, state string, granted consent.Purposes, now time.Time) *Outcome {
	t.Helper()
	d := &decider{}
	release, err := CompileRelease([]byte(`{"schema":1,"site":"shop","settings":{"origins":["https://shop.example"],"languages":["en"]},"slots":[],"variants":[],"modules":[]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.begin(release, granted, false)
	d.live = release
	out := &Outcome{}
	e.openState(d, &Request{State: state, Now: now}, out)
	e.sealState(d, out)
	return out
}

func TestAStateOfAnOlderKeyIsSealedAnew(t *testing.T) {
	s, now := testSealer(t), time.Now()
	engine := New(Options{Node: "n", Locator: nowhere{}, Sealer: s})
	begun := newState(now)
	old := s.SealState("shop", begun)
	all := consent.Storage | consent.Profile
	if out := carry(t, engine, old, all, now); out.State != "" || out.DropState {
		t.Error("a state that nothing changes is sealed anew without a rotation")
	}
	ring := rotated(t, s, s.FirstRing(now), 1)
	s.SetRing(ring, false)
	out := carry(t, engine, old, all, now)
	got, err := s.OpenState("shop", out.State)
	if err != nil || got.Visitor != begun.Visitor || numberOf(t, out.State) != 1 {
		t.Fatalf("a state of an older key comes back as %q, %v", out.State, err)
	}
	fresh := strings.Clone(out.State)
	if out := carry(t, engine, fresh, all, now); out.State != "" {
		t.Error("it is sealed anew twice")
	}
	if out := carry(t, engine, old, consent.Storage, now); out.State != "" || out.DropState {
		t.Error("without profile it is written")
	}
	// Retired, the key opens nothing: its visitor starts fresh, the others stay.
	if ring, err = ring.Retire(0, now, true); err != nil {
		t.Fatal(err)
	}
	s.SetRing(ring, false)
	if out := carry(t, engine, fresh, all, now); out.State != "" || out.DropState {
		t.Error("a state of the key that seals does not stay")
	}
	out = carry(t, engine, old, all, now)
	if got, err = s.OpenState("shop", out.State); err != nil || got.Visitor == begun.Visitor {
		t.Errorf("a state of a retired key: %+v, %v; want a fresh one", got, err)
	}
	if out := carry(t, engine, old, consent.Storage, now); !out.DropState {
		t.Error("a state of a retired key is kept where none may begin")
	}
}

// While a node may lack a key that others have, it leaves alone what it cannot
// open.
func TestAStateOfAKeyThatIsNotKnownYetIsLeftAlone(t *testing.T) {
	behind, ahead, now := testSealer(t), testSealer(t), time.Now()
	ahead.SetRing(rotated(t, ahead, ahead.FirstRing(now), 1), false)
	state := ahead.SealState("shop", newState(now))
	engine := New(Options{Node: "n", Locator: nowhere{}, Sealer: behind})
	all := consent.Storage | consent.Profile
	behind.SetRing(behind.FirstRing(now), true)
	if out := carry(t, engine, state, all, now); out.State != "" || out.DropState {
		t.Errorf("the browser is told %q, drop %v", out.State, out.DropState)
	}
	if _, err := behind.OpenState("shop", state); !errors.Is(err, errSealed) {
		t.Errorf("it opens all the same: %v", err)
	}
	forged := "AQAA" + state[4:] // key 0 did not seal it
	if out := carry(t, engine, forged, all, now); out.State == "" {
		t.Error("a forgery is left alone")
	}
	behind.SetRing(behind.FirstRing(now), false)
	if out := carry(t, engine, state, all, now); out.State == "" {
		t.Error("a number that no key has is left alone")
	}
}

// TestHammerRing seals and opens while the ring is swapped.
func TestHammerRing(t *testing.T) {
	s := testSealer(t)
	var ended atomic.Bool
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			state := newState(time.Now())
			var space stateSpace
			var text []byte
			for !ended.Load() {
				text = s.appendState(text[:0], "shop", state)
				sealed := string(text)
				if got, err := s.openState(&space, "shop", sealed); err != nil || got.Visitor != state.Visitor {
					t.Errorf("what was just sealed: %v", err)
					return
				}
				s.isOutdated(sealed)
			}
		})
	}
	ring := s.FirstRing(time.Now())
	for i := range 200 {
		next, err := s.Rotate(ring, time.Now(), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		s.SetRing(next, i%2 == 0)
		time.Sleep(2 * time.Millisecond)
		if len(next.keys) > 20 { // those in use stay
			if next, err = next.Retire(int(next.keys[0].number), time.Now(), true); err != nil {
				t.Fatal(err)
			}
			s.SetRing(next, false)
		}
		ring = next
	}
	ended.Store(true)
	work.Wait()
	if got := numberOf(t, s.SealState("shop", newState(time.Now()))); int(got) != ring.Newest() {
		t.Errorf("key %d seals, want %d", got, ring.Newest())
	}
}
