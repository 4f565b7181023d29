// SPDX-License-Identifier: Apache-2.0

package insight

import (
	"strings"
	"time"
)

// A Position is an event's place in the log: a message and the event's number
// in it.
type Position struct {
	Seq   uint64 `json:"seq"`
	Index int    `json:"index"`
}

// after reports whether p comes after q.
func (p Position) after(q Position) bool {
	return p.Seq > q.Seq || p.Seq == q.Seq && p.Index > q.Index
}

// A dayKey names the counts of one slot on one day (UTC).
type dayKey struct{ site, day, slot string }

const dayLayout = "2006-01-02"

func dayOf(at time.Time) string { return at.UTC().Format(dayLayout) }

// A day is a note: one slot's counts of one day.
type day struct {
	// Upto is the last event of the log that is in the counts, if it concerns
	// them. One at or before it was counted.
	Upto     Position           `json:"upto"`
	Variants map[string]*counts `json:"variants"`

	changed bool // since it was written
}

type counts struct {
	Shown   uint64 `json:"s,omitempty"`
	Clicked uint64 `json:"c,omitempty"`
}

// maxVariants bounds the variants of one note, which is then at most 50 KB; what
// comes after them is counted as otherVariants together.
const (
	maxVariants   = 500
	otherVariants = "*"
)

func (d *day) of(variant string) *counts {
	c := d.Variants[variant]
	if c == nil && len(d.Variants) >= maxVariants {
		variant = otherVariants
		c = d.Variants[variant]
	}
	if c == nil {
		c = &counts{}
		d.Variants[variant] = c
	}
	return c
}

const dayNotes = "counts.day"

func (k dayKey) note() string { return dayNotes + "." + k.site + "." + k.day + "." + k.slot }

// parseDayKey reads a note's key.
func parseDayKey(note string) (k dayKey, ok bool) {
	words := strings.Split(strings.TrimPrefix(note, dayNotes+"."), ".")
	if len(words) != 3 {
		return dayKey{}, false
	}
	return dayKey{words[0], words[1], words[2]}, true
}
