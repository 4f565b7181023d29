// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"

	"github.com/nearside/nearside/edge"
)

// An Explanation is what a site's live release decides for a sample visit.
type Explanation struct {
	Site    string `json:"site"`
	Release uint64 `json:"release"`
	// Decisions are those of the slots that were asked for, each with why.
	Decisions []edge.SampledDecision `json:"decisions"`
}

// Explain decides a sample visit as the live release would and says why, for
// these slots, nil for all of them. Nobody is shown it, and nothing is kept or
// counted. It needs the role viewer.
func (d *Desk) Explain(ctx context.Context, by Actor, site string, visit *edge.SampleVisit, slots []string) (*Explanation, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	live, err := d.live(ctx, site)
	if err != nil {
		return nil, err
	}
	for _, name := range slots {
		if !live.has(name) {
			return nil, refuse(CodeNotFound, "slots", "site %s has no slot %.100q", site, name)
		}
	}
	loader := d.o.Rehearsal
	if loader == nil {
		loader = d.o.Loader
	}
	release, err := edge.CompileRelease(live.document, loader)
	if err != nil {
		return nil, because(CodeUnavailable, "", "the live release cannot be run here", err)
	}
	decisions, err := release.Sample(visit, slots)
	if err != nil {
		return nil, because(CodeInvalid, "visit", "visit", err)
	}
	return &Explanation{Site: site, Release: live.Number, Decisions: decisions}, nil
}

// Conditions returns the conditions of a release document's rules for people to
// read, none where they cannot be told here: there is no compiler, or it does not
// take the document any more.
func (d *Desk) Conditions(doc *edge.ReleaseDocument) *edge.RuleConditions {
	if d.o.Compiler != nil {
		if all, err := d.o.Compiler.Conditions(doc); err == nil {
			return all
		}
	}
	return &edge.RuleConditions{}
}

// has reports whether the release has a slot.
func (r *liveRelease) has(slot string) bool {
	for i := range r.doc.Slots {
		if r.doc.Slots[i].Name == slot {
			return true
		}
	}
	return false
}
