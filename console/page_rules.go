// SPDX-License-Identifier: Apache-2.0

package console

import (
	"regexp"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A rulesView is the rules of a site's live release as they are written.
type rulesView struct {
	Release   uint64
	Slots     []rulesOfSlot
	Audiences []audienceView
	Campaigns []campaignView
}

// A rulesOfSlot is a slot's ladder with all that a rule is made of.
type rulesOfSlot struct {
	Name, Kind string
	Rungs      []rulesOfRung
	// Inputs is what the answer depends on, nil where no rule without code is.
	Inputs *inputsView
}

// An inputsView is what a slot's answer depends on.
type inputsView struct {
	Purposes []string // names
	Reads    []string
}

type rulesOfRung struct {
	Rung  string
	Rules []writtenRule
}

// A writtenRule is a rule of a ladder: one without code, or a module at work.
type writtenRule struct {
	edge.RuleSpec
	Says      *edge.Condition // its condition in parts, nil where nobody can tell
	Shares    []shownShare
	Owner     *campaignView // the campaign that owns it, nil for none
	Audiences []string      // that its condition names
	Version   string        // the module's
}

// An audienceView is an audience with its condition in parts.
type audienceView struct {
	edge.Audience
	Says *edge.Condition // nil where nobody can tell
}

// A shownShare is a variant that a rule shows and to how many of 10,000.
type shownShare struct {
	Variant string
	Share   int
}

// A campaignView is a campaign and how it is at work.
type campaignView struct {
	edge.Campaign
	// State is the campaign's own, planned before it begins, over after its end.
	State string
	// Begins and Ends are its dates, zero for none.
	Begins, Ends time.Time
}

// rulesPage answers GET /console/sites/{site}/rules.
func (c *Console) rulesPage(q *call) error {
	published, doc, err := q.document(0)
	if err != nil {
		return err
	}
	view := newRulesView(doc, q.desk().Conditions(doc), c.options.Now())
	view.Release = published.Number
	return q.render("rules", q.newPage(q.say("rules.title"), view))
}

func newRulesView(doc *edge.ReleaseDocument, says *edge.RuleConditions, now time.Time) rulesView {
	view := rulesView{Campaigns: campaignsOf(doc, now)}
	for _, audience := range doc.Audiences {
		a := audienceView{Audience: audience}
		if c, ok := says.Audiences[audience.Name]; ok {
			a.Says = &c
		}
		view.Audiences = append(view.Audiences, a)
	}
	for i := range doc.Slots {
		slot := &doc.Slots[i]
		view.Slots = append(view.Slots, rulesOf(doc, slot, says.Rules[slot.Name], view.Campaigns))
	}
	return view
}

func rulesOf(doc *edge.ReleaseDocument, slot *edge.SlotSpec, says map[string]edge.Condition, campaigns []campaignView) rulesOfSlot {
	view := rulesOfSlot{Name: slot.Name, Kind: slot.Kind}
	if inputs, ok := doc.Inputs[slot.Name]; ok {
		view.Inputs = &inputsView{consent.Purposes(inputs.Purposes).Names(), inputs.Reads}
	}
	for _, rung := range slot.Ladder {
		r := rulesOfRung{Rung: rung.Rung}
		for i := range rung.Rules {
			rule := written(doc, &rung.Rules[i], campaigns)
			if c, ok := says[rule.Name]; ok {
				rule.Says = &c
			}
			r.Rules = append(r.Rules, rule)
		}
		view.Rungs = append(view.Rungs, r)
	}
	return view
}

// inAudience finds the audiences that a condition names.
var inAudience = regexp.MustCompile(`\binAudience\(\s*["']([^"']+)["']\s*\)`)

func written(doc *edge.ReleaseDocument, spec *edge.RuleSpec, campaigns []campaignView) writtenRule {
	rule := writtenRule{RuleSpec: *spec}
	if spec.Name == "" {
		ref, _ := doc.Module(spec.Module)
		rule.Module, rule.Version = ref.Name, ref.Version
		return rule
	}
	for i, show := range spec.Show {
		from, until := spec.Buckets(i)
		rule.Shares = append(rule.Shares, shownShare{show.Variant, until - from})
	}
	at := slices.IndexFunc(campaigns, func(c campaignView) bool { return c.Name == spec.Campaign })
	if at >= 0 {
		rule.Owner = &campaigns[at]
	}
	for _, m := range inAudience.FindAllStringSubmatch(spec.When, -1) {
		if !slices.Contains(rule.Audiences, m[1]) {
			rule.Audiences = append(rule.Audiences, m[1])
		}
	}
	return rule
}

// dateLayout is how a release writes a campaign's dates, in the site's zone.
const dateLayout = "2006-01-02T15:04"

// campaignsOf says how a site's campaigns are at work at a time.
func campaignsOf(doc *edge.ReleaseDocument, now time.Time) []campaignView {
	zone, err := time.LoadLocation(doc.Settings.TimeZone)
	if err != nil {
		zone = time.UTC // a live release has no other
	}
	var all []campaignView
	for _, campaign := range doc.Campaigns {
		view := campaignView{Campaign: campaign, State: campaign.State}
		from, noFrom := time.ParseInLocation(dateLayout, campaign.From, zone)
		until, noUntil := time.ParseInLocation(dateLayout, campaign.Until, zone)
		view.Begins, view.Ends = from, until // zero where there is none
		switch {
		case campaign.State != "live":
		case noFrom == nil && now.Before(from):
			view.State = "planned"
		case noUntil == nil && !now.Before(until):
			view.State = "over"
		}
		all = append(all, view)
	}
	return all
}
