// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nearside/nearside/edge"
)

// Rules is a loader that has the rules without code of a document beside what
// another loader loads. It reads their conditions itself, and only some:
//
//	field == "text"    "text" in field    both, and more, joined by &&
//
// A score is a whole number.
type Rules struct {
	edge.RuleLoader
	Doc *edge.ReleaseDocument
	// Windows are those that the rules say they count in.
	Windows []edge.EventWindow
	// Fails, when set, is what the rules fail with once they are loaded.
	Fails error
	// Missing, when set, is why they cannot be loaded.
	Missing error
	// Decided counts the calls.
	Decided atomic.Int32
}

// LoadRules implements edge.RuleLoader.
func (l *Rules) LoadRules(_ string, _ *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	if l.Missing != nil {
		return nil, l.Missing
	}
	set := &ruleSet{of: l}
	for i := range l.Doc.Slots {
		spec := &l.Doc.Slots[i]
		if len(spec.Candidates()) == 0 {
			continue
		}
		slot := edge.RuleSetSlot{Name: spec.Name}
		var candidates []ruleCandidate
		for _, at := range spec.Candidates() {
			c, err := readCandidate(spec, at, bind)
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, c)
			slot.Candidates = append(slot.Candidates, edge.RuleSetCandidate{
				Rule: c.rule.Name, Variant: c.rule.Show[at.Show].Variant, Reads: c.reads,
			})
			slot.Inputs = append(slot.Inputs, c.inputs...)
			set.reads = append(set.reads, c.reads...)
		}
		slices.Sort(slot.Inputs)
		slot.Inputs = slices.Compact(slot.Inputs)
		set.slots, set.candidates = append(set.slots, slot), append(set.candidates, candidates)
	}
	slices.Sort(set.reads)
	set.reads = slices.Compact(set.reads)
	return set, nil
}

// A ruleSet implements edge.RuleSet.
type ruleSet struct {
	of         *Rules
	slots      []edge.RuleSetSlot
	candidates [][]ruleCandidate
	reads      []string
}

// A ruleCandidate is a candidate with its condition read.
type ruleCandidate struct {
	rule           *edge.RuleSpec
	when           []atom
	score          int64
	salt, showSalt string // "" where every visitor is served
	from, until    int    // of showSalt's buckets
	reads, inputs  []string
}

// An atom is one part of a condition.
type atom struct {
	source, name, text string
	field              edge.FieldNumber
}

var atomPattern = regexp.MustCompile(`^(?:([a-z_.]+) == "([^"]*)"|"([^"]*)" in ([a-z_.]+))$`)

func readCandidate(slot *edge.SlotSpec, at edge.Candidate, bind map[string]int) (ruleCandidate, error) {
	c := ruleCandidate{rule: &slot.Ladder[at.Rung].Rules[at.Rule]}
	for _, source := range strings.Split(c.rule.When, " && ") {
		if source == "" {
			continue
		}
		m := atomPattern.FindStringSubmatch(source)
		if m == nil {
			return c, fmt.Errorf("rule %s: %q is no condition for tests", c.rule.Name, source)
		}
		a := atom{source: source, name: m[1] + m[4], text: m[2] + m[3]}
		if f, ok := edge.FieldByName(a.name); ok {
			a.field = f.Number
		} else if n, ok := bind[a.name]; ok {
			a.field = edge.FieldNumber(n)
		} else {
			return c, fmt.Errorf("rule %s: no field %q", c.rule.Name, a.name)
		}
		c.when, c.reads = append(c.when, a), append(c.reads, a.name)
	}
	c.inputs = slices.Clone(c.reads)
	if c.rule.Rollout > 0 && c.rule.Rollout < edge.Buckets {
		c.salt = edge.RolloutSalt(slot.Name, c.rule.Name)
		c.inputs = append(c.inputs, fmt.Sprintf("hash(%q)", c.salt))
	}
	if len(c.rule.Show) > 1 {
		c.showSalt = edge.ShowSalt(slot.Name, c.rule.Name)
		c.from, c.until = c.rule.Buckets(at.Show)
		c.inputs = append(c.inputs, fmt.Sprintf("hash(%q)", c.showSalt))
	}
	if c.salt+c.showSalt != "" {
		c.reads = append(c.reads, "visitor.id")
	}
	slices.Sort(c.reads)
	c.reads = slices.Compact(c.reads)
	if c.rule.Score != "" {
		var err error
		if c.score, err = strconv.ParseInt(c.rule.Score, 10, 64); err != nil {
			return c, fmt.Errorf("rule %s: score: %w", c.rule.Name, err)
		}
	}
	return c, nil
}

