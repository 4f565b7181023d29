// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// modules checks the release's modules and loads those that no rule names, so
// that what a release carries can be put to work.
func (c *compiler) modules() {
	r := c.release
	c.refs, c.rules, c.bound = map[string]ModuleRef{}, map[string]Rule{}, map[string]int{}
	if n := len(r.doc.Modules); n > maxReleaseModules {
		c.bad("modules: %d, at most %d", n, maxReleaseModules)
		return
	}
	for _, f := range r.own {
		c.bound[f.Name] = int(f.Number)
	}
	versions := map[string]int{}
	for _, ref := range r.doc.Modules {
		if !hashPattern.MatchString(ref.Hash) {
			c.bad("modules: %s: hash is not a SHA-256 in lower-case hex", ref.Name)
			continue
		}
		if _, twice := c.refs[ref.ID()]; twice {
			c.bad("modules: %s stands twice", ref.ID())
			continue
		}
		versions[ref.Name]++
		c.refs[ref.ID()], c.refs[ref.Name] = ref, ref
	}
	for name, n := range versions {
		if n > 1 {
			delete(c.refs, name) // the name alone does not tell which
		}
	}
	named := map[string]bool{}
	r.doc.EachRule(func(rule *RuleSpec) { named[c.refs[rule.Module].ID()] = true })
	for _, ref := range r.doc.Modules {
		if known, ok := c.refs[ref.ID()]; ok && !named[ref.ID()] {
			c.load("modules: "+ref.Name, known)
		}
	}
}

// load loads a module with its settings, once.
func (c *compiler) load(at string, ref ModuleRef) Rule {
	key := ref.ID() + " " + string(ref.Settings)
	if rule, ok := c.rules[key]; ok {
		return rule // nil where it was refused before
	}
	if len(c.rules) == maxReleaseLoads {
		c.bad("%s: more than %d modules with settings of their own", at, maxReleaseLoads)
		return nil
	}
	rule, err := c.loader.Load(c.release.doc.Site, ref, c.bound)
	switch {
	case err != nil && c.partly:
		c.missing = append(c.missing, fmt.Errorf("%s: %w", at, err))
		rule = nil
	case err != nil:
		c.bad("%s: %w", at, err)
		rule = nil
	case rule.Manifest().ID() != ref.ID():
		c.bad("%s: %s: its manifest says %s", at, ref.ID(), rule.Manifest().ID())
		rule = nil
	}
	c.rules[key] = rule
	return rule
}

func (c *compiler) slots(variants map[string]map[string]*variant) {
	r := c.release
	r.slots = map[string]*slot{}
	if n := len(r.doc.Slots); n > maxReleaseSlots {
		c.bad("slots: %d, at most %d", n, maxReleaseSlots)
		return
	}
	for i := range r.doc.Slots {
		spec := &r.doc.Slots[i]
		kind, err := ParseKind(spec.Kind)
		if err != nil {
			c.bad("slots: %s: %w", spec.Name, err)
		}
		if len(spec.Name) > MaxNameBytes || !namePattern.MatchString(spec.Name) || r.slots[spec.Name] != nil {
			c.bad("slots: %q is taken or not lower-case words joined by dashes", spec.Name)
			continue
		}
		s := &slot{name: spec.Name, kind: kind, look: string(appendLook(nil, spec.Name, "", KindDefault, &text{}))}
		c.ladder(s, spec, variants[spec.Name])
		r.slots[spec.Name] = s
	}
}

// ladder compiles a slot's rungs: the live ladder, and beside it the one that
// would be live with the shadow rules in their place.
func (c *compiler) ladder(s *slot, spec *SlotSpec, variants map[string]*variant) {
	rules, last, shadows := 0, -1, map[string]bool{}
	for _, rs := range spec.Ladder {
		place := slices.Index(Rungs[:], rs.Rung)
		if place <= last {
			c.bad("slots: %s: rung %q is unknown or out of order, want %v", spec.Name, rs.Rung, Rungs)
		}
		last = place
		live, shadow := rung{name: rs.Rung}, rung{name: rs.Rung}
		for order, rule := range rs.Rules {
			if rule.Name != "" {
				continue // codeless binds it
			}
			rules++
			b, ok := c.bind(spec.Name, rule, variants)
			if !ok {
				continue
			}
			b.order = order
			if b.before != nil {
				b.before.order = order
			}
			shadow.rules = append(shadow.rules, b)
			if !rule.Shadow {
				live.rules = append(live.rules, b)
				continue
			}
			if shadows[b.module] {
				c.bad("slots: %s: module %s has two shadows", spec.Name, b.module)
			}
			shadows[b.module] = true
		}
		s.ladder, s.shadow = append(s.ladder, live), append(s.shadow, shadow)
	}
	if rules > maxReleaseRules {
		c.bad("slots: %s: %d rules with modules, at most %d", spec.Name, rules, maxReleaseRules)
	}
	if len(shadows) == 0 {
		s.shadow = nil
		return
	}
	for i := range s.shadow {
		s.shadow[i].rules = slices.DeleteFunc(s.shadow[i].rules, func(b boundRule) bool {
			return shadows[b.module] && !b.spec.Shadow
		})
	}
	s.tally = newShadowTally()
}

