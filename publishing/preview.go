// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// MaxPreviewTime bounds how long a preview's link is good.
const MaxPreviewTime = 30 * 24 * time.Hour

// A Preview is a link that shows a page as it would be if a placement were
// published. Whoever has the link sees it, nobody else, and nothing is counted.
type Preview struct {
	// Link is the page's address with the token; who opens it must grant what
	// the module needs, as on any page.
	Link  string    `json:"link"`
	Token string    `json:"token"`
	Until time.Time `json:"until"`
}

// A previewNote is what the store keeps of a preview.
type previewNote struct {
	Placement edge.Placement `json:"placement"`
	By        string         `json:"by"`
	Until     time.Time      `json:"until"`
}

// Preview makes a link that is good for a time. page is the address of a page of
// the site, empty for its first origin's. The preview follows the live release:
// the placement is worked out anew whenever that changes. It needs the role
// editor.
func (d *Desk) Preview(ctx context.Context, by Actor, site string, p edge.Placement, page string, valid time.Duration) (*Preview, error) {
	if err := by.need(Editor, site); err != nil {
		return nil, err
	}
	if d.o.SealPreview == nil {
		return nil, refuse(CodeUnavailable, "", "there are no previews here")
	}
	if valid <= 0 || valid > MaxPreviewTime {
		return nil, refuse(CodeInvalid, "valid", "a preview is good for at most %d days", MaxPreviewTime/(24*time.Hour))
	}
	p.Shadow, p.Rollout = false, 0
	next, err := d.amend(ctx, site, Change{Act: ActPublish, Placement: &p})
	if err != nil {
		return nil, err
	}
	address, err := pageOf(next.was.doc, page)
	if err != nil {
		return nil, err
	}
	if err := d.dropPreviews(ctx, site); err != nil {
		return nil, err
	}
	p.Module = next.module
	out := &Preview{Until: d.now().Add(valid)}
	id := newID()
	value, err := json.Marshal(previewNote{Placement: p, By: by.Name, Until: out.Until})
	if err != nil {
		return nil, err
	}
	if len(value) > edge.MaxNoteBytes {
		return nil, refuse(CodeTooLarge, "placement", "a placement of %d bytes cannot be previewed, at most %d", len(value), edge.MaxNoteBytes)
	}
	if _, err := d.o.Notes.PutNote(ctx, previewKey(site, id), value, 0); err != nil {
		return nil, storeError(err, "", "preview")
	}
	if out.Token, err = d.o.SealPreview(site, id, out.Until); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	query := address.Query()
	query.Set(edge.PreviewParameter, out.Token)
	address.RawQuery = query.Encode()
	out.Link = address.String()
	return out, nil
}

// pageOf returns the address of a page of the site.
func pageOf(doc *edge.ReleaseDocument, page string) (*url.URL, error) {
	if page == "" {
		page = doc.Settings.Origins[0] + "/"
	}
	u, err := url.Parse(page)
	if err != nil || len(page) > 2048 || !slices.Contains(doc.Settings.Origins, u.Scheme+"://"+u.Host) {
		return nil, refuse(CodeInvalid, "page", "the page is not on the site's own origins: %v", doc.Settings.Origins)
	}
	return u, nil
}

// dropPreviews forgets a site's previews whose time is over, and the oldest where
// there would be too many.
func (d *Desk) dropPreviews(ctx context.Context, site string) error {
	notes, err := d.o.Notes.Notes(ctx, previewNotes+"."+site)
	if err != nil {
		return storeError(err, "", "previews")
	}
	var good, over []edge.Note
	for _, n := range notes {
		var p previewNote
		if json.Unmarshal(n.Value, &p) == nil && d.now().Before(p.Until) {
			good = append(good, n)
		} else { // damaged is as good as over
			over = append(over, n)
		}
	}
	return errors.Join(d.forget(ctx, over, 0), d.forget(ctx, good, d.o.Quota.Previews-1))
}

// PreviewDocument returns the release document of a preview, for the engine: it
// has opened the token.
func (d *Desk) PreviewDocument(ctx context.Context, site, id string) ([]byte, error) {
	if !idPattern.MatchString(id) {
		return nil, refuse(CodeNotFound, "", "there is no such preview")
	}
	value, _, err := d.o.Notes.Note(ctx, previewKey(site, id))
	if err != nil {
		return nil, storeError(err, "", "such preview")
	}
	var note previewNote
	if err := json.Unmarshal(value, &note); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	was, err := d.live(ctx, site)
	if err != nil {
		return nil, err
	}
	doc, err := d.documentAfter(ctx, &amended{site: site, was: was}, Change{Act: ActPublish, Placement: &note.Placement})
	if err != nil {
		return nil, err
	}
	// A placement leaves the rules without code as they are, so the module that
	// the live release has of them is the preview's too.
	return json.Marshal(doc)
}

const previewNotes = "preview"

func previewKey(site, id string) string { return previewNotes + "." + site + "." + id }
