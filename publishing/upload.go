// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// An Upload is a module that a site may publish. Name and version are the
// manifest's; at a site they mean the same bytes for ever.
type Upload struct {
	Site    string `json:"site"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Hash is the SHA-256 of the bytes, Rewritten that of what runs in their
	// place.
	Hash      string `json:"hash"`
	Rewritten string `json:"rewritten,omitempty"`
	Bytes     int    `json:"bytes"`
	// By brought it At then; both are empty for a module that comes with the
	// node.
	By string    `json:"by,omitempty"`
	At time.Time `json:"at,omitzero"`
	// Signature is the minisign text that came with it.
	Signature string `json:"signature,omitempty"`
	// Report is what the check found when it was uploaded.
	Report *edge.ModuleReport `json:"report,omitempty"`
}

// Ref returns the module as a release names it.
func (u *Upload) Ref() edge.ModuleRef {
	return edge.ModuleRef{Name: u.Name, Version: u.Version, Hash: u.Hash, Signature: u.Signature}
}

// Check reports what a module declares and whether it may be uploaded; nothing
// is kept. It needs the role editor at any site.
func (d *Desk) Check(ctx context.Context, by Actor, wasm []byte) (*edge.ModuleReport, error) {
	if err := by.needAnywhere(Editor); err != nil {
		return nil, err
	}
	report, err := d.o.Checker.Check(ctx, wasm)
	if err != nil {
		return nil, because(CodeUnavailable, "", "check", err)
	}
	return report, nil
}

// Test runs a module on its author's cases; nothing is kept. It needs the role
// editor at any site.
func (d *Desk) Test(ctx context.Context, by Actor, wasm []byte, cases []edge.ModuleCase) (*edge.ModuleTestReport, error) {
	if err := by.needAnywhere(Editor); err != nil {
		return nil, err
	}
	report, err := d.o.Checker.Test(ctx, wasm, cases)
	if err != nil {
		return nil, because(CodeUnavailable, "", "test", err)
	}
	return report, nil
}

// Upload brings a module to a site: it is checked, stored and noted, and may
// then be published there. A module that the check refuses is an *Error with
// the check's code. The same bytes again are no error, and may bring the
// signature that was missing; other bytes under a name and version that are
// taken are refused. signature is minisign's text, empty for none. It needs the
// role editor.
func (d *Desk) Upload(ctx context.Context, by Actor, site string, wasm []byte, signature string) (*Upload, error) {
	if err := by.need(Editor, site); err != nil {
		return nil, err
	}
	if len(signature) > edge.MaxSignatureBytes {
		return nil, refuse(CodeTooLarge, "signature", "the signature has %d bytes, at most %d", len(signature), edge.MaxSignatureBytes)
	}
	if _, err := d.live(ctx, site); err != nil {
		return nil, err
	}
	report, err := d.Check(ctx, by, wasm)
	if err != nil {
		return nil, err
	}
	if !report.OK {
		return nil, refuse(report.Code, "module", "%s", report.Message)
	}
	u := &Upload{
		Site: site, Name: report.Manifest.Name, Version: report.Manifest.Version, Hash: report.Hash, Rewritten: report.Rewritten,
		Bytes: len(wasm), By: by.Name, At: d.now(), Signature: signature, Report: report,
	}
	if err := d.o.Checker.Verify(site, u.Ref()); err != nil {
		return nil, because(CodeInvalid, "signature", "signature", err)
	}
	if err := d.admitUpload(ctx, u); err != nil {
		return nil, err
	}
	if _, err := d.o.Modules.PutModule(ctx, wasm); err != nil {
		return nil, storeError(err, "", "store module")
	}
	return d.keepUpload(ctx, by, u)
}

// keepUpload writes an upload's note unless its name and version are taken.
func (d *Desk) keepUpload(ctx context.Context, by Actor, u *Upload) (*Upload, error) {
	for range casAttempts {
		was, revision, err := d.findUpload(ctx, u.Site, u.Name, u.Version)
		if err == nil && was != nil {
			err = u.sameAs(was)
		}
		switch {
		case err != nil:
			return nil, err
		case was != nil && (was.By == "" || u.Signature == "" || was.Signature == u.Signature):
			return was, nil
		}
		entry := Entry{Site: u.Site, Act: ActUpload, Module: u.Name + "@" + u.Version, ModuleHash: u.Hash}
		if u.Signature != "" {
			entry.Detail = "signed"
		}
		err = d.withEntry(ctx, by, entry, func() error {
			value, err := u.value()
			if err == nil {
				_, err = d.o.Notes.PutNote(ctx, uploadKey(u.Site, u.Name, u.Version), value, revision)
			}
			return err
		})
		if !errors.Is(err, edge.ErrChanged) {
			return u, storeError(err, "", "upload")
		}
	}
	return nil, storeError(edge.ErrChanged, "version", "the upload")
}

// sameAs refuses other bytes than those that have the upload's name and version.
func (u *Upload) sameAs(was *Upload) error {
	if was.Hash == u.Hash {
		return nil
	}
	return refuse(CodeTaken, "version", "%s@%s is another module at site %s already: give it a new version", u.Name, u.Version, u.Site)
}

// value is the upload's note. A report that does not fit leaves out what was
// answered to the sample visits.
func (u *Upload) value() ([]byte, error) {
	value, err := json.Marshal(u)
	if err != nil || len(value) <= edge.MaxNoteBytes {
		return value, err
	}
	short, report := *u, *u.Report
	report.Canaries = nil
	short.Report = &report
	return json.Marshal(short)
}

// findUpload returns what a site has under a name and version, and the revision
// of its note, 0 for what comes with the node. Nothing is nil without an error.
func (d *Desk) findUpload(ctx context.Context, site, name, version string) (*Upload, uint64, error) {
	for _, ref := range d.builtin() {
		if ref.Name == name && ref.Version == version {
			return builtinUpload(site, ref), 0, nil
		}
	}
	value, revision, err := d.o.Notes.Note(ctx, uploadKey(site, name, version))
	switch {
	case errors.Is(err, edge.ErrNone):
		return nil, 0, nil
	case err != nil:
		return nil, 0, storeError(err, "", "upload")
	}
	u := &Upload{}
	if err := json.Unmarshal(value, u); err != nil {
		return nil, 0, fmt.Errorf("upload %s@%s: %w", name, version, err)
	}
	if u.Name != name || u.Version != version { // a dot at another place of the key
		return nil, 0, nil
	}
	return u, revision, nil
}

// Describe returns one of the modules that a site may publish, with its report.
// One that comes with the node was never uploaded: it is checked the first time. It needs
// the role viewer.
func (d *Desk) Describe(ctx context.Context, by Actor, site, name, version string) (*Upload, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	if _, err := d.live(ctx, site); err != nil {
		return nil, err
	}
	u, _, err := d.findUpload(ctx, site, name, version)
	switch {
	case err != nil:
		return nil, err
	case u == nil:
		return nil, refuse(CodeNotFound, "module", "site %s has no module %.100q", site, name+"@"+version)
	case u.Report != nil:
		return u, nil
	}
	if u.Report, err = d.builtinReport(ctx, u); err != nil {
		return nil, err
	}
	u.Bytes = u.Report.Bytes
	return u, nil
}

// Uploads returns the modules that a site may publish, the newest first, and
// last those that come with the node, which nobody uploaded. It needs the role
// viewer.
func (d *Desk) Uploads(ctx context.Context, by Actor, site string) ([]*Upload, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	if _, err := d.live(ctx, site); err != nil {
		return nil, err
	}
	return d.uploads(ctx, site, "")
}

// uploads returns the modules that a site may publish, of one name unless that
// is empty.
func (d *Desk) uploads(ctx context.Context, site, name string) ([]*Upload, error) {
	prefix := uploadNotes + "." + site
	if name != "" {
		prefix += "." + name
	}
	uploads := []*Upload{}
	notes, err := d.o.Notes.Notes(ctx, prefix)
	for _, n := range notes {
		u := &Upload{}
		err = errors.Join(err, read(n, u))
		if name == "" || u.Name == name {
			uploads = append(uploads, u)
		}
	}
	if err != nil {
		return nil, storeError(err, "", "uploads")
	}
	slices.SortStableFunc(uploads, func(a, b *Upload) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Name, b.Name)) })
	for _, ref := range d.builtin() {
		if name == "" || ref.Name == name {
			uploads = append(uploads, builtinUpload(site, ref))
		}
	}
	return uploads, nil
}

const uploadNotes = "upload"

// uploadKey is the key of an upload's note. Neither site nor name holds a dot.
func uploadKey(site, name, version string) string {
	return uploadNotes + "." + site + "." + name + "." + version
}
