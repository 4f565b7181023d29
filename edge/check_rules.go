// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"fmt"
	"slices"
)

// CheckRules reports what is wrong with the form of the document's audiences and
// rules without code, each fault of one of them as a *RuleError: names, what is
// shown and to whom, sizes. Their expressions are for a compiler to read.
func (d *ReleaseDocument) CheckRules() error {
	k := ruleCheck{doc: d, campaigns: map[string]bool{}}
	for i := range d.Campaigns {
		k.campaigns[d.Campaigns[i].Name] = true
	}
	k.audiences()
	for i := range d.Slots {
		k.slot(&d.Slots[i])
	}
	return errors.Join(k.errs...)
}

// A ruleCheck gathers what is wrong with the form of rules without code.
type ruleCheck struct {
	doc       *ReleaseDocument
	campaigns map[string]bool
	variants  map[string]bool // of the slot that is checked
	errs      []error
	at        RuleError // whose fault the next one is
}

// bad notes a fault of one member of the audience or rule that is checked.
func (k *ruleCheck) bad(member, code, format string, args ...any) {
	e := k.at
	e.Member, e.Code, e.Message = member, code, fmt.Sprintf(format, args...)
	k.errs = append(k.errs, &e)
}

func (k *ruleCheck) audiences() {
	if n := len(k.doc.Audiences); n > maxAudiences {
		k.errs = append(k.errs, fmt.Errorf("audiences: %d, at most %d", n, maxAudiences))
		return
	}
	seen := map[string]bool{}
	for i := range k.doc.Audiences {
		a := &k.doc.Audiences[i]
		k.at = RuleError{Audience: a.Name}
		if !validName(a.Name) || seen[a.Name] {
			k.bad("", "shape", "the name %.80q is taken or not lower-case words joined by dashes", a.Name)
		}
		seen[a.Name] = true
		if a.When == "" {
			k.bad("when", "shape", "the condition is missing")
		}
		k.expression("when", a.When)
	}
}

func (k *ruleCheck) expression(member, source string) {
	if n := len(source); n > MaxExpressionBytes {
		k.bad(member, "too-large", "%d bytes, at most %d", n, MaxExpressionBytes)
	}
}

func (k *ruleCheck) slot(s *SlotSpec) {
	k.variants = map[string]bool{}
	seen, candidates := map[string]bool{}, 0
	for i := range s.Ladder {
		for j := range s.Ladder[i].Rules {
			rule := &s.Ladder[i].Rules[j]
			if rule.Name == "" {
				continue
			}
			if len(seen) == 0 {
				k.slotVariants(s.Name)
			}
			k.at = RuleError{Slot: s.Name, Rule: rule.Name}
			if !validName(rule.Name) || seen[rule.Name] {
				k.bad("", "shape", "the name %.80q is taken in the slot or not lower-case words joined by dashes", rule.Name)
			}
			seen[rule.Name] = true
			candidates += len(rule.Show)
			k.rule(rule)
		}
	}
	if candidates > MaxCandidates {
		k.errs = append(k.errs, fmt.Errorf("slots: %s: the rules without code show %d variants together, at most %d", s.Name, candidates, MaxCandidates))
	}
}

func (k *ruleCheck) slotVariants(slot string) {
	for i := range k.doc.Variants {
		if k.doc.Variants[i].Slot == slot {
			k.variants[k.doc.Variants[i].Name] = true
		}
	}
}

func (k *ruleCheck) rule(rule *RuleSpec) {
	switch {
	case rule.Module != "" || rule.Role != "" || len(rule.Settings) > 0:
		k.bad("", "shape", "a rule with a name has no module, role or settings")
	case rule.Before != nil || rule.Shadow:
		k.bad("", "shape", "a rule without code has no before and no shadow")
	case rule.Rollout < 0 || rule.Rollout > Buckets:
		k.bad("", "shape", "rollout %d, want 0 to %d", rule.Rollout, Buckets)
	case rule.Campaign != "" && !k.campaigns[rule.Campaign]:
		k.bad("", "shape", "there is no campaign %.80q", rule.Campaign)
	}
	k.expression("when", rule.When)
	k.expression("score", rule.Score)
	k.show(rule)
}

func (k *ruleCheck) show(rule *RuleSpec) {
	if n := len(rule.Show); n == 0 || n > MaxCandidates {
		k.bad("show", "shape", "%d variants, want 1 to %d", n, MaxCandidates)
		return
	}
	for i, show := range rule.Show {
		twice := slices.ContainsFunc(rule.Show[:i], func(s ShowSpec) bool { return s.Variant == show.Variant })
		least := 1
		if len(rule.Show) == 1 {
			least = 0
		}
		switch from, until := rule.Buckets(i); {
		case !k.variants[show.Variant]:
			k.bad("show", "shape", "the slot has no variant %.80q", show.Variant)
		case twice:
			k.bad("show", "shape", "variant %s stands twice", show.Variant)
		case show.Weight < least || show.Weight > Buckets:
			k.bad("show", "shape", "the weight of %s is %d, want %d to %d", show.Variant, show.Weight, least, Buckets)
		case from == until:
			k.bad("show", "shape", "the weight of %s is too small beside the others: nobody would see it", show.Variant)
		}
	}
}
