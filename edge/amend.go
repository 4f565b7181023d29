// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Placement puts a module's role to work in a rung of a slot.
type Placement struct {
	Module ModuleRef `json:"module"`
	Slot   string    `json:"slot"`
	Rung   string    `json:"rung"`
	// Role, Settings, Priority and Because are those of RuleSpec. What is empty
	// is taken from the rule that the placement replaces.
	Role     string            `json:"role,omitempty"`
	Settings json.RawMessage   `json:"settings,omitempty"`
	Priority int               `json:"priority,omitempty"`
	Because  map[string]string `json:"because,omitempty"`
	// Rollout is the share of the 10,000 buckets that get the rule; 0 is all.
	// The others keep the rule that it replaces.
	Rollout int `json:"rollout,omitempty"`
	// Shadow only compares: see RuleSpec.
	Shadow bool `json:"shadow,omitempty"`
}

// An AmendError says which part of a change to a release document cannot be.
type AmendError struct {
	Field   string // slot, rung, module or rollout
	Message string
}

func (e *AmendError) Error() string { return e.Field + ": " + e.Message }

func amendError(field, format string, args ...any) error {
	return &AmendError{field, fmt.Sprintf(format, args...)}
}

// Place puts a module to work: in the place of the rung's rule of the same
// module name if there is one, else as the rung's last rule. A gradual release
// keeps what served before; a shadow leaves the live rules alone; anything else
// ends the module's shadow in the slot. The document is not compiled, and an
// *AmendError leaves it as it was.
func (d *ReleaseDocument) Place(p Placement) error {
	slot, err := d.slot(p.Slot)
	if err != nil {
		return err
	}
	switch {
	case !slices.Contains(Rungs[:], p.Rung):
		return amendError("rung", "%q is none of %s", p.Rung, strings.Join(Rungs[:], ", "))
	case p.Module.Name == "" || p.Module.Version == "" || !hashPattern.MatchString(p.Module.Hash):
		return amendError("module", "name, version and hash must be given")
	case p.Rollout < 0 || p.Rollout > Buckets:
		return amendError("rollout", "%d, want 0 to %d", p.Rollout, Buckets)
	case p.Shadow && p.Rollout != 0:
		return amendError("rollout", "a shadow reaches nobody")
	}
	known := d.module(p.Module.ID())
	if known != nil && known.Hash != p.Module.Hash {
		return amendError("module", "%s is another module in this release: a version never changes", p.Module.ID())
	}
	used := d.used()
	d.PinVersions()
	p.Module.Settings = nil
	switch {
	case known == nil:
		d.Modules = append(d.Modules, p.Module)
	case p.Module.Signature != "":
		known.Signature = p.Module.Signature
	}
	slot.dropShadows(p.Module.Name)
	rung := slot.rung(p.Rung)
	next := RuleSpec{Module: p.Module.ID(), Role: p.Role, Priority: p.Priority, Because: p.Because, Settings: p.Settings, Shadow: p.Shadow}
	at := slices.IndexFunc(rung.Rules, func(r RuleSpec) bool { return !r.Shadow && moduleName(r.Module) == p.Module.Name })
	if at >= 0 {
		d.inherit(&next, &rung.Rules[at])
	}
	switch {
	case p.Shadow, at < 0:
		if p.Rollout != Buckets {
			next.Rollout = p.Rollout
		}
		rung.Rules = append(rung.Rules, next)
	default:
		next.follow(rung.Rules[at], p.Rollout)
		rung.Rules[at] = next
	}
	d.prune(used)
	return nil
}

// inherit fills what a placement leaves open from the rule it replaces.
func (d *ReleaseDocument) inherit(next, old *RuleSpec) {
	if next.Role == "" {
		next.Role = old.Role
	}
	if next.Priority == 0 {
		next.Priority = old.Priority
	}
	if next.Because == nil {
		next.Because = old.Because
	}
	if len(next.Settings) == 0 {
		next.Settings = old.Settings
	}
	if ref, ok := d.Module(old.Module); ok && len(next.Settings) == 0 {
		next.Settings = ref.Settings
	}
}

// follow sets a rule's share and who serves the others: the rule that served
// all before, whichever shares came between.
func (r *RuleSpec) follow(old RuleSpec, share int) {
	if share == 0 || share == Buckets {
		return
	}
	if old.Before != nil {
		old = *old.Before
	}
	r.Rollout = share
	if old.Module != r.Module {
		old.Rollout, old.Before = 0, nil
		r.Before = &old
	}
}

// Share sets how many of the 10,000 buckets a module's rules in a slot reach.
// Buckets completes the release: what served before goes. 0 takes it back: what
// served before serves all, and a rule that nothing came before goes.
func (d *ReleaseDocument) Share(slotName, module string, share int) error {
	if share < 0 || share > Buckets {
		return amendError("rollout", "%d, want 0 to %d", share, Buckets)
	}
	slot, err := d.slot(slotName)
	if err != nil {
		return err
	}
	used, found := d.used(), false
	for i := range slot.Ladder {
		rules := &slot.Ladder[i].Rules
		for j := 0; j < len(*rules); j++ {
			rule := &(*rules)[j]
			if rule.Shadow || !d.Runs(rule, module) {
				continue
			}
			found = true
			switch {
			case share == Buckets:
				rule.Rollout, rule.Before = 0, nil
			case share > 0:
				rule.Rollout = share
			case rule.Before != nil:
				*rule = *rule.Before
			default:
				*rules = slices.Delete(*rules, j, j+1)
				j--
			}
		}
	}
	if !found {
		return amendError("module", "%s has no live rule in slot %s", module, slotName)
	}
	d.prune(used)
	return nil
}

