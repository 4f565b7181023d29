// SPDX-License-Identifier: Apache-2.0

package memo

import (
	"fmt"
	"testing"
)

const longest = 1024

// A site's usual headers stay: with one place each, some thirty pairs of five
// hundred would push each other out again and again.
func TestMemoHoldsWhatIsUsual(t *testing.T) {
	const usual = Entries / 8
	m := New[int](longest)
	missed := usual
	for round := 0; round < 8 && missed > 0; round++ {
		missed = 0
		for i := range usual {
			key := fmt.Appendf(nil, "Mozilla/5.0 (%d)", i)
			got, ok := m.Find(key)
			if !ok {
				missed++
				m.Keep(key, i)
			} else if got != i {
				t.Fatalf("key %d has the value of %d", i, got)
			}
		}
	}
	if missed > usual/100 {
		t.Errorf("%d of %d usual keys are still worked out each time", missed, usual)
	}
}

func TestMemoAllocs(t *testing.T) {
	m := New[int](longest)
	key := []byte("Mozilla/5.0 (X11)")
	m.Keep(key, 1)
	if n := testing.AllocsPerRun(100, func() { m.Find(key) }); n != 0 {
		t.Errorf("%.1f allocations to find a key, want 0", n)
	}
}

func TestMemoIsBounded(t *testing.T) {
	m := New[int](longest)
	for i := range 3 * Entries {
		m.Keep([]byte{byte(i), byte(i >> 8), byte(i >> 16)}, i)
	}
	held := 0
	for i := range 3 * Entries {
		if got, ok := m.Find([]byte{byte(i), byte(i >> 8), byte(i >> 16)}); ok {
			held++
			if got != i {
				t.Fatalf("key %d has the value of %d", i, got)
			}
		}
	}
	if held == 0 || held > Entries {
		t.Errorf("%d entries are held, want 1 to %d", held, Entries)
	}
	long := make([]byte, longest+1)
	m.Keep(long, 1)
	if _, ok := m.Find(long); ok {
		t.Error("a key over the limit is kept")
	}
}

// A key whose meaning changed, for one who reads it otherwise, is found anew.
func TestMemoReplacesAValue(t *testing.T) {
	m := New[int](longest)
	key := []byte("the same")
	check := func(value int) {
		m.Keep(key, value)
		if got, ok := m.Find(key); !ok || got != value {
			t.Fatalf("kept %d, found %d, %t", value, got, ok)
		}
	}
	check(1)
	check(2)
	for i := range 3 * Entries {
		m.Keep(fmt.Appendf(nil, "other %d", i), i)
	}
	check(3)
	check(4)
}