// Slots implements edge.RuleSet.
func (s *ruleSet) Slots() []edge.RuleSetSlot { return s.slots }

// Reads implements edge.RuleSet.
func (s *ruleSet) Reads() []string { return s.reads }

// Counts implements edge.RuleSet.
func (s *ruleSet) Counts() []edge.EventWindow { return s.of.Windows }

// Decide implements edge.RuleSet.
func (s *ruleSet) Decide(view *edge.View, slots []int, held []edge.Held) error {
	s.of.Decided.Add(1)
	view.Record(EncodeView)
	if s.of.Fails != nil {
		return s.of.Fails
	}
	for i, slot := range slots {
		held[i].Bits = [len(held[i].Bits)]uint64{}
		for n := range s.candidates[slot] {
			if c := &s.candidates[slot][n]; c.holds(view) {
				held[i].Bits[n>>6] |= 1 << (n & 63)
				held[i].Scores[n] = c.score
			}
		}
	}
	return nil
}

func (c *ruleCandidate) holds(view *edge.View) bool {
	for i := range c.when {
		if c.when[i].verdict(view) != edge.VerdictHeld {
			return false
		}
	}
	if c.salt+c.showSalt == "" {
		return true
	}
	id := view.Value(edge.FieldVisitorID)
	if !id.Known() || c.salt != "" && edge.Bucket(c.salt, id.Str) >= c.rule.Rollout {
		return false
	}
	bucket := edge.Bucket(c.showSalt, id.Str)
	return c.showSalt == "" || bucket >= c.from && bucket < c.until
}

func (a *atom) verdict(view *edge.View) string {
	v := view.Value(a.field)
	switch {
	case !v.Known():
		return edge.VerdictUnknown
	case v.Type == edge.TypeList && slices.Contains(v.List, a.text), v.Type == edge.TypeString && v.Str == a.text:
		return edge.VerdictHeld
	}
	return edge.VerdictFailed
}

// Explain implements edge.RuleSet.
func (s *ruleSet) Explain(view *edge.View, slot, candidate int, isKept bool) (*edge.Condition, error) {
	if s.of.Fails != nil {
		return nil, s.of.Fails
	}
	c := &s.candidates[slot][candidate]
	out := &edge.Condition{Text: c.rule.When, Words: c.rule.When, Op: "and", Verdict: edge.VerdictHeld}
	for i := range c.when {
		a := &c.when[i]
		part := edge.Condition{Text: a.source, Words: a.source, Op: "is", Field: a.name, Values: []string{a.text}, Verdict: a.verdict(view)}
		if v := view.Value(a.field); v.Known() {
			part.Saw = string(v.AppendJSON(nil))
		}
		if part.Verdict == edge.VerdictUnknown {
			cause := "absent"
			if !view.Mask().Has(a.field) {
				cause = "refused"
			}
			part.Unknown = []edge.UnknownField{{Field: a.name, Cause: cause}}
			out.Unknown = append(out.Unknown, part.Unknown...)
		}
		if out.Verdict == edge.VerdictHeld || part.Verdict == edge.VerdictFailed {
			out.Verdict = part.Verdict
		}
		out.Parts = append(out.Parts, part)
	}
	if isKept {
		out.Parts = append(out.Parts, edge.Condition{Text: "kept", Words: "kept", Op: "other", Verdict: edge.VerdictHeld})
	}
	return out, nil
}
