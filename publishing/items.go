// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
)

// MaxItemPage is how many items one call of Items returns at most.
const MaxItemPage = 1000

// An ItemPage is a part of a site's catalogue.
type ItemPage struct {
	edge.Catalogue
	// List are the items, those that are gone included.
	List []edge.StoredItem `json:"list"`
	// Next is what After has to be for the part that follows; empty at the end.
	Next string `json:"next,omitempty"`
}

// ImportItems brings a feed into a site's catalogue, whole or not at all, and
// says what became of it. Items that cannot be taken have no place in the feed:
// edge.CatalogueItem.Check tells. It needs the role publisher.
func (d *Desk) ImportItems(ctx context.Context, by Actor, site string, feed edge.ItemFeed) (*edge.ItemImport, error) {
	if err := by.need(Publisher, site); err != nil {
		return nil, err
	}
	if _, err := d.live(ctx, site); err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(feed.Items))
	for i := range feed.Items {
		it := &feed.Items[i]
		err := it.Check()
		if err == nil && seen[it.ID] {
			err = &edge.ItemError{Code: edge.ItemRepeated, Field: "id"}
		}
		if err != nil {
			return nil, because(CodeInvalid, "items", fmt.Sprintf("item %d of the feed", i+1), err)
		}
		seen[it.ID] = true
	}
	entry := Entry{Site: site, Act: ActItems, Detail: fmt.Sprintf("%d items of a part", len(feed.Items))}
	if feed.Full {
		entry.Detail = fmt.Sprintf("%d items, all there are", len(feed.Items))
	}
	var out edge.ItemImport
	err := d.withEntry(ctx, by, entry, func() (err error) {
		out, err = d.o.Items.ImportItems(ctx, site, feed, d.now())
		return itemsError(err)
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// itemsError gives the catalogue's refusals their codes.
func itemsError(err error) error {
	switch {
	case errors.Is(err, edge.ErrItemsShrink):
		return &Error{Code: CodeShrinks, Field: "items", Err: err,
			Message: "the feed lacks more than half of the site's items, as one that was cut off would: nothing was changed; say that it may shrink if it is whole"}
	case errors.Is(err, edge.ErrItemsFull):
		return because(CodeQuota, "items", "items", err)
	}
	return storeError(err, "id", "such item")
}

// Items returns items of a site's catalogue that follow the one with the id
// after, "" for the first, at most limit, 0 for as many as there may be. It needs
// the role viewer.
func (d *Desk) Items(ctx context.Context, by Actor, site, after string, limit int) (*ItemPage, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > MaxItemPage {
		limit = MaxItemPage
	}
	catalogue, err := d.o.Items.Catalogue(ctx, site)
	if err != nil {
		return nil, itemsError(err)
	}
	page := &ItemPage{Catalogue: catalogue}
	if page.List, err = d.o.Items.Items(ctx, site, after, limit); err != nil {
		return nil, itemsError(err)
	}
	if page.List == nil {
		page.List = []edge.StoredItem{}
	}
	if len(page.List) == limit {
		page.Next = page.List[limit-1].ID
	}
	return page, nil
}

// Item returns one item of a site's catalogue, also one that is gone. It needs the
// role viewer.
func (d *Desk) Item(ctx context.Context, by Actor, site, id string) (*edge.StoredItem, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	it, err := d.o.Items.Item(ctx, site, id)
	if err != nil {
		return nil, itemsError(err)
	}
	return &it, nil
}

// DeleteItem takes an item out of a site's catalogue at once, as if it had never
// been there; the next full feed brings it back if it has it. It needs the role
// publisher.
func (d *Desk) DeleteItem(ctx context.Context, by Actor, site, id string) error {
	if err := by.need(Publisher, site); err != nil {
		return err
	}
	if _, err := d.o.Items.Item(ctx, site, id); err != nil {
		return itemsError(err)
	}
	return d.withEntry(ctx, by, Entry{Site: site, Act: ActDeleteItem, Detail: id}, func() error {
		return itemsError(d.o.Items.DeleteItem(ctx, site, id, d.now()))
	})
}
