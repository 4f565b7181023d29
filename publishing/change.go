// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"

	"github.com/nearside/nearside/edge"
)

// casAttempts is how often a change is tried again when others keep coming
// before it.
const casAttempts = 5

// A Change is something to be done to a site's release.
type Change struct {
	// Act is publish, shadow, rollout, remove, rollback or release: see the
	// constants.
	Act string `json:"act"`
	// Follows is the release that the change was made from, 0 for whatever is
	// live. A later one is no obstacle where it leaves the same slot alone; for
	// a rollback or a release it is one always.
	Follows uint64 `json:"follows,omitempty"`
	// Placement is what to publish or to shadow. Its module needs a name, and a
	// version where the site has several; hash and signature follow from both.
	Placement *edge.Placement `json:"placement,omitempty"`
	// Slot and Module (a name or name@version) say what to roll out or to remove.
	Slot   string `json:"slot,omitempty"`
	Module string `json:"module,omitempty"`
	// Share is how many of 10,000 visitors see a rolled-out module: 10,000 ends
	// the roll-out and drops what was before; 0 takes the module back, and what
	// was before serves everybody.
	Share int `json:"share,omitempty"`
	// To is the release to roll back to, 0 for the one before the live one.
	To uint64 `json:"to,omitempty"`
	// Document is a whole release; where the change waits, DocumentHash stands
	// for it.
	Document     json.RawMessage `json:"document,omitempty"`
	DocumentHash string          `json:"documentHash,omitempty"`
}

// An Outcome is what came of a change.
type Outcome struct {
	Site string `json:"site"`
	// Was and Release are the live release before and after; they are the same
	// when there was nothing to change, or when the change waits.
	Was     uint64 `json:"was"`
	Release uint64 `json:"release"`
	Hash    string `json:"hash"`
	// Pending says that the release is stored and that the node which was asked
	// does not serve it yet; its log says why if that lasts.
	Pending bool `json:"pending,omitempty"`
	// Proposal is the change where it waits, or waited, for a second person.
	Proposal *Proposal `json:"proposal,omitempty"`
}

// Put is Do for a whole release document. follows is the live release's number,
// 0 for a new site.
func (d *Desk) Put(ctx context.Context, by Actor, site string, document []byte, follows uint64) (*Outcome, error) {
	return d.Do(ctx, by, site, Change{Act: ActRelease, Document: document, Follows: follows})
}

// Do makes a change, or a proposal of it where the site wants a second person:
// then the outcome has one. It refuses what a node would refuse to load, and
// needs the role publisher.
func (d *Desk) Do(ctx context.Context, by Actor, site string, c Change) (*Outcome, error) {
	if err := by.need(Publisher, site); err != nil {
		return nil, err
	}
	c.DocumentHash = ""
	next, err := d.amend(ctx, site, c)
	if err != nil {
		return nil, err
	}
	if next.same() {
		return next.outcome(), nil
	}
	if c.Follows == 0 {
		c.Follows = next.was.Number
	}
	if next.was.doc.Settings.SecondPerson {
		return d.propose(ctx, by, c, next)
	}
	return d.apply(ctx, by, c, next, "")
}

// apply makes a change, which was worked out, by compare-and-swap. When another
// change comes before it, it is made anew from what is live then, if it still may
// be; without a proposal it becomes one where that wants a second person.
func (d *Desk) apply(ctx context.Context, by Actor, c Change, next *amended, proposal string) (*Outcome, error) {
	site := next.site
	var err error
	for try := range casAttempts {
		if try > 0 {
			if next, err = d.amend(ctx, site, c); err != nil {
				return nil, err
			}
		}
		switch {
		case next.same():
			return next.outcome(), nil
		case proposal == "" && next.was.doc.Settings.SecondPerson:
			return d.propose(ctx, by, c, next)
		}
		if err := d.keepRules(ctx, next); err != nil {
			return nil, err
		}
		entry := next.entry(c)
		entry.Proposal = proposal
		err = d.withEntry(ctx, by, entry, func() error {
			return d.o.Releases.PutRelease(ctx, site, next.was.Number, edge.Published{Number: next.number, Restores: next.origin}, next.document)
		})
		if err == nil {
			out := next.outcome()
			out.Pending = d.o.Live != nil && !d.o.Live.Await(ctx, site, next.number)
			runtime.KeepAlive(next) // the node serves what was loaded to check the release
			return out, nil
		}
		if !errors.Is(err, edge.ErrChanged) {
			return nil, storeError(err, "", "store release")
		}
	}
	return nil, storeError(err, "", "the site's release")
}
