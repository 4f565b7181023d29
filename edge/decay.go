// SPDX-License-Identifier: Apache-2.0

package edge

import "math"

// A Minute is a moment, in minutes since 1970 (UTC), rounded down; 0 is none. A
// state keeps its times as minutes: it needs no more, and they take little room.
type Minute uint32

// HalfLives are what a Decayed counts with, in minutes: an hour, a day and
// fourteen days. They tell what is going on now, today, and by habit.
var HalfLives = [...]Minute{60, 24 * 60, 14 * 24 * 60}

// The half-lives by place in HalfLives.
const (
	halfHour = iota
	halfDay
	halfFortnight

	lives = 3
)

// A Decayed counts what fades: each thing counts one when it happens and half as
// much a half-life later. A value c of the time t becomes c·2^(−(u−t)/h) at a later
// time u, and what happened before t adds 2^(−(t−u)/h), so the order in which
// things become known does not matter.
type Decayed struct {
	At Minute
	// Values are by HalfLives.
	Values [lives]float32
}

// maxDecayed bounds a value: one that counts more says no more.
const maxDecayed = 1 << 20

// add counts what happened at a time.
func (d *Decayed) add(at Minute) {
	late := at < d.At
	if !late {
		*d = d.at(at)
	}
	for i := range d.Values {
		one := float32(1)
		if late {
			one = fade(d.At-at, HalfLives[i])
		}
		d.Values[i] = min(d.Values[i]+one, maxDecayed)
	}
}

// at returns d as it is at a time, which is d.At or later; for an earlier one it
// is d itself.
func (d Decayed) at(now Minute) Decayed {
	if now <= d.At {
		return d
	}
	for i := range d.Values {
		d.Values[i] *= fade(now-d.At, HalfLives[i])
	}
	d.At = now
	return d
}

// value returns the value of a half-life at a time, rounded to tenths: three things
// of this morning are 3.
func (d *Decayed) value(life int, now Minute) float64 {
	v := float64(d.Values[life])
	if now > d.At {
		v *= float64(fade(now-d.At, HalfLives[life]))
	}
	return math.Round(v*10) / 10
}

// grain is what a state keeps values in: sixty-fourths.
const grain = 64

// round rounds the values to what a state keeps.
func (d *Decayed) round() {
	for i, v := range d.Values {
		d.Values[i] = float32(grains(v)) / grain
	}
}

// grains returns a value in what a state keeps, rounded half up.
func grains(v float32) uint32 { return uint32(float64(v)*grain + 0.5) }

// fadeSteps is into how many parts a half-life is divided. Between two of them
// fade is a straight line, which is off by less than a millionth.
const fadeSteps = 256

var fades = func() (table [fadeSteps + 1]float32) {
	for i := range table {
		table[i] = float32(math.Exp2(-float64(i) / fadeSteps))
	}
	return table
}()

// fade returns 2^(−age/life).
func fade(age, life Minute) float32 {
	whole, rest := age/life, uint64(age%life)*fadeSteps
	if whole > 60 {
		return 0
	}
	step, between := rest/uint64(life), float32(rest%uint64(life))/float32(life)
	part := fades[step] + (fades[step+1]-fades[step])*between
	return part / float32(uint64(1)<<whole)
}
