// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nearside/nearside/edge"
)

// A liveRelease is a release as the store has it.
type liveRelease struct {
	edge.Published
	document []byte
	doc      *edge.ReleaseDocument // must not be changed
}

// outcome says that the release is what is live.
func (r *liveRelease) outcome(site string) *Outcome {
	return &Outcome{Site: site, Was: r.Number, Release: r.Number, Hash: r.Hash}
}

// content returns what a release says, whatever its number and what follows from
// the rest of it. The module of its rules does not: another compiler makes
// another one, which is worth a release.
func content(doc *edge.ReleaseDocument) ([]byte, error) {
	same := *doc
	same.Number, same.Inputs = 0, nil
	out, err := json.Marshal(same)
	if err != nil {
		return nil, because(CodeInvalid, "document", "release", err)
	}
	return out, nil
}

// live returns a site's live release.
func (d *Desk) live(ctx context.Context, site string) (*liveRelease, error) {
	return d.release(ctx, site, 0)
}

// release returns a release of a site, the live one for number 0.
func (d *Desk) release(ctx context.Context, site string, number uint64) (*liveRelease, error) {
	what := fmt.Sprintf("site %.64q", site)
	if number != 0 {
		what = fmt.Sprintf("release %d of site %.64q", number, site)
	}
	p, document, err := d.o.Releases.Published(ctx, site, number)
	if err != nil {
		return nil, storeError(err, "site", what)
	}
	r := &liveRelease{Published: p, document: document}
	r.doc, err = r.copy()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return r, nil
}

// copy returns the document, to be changed.
func (r *liveRelease) copy() (*edge.ReleaseDocument, error) {
	doc := &edge.ReleaseDocument{}
	return doc, json.Unmarshal(r.document, doc)
}

// An amended is a change worked out against the release that was live then.
type amended struct {
	site     string
	was      *liveRelease // number 0 for none
	number   uint64       // that of was if there is nothing to change
	document []byte       // as it is stored
	hash     string
	release  *edge.Release // nil if there is nothing to change
	rules    []byte        // the module of its rules without code; nil where there is none to keep

	slot     string
	module   edge.ModuleRef // what a change of one module is about
	restores uint64         // what a rollback goes back to
	origin   uint64         // the release that had its content first
}

func (a *amended) same() bool { return a.number == a.was.Number }

func (a *amended) outcome() *Outcome {
	return &Outcome{Site: a.site, Was: a.was.Number, Release: a.number, Hash: a.hash}
}

// entry is the audit log's line for the change.
func (a *amended) entry(c Change) Entry {
	e := Entry{
		Site: a.site, Act: c.Act, Slot: a.slot, ModuleHash: a.module.Hash,
		Was: a.was.Number, Before: a.was.Hash, Release: a.number, After: a.hash, Restores: a.restores,
	}
	if a.module.Name != "" {
		e.Module = a.module.ID()
	}
	if c.Act == ActRollout || c.Act == ActPublish && c.Placement.Rollout != 0 {
		share := c.Share
		if c.Act == ActPublish {
			share = c.Placement.Rollout
		}
		e.Detail = fmt.Sprintf("for %d of %d visitors", share, edge.Buckets)
	}
	return e
}

// amend works a change out against what is live, and compiles what comes of it.
func (d *Desk) amend(ctx context.Context, site string, c Change) (*amended, error) {
	was, err := d.live(ctx, site)
	if c.Act == ActRelease && codeOf(err) == CodeNotFound {
		was, err = &liveRelease{doc: &edge.ReleaseDocument{}}, nil // the site's first
	}
	if err != nil {
		return nil, err
	}
	a := &amended{site: site, was: was, number: was.Number, hash: was.Hash}
	next, err := d.documentAfter(ctx, a, c)
	if err != nil {
		return nil, err
	}
	if a.restores == 0 { // what was live here before has its module
		if a.rules, err = d.compileRules(next); err != nil {
			return nil, err
		}
	}
	before, err := content(was.doc)
	if err != nil {
		return nil, err
	}
	after, err := content(next)
	if err != nil || bytes.Equal(before, after) {
		return a, err
	}
	if err := d.independent(ctx, a, c); err != nil {
		return nil, err
	}
	return a, d.compile(ctx, a, next)
}

// brought refuses modules that are neither live already nor uploaded to the
// site: a hash alone must not bring another site's module in.
func (d *Desk) brought(ctx context.Context, a *amended, modules []edge.ModuleRef) error {
	for _, ref := range modules {
		if live, _ := a.was.doc.Module(ref.ID()); live.Hash == ref.Hash {
			continue
		}
		u, _, err := d.findUpload(ctx, a.site, ref.Name, ref.Version)
		switch {
		case err != nil:
			return err
		case u == nil:
			return refuse(CodeNotFound, "module", "site %s has no module %.100q: upload it first", a.site, ref.ID())
		case u.Hash != ref.Hash:
			return refuse(CodeInvalid, "module", "%s has the hash %s at site %s, not %.64q", ref.ID(), u.Hash, a.site, ref.Hash)
		}
	}
	return nil
}

// independent refuses a change that was made from an older release than the
// live one, unless that leaves alone what it changes.
func (d *Desk) independent(ctx context.Context, a *amended, c Change) error {
	if c.Follows == a.was.Number || c.Follows == 0 && c.Act != ActRelease {
		return nil
	}
	moved := refuse(CodeConflict, "follows", "release %d of site %s is live by now: look at it and try again", a.was.Number, a.site)
	if a.slot == "" {
		return moved
	}
	base, err := d.release(ctx, a.site, c.Follows)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(base.doc.Ladder(a.slot), a.was.doc.Ladder(a.slot)) {
		return moved
	}
	return nil
}
