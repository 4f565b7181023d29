// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"slices"
	"time"
)

// A rule with several variants chooses one by the visitor's id and the variants'
// weights. Which one a visitor has seen stays that visitor's: whoever changes the
// weights afterwards moves only those who have seen none, and a person who signs in
// in a second browser keeps what was seen first. Of several, as where a rule stopped
// showing one, the first that it shows counts.

// MaxStateVariations is how many variations a state or profile keeps: those of rules that
// are not live go first, then the oldest.
const MaxStateVariations = 16

// A Variation is a variant that a visitor saw of a rule that chooses by weight.
type Variation struct {
	Rule    uint32 // eventKey of ShowSalt
	Variant uint32 // eventKey of the variant's name
	At      Minute // when it was first seen
}

// A weighted is a rule without code that chooses by weight: its candidates are
// [from, until).
type weighted struct {
	id          string
	key         uint32 // as Variation.Rule
	from, until int
}

// A keptVariation is a candidate that took the place of the one that the weights chose.
type keptVariation struct{ slot, candidate int }

// assign notes what was seen and reports whether that changed the history. live are the
// keys of the rules that choose by weight now, nil where that is not known.
func (h *History) assign(v Variation, live []uint32) bool {
	known := h.variation(v.Rule, v.Variant)
	if known == nil && live != nil && len(h.Variations) >= MaxStateVariations {
		h.Variations = slices.DeleteFunc(h.Variations, func(v Variation) bool { return !slices.Contains(live, v.Rule) })
	}
	if !h.takes(v) {
		return false
	}
	if known != nil {
		known.At = v.At
	} else {
		h.Variations = append(h.Variations, v)
	}
	slices.SortFunc(h.Variations, compareVariations)
	if n := len(h.Variations) - MaxStateVariations; n > 0 {
		h.Variations = slices.Delete(h.Variations, 0, n)
	}
	return true
}

// disclose tells of it without names, which a release knows.
func (v *Variation) disclose() DisclosedVariation {
	return DisclosedVariation{At: v.At.Time(), Hash: v.Rule, VariantHash: v.Variant}
}

// takes reports whether a variation would change the history: of each the first time
// counts, and of too many the oldest is not kept.
func (h *History) takes(v Variation) bool {
	if known := h.variation(v.Rule, v.Variant); known != nil {
		return v.At < known.At
	}
	return len(h.Variations) < MaxStateVariations || compareVariations(v, h.Variations[0]) > 0
}

func compareVariations(a, b Variation) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Variant, b.Variant))
}

// variation returns the variation that is known of a rule's variant, nil for none.
func (h *History) variation(rule, variant uint32) *Variation {
	i := slices.IndexFunc(h.Variations, func(v Variation) bool { return v.Rule == rule && v.Variant == variant })
	if i < 0 {
		return nil
	}
	return &h.Variations[i]
}

// see adds the variation that an event says was seen, if there is one and known, which may
// be nil, would take it.
func (c *ProfileChange) see(r *Release, ev *BeaconEvent, id *DecisionID, at time.Time, known *Profile) {
	if !wasShown(ev, id) {
		return
	}
	if v, ok := r.variationOf(id, minuteOf(at)); ok && (known == nil || known.takes(v)) {
		c.variations = append(c.variations, v)
	}
}

// variationOf returns the variation that a decision was of; ok is false for one that no
// weights chose.
func (r *Release) variationOf(id *DecisionID, at Minute) (v Variation, ok bool) {
	s := r.slots[id.Slot]
	if s == nil || id.Variant == "" {
		return v, false
	}
	i := slices.IndexFunc(s.weighted, func(w weighted) bool { return w.id == id.Rule })
	if i < 0 {
		return v, false
	}
	return Variation{Rule: s.weighted[i].key, Variant: eventKey(id.Variant), At: at}, true
}

// keepVariations puts in the place of what the weights choose in a slot what the
// visitor has seen, where the rule still shows it. Doing so again changes nothing.
func (d *decider) keepVariations(s *slot, held *Held) {
	if d.then == nil && d.history() == nil {
		return // nothing is known to have been seen
	}
	for i := range s.weighted {
		w := &s.weighted[i]
		drawn := held.first(w.from, w.until)
		if drawn < 0 {
			continue
		}
		kept := d.seenOf(s, w)
		if kept < 0 || kept == drawn {
			continue
		}
		held.Bits[drawn>>6] &^= 1 << (drawn & 63)
		held.Bits[kept>>6] |= 1 << (kept & 63)
		held.Scores[kept] = held.Scores[drawn]
		d.kept = append(d.kept, keptVariation{d.slot, kept})
	}
}

// seenOf returns the candidate of a rule that the visitor saw first of those that take
// part, -1 for none. In a replay it is the one that was kept then.
func (d *decider) seenOf(s *slot, w *weighted) int {
	if d.then != nil {
		return d.then.keptOf(w)
	}
	h := d.history()
	if h == nil {
		return -1
	}
	for i := range h.Variations { // the earliest first
		v := &h.Variations[i]
		if v.Rule != w.key {
			continue
		}
		if n := s.candidateOf(w, v.Variant); n >= 0 && s.candidates[n].takesPart(d.visit.Now) {
			return n
		}
	}
	return -1
}

// weightedOf returns the rule with a key, and its slot; nil where there is none.
func (r *Release) weightedOf(key uint32) (*slot, *weighted) {
	for _, s := range r.slots {
		for i := range s.weighted {
			if s.weighted[i].key == key {
				return s, &s.weighted[i]
			}
		}
	}
	return nil, nil
}

// candidateOf returns the candidate of a rule that shows a variant, -1 for none.
func (s *slot) candidateOf(w *weighted, variant uint32) int {
	for n := w.from; n < w.until; n++ {
		if s.candidates[n].key == variant {
			return n
		}
	}
	return -1
}

// isKept reports whether a candidate of the slot that is decided took the place of
// the one that the weights chose.
func (d *decider) isKept(candidate int) bool {
	return slices.Contains(d.kept, keptVariation{d.slot, candidate})
}

// keptIn returns what was kept in a slot. Those of a slot are beside each other: slots
// are decided one after the other.
func (d *decider) keptIn(slot int) []keptVariation {
	from := slices.IndexFunc(d.kept, func(k keptVariation) bool { return k.slot == slot })
	if from < 0 {
		return nil
	}
	until := from
	for until < len(d.kept) && d.kept[until].slot == slot {
		until++
	}
	return d.kept[from:until]
}

// first returns the first candidate in [from, until) that holds, -1 for none.
func (h *Held) first(from, until int) int {
	for n := from; n < until; n++ {
		if h.has(n) {
			return n
		}
	}
	return -1
}
