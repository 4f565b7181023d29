// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"slices"
)

// plans checks the campaigns.
func (c *compiler) plans() {
	campaigns := map[string]*campaign{}
	c.release.campaigns = campaigns
	if n := len(c.release.doc.Campaigns); n > maxCampaigns {
		c.bad("campaigns: %d, at most %d", n, maxCampaigns)
		return
	}
	for i := range c.release.doc.Campaigns {
		spec := &c.release.doc.Campaigns[i]
		if !validName(spec.Name) || campaigns[spec.Name] != nil {
			c.bad("campaigns: %q is taken or not lower-case words joined by dashes", spec.Name)
			continue
		}
		at := "campaigns: " + spec.Name
		campaigns[spec.Name] = &campaign{
			period: c.period(at, spec.State, spec.From, spec.Until), transactional: spec.Transactional,
			limit: c.limit(at, spec.Cap, capCampaign, spec.Name), quiet: c.quiet(at, spec.Quiet),
		}
	}
}

func validName(name string) bool { return len(name) <= MaxNameBytes && namePattern.MatchString(name) }

// codeless checks the rules without code and loads what they were
// compiled to.
func (c *compiler) codeless(variants map[string]map[string]*variant) {
	r := c.release
	if err := r.doc.CheckRules(); err != nil {
		c.bad("%w", err)
		return
	}
	if !slices.ContainsFunc(r.doc.Slots, func(s SlotSpec) bool { return len(s.Candidates()) > 0 }) {
		return
	}
	if r.doc.Compiled == nil || !hashPattern.MatchString(r.doc.Compiled.Hash) {
		c.bad("compiled: the hash of what the rules without code were compiled to is missing or not a SHA-256 in lower-case hex")
	}
	if len(c.errs) > 0 {
		return // there is no release to load them for
	}
	for i := range r.doc.Slots {
		spec := &r.doc.Slots[i]
		c.candidates(r.slots[spec.Name], spec, variants[spec.Name])
	}
	set, err := c.loader.LoadRules(r.doc.Site, r.doc.Compiled, c.bound)
	if err == nil {
		err = c.agree(set)
	}
	switch {
	case err == nil:
	case c.partly:
		c.missing = append(c.missing, fmt.Errorf("compiled: %w", err))
		r.compiled, r.counting = &compiledRules{set: deadRules{}}, nil
	default:
		c.bad("compiled: %w", err)
		return
	}
	r.compiled.bound = boundRule{id: compiledName, made: madeOf(ModuleRef{Hash: r.doc.Compiled.Hash})}
	r.compiled.bound.made.id = compiledName
}

// candidates binds a slot's rules without code.
func (c *compiler) candidates(s *slot, spec *SlotSpec, variants map[string]*variant) {
	var rule *boundRule
	for n, at := range spec.Candidates() {
		from := &spec.Ladder[at.Rung].Rules[at.Rule]
		if at.Show == 0 {
			rule = &boundRule{id: from.Name, spec: *from, order: at.Rule, campaign: c.release.campaigns[from.Campaign]}
			rule.say()
			if many := len(from.Show); many > 1 {
				key := eventKey(ShowSalt(s.name, from.Name))
				s.weighted = append(s.weighted, weighted{from.Name, key, n, n + many})
				c.release.weightKeys = append(c.release.weightKeys, key)
			}
		}
		shown := from.Show[at.Show].Variant
		v := variants[shown]
		always := v.always() && (rule.campaign == nil || rule.campaign.always())
		s.candidates = append(s.candidates, candidate{rule: rule, variant: v, key: eventKey(shown), always: always})
		for _, ladder := range [][]rung{s.ladder, s.shadow} {
			if ladder == nil {
				continue
			}
			w := &ladder[at.Rung].codeless
			if !w.any() {
				w.from = n
			}
			w.until = n + 1
			w.bits[n>>6] |= 1 << (n & 63)
		}
	}
}

// agree checks that a module is what the release's rules were compiled to, and
// takes from it what each candidate reads.
func (c *compiler) agree(set RuleSet) error {
	r := c.release
	mask, err := c.readMask(set.Reads())
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for number, of := range set.Slots() {
		s := r.slots[of.Name]
		if s == nil || seen[of.Name] || len(of.Candidates) != len(s.candidates) {
			return fmt.Errorf("slot %q: the module has %d candidates for it, the release others", of.Name, len(of.Candidates))
		}
		seen[of.Name] = true
		s.number = number
		for n := range of.Candidates {
			has, want := &of.Candidates[n], &s.candidates[n]
			if has.Rule != want.rule.id || has.Variant != want.variant.name {
				return fmt.Errorf("slot %q: candidate %d is %s of rule %s in the module and %s of rule %s in the release",
					of.Name, n, has.Variant, has.Rule, want.variant.name, want.rule.id)
			}
			if want.reads, err = c.readMask(has.Reads); err != nil {
				return fmt.Errorf("slot %q: rule %s: %w", of.Name, has.Rule, err)
			}
			if want.reads.AndNot(mask) != (Mask{}) {
				return fmt.Errorf("slot %q: rule %s reads more than the module says", of.Name, has.Rule)
			}
			s.reads = s.reads.Or(want.reads)
		}
		s.shareReads()
	}
	for name, s := range r.slots {
		if len(s.candidates) > 0 && !seen[name] {
			return fmt.Errorf("slot %q: the module has none of its rules", name)
		}
	}
	r.compiled = &compiledRules{set: set}
	r.counting, err = newCounting(set.Counts())
	return err
}

// shareReads tells each rung what its candidates read.
func (s *slot) shareReads() {
	for _, ladder := range [][]rung{s.ladder, s.shadow} {
		for i := range ladder {
			w := &ladder[i].codeless
			for n := w.from; n < w.until; n++ {
				w.reads = w.reads.Or(s.candidates[n].reads)
			}
		}
	}
}

func (c *compiler) readMask(names []string) (mask Mask, err error) {
	for _, name := range names {
		n, ok := c.release.fieldNumber(name)
		if !ok {
			return mask, fmt.Errorf("it reads %q, which is no field of this site", name)
		}
		mask = mask.With(n)
	}
	return mask, nil
}

// deadRules stand where the rules without code could not be loaded: they fail,
// so each slot goes on with what else it has.
type deadRules struct{}

// Slots implements RuleSet.
func (deadRules) Slots() []RuleSetSlot { return nil }

// Reads implements RuleSet.
func (deadRules) Reads() []string { return nil }

// Counts implements RuleSet.
func (deadRules) Counts() []EventWindow { return nil }

// Decide implements RuleSet.
func (deadRules) Decide(*View, []int, []Held) error { return errNotLoaded }

// Explain implements RuleSet.
func (deadRules) Explain(*View, int, int, bool) (*Condition, error) { return nil, errNotLoaded }
