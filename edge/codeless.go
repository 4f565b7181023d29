// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"math/bits"
	"slices"
	"time"
)

// compiledRules are a release's rules without code, ready to run.
type compiledRules struct {
	set RuleSet
	// bound stands for all of them in a decision record.
	bound boundRule
}

// compiledName is what a decision record calls the compiled rules.
const compiledName = "rules"

// A candidate is a Candidate ready to take part.
type candidate struct {
	rule    *boundRule // shared by the candidates of a rule
	variant *variant
	key     uint32 // as Variation.Variant
	always  bool   // it takes part at any time
	reads   Mask
}

// takesPart reports whether the candidate may be shown at a time, whatever its
// condition says.
func (c *candidate) takesPart(now time.Time) bool {
	return c.always || (c.rule.campaign == nil || c.rule.campaign.includes(now)) && c.variant.includes(now)
}

// A rungCodeless is a rung's share of its slot's candidates.
type rungCodeless struct {
	from, until int // their numbers, none where both are equal
	// bits has the bits of a Held that are theirs, and reads what they read.
	bits  [len(Held{}.Bits)]uint64
	reads Mask
}

func (w *rungCodeless) any() bool { return w.until > w.from }

// A holding is what the rules without code answer to one beacon.
type holding struct {
	ran    bool
	reason Reason // why they gave no answer: ReasonFailed, else ReasonDefault
	view   int    // of d.views, -1 when they did not run
	slots  []int  // the numbers of the slots that were asked for
	held   []Held // by slots
}

// free forgets what held and keeps the memory. The scores of what does not hold
// mean nothing.
func (h *holding) free() {
	for i := range h.held {
		h.held[i].Bits = [len(h.held[i].Bits)]uint64{}
	}
	*h = holding{slots: h.slots[:0], held: h.held[:0]}
}

// of returns what holds in a slot, nil where the rules gave no answer.
func (h *holding) of(s *slot) *Held {
	if at := slices.Index(h.slots, s.number); h.reason == ReasonDefault && at >= 0 {
		return &h.held[at]
	}
	return nil
}

// hold runs the rules without code, once a beacon, for all slots that it asks
// for, on what these slots' rules read: other slots' fields are neither encoded
// nor recorded.
func (d *decider) hold() {
	h := &d.holding
	if h.ran {
		return
	}
	h.ran, h.view = true, -1
	if d.then != nil && d.then.notRun(d.at) {
		h.reason = ReasonFailed
		return
	}
	var reads Mask
	for _, s := range d.slots {
		if s != nil && len(s.candidates) > 0 && !slices.Contains(h.slots, s.number) {
			h.slots = append(h.slots, s.number)
			reads.add(&s.reads)
		}
	}
	h.held = slices.Grow(h.held[:0], len(h.slots))[:len(h.slots)]
	h.view = d.view(reads.And(d.allowed))
	switch err := d.release.compiled.set.Decide(&d.views[h.view], h.slots, h.held); {
	case errors.Is(err, ErrNotRun):
		h.view, h.reason = -1, ReasonFailed
	case err != nil:
		h.reason = ReasonFailed
	}
}

// tryCodeless asks a rung's rules without code, all at once. The answer's variant
// is the number of the candidate that wins, counted from 1.
func (d *decider) tryCodeless(s *slot, w *rungCodeless, got *tried) {
	d.hold()
	got.view = d.holding.view
	held := d.holding.of(s)
	if held == nil {
		got.reason = ReasonFailed
		return
	}
	d.keepVariations(s, held)
	back := ReasonDefault
	for i, of := range w.bits {
		for word := of & held.Bits[i]; word != 0; word &= word - 1 {
			n := i<<6 + bits.TrailingZeros64(word)
			c := &s.candidates[n]
			if got.winner != nil && !c.rule.beats(held.Scores[n], got.winner, got.answer.Score) || !c.takesPart(d.visit.Now) {
				continue
			}
			if reason := d.holdBack(c.rule, c.variant, n+1, d.itemsOf(c.variant, nil)); reason != ReasonDefault {
				back = worse(back, reason)
				continue
			}
			got.winner, got.variant = c.rule, c.variant
			got.answer.Variant, got.answer.Score = n+1, held.Scores[n]
		}
	}
	switch {
	case got.winner != nil:
		got.reason = ReasonRule
	case back != ReasonDefault:
		got.reason = back
	case d.refused(s, w):
		got.reason = ReasonNoConsent
	default:
		got.reason = ReasonNoAnswer
	}
}

// refused reports whether a candidate of a rung that could have answered reads
// what was refused.
func (d *decider) refused(s *slot, w *rungCodeless) bool {
	if w.reads.within(&d.allowed) {
		return false
	}
	for n := w.from; n < w.until; n++ {
		if c := &s.candidates[n]; !c.reads.within(&d.allowed) && c.takesPart(d.visit.Now) {
			return true
		}
	}
	return false
}
