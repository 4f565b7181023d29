// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// The states of a proposal.
const (
	StateWaiting  = "waiting"
	StateApproved = "approved"
	StateRejected = "rejected"
)

// A Proposal is a change that waits for a second person, or did.
type Proposal struct {
	ID   string `json:"id"`
	Site string `json:"site"`
	// Change is what is proposed; it follows the release that By saw.
	Change Change `json:"change"`
	By     string `json:"by"`
	// Makers made By's token, and so on; none of them may approve it.
	Makers []string  `json:"makers,omitempty"`
	At     time.Time `json:"at"`
	State  string    `json:"state"`

	// Decider approved or rejected it then, with a Reason if it was rejected;
	// Release is what an approved one became.
	Decider string    `json:"decider,omitempty"`
	Decided time.Time `json:"decided,omitzero"`
	Reason  string    `json:"reason,omitempty"`
	Release uint64    `json:"release,omitempty"`
}

// maxReasonBytes bounds the words with which a proposal is rejected.
const maxReasonBytes = 1000

// Proposals returns a site's proposals, those that wait first, then the newest
// first. It needs the role viewer.
func (d *Desk) Proposals(ctx context.Context, by Actor, site string) ([]*Proposal, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	return d.proposals(ctx, site)
}

func (d *Desk) proposals(ctx context.Context, site string) ([]*Proposal, error) {
	all := []*Proposal{}
	notes, err := d.o.Notes.Notes(ctx, proposalNotes+"."+site)
	for _, n := range notes {
		p := &Proposal{}
		err = errors.Join(err, read(n, p))
		all = append(all, p)
	}
	if err != nil {
		return nil, storeError(err, "", "proposals")
	}
	slices.SortFunc(all, func(a, b *Proposal) int {
		waits := func(p *Proposal) int {
			if p.State == StateWaiting {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(waits(a), waits(b)), b.At.Compare(a.At), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// propose keeps a change for a second person.
func (d *Desk) propose(ctx context.Context, by Actor, c Change, next *amended) (*Outcome, error) {
	site := next.site
	c.Follows = next.was.Number
	if err := d.admitProposal(ctx, site); err != nil {
		return nil, err
	}
	if c.Act == ActRelease { // too large for a note
		hash, err := d.o.Documents.PutDocument(ctx, c.Document)
		if err != nil {
			return nil, storeError(err, "document", "release document")
		}
		c.Document, c.DocumentHash = nil, hash
	}
	p := &Proposal{ID: newID(), Site: site, Change: c, By: by.Name, Makers: by.makers, At: d.now(), State: StateWaiting}
	value, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if len(value) > edge.MaxNoteBytes {
		return nil, refuse(CodeTooLarge, "placement", "a change of %d bytes cannot wait for a second person, at most %d", len(value), edge.MaxNoteBytes)
	}
	entry := next.entry(c)
	entry.Act, entry.Detail, entry.Proposal = ActPropose, c.Act, p.ID
	err = d.withEntry(ctx, by, entry, func() error {
		_, err := d.o.Notes.PutNote(ctx, proposalKey(site, p.ID), value, 0)
		return err
	})
	if err != nil {
		return nil, storeError(err, "", "proposal")
	}
	out := next.was.outcome(site)
	out.Proposal = p
	return out, nil
}

// Approve applies a proposal to what is live, unless what it changes was changed
// meanwhile. It needs the role approver, and another person than the proposal's:
// of another name, and neither with a token by way of the other.
func (d *Desk) Approve(ctx context.Context, by Actor, site, id string) (*Outcome, error) {
	p, revision, err := d.decidable(ctx, by, site, id)
	if err != nil {
		return nil, err
	}
	switch {
	case p.By == by.Name:
		return nil, refuse(CodeSamePerson, "", "%s proposed it: somebody else must approve it", p.By)
	case by.speaksFor(p.By):
		return nil, refuse(CodeSamePerson, "", "%s proposed it and made the token of %s: somebody else must approve it", p.By, by.Name)
	case slices.Contains(p.Makers, by.Name):
		return nil, refuse(CodeSamePerson, "", "%s made the token of %s, who proposed it: somebody else must approve it", by.Name, p.By)
	}
	// The decision is kept first: of two people at once one applies it. Should
	// the change then fail, the proposal waits again.
	p.State, p.Decider, p.Decided = StateApproved, by.Name, d.now()
	if revision, err = d.putProposal(ctx, p, revision); err != nil {
		return nil, err
	}
	entry := Entry{Site: site, Act: ActApprove, Proposal: id, Detail: p.By + " proposed it"}
	var out *Outcome
	err = d.withEntry(ctx, by, entry, func() error {
		next, err := d.amend(ctx, site, p.Change)
		if err == nil {
			out, err = d.apply(ctx, by, p.Change, next, id)
		}
		return err
	})
	if err != nil {
		p.State, p.Decider, p.Decided = StateWaiting, "", time.Time{}
		_, undo := d.putProposal(context.WithoutCancel(ctx), p, revision)
		return nil, storeError(errors.Join(err, undo), "", "proposal")
	}
	p.Release = out.Release
	if _, err := d.putProposal(ctx, p, revision); err != nil {
		return nil, err
	}
	out.Proposal = p
	return out, nil
}

// Reject ends a proposal with a reason. It needs the role approver; who made
// the proposal may take it back so.
func (d *Desk) Reject(ctx context.Context, by Actor, site, id, reason string) (*Proposal, error) {
	p, revision, err := d.decidable(ctx, by, site, id)
	if err != nil {
		return nil, err
	}
	if reason == "" || len(reason) > maxReasonBytes {
		return nil, refuse(CodeInvalid, "reason", "say why in 1 to %d bytes", maxReasonBytes)
	}
	p.State, p.Decider, p.Decided, p.Reason = StateRejected, by.Name, d.now(), reason
	err = d.withEntry(ctx, by, Entry{Site: site, Act: ActReject, Proposal: id, Detail: reason}, func() error {
		_, err := d.putProposal(ctx, p, revision)
		return err
	})
	return p, err
}

// decidable returns a proposal that waits, if the actor may decide about it.
func (d *Desk) decidable(ctx context.Context, by Actor, site, id string) (*Proposal, uint64, error) {
	if err := by.need(Approver, site); err != nil {
		return nil, 0, err
	}
	if !idPattern.MatchString(id) {
		return nil, 0, refuse(CodeNotFound, "id", "there is no proposal %.40q", id)
	}
	value, revision, err := d.o.Notes.Note(ctx, proposalKey(site, id))
	if err != nil {
		return nil, 0, storeError(err, "id", "proposal "+id)
	}
	p := &Proposal{}
	if err := json.Unmarshal(value, p); err != nil {
		return nil, 0, fmt.Errorf("proposal %s: %w", id, err)
	}
	if p.State != StateWaiting && !p.stuck(d.now()) {
		return nil, 0, refuse(CodeDecided, "id", "%s has %s it already", p.Decider, p.State)
	}
	return p, revision, nil
}

// stuckAfter is when an approval that came to nothing may be given again.
const stuckAfter = time.Minute

// stuck reports whether a proposal was approved and never applied, because the
// process ended in between.
func (p *Proposal) stuck(now time.Time) bool {
	return p.State == StateApproved && p.Release == 0 && now.Sub(p.Decided) > stuckAfter
}

func (d *Desk) putProposal(ctx context.Context, p *Proposal, revision uint64) (uint64, error) {
	value, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	revision, err = d.o.Notes.PutNote(ctx, proposalKey(p.Site, p.ID), value, revision)
	return revision, storeError(err, "id", "the proposal")
}

const proposalNotes = "proposal"

func proposalKey(site, id string) string { return proposalNotes + "." + site + "." + id }

var idPattern = regexp.MustCompile(`^[a-z0-9]{16}$`)
