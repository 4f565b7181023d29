// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// A siteView is what is live at a site, with what came of it.
type siteView struct {
	Status *publishing.Status
	Slots  []slotView
	Counts *publishing.Counts
	Most   uint64 // the largest count
	Days   int
}

// A slotView is a slot's ladder with how its modules do.
type slotView struct {
	publishing.SlotStatus
	Rungs []rungView
	// Changed is how many decisions the slot's shadows would have changed.
	Changed uint64
}

// A rungView is a rung's rules.
type rungView struct {
	Rung  string
	Rules []ruleView
}

// A ruleView is a rule with its module's health on this node.
type ruleView struct {
	publishing.RuleStatus
	Slot   string
	Health *publishing.Health // nil without a running node
	// Written is how a rule without code is written, where that is compared.
	Written *writtenRule
}

// State is one word for how the rule is at work.
func (r ruleView) State() string {
	switch {
	case r.Shadow:
		return "shadow"
	case r.Share < edge.Buckets:
		return "rollout"
	}
	return "live"
}

// site answers GET /console/sites/{site}.
func (c *Console) sitePage(q *call) error {
	days, err := q.number("days", countDays)
	if err != nil {
		return err
	}
	view := siteView{Days: int(days)}
	if view.Status, err = q.desk().Status(q.ctx(), q.actor, q.site); err != nil {
		return err
	}
	for _, s := range view.Status.Slots {
		view.Slots = append(view.Slots, slotOf(view.Status, s))
	}
	if view.Counts, err = q.desk().Counts(q.ctx(), q.actor, q.site, view.Days); err != nil {
		return err
	}
	for _, row := range view.Counts.Rows {
		view.Most = max(view.Most, row.Shown)
	}
	return q.render("site", q.newPage(q.site, view))
}

// slotPage answers GET /console/sites/{site}/slots/{slot}.
func (c *Console) slotPage(q *call) error {
	return q.showSlot(nil)
}

// showSlot shows a slot, with what went wrong if something did.
func (q *call) showSlot(cause error) error {
	status, err := q.desk().Status(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	name := q.r.PathValue("slot")
	for _, s := range status.Slots {
		if s.Slot != name {
			continue
		}
		p := q.newPage(name, slotOf(status, s))
		if cause != nil {
			p.Status, p.Problem = refusalOf(cause).status, q.problemOf(cause)
		}
		return q.render("slot", p)
	}
	return errNotFound
}

// slotOf joins a slot's ladder and the health of its modules.
func slotOf(status *publishing.Status, s publishing.SlotStatus) slotView {
	view := slotView{SlotStatus: s}
	for _, rung := range s.Rungs {
		r := rungView{Rung: rung.Rung}
		for _, rule := range rung.Rules {
			r.Rules = append(r.Rules, ruleView{RuleStatus: rule, Slot: s.Slot, Health: healthOf(status, rule.Hash)})
		}
		sortRules(r.Rules)
		view.Rungs = append(view.Rungs, r)
	}
	if s.Shadow != nil {
		view.Changed = s.Shadow.Decisions - s.Shadow.Same
	}
	return view
}

// sortRules puts those first that win where scores are equal, and those last
// that only compare.
func sortRules(rules []ruleView) {
	last := func(r ruleView) int {
		if r.Shadow {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(rules, func(a, b ruleView) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(b.Priority, a.Priority))
	})
}

func healthOf(status *publishing.Status, hash string) *publishing.Health {
	for i := range status.Health {
		if status.Health[i].Hash == hash {
			return &status.Health[i]
		}
	}
	return nil
}

// modulesIn lists the modules at work at a site, each once.
func modulesIn(status *publishing.Status) []string {
	var names []string
	for _, s := range status.Slots {
		for _, rung := range s.Rungs {
			for _, rule := range rung.Rules {
				if rule.Name == "" {
					names = append(names, rule.Module+"@"+rule.Version)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// document returns a site's release, the live one for number 0.
func (q *call) document(number uint64) (edge.Published, *edge.ReleaseDocument, error) {
	published, text, err := q.desk().Release(q.ctx(), q.actor, q.site, number)
	if err != nil {
		return published, nil, err
	}
	doc := &edge.ReleaseDocument{}
	return published, doc, json.Unmarshal(text, doc)
}

// places lists where a module may go: the site's slots, those first whose every
// variant there is.
func places(doc *edge.ReleaseDocument, m *edge.Manifest) []place {
	var all []place
	for _, slot := range doc.Slots {
		for _, role := range m.Slots {
			p := place{Slot: slot.Name, Role: role.Name}
			for _, variant := range role.Variants {
				has := slices.ContainsFunc(doc.Variants, func(v edge.Variant) bool { return v.Slot == slot.Name && v.Name == variant })
				if !has {
					p.Lacks = append(p.Lacks, variant)
				}
			}
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Compare(len(a.Lacks), len(b.Lacks)) })
	return all
}

// A place is a slot and the part that a module would play in it.
type place struct {
	Slot, Role string
	Lacks      []string // variants that the slot does not have
}