// Remove takes a module, by name or by name@version, out of a slot: its rules
// and its shadows. Where it was rolled out gradually, what served before serves
// all.
func (d *ReleaseDocument) Remove(slotName, module string) error {
	slot, err := d.slot(slotName)
	if err != nil {
		return err
	}
	used, found := d.used(), false
	for i := range slot.Ladder {
		var left []RuleSpec
		for _, rule := range slot.Ladder[i].Rules {
			if rule.Before != nil && d.Runs(rule.Before, module) {
				rule.Before, found = nil, true
			}
			if !d.Runs(&rule, module) {
				left = append(left, rule)
				continue
			}
			found = true
			if rule.Before != nil {
				left = append(left, *rule.Before)
			}
		}
		slot.Ladder[i].Rules = left
	}
	if !found {
		return amendError("module", "%s has no rule in slot %s", module, slotName)
	}
	d.prune(used)
	return nil
}

// EndShadows takes the shadows of a module, by name, out of a slot.
func (d *ReleaseDocument) EndShadows(slotName, module string) error {
	slot, err := d.slot(slotName)
	if err != nil {
		return err
	}
	used := d.used()
	if !slot.dropShadows(moduleName(module)) {
		return amendError("module", "%s has no shadow in slot %s", module, slotName)
	}
	d.prune(used)
	return nil
}

// Ladder returns a slot's ladder, nil for a slot that the site lacks.
func (d *ReleaseDocument) Ladder(slot string) []RungSpec {
	s, err := d.slot(slot)
	if err != nil {
		return nil
	}
	return s.Ladder
}

func (d *ReleaseDocument) slot(name string) (*SlotSpec, error) {
	for i := range d.Slots {
		if d.Slots[i].Name == name {
			return &d.Slots[i], nil
		}
	}
	return nil, amendError("slot", "the site has no slot %q", name)
}

// rung returns a slot's rung, made in its place if the ladder lacks it.
func (s *SlotSpec) rung(name string) *RungSpec {
	place := slices.Index(Rungs[:], name)
	at := len(s.Ladder)
	for i := range s.Ladder {
		if s.Ladder[i].Rung == name {
			return &s.Ladder[i]
		}
		if slices.Index(Rungs[:], s.Ladder[i].Rung) > place {
			at = min(at, i)
		}
	}
	s.Ladder = slices.Insert(s.Ladder, at, RungSpec{Rung: name})
	return &s.Ladder[at]
}

// dropShadows takes a module's shadows out and reports whether there were any.
func (s *SlotSpec) dropShadows(name string) (found bool) {
	for i := range s.Ladder {
		s.Ladder[i].Rules = slices.DeleteFunc(s.Ladder[i].Rules, func(r RuleSpec) bool {
			drop := r.Shadow && moduleName(r.Module) == name
			found = found || drop
			return drop
		})
	}
	return found
}

// Runs reports whether a rule of the document runs a module, called by name or
// name@version. A rule without code runs none.
func (d *ReleaseDocument) Runs(r *RuleSpec, module string) bool {
	ref, ok := d.Module(r.Module)
	return ok && r.Name == "" && (ref.Name == module || ref.ID() == module)
}

// moduleName returns the name in name@version.
func moduleName(id string) string {
	name, _, _ := strings.Cut(id, "@")
	return name
}

// Module returns the module that a rule names, by name or name@version.
func (d *ReleaseDocument) Module(id string) (ModuleRef, bool) {
	if at := d.module(id); at != nil {
		return *at, true
	}
	return ModuleRef{}, false
}

func (d *ReleaseDocument) module(id string) *ModuleRef {
	for i := range d.Modules {
		if d.Modules[i].ID() == id || d.Modules[i].Name == id {
			return &d.Modules[i]
		}
	}
	return nil
}

// EachRule calls do with every rule that runs a module, those before a roll-out
// included.
func (d *ReleaseDocument) EachRule(do func(*RuleSpec)) {
	for i := range d.Slots {
		for j := range d.Slots[i].Ladder {
			for k := range d.Slots[i].Ladder[j].Rules {
				rule := &d.Slots[i].Ladder[j].Rules[k]
				if rule.Name != "" {
					continue
				}
				do(rule)
				if rule.Before != nil {
					do(rule.Before)
				}
			}
		}
	}
}

// PinVersions lets every rule name its module's version, so that another
// version can stand beside it.
func (d *ReleaseDocument) PinVersions() {
	d.EachRule(func(r *RuleSpec) {
		if ref, ok := d.Module(r.Module); ok {
			r.Module = ref.ID()
		}
	})
}

// used returns the modules that rules name.
func (d *ReleaseDocument) used() map[string]bool {
	used := map[string]bool{}
	d.EachRule(func(r *RuleSpec) {
		if ref, ok := d.Module(r.Module); ok {
			used[ref.ID()] = true
		}
	})
	return used
}

// prune drops the modules that a change has put out of use.
func (d *ReleaseDocument) prune(before map[string]bool) {
	now := d.used()
	d.Modules = slices.DeleteFunc(d.Modules, func(m ModuleRef) bool { return before[m.ID()] && !now[m.ID()] })
}
