// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// explain says what a rule saw and what was withheld from it. It reads the
// same View the rule received.
func (d *decider) explain(rule *boundRule, rungName string, reason Reason) Try {
	t := Try{Rule: rule.id, Rung: rungName, Reason: reason.String(), Needs: uint32(rule.needs), Saw: []Saw{}, Withheld: d.withheld(rule.mask)}
	if reason != ReasonNoConsent { // else it did not run: it saw nothing
		t.Saw = d.saw(rule.mask, &d.views[d.view(rule.mask.And(d.allowed))])
	}
	return t
}

// explainCodeless says it of each of a rung's rules without code, of which one
// candidate stands for all: the one that held, else the first that could have.
func (d *decider) explainCodeless(s *slot, rg *rung) []Try {
	var tries []Try
	held := d.holding.of(s)
	for n, next := rg.codeless.from, 0; n < rg.codeless.until; n = next {
		rule := s.candidates[n].rule
		at, best := n, 0
		for next = n; next < rg.codeless.until && s.candidates[next].rule == rule; next++ {
			rank := 1
			if s.candidates[next].takesPart(d.visit.Now) {
				rank += 2
			}
			if held.has(next) {
				rank += 3
			}
			if rank > best {
				at, best = next, rank
			}
		}
		tries = append(tries, d.explainCandidate(s, rg, at))
	}
	return tries
}

// explainCandidate says what became of one candidate, and why in its rule's own
// terms.
func (d *decider) explainCandidate(s *slot, rg *rung, n int) Try {
	c := &s.candidates[n]
	held := d.holding.of(s)
	t := Try{Rule: c.rule.id, Rung: rg.name, Needs: uint32(d.purposes(c.reads)), Saw: []Saw{}, Withheld: d.withheld(c.reads)}
	switch {
	case c.rule.campaign != nil && !c.rule.campaign.includes(d.visit.Now):
		t.Outside = "campaign"
	case !c.variant.includes(d.visit.Now):
		t.Outside = "variant"
	}
	reason := ReasonNoAnswer
	switch {
	case held == nil:
		reason = ReasonFailed
	case t.Outside != "":
	case held.has(n):
		if reason = d.wasHeldBack(ruleAt{d.at.rung, codelessPlace}, n+1); reason == ReasonDefault {
			reason = ReasonRule
		}
	case len(t.Withheld) > 0:
		reason = ReasonNoConsent
	}
	t.Reason = reason.String()
	if held.has(n) {
		t.Score = held.Scores[n]
	}
	if d.holding.view < 0 {
		return t
	}
	view := &d.views[d.holding.view]
	t.Saw = d.saw(c.reads, view)
	if !d.mayExplain() {
		return t
	}
	condition, err := d.release.compiled.set.Explain(view, s.number, n, d.isKept(n))
	if err != nil {
		return t // the rest stands without it
	}
	t.Condition = condition
	if held != nil && !held.has(n) && t.Outside == "" && condition.Verdict == VerdictHeld {
		t.Outside = "share"
	}
	return t
}

// maxConditions is how many conditions are explained to one page: anybody may ask
// for an explanation where a site gives them, and to work one out takes many times
// what deciding does. Rules beyond it say what became of them without one.
const maxConditions = 200

// mayExplain reports whether another condition may be explained. Samples and
// replays, which only people with a role see, have no bound.
func (d *decider) mayExplain() bool {
	d.explained++
	return d.explained <= maxConditions || d.values != nil || d.then != nil
}

// has reports whether candidate n holds; nothing holds in no answer.
func (h *Held) has(n int) bool { return h != nil && h.Bits[n>>6]>>(n&63)&1 == 1 }

// purposes returns the purposes of fields.
func (d *decider) purposes(fields Mask) (p consent.Purposes) {
	for n := fields.Next(0); n >= 0; n = fields.Next(n + 1) {
		p |= d.release.field(n).Purpose
	}
	return p
}

func (d *decider) withheld(declared Mask) []Withheld {
	out := []Withheld{}
	hidden := declared.AndNot(d.allowed)
	for n := hidden.Next(0); n >= 0; n = hidden.Next(n + 1) {
		f := d.release.field(n)
		out = append(out, Withheld{Field: f.Name, Purpose: f.Purpose.String()})
	}
	return out
}

// saw lists the fields that have a value in a view. What only a function of the
// rule language reads is not shown: the page's scripts would learn the visitor's
// id, which the cookie hides from them.
func (d *decider) saw(declared Mask, view *View) []Saw {
	out := []Saw{}
	for n := declared.Next(0); n >= 0; n = declared.Next(n + 1) {
		f := d.release.field(n)
		if value := view.Value(n); value.Known() && !f.Internal() {
			out = append(out, Saw{Field: f.Name, Value: value.AppendJSON(nil)})
		}
	}
	return out
}
