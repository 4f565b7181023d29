// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// historyEntries bounds how far back the page looks for who made a release.
const historyEntries = publishing.MaxAuditEntries

// A pastRelease is a release with what made it.
type pastRelease struct {
	edge.Published
	Made *publishing.Entry // nil where the audit log does not say
}

// historyPage answers GET /console/sites/{site}/history.
func (c *Console) historyPage(q *call) error {
	all, err := q.past()
	if err != nil {
		return err
	}
	slices.Reverse(all)
	return q.render("history", q.newPage(q.say("history.title"), all))
}

// past returns a site's releases by number, each with the entry of what made it.
func (q *call) past() ([]pastRelease, error) {
	history, err := q.desk().History(q.ctx(), q.actor, q.site)
	if err != nil {
		return nil, err
	}
	log, err := q.desk().Audit(q.ctx(), q.actor, q.site, historyEntries)
	if err != nil {
		return nil, err
	}
	var all []pastRelease
	for _, p := range history {
		r := pastRelease{Published: p}
		for i := range log.Entries {
			if e := &log.Entries[i]; e.Release == p.Number && e.After == p.Hash && e.Act != publishing.ActPropose {
				r.Made = e
				break
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// stepBack returns the release that a rollback goes back to: the one before the
// live one, or, after a rollback, before the one that was gone back to. It is 0
// if there is none.
func stepBack(past []pastRelease) uint64 {
	i := slices.IndexFunc(past, func(r pastRelease) bool { return r.Live })
	for i >= 0 && past[i].Made != nil && past[i].Made.Restores != 0 {
		to := past[i].Made.Restores
		i = slices.IndexFunc(past, func(r pastRelease) bool { return r.Number == to })
	}
	if i <= 0 {
		return 0
	}
	return past[i-1].Number
}

// A rollbackView is a rollback that is about to be done.
type rollbackView struct {
	Live, To edge.Published
	Slots    []slotDifference
	More     bool // something else differs too
}

// A slotDifference is a slot that a change changes.
type slotDifference struct {
	Slot      string
	Now, Then []rungView
}

// rollbackPage answers GET /console/sites/{site}/rollback with a question.
func (c *Console) rollbackPage(q *call) error {
	to, err := q.number("to", 0)
	if err != nil {
		return err
	}
	if to == 0 {
		past, err := q.past()
		if err != nil {
			return err
		}
		if to = stepBack(past); to == 0 {
			return &refusal{http.StatusNotFound, "nothing_before", "", "there is no release before the live one"}
		}
	}
	return q.askRollback(to, nil)
}

func (q *call) askRollback(to uint64, cause error) error {
	live, now, err := q.document(0)
	if err != nil {
		return err
	}
	target, then, err := q.document(to)
	if err != nil {
		return err
	}
	view := rollbackView{Live: live, To: target}
	view.Slots, view.More = differences(now, then)
	p := q.newPage(q.say("rollback.title", "release", to), view)
	if cause != nil {
		p.Status, p.Problem = refusalOf(cause).status, q.problemOf(cause)
	}
	return q.render("rollback", p)
}

// rollBack answers POST /console/sites/{site}/rollback.
func (c *Console) rollBack(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	to, err := strconv.ParseUint(q.r.PostForm.Get("to"), 10, 64)
	follows, wrong := strconv.ParseUint(q.r.PostForm.Get("follows"), 10, 64)
	if err != nil || wrong != nil || to == 0 {
		return badRequest("to", "the form does not say which release to go back to")
	}
	change := publishing.Change{Act: publishing.ActRollback, To: to, Follows: follows}
	if err := q.changeThen(change, siteLink(q.site)); err != nil {
		return q.askRollback(to, err)
	}
	return nil
}

// differences compares two releases slot by slot. more says that they differ in
// something else: settings, fields, variants.
func differences(now, then *edge.ReleaseDocument) (slots []slotDifference, more bool) {
	names := []string{}
	for _, doc := range []*edge.ReleaseDocument{now, then} {
		for _, s := range doc.Slots {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	for _, name := range names {
		a, b := rungsIn(now, name), rungsIn(then, name)
		if !reflect.DeepEqual(a, b) {
			slots = append(slots, slotDifference{name, a, b})
		}
	}
	return slots, !reflect.DeepEqual(now.Settings, then.Settings) || !reflect.DeepEqual(now.Fields, then.Fields) ||
		!reflect.DeepEqual(now.Variants, then.Variants) || !reflect.DeepEqual(now.Audiences, then.Audiences) ||
		!reflect.DeepEqual(now.Campaigns, then.Campaigns)
}

// rungsIn returns a slot's ladder in a release.
func rungsIn(doc *edge.ReleaseDocument, slot string) []rungView {
	var rungs []rungView
	for _, s := range doc.Slots {
		for _, rung := range s.Ladder {
			if s.Name != slot || len(rung.Rules) == 0 {
				continue
			}
			r := rungView{Rung: rung.Rung}
			for i := range rung.Rules {
				view := ruleView{RuleStatus: ruleIn(doc, &rung.Rules[i]), Slot: slot}
				if view.Name != "" {
					written := written(doc, &rung.Rules[i], nil)
					view.Written = &written
				}
				r.Rules = append(r.Rules, view)
			}
			sortRules(r.Rules)
			rungs = append(rungs, r)
		}
	}
	return rungs
}

// ruleIn returns a rule as a status tells it.
func ruleIn(doc *edge.ReleaseDocument, spec *edge.RuleSpec) publishing.RuleStatus {
	r := publishing.RuleStatus{Name: spec.Name, Module: spec.Module, Role: spec.Role, Priority: spec.Priority, Share: spec.Rollout, Shadow: spec.Shadow}
	settings := spec.Settings
	for _, ref := range doc.Modules {
		if ref.Name == spec.Module || ref.ID() == spec.Module {
			r.Module, r.Version, r.Hash = ref.Name, ref.Version, ref.Hash
			if len(settings) == 0 {
				settings = ref.Settings
			}
		}
	}
	if text := compact(settings); text != "" && text != "{}" {
		r.Settings = json.RawMessage(text)
	}
	switch {
	case spec.Shadow:
		r.Share = 0
	case spec.Rollout == 0:
		r.Share = edge.Buckets
	}
	if spec.Before != nil {
		before := ruleIn(doc, spec.Before)
		before.Share = edge.Buckets - r.Share
		r.Before = &before
	}
	return r
}

// auditPage answers GET /console/sites/{site}/audit.
func (c *Console) auditPage(q *call) error {
	log, err := q.desk().Audit(q.ctx(), q.actor, q.site, auditEntries)
	if err != nil {
		return err
	}
	return q.render("audit", q.newPage(q.say("audit.title"), log))
}
