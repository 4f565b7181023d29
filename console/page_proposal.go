// SPDX-License-Identifier: Apache-2.0

package console

import (
	"errors"

	"github.com/nearside/nearside/publishing"
)

// A proposalView is a proposal with what may be done about it.
type proposalView struct {
	*publishing.Proposal
	Waits, Mine bool
}

// proposalsPage answers GET /console/sites/{site}/proposals.
func (c *Console) proposalsPage(q *call) error { return q.showProposals(nil) }

func (q *call) showProposals(cause error) error {
	all, err := q.desk().Proposals(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	var rows []proposalView
	for _, p := range all {
		rows = append(rows, proposalView{p, p.State == publishing.StateWaiting, p.By == q.actor.Name})
	}
	p := q.newPage(q.say("proposals.title"), rows)
	if cause != nil {
		p.Status, p.Problem = refusalOf(cause).status, q.problemOf(cause)
	}
	return q.render("proposals", p)
}

// approvePage answers POST /console/sites/{site}/proposals/{id}/approve.
func (c *Console) approvePage(q *call) error {
	_, err := q.desk().Approve(q.ctx(), q.actor, q.site, q.r.PathValue("id"))
	return q.decided(err, "approve")
}

// rejectPage answers POST /console/sites/{site}/proposals/{id}/reject.
func (c *Console) rejectPage(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	_, err := q.desk().Reject(q.ctx(), q.actor, q.site, q.r.PathValue("id"), q.r.PostForm.Get("reason"))
	return q.decided(err, "reject")
}

// decided says on the page of proposals what came of a decision.
func (q *call) decided(err error, done string) error {
	if err == nil {
		return q.seeOther(siteLink(q.site, "proposals"), done)
	}
	if _, ok := errors.AsType[*publishing.Error](err); ok {
		return q.showProposals(err)
	}
	return err
}
