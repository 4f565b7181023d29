// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/nearside/nearside/edge"
)

// documentAfter returns the document that a change leads to from a.was, and
// notes in a what it is about.
func (d *Desk) documentAfter(ctx context.Context, a *amended, c Change) (*edge.ReleaseDocument, error) {
	switch c.Act {
	case ActRelease:
		if c.DocumentHash == "" {
			return readDocument(c.Document)
		}
		document, err := d.o.Documents.Document(ctx, c.DocumentHash)
		if err != nil {
			return nil, storeError(err, "document", "release document "+c.DocumentHash)
		}
		return readDocument(document)
	case ActRollback:
		return d.rollback(ctx, a, c.To)
	}
	doc, err := a.was.copy()
	if err != nil {
		return nil, err
	}
	switch c.Act {
	case ActPublish, ActShadow:
		return doc, d.place(ctx, a, doc, c)
	case ActRollout:
		return doc, share(a, doc, c)
	case ActRemove:
		a.slot, a.module = c.Slot, moduleIn(doc, c.Slot, c.Module)
		return doc, amendError(doc.Remove(c.Slot, c.Module))
	}
	return nil, refuse(CodeInvalid, "act", "%.40q is not a change", c.Act)
}

// readDocument reads a release; an unknown member is refused, as it would be
// lost.
func readDocument(document []byte) (*edge.ReleaseDocument, error) {
	if len(document) > edge.MaxReleaseBytes {
		return nil, refuse(CodeTooLarge, "document", "the release has %d bytes, at most %d", len(document), edge.MaxReleaseBytes)
	}
	doc := &edge.ReleaseDocument{}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(doc); err != nil {
		return nil, because(CodeInvalid, "document", "release", err)
	}
	return doc, nil
}

// place publishes or shadows a module.
func (d *Desk) place(ctx context.Context, a *amended, doc *edge.ReleaseDocument, c Change) error {
	if c.Placement == nil {
		return refuse(CodeInvalid, "placement", "the placement is missing")
	}
	p := *c.Placement
	ref, err := d.resolve(ctx, a.site, p.Module)
	if err != nil {
		return err
	}
	p.Module = ref
	// The act alone says whether anybody sees it.
	if p.Shadow = c.Act == ActShadow; p.Shadow {
		p.Rollout = 0
	}
	a.slot, a.module = p.Slot, ref
	return amendError(doc.Place(p))
}

// resolve finds a site's module by name and, where the site has several
// versions, version.
func (d *Desk) resolve(ctx context.Context, site string, ref edge.ModuleRef) (edge.ModuleRef, error) {
	found, err := d.uploadsOf(ctx, site, ref)
	if err != nil {
		return edge.ModuleRef{}, err
	}
	versions := make([]string, len(found))
	for i, u := range found {
		versions[i] = u.Version
	}
	switch {
	case len(found) == 0:
		return edge.ModuleRef{}, refuse(CodeNotFound, "module", "site %s has no module %.100q: upload it first", site, strings.TrimSuffix(ref.ID(), "@"))
	case len(found) > 1:
		return edge.ModuleRef{}, refuse(CodeInvalid, "module", "say which version of %s: %s", ref.Name, strings.Join(versions, ", "))
	case ref.Hash != "" && ref.Hash != found[0].Hash:
		return edge.ModuleRef{}, refuse(CodeInvalid, "module", "%s has the hash %s at site %s, not %.64q", ref.ID(), found[0].Hash, site, ref.Hash)
	}
	return found[0].Ref(), nil
}

// uploadsOf returns what a site has under a name and, unless that is empty,
// version.
func (d *Desk) uploadsOf(ctx context.Context, site string, ref edge.ModuleRef) ([]*Upload, error) {
	if ref.Version == "" {
		return d.uploads(ctx, site, ref.Name)
	}
	u, _, err := d.findUpload(ctx, site, ref.Name, ref.Version)
	if err != nil || u == nil {
		return nil, err
	}
	return []*Upload{u}, nil
}

// share rolls a module out further or back. One in shadow begins to be shown in
// its rung, and one that is taken back before it began leaves.
func share(a *amended, doc *edge.ReleaseDocument, c Change) error {
	a.slot, a.module = c.Slot, moduleIn(doc, c.Slot, c.Module)
	rung, shadow := shadowIn(doc, c.Slot, c.Module)
	switch {
	case shadow == nil:
		return amendError(doc.Share(c.Slot, c.Module, c.Share))
	case c.Share == 0:
		return amendError(doc.EndShadows(c.Slot, c.Module))
	}
	a.module, _ = doc.Module(shadow.Module)
	return amendError(doc.Place(edge.Placement{
		Module: a.module, Slot: c.Slot, Rung: rung, Role: shadow.Role, Settings: shadow.Settings,
		Priority: shadow.Priority, Because: shadow.Because, Rollout: c.Share,
	}))
}

// shadowIn returns a slot's shadow rule of a module and its rung.
func shadowIn(doc *edge.ReleaseDocument, slot, module string) (string, *edge.RuleSpec) {
	for _, rung := range doc.Ladder(slot) {
		for i := range rung.Rules {
			if r := &rung.Rules[i]; r.Shadow && doc.Runs(r, module) {
				return rung.Rung, r
			}
		}
	}
	return "", nil
}

// moduleIn returns the module that a slot's first rule of that name runs.
func moduleIn(doc *edge.ReleaseDocument, slot, module string) (ref edge.ModuleRef) {
	for _, rung := range doc.Ladder(slot) {
		for i := range rung.Rules {
			if r := &rung.Rules[i]; doc.Runs(r, module) {
				ref, _ = doc.Module(r.Module)
				return ref
			}
		}
	}
	return ref
}

// amendError turns an error of package edge's into the actor's.
func amendError(err error) error {
	wrong, ok := errors.AsType[*edge.AmendError](err)
	if !ok {
		return err
	}
	return &Error{Code: CodeInvalid, Field: wrong.Field, Message: wrong.Error(), Err: err}
}

// rollback returns the document of an earlier release.
func (d *Desk) rollback(ctx context.Context, a *amended, to uint64) (*edge.ReleaseDocument, error) {
	if to == 0 {
		first := a.was.first()
		if first <= 1 {
			return nil, refuse(CodeNotFound, "to", "there is no release before the live one")
		}
		to = first - 1
	}
	earlier, err := d.release(ctx, a.site, to)
	if err != nil {
		return nil, err
	}
	a.restores, a.origin = to, earlier.first()
	return earlier.copy()
}

// first returns the number under which a release's content was first live: its
// own, or for one that a rollback brought back, that of the release it went back
// to. So a second rollback goes further back and not forth again.
func (r *liveRelease) first() uint64 { return cmp.Or(r.Restores, r.Number) }