// bind puts a module's role to work in a slot: every variant the role may
// answer with must exist.
func (c *compiler) bind(slotName string, spec RuleSpec, variants map[string]*variant) (boundRule, bool) {
	at := "slots: " + slotName + ": rule " + spec.Module
	if spec.When != "" || spec.Score != "" || len(spec.Show) > 0 || spec.Campaign != "" {
		c.bad("%s: when, show, score and campaign are of a rule without code, which has a name and no module", at)
		return boundRule{}, false
	}
	ref, ok := c.refs[spec.Module]
	if !ok {
		c.bad("%s: there is no such module in the release, or several versions of it", at)
		return boundRule{}, false
	}
	if len(spec.Settings) > 0 {
		ref.Settings = spec.Settings
	}
	rule := c.load(at, ref)
	if rule == nil {
		dead := boundRule{id: ref.ID(), module: ref.Name, salt: slotName + "/" + ref.Name, rule: deadRule{}, spec: spec, made: madeOf(ref)}
		ok := c.partly && c.rollOut(at, slotName, &dead, variants)
		return dead, ok
	}
	m := rule.Manifest()
	role := spec.Role
	if role == "" {
		role = slotName
	}
	b := boundRule{
		id: m.ID(), module: m.Name, salt: slotName + "/" + m.Name, rule: rule, role: m.Slot(role),
		needs: consent.Purposes(m.Needs), spec: spec, made: madeOf(ref),
	}
	if b.role < 0 {
		c.bad("%s: the module has no role %q", at, role)
		return b, false
	}
	for _, name := range m.Slots[b.role].Variants {
		v := variants[name]
		if v == nil {
			c.bad("%s: the module may answer %q, and the slot has no such variant", at, name)
			continue
		}
		b.variants = append(b.variants, v)
	}
	for _, name := range m.Reads {
		n, ok := c.release.fieldNumber(name)
		if !ok {
			c.bad("%s: the module reads %q, which is no field of this site", at, name)
			continue
		}
		f := c.release.field(n)
		if f.Internal() {
			c.bad("%s: the module reads %q, which is for compiled rules alone", at, name)
		}
		if f.Purpose != 0 && b.needs == 0 {
			c.bad("%s: the module needs no purpose but reads %q, which needs %s", at, name, f.Purpose)
		}
		b.mask = b.mask.With(n)
	}
	b.say()
	ok = c.rollOut(at, slotName, &b, variants)
	return b, ok
}

// A deadRule stands where a module could not be loaded: it fails, so the slot
// falls to its next rung and the reason says why.
type deadRule struct{}

// Manifest implements Rule.
func (deadRule) Manifest() *Manifest { return &Manifest{} }

// Choose implements Rule.
func (deadRule) Choose(*View, int) (Answer, error) { return Answer{}, errNotLoaded }

var errNotLoaded = fmt.Errorf("the module is not loaded here: %w", ErrNotRun)

// rollOut checks a rule's share and binds the rule of those outside it.
func (c *compiler) rollOut(at, slotName string, b *boundRule, variants map[string]*variant) bool {
	if b.spec.Rollout < 0 || b.spec.Rollout > Buckets {
		c.bad("%s: rollout %d, want 0 to %d", at, b.spec.Rollout, Buckets)
	}
	before := b.spec.Before
	if before == nil {
		return true
	}
	switch {
	case b.spec.Shadow:
		c.bad("%s: a shadow reaches nobody, so there is nothing before it", at)
	case before.Name != "":
		c.bad("%s: before: %s is a rule without code, want one with a module", at, before.Name)
	case before.Rollout != 0 || before.Before != nil || before.Shadow:
		c.bad("%s: before: %s has a roll-out, a before or a shadow of its own", at, before.Module)
	case b.spec.Rollout == 0:
		c.bad("%s: before: %s, but no roll-out", at, before.Module)
	default:
		older, ok := c.bind(slotName, *before, variants)
		b.before = &older
		return ok
	}
	return false
}

// madeOf returns what a decision record says a rule was made of: the module's
// hash and that of its settings.
func madeOf(ref ModuleRef) (made ruleMade) {
	hash, _ := hex.DecodeString(ref.Hash) // it was matched before
	copy(made.module[:], hash)
	if len(ref.Settings) > 0 {
		made.settings = sha256.Sum256(ref.Settings)
	}
	made.madeMark = madeMark{strings.Clone(ref.ID()), markOf(made.module, made.settings)}
	return made
}
