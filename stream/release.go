// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// ErrNoRelease reports a site without a live release, or a number that was
// never live: an edge.ErrNone.
var ErrNoRelease error = missing("no such release")

// A ConflictError reports a release that was published over another than the
// one it was made from: an edge.ErrChanged.
type ConflictError struct {
	Site string
	Live uint64 // the number that is live, 0 for none
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("release %d of site %s is live by now", e.Live, e.Site)
}

// Is makes the conflict an edge.ErrChanged too.
func (*ConflictError) Is(target error) bool { return target == edge.ErrChanged }

// The pointer bucket's keys: a site's live release is under the site, each
// release that was live before under site.number.
func pastKey(site string, number uint64) string {
	return site + "." + strconv.FormatUint(number, 10)
}

// PutRelease makes doc the live release of site, with next's Number and Restores,
// if the live number is expect, 0 for none, and otherwise returns a
// *ConflictError. The document is stored
// first, under its hash, so a live release always has one. A number that was
// live before can go live again only with the same document. Publishing what is
// live already is no error, so a call whose answer was lost can be repeated.
// While the log is down it fails with the reason.
func (s *Stream) PutRelease(ctx context.Context, site string, expect uint64, next edge.Published, doc []byte) error {
	switch {
	case !edge.ValidSite(site):
		return fmt.Errorf("publish release: %w", errSite)
	case next.Number == 0 || next.Number == expect:
		return fmt.Errorf("publish release: number %d is not a new one", next.Number)
	case len(doc) == 0 || len(doc) > edge.MaxReleaseBytes:
		return fmt.Errorf("publish release: document of %d bytes, 1 to %d are allowed", len(doc), edge.MaxReleaseBytes)
	}
	s.releases.Lock()
	defer s.releases.Unlock()
	pub := publication{site: site, expect: expect, doc: doc, next: edge.Published{
		Number: next.Number, Hash: hashOf(doc), At: time.Now().UTC().Truncate(time.Millisecond), Restores: next.Restores,
	}}
	err := s.write(ctx, func(ctx context.Context, b *broker) error { return b.putRelease(ctx, pub) })
	if err != nil {
		return fmt.Errorf("publish release %d of site %s: %w", next.Number, site, err)
	}
	return nil
}

// A publication is a release on its way to be live.
type publication struct {
	site   string
	expect uint64 // the number that must be live, 0 for none
	next   edge.Published
	doc    []byte
}

func (b *broker) putRelease(ctx context.Context, pub publication) error {
	live, revision, err := b.pointer(ctx, pub.site)
	switch {
	case err != nil && !errors.Is(err, ErrNoRelease):
		return err
	case live.Number == pub.next.Number && live.Hash == pub.next.Hash:
		return nil // by an earlier call whose answer was lost
	case live.Number != pub.expect:
		return &ConflictError{Site: pub.site, Live: live.Number}
	}
	past, _, err := b.pointer(ctx, pastKey(pub.site, pub.next.Number))
	switch {
	case errors.Is(err, ErrNoRelease):
	case err != nil:
		return err
	case past.Hash != pub.next.Hash:
		return fmt.Errorf("number %d is taken by another document", pub.next.Number)
	default:
		pub.next.At, pub.next.Restores = past.At, past.Restores
	}
	if err := b.bodies.put(ctx, pub.next.Hash, pub.doc, edge.MaxReleaseBytes); err != nil {
		return err
	}
	if pub.expect != 0 {
		// The one that goes is noted before it goes, so that the history has no
		// gap, wherever the process ends.
		if err := b.putPast(ctx, pub.site, live); err != nil {
			return err
		}
	}
	return b.swap(ctx, pub, revision)
}

// swap moves a site's pointer if it still has the revision.
func (b *broker) swap(ctx context.Context, pub publication, revision uint64) error {
	value, err := json.Marshal(pub.next)
	if err != nil {
		return err
	}
	if pub.expect == 0 {
		_, err = b.pointers.Create(ctx, pub.site, value)
	} else {
		_, err = b.pointers.Update(ctx, pub.site, value, revision)
	}
	if raced(err) {
		live, _, err := b.pointer(ctx, pub.site)
		return errors.Join(&ConflictError{Site: pub.site, Live: live.Number}, err)
	}
	return err
}

