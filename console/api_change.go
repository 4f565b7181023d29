// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// publish answers POST /v1/sites/{site}/publish.
func (c *Console) publish(q *call) error { return q.place(publishing.ActPublish) }

// shadow answers POST /v1/sites/{site}/shadow.
func (c *Console) shadow(q *call) error { return q.place(publishing.ActShadow) }

func (q *call) place(act string) error {
	var p edge.Placement
	if err := q.decode(&p); err != nil {
		return err
	}
	if p.Shadow = act == publishing.ActShadow; p.Shadow && p.Rollout != 0 {
		return badRequest("rollout", "nobody sees a shadow: it has no share")
	}
	return q.change(publishing.Change{Act: act, Placement: &p})
}

// previewHours is how long a preview's link is good when nobody says.
const previewHours = 24

// preview answers POST /v1/sites/{site}/preview.
func (c *Console) preview(q *call) error {
	ask := struct {
		Placement edge.Placement `json:"placement"`
		Page      string         `json:"page"`
		Hours     int            `json:"hours"`
	}{Hours: previewHours}
	if err := q.decode(&ask); err != nil {
		return err
	}
	if ask.Hours < 1 || ask.Hours > int(publishing.MaxPreviewTime/time.Hour) {
		return badRequest("hours", "%d hours, want 1 to %d", ask.Hours, publishing.MaxPreviewTime/time.Hour)
	}
	preview, err := q.desk().Preview(q.ctx(), q.actor, q.site, ask.Placement, ask.Page, time.Duration(ask.Hours)*time.Hour)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, preview)
}

// rollout answers POST /v1/sites/{site}/rollout.
func (c *Console) rollout(q *call) error {
	var ask struct {
		Slot   string `json:"slot"`
		Module string `json:"module"`
		Share  *int   `json:"share"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	if ask.Share == nil {
		return badRequest("share", "say to how many of %d visitors", edge.Buckets)
	}
	return q.change(publishing.Change{Act: publishing.ActRollout, Slot: ask.Slot, Module: ask.Module, Share: *ask.Share})
}

// remove answers POST /v1/sites/{site}/remove.
func (c *Console) remove(q *call) error {
	var ask struct {
		Slot   string `json:"slot"`
		Module string `json:"module"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	return q.change(publishing.Change{Act: publishing.ActRemove, Slot: ask.Slot, Module: ask.Module})
}

// rollback answers POST /v1/sites/{site}/rollback.
func (c *Console) rollback(q *call) error {
	var ask struct {
		To uint64 `json:"to"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	return q.change(publishing.Change{Act: publishing.ActRollback, To: ask.To})
}

// change does a change. If-Match, where it is given, names the release that it
// was made from.
func (q *call) change(change publishing.Change) (err error) {
	if change.Follows, _, err = q.follows(); err != nil {
		return err
	}
	out, err := q.desk().Do(q.ctx(), q.actor, q.site, change)
	if err != nil {
		return err
	}
	return q.outcome(out)
}

// outcome answers with what came of a change: 202 for one that waits.
func (q *call) outcome(out *publishing.Outcome) error {
	q.entityTag(out.Release)
	if out.Proposal != nil && out.Proposal.State == publishing.StateWaiting {
		return q.json(http.StatusAccepted, out)
	}
	return q.json(http.StatusOK, out)
}

// proposals answers GET /v1/sites/{site}/proposals.
func (c *Console) proposals(q *call) error {
	all, err := q.desk().Proposals(q.ctx(), q.actor, q.site)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, all)
}

// approve answers POST /v1/sites/{site}/proposals/{id}/approve.
func (c *Console) approve(q *call) error {
	out, err := q.desk().Approve(q.ctx(), q.actor, q.site, q.r.PathValue("id"))
	if err != nil {
		return err
	}
	return q.outcome(out)
}

// reject answers POST /v1/sites/{site}/proposals/{id}/reject.
func (c *Console) reject(q *call) error {
	var ask struct {
		Reason string `json:"reason"`
	}
	if err := q.decode(&ask); err != nil {
		return err
	}
	proposal, err := q.desk().Reject(q.ctx(), q.actor, q.site, q.r.PathValue("id"), ask.Reason)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, proposal)
}
