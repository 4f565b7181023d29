// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// A site's items lie in parts, by a hash of their ids: each part is one value of
// the bucket under its own SHA-256, and the head names the parts that count. An
// import writes new parts beside the old ones and then the head, so that it takes
// effect whole or not at all, and costs nothing for parts that stay as they are.
//
// The head also names the parts that are about to be written or may be deleted;
// whatever an import that broke off left behind, the next one takes away.

// ErrNoItem reports an id without an item: an edge.ErrNone.
var ErrNoItem error = missing("no such item")

const (
	// goneAge is how long an item that feeds no longer have is kept.
	goneAge = 90 * 24 * time.Hour
	// maxCatalogueBytes bounds a site's items as JSON.
	maxCatalogueBytes = 256 << 20
)

// A head is what the bucket has under a site.
type head struct {
	Parts []string `json:"parts"`           // hashes; their number is a power of two
	Loose []string `json:"loose,omitempty"` // hashes that may be there and do not count
	Items int      `json:"items"`
	Gone  int      `json:"gone"`
	Bytes int      `json:"bytes"` // of all parts as JSON
	At    int64    `json:"at"`    // of the last change, in ms since the Unix epoch
}

func headKey(site string) string       { return site + ".head" }
func partKey(site, hash string) string { return site + "." + hash }

// ImportItems brings a feed into a site's catalogue and says what became of it.
// It takes effect whole or not at all; after an error that is neither
// edge.ErrItemsShrink nor edge.ErrItemsFull it may have taken effect or not, and
// the same feed can be imported again. now stamps what changes. Imports wait for
// one another. Memory is about the feed's, and again as the largest part.
func (s *Stream) ImportItems(ctx context.Context, site string, feed edge.ItemFeed, now time.Time) (out edge.ItemImport, err error) {
	if !edge.ValidSite(site) {
		return out, fmt.Errorf("import items: %w", errSite)
	}
	for i := range feed.Items {
		if err := feed.Items[i].Check(); err != nil {
			return out, fmt.Errorf("import items: %w: %w", ErrInvalid, err)
		}
	}
	s.catalogues.Lock()
	defer s.catalogues.Unlock()
	was, err := s.head(ctx, site)
	if err == nil {
		plan := planImport(was, &feed, now)
		if out, err = plan.run(func(hash string) ([]byte, error) { return s.part(ctx, site, hash) }); err == nil {
			err = s.swapParts(ctx, site, was, plan)
		}
	}
	if err != nil {
		return edge.ItemImport{}, fmt.Errorf("import items of site %s: %w", site, err)
	}
	return out, nil
}

// DeleteItem takes an item out of a site's catalogue at once, as if it had never
// been there. The error is ErrNoItem when there is none.
func (s *Stream) DeleteItem(ctx context.Context, site, id string, now time.Time) error {
	if !edge.ValidSite(site) || !edge.ValidItemID(id) {
		return fmt.Errorf("delete item: %w", ErrNoItem)
	}
	s.catalogues.Lock()
	defer s.catalogues.Unlock()
	was, err := s.head(ctx, site)
	if err == nil {
		plan := planImport(was, &edge.ItemFeed{}, now)
		plan.remove = id
		if _, err = plan.run(func(hash string) ([]byte, error) { return s.part(ctx, site, hash) }); err == nil && !plan.removed {
			err = ErrNoItem
		}
		if err == nil {
			err = s.swapParts(ctx, site, was, plan)
		}
	}
	if err != nil {
		return fmt.Errorf("delete item of site %s: %w", site, err)
	}
	return nil
}

// swapParts writes a plan's new parts and makes them count.
func (s *Stream) swapParts(ctx context.Context, site string, was head, p *importPlan) error {
	if slices.Equal(p.next.Parts, was.Parts) {
		return nil
	}
	announced := was
	announced.Loose = union(was.Loose, p.fresh())
	if err := s.putHead(ctx, site, announced); err != nil {
		return err
	}
	for hash, packed := range p.packed {
		err := s.write(ctx, func(ctx context.Context, b *broker) error {
			_, err := b.items.Put(ctx, partKey(site, hash), packed)
			return err
		})
		if err != nil {
			return err
		}
	}
	p.next.Loose = without(union(announced.Loose, was.Parts), p.next.Parts)
	if err := s.putHead(ctx, site, p.next); err != nil {
		return err
	}
	// From here on the import has taken effect. What cannot be deleted now is
	// deleted by the next one.
	if s.deleteParts(ctx, site, p.next.Loose) == nil {
		p.next.Loose = nil
		_ = s.putHead(ctx, site, p.next) // they would be deleted once more
	}
	return nil
}

