// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/nearside/nearside/edge"
)

// A Quota is how much one site may have at a desk at once, so that no site's
// people take the room of another's. A zero member is its default.
type Quota struct {
	// Uploads are the modules of a site, by default 1,000: twenty a week for a
	// year. The notes of all of them may have 16 KiB each on average.
	Uploads int
	// UploadBytes are the bytes of those modules together, by default 1 GiB.
	UploadBytes int64
	// Waiting are the proposals that wait for a second person, by default 100.
	// Whenever one more comes, of those that were decided the newest stay, twice
	// as many; the audit log tells of all.
	Waiting int
	// Previews are the links that are good at once, by default 100; one more
	// ends the oldest.
	Previews int
	// Tokens are those of a site, by default 200. One of several sites counts at
	// each of them.
	Tokens int
}

const uploadNoteBytes = 16 << 10

func (q *Quota) setDefaults() {
	q.Uploads = cmp.Or(q.Uploads, 1000)
	q.UploadBytes = cmp.Or(q.UploadBytes, 1<<30)
	q.Waiting = cmp.Or(q.Waiting, 100)
	q.Previews = cmp.Or(q.Previews, 100)
	q.Tokens = cmp.Or(q.Tokens, 200)
}

// admitUpload refuses an upload for which its site has no room, or whose name
// and version are taken, before anything of it is stored.
func (d *Desk) admitUpload(ctx context.Context, u *Upload) error {
	was, _, err := d.findUpload(ctx, u.Site, u.Name, u.Version)
	switch {
	case err != nil:
		return err
	case was != nil:
		return u.sameAs(was)
	}
	notes, err := d.o.Notes.Notes(ctx, uploadNotes+"."+u.Site)
	noted, bytes := 0, int64(u.Bytes)
	for _, n := range notes {
		var other Upload
		err = errors.Join(err, read(n, &other))
		noted += len(n.Value)
		bytes += int64(other.Bytes)
	}
	q := d.o.Quota
	switch {
	case err != nil:
		return storeError(err, "", "uploads")
	case len(notes) >= q.Uploads || noted >= q.Uploads*uploadNoteBytes:
		return refuse(CodeQuota, "module", "site %s has %d modules, as many as it may", u.Site, len(notes))
	case bytes > q.UploadBytes:
		return refuse(CodeQuota, "module", "the modules of site %s would have %d bytes together, at most %d", u.Site, bytes, q.UploadBytes)
	}
	return nil
}

// admitProposal refuses a proposal where too many wait, and forgets the oldest
// of those that were decided.
func (d *Desk) admitProposal(ctx context.Context, site string) error {
	notes, err := d.o.Notes.Notes(ctx, proposalNotes+"."+site)
	if err != nil {
		return storeError(err, "", "proposals")
	}
	decided := slices.DeleteFunc(slices.Clone(notes), func(n edge.Note) bool {
		var p Proposal
		return read(n, &p) == nil && (p.State == StateWaiting || p.State == StateApproved && p.Release == 0)
	})
	if waiting := len(notes) - len(decided); waiting >= d.o.Quota.Waiting {
		return refuse(CodeQuota, "", "at site %s %d proposals wait, as many as may: decide about some first", site, waiting)
	}
	return d.forget(ctx, decided, 2*d.o.Quota.Waiting)
}

// admitToken refuses a token where one of its sites has too many. Those that
// have expired make room.
func (d *Desk) admitToken(ctx context.Context, actor Actor) error {
	notes, err := d.o.Notes.Notes(ctx, tokenNotes)
	if err != nil {
		return storeError(err, "", "tokens")
	}
	for _, site := range actor.Sites {
		count := 0
		var expired []edge.Note
		for _, n := range notes {
			var t Token
			if err := read(n, &t); err != nil {
				return storeError(err, "", "tokens")
			}
			switch {
			case !slices.Contains(t.Actor.Sites, site):
			case t.expired(d.now()):
				expired = append(expired, n)
			default:
				count++
			}
		}
		if count >= d.o.Quota.Tokens {
			return refuse(CodeQuota, "sites", "site %s has %d tokens, as many as it may: revoke some first", site, count)
		}
		if err := d.forget(ctx, expired, d.o.Quota.Tokens-count-1); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes the notes that were changed longest ago, but for keep of them.
func (d *Desk) forget(ctx context.Context, notes []edge.Note, keep int) (err error) {
	slices.SortFunc(notes, func(a, b edge.Note) int { return cmp.Compare(a.Revision, b.Revision) })
	for _, n := range notes[:max(0, len(notes)-keep)] {
		if gone := d.o.Notes.DeleteNote(ctx, n.Key, n.Revision); !errors.Is(gone, edge.ErrChanged) {
			err = errors.Join(err, gone)
		}
	}
	return storeError(err, "", "what a site has too much of")
}
