// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Events at 0, 24 and 48 hours, read at 72 hours with a half-life of a day:
// 1/8 + 1/4 + 1/2.
func TestAValueHalvesWithEachHalfLife(t *testing.T) {
	const day = 24 * 60
	for _, order := range [][]Minute{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		var d Decayed
		for _, n := range order {
			d.add(1000 + n*day)
		}
		if got := d.at(1000 + 3*day).Values[halfDay]; got != 0.875 {
			t.Errorf("in the order %v: %v, want 0.875", order, got)
		}
	}
}

// Whatever the order in which events become known, and at which moments between,
// the value is the sum of what is left of each.
func TestDecayIsTheSumOfWhatIsLeft(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var d Decayed
		var want [lives]float64
		const end = 200_000
		for range 1 + r.IntN(40) {
			at := Minute(1 + r.IntN(end))
			d.add(at)
			for i, life := range HalfLives {
				want[i] += math.Exp2(-float64(end-at) / float64(life))
			}
		}
		for i, got := range d.at(end).Values {
			if math.Abs(float64(got)-want[i]) > 1e-4*(1+want[i]) {
				t.Fatalf("half-life %d: %v, want %v", HalfLives[i], got, want[i])
			}
		}
	}
}

func TestFadeIsNearlyExact(t *testing.T) {
	for _, life := range HalfLives {
		for age := Minute(0); age < 40*life; age += 1 + age/50 {
			want := math.Exp2(-float64(age) / float64(life))
			if got := float64(fade(age, life)); math.Abs(got-want) > 2e-6*want {
				t.Fatalf("after %d minutes of half-life %d: %v, want %v", age, life, got, want)
			}
		}
		if got := fade(math.MaxUint32, life); got != 0 && life == HalfLives[halfHour] {
			t.Errorf("after for ever %v is left", got)
		}
	}
}