// raced reports whether a bucket refused a value because the key has another
// revision.
func raced(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// putPast notes a release in the site's history.
func (b *broker) putPast(ctx context.Context, site string, p edge.Published) error {
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = b.pointers.Put(ctx, pastKey(site, p.Number), value)
	return err
}

// Release returns the live release of site: its number and document. The error
// is ErrNoRelease when there is none and ErrBody when the document is damaged.
func (s *Stream) Release(ctx context.Context, site string) (number uint64, doc []byte, err error) {
	p, doc, err := s.Published(ctx, site, 0)
	return p.Number, doc, err
}

// ReleaseAt returns the document of a release that is or was live, with the
// errors of Release.
func (s *Stream) ReleaseAt(ctx context.Context, site string, number uint64) ([]byte, error) {
	_, doc, err := s.Published(ctx, site, number)
	return doc, err
}

// Published returns a release that is or was live, the live one for number 0,
// and its document, with the errors of Release.
func (s *Stream) Published(ctx context.Context, site string, number uint64) (p edge.Published, doc []byte, err error) {
	if !edge.ValidSite(site) {
		return edge.Published{}, nil, fmt.Errorf("read release: %w", ErrNoRelease)
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		p, _, err = b.pointer(ctx, site)
		p.Live = err == nil
		if err == nil && number != 0 && number != p.Number {
			p, _, err = b.pointer(ctx, pastKey(site, number))
		}
		if err == nil {
			doc, err = b.body(ctx, p.Hash)
		}
		return err
	})
	if err != nil {
		return edge.Published{}, nil, fmt.Errorf("read release of site %s: %w", site, err)
	}
	return p, doc, nil
}

// Sites returns the sites that have a live release, sorted.
func (s *Stream) Sites(ctx context.Context) (sites []string, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		sites, err = b.keys(ctx, "*")
		return err
	})
	slices.Sort(sites)
	return sites, err
}

// History returns every release of site that is or was live, by number. It is
// empty for a site without one.
func (s *Stream) History(ctx context.Context, site string) (all []edge.Published, err error) {
	if !edge.ValidSite(site) {
		return nil, nil
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		all, err = b.history(ctx, site)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read history of site %s: %w", site, err)
	}
	return all, nil
}

func (b *broker) history(ctx context.Context, site string) ([]edge.Published, error) {
	live, _, err := b.pointer(ctx, site)
	if errors.Is(err, ErrNoRelease) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := b.keys(ctx, site+".*")
	if err != nil {
		return nil, err
	}
	live.Live = true
	all := []edge.Published{live}
	for _, k := range keys {
		if k == pastKey(site, live.Number) {
			continue
		}
		p, _, err := b.pointer(ctx, k)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b edge.Published) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// keys returns the pointer bucket's keys that match a filter.
func (b *broker) keys(ctx context.Context, filter string) ([]string, error) {
	list, err := b.pointers.ListKeysFiltered(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	var keys []string
	for k := range list.Keys() {
		keys = append(keys, k)
	}
	if err := ctx.Err(); err != nil { // the list ends early without a word
		return nil, fmt.Errorf("list releases: %w", err)
	}
	return keys, nil
}

// pointer reads a pointer and its revision.
func (b *broker) pointer(ctx context.Context, k string) (p edge.Published, revision uint64, err error) {
	e, err := b.pointers.Get(ctx, k)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return p, 0, ErrNoRelease
	case err != nil:
		return p, 0, fmt.Errorf("read release pointer: %w", err)
	}
	p, err = decodePointer(e.Value())
	return p, e.Revision(), err
}

func decodePointer(value []byte) (p edge.Published, err error) {
	if err := json.Unmarshal(value, &p); err != nil {
		return edge.Published{}, fmt.Errorf("read release pointer: %w", err)
	}
	if p.Number == 0 || !validHash(p.Hash) {
		return edge.Published{}, errors.New("read release pointer: no number or hash")
	}
	return p, nil
}

// PutDocument keeps a release document that is not live, or not yet, and returns
// its SHA-256 in lower-case hex, under which Document finds it. It is kept for
// good. The error is ErrInvalid for no bytes or more than edge.MaxReleaseBytes;
// while the log is down it is the reason. After another error the document may be
// kept or not.
func (s *Stream) PutDocument(ctx context.Context, doc []byte) (hash string, err error) {
	if len(doc) == 0 || len(doc) > edge.MaxReleaseBytes {
		return "", fmt.Errorf("store release document: %w: %d bytes, 1 to %d are allowed", ErrInvalid, len(doc), edge.MaxReleaseBytes)
	}
	hash = hashOf(doc)
	s.releases.Lock()
	defer s.releases.Unlock()
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		return b.bodies.put(ctx, hash, doc, edge.MaxReleaseBytes)
	})
	if err != nil {
		return "", fmt.Errorf("store release document %s: %w", hash, err)
	}
	return hash, nil
}

// Document returns the release document with a hash, live or not; the caller owns
// the bytes, and they are those that were put. The error is ErrNoRelease when
// there is none and ErrBody when it is damaged.
func (s *Stream) Document(ctx context.Context, hash string) (doc []byte, err error) {
	if !validHash(hash) {
		return nil, fmt.Errorf("read release document: %w", ErrNoRelease)
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		doc, err = b.body(ctx, hash)
		return err
	})
	switch {
	case errors.Is(err, errAbsent):
		return nil, fmt.Errorf("read release document %s: %w", hash, ErrNoRelease)
	case err != nil:
		return nil, fmt.Errorf("read release document %s: %w", hash, err)
	}
	return doc, nil
}

// body reads a release's document.
func (b *broker) body(ctx context.Context, hash string) ([]byte, error) {
	return b.bodies.get(ctx, hash, edge.MaxReleaseBytes)
}