func (s *Stream) deleteParts(ctx context.Context, site string, hashes []string) error {
	for _, hash := range hashes {
		err := s.write(ctx, func(ctx context.Context, b *broker) error {
			if _, err := b.items.Get(ctx, partKey(site, hash)); errors.Is(err, jetstream.ErrKeyNotFound) {
				return nil
			}
			return b.items.Purge(ctx, partKey(site, hash), jetstream.PurgeTTL(deletedAge))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// putHead writes a site's head. Nobody else does meanwhile.
func (s *Stream) putHead(ctx context.Context, site string, h head) error {
	value, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return s.write(ctx, func(ctx context.Context, b *broker) error {
		_, err := b.items.Put(ctx, headKey(site), value)
		return err
	})
}

// head reads a site's head; it is empty for a site without items.
func (s *Stream) head(ctx context.Context, site string) (h head, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		e, err := b.items.Get(ctx, headKey(site))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read items: %w", err)
		}
		h = head{}
		if err := json.Unmarshal(e.Value(), &h); err != nil {
			return fmt.Errorf("read items: %w", err)
		}
		if n := len(h.Parts); n&(n-1) != 0 || n > maxParts {
			return fmt.Errorf("read items: %w: %d parts", ErrBody, n)
		}
		return nil
	})
	return h, err
}

// part reads a part as JSON lines; the error is ErrNoItem when it is not there
// (any more), and ErrBody when it is damaged.
func (s *Stream) part(ctx context.Context, site, hash string) (lines []byte, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		e, err := b.items.Get(ctx, partKey(site, hash))
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			return ErrNoItem
		case err != nil:
			return fmt.Errorf("read items: %w", err)
		}
		lines, err = unpackPart(e.Value(), hash)
		return err
	})
	return lines, err
}

// Item returns one of a site's items, those that are gone included. The error is
// ErrNoItem when there is none.
func (s *Stream) Item(ctx context.Context, site, id string) (edge.StoredItem, error) {
	items, err := s.listItems(ctx, site, itemQuery{from: id, only: true, limit: 1})
	switch {
	case err != nil:
		return edge.StoredItem{}, fmt.Errorf("read item of site %s: %w", site, err)
	case len(items) == 0:
		return edge.StoredItem{}, fmt.Errorf("read item of site %s: %w", site, ErrNoItem)
	}
	return items[0], nil
}

// Items returns at most limit of a site's items, those that are gone included,
// that follow the one with the id after, "" for the first. Their order is always
// the same and means nothing. While an import takes place, each is as it was
// before it or after.
func (s *Stream) Items(ctx context.Context, site, after string, limit int) ([]edge.StoredItem, error) {
	items, err := s.listItems(ctx, site, itemQuery{from: after, limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list items of site %s: %w", site, err)
	}
	return items, nil
}

// Catalogue says what a site's items are; a site without any has none.
func (s *Stream) Catalogue(ctx context.Context, site string) (edge.Catalogue, error) {
	c := edge.Catalogue{Site: site}
	if !edge.ValidSite(site) {
		return c, nil
	}
	h, err := s.head(ctx, site)
	if err != nil {
		return c, fmt.Errorf("read catalogue of site %s: %w", site, err)
	}
	c.Items, c.GoneItems = h.Items, h.Gone
	if h.At != 0 {
		c.Imported = time.UnixMilli(h.At).UTC()
	}
	return c, nil
}

// An itemQuery says which items are wanted: the one with the id from only, or
// those that follow it.
type itemQuery struct {
	from  string
	only  bool
	limit int
}

// listAttempts is how often a list begins again because an import took the parts
// away under it.
const listAttempts = 5

func (s *Stream) listItems(ctx context.Context, site string, q itemQuery) (items []edge.StoredItem, err error) {
	if !edge.ValidSite(site) || q.only && !edge.ValidItemID(q.from) {
		return nil, nil
	}
	for range listAttempts {
		var h head
		if h, err = s.head(ctx, site); err != nil || len(h.Parts) == 0 {
			return nil, err
		}
		items, err = q.run(h.Parts, func(hash string) ([]byte, error) { return s.part(ctx, site, hash) })
		if !errors.Is(err, ErrNoItem) {
			return items, err
		}
	}
	return nil, err
}

// union returns the strings of a and b, each once, in order.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// without returns what of a, which is sorted, is not in b.
func without(a, b []string) []string {
	out := map[string]bool{}
	for _, s := range b {
		out[s] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return out[s] })
}
