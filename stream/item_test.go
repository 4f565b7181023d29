// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

var itemDay = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func hats(from, to int) (items []edge.CatalogueItem) {
	for i := from; i < to; i++ {
		items = append(items, edge.CatalogueItem{
			ID: fmt.Sprintf("sku-%d", i), Title: fmt.Sprintf("Hat %d", i), URL: fmt.Sprintf("https://shop.example/hats/%d", i),
			Price: "19.90", Currency: "EUR", Availability: "in_stock", Categories: []string{"Clothing > Hats"},
			Attributes: map[string]string{"colour": "red"},
		})
	}
	return items
}

func importItems(t testing.TB, s *Stream, feed edge.ItemFeed, now time.Time) edge.ItemImport {
	t.Helper()
	out, err := s.ImportItems(t.Context(), "shop", feed, now)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// allItems lists a catalogue page by page and fails if an item comes twice.
func allItems(t testing.TB, s *Stream) map[string]edge.StoredItem {
	t.Helper()
	all := make(map[string]edge.StoredItem)
	for after := ""; ; {
		page, err := s.Items(t.Context(), "shop", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page {
			if _, twice := all[it.ID]; twice {
				t.Fatalf("item %s is listed twice", it.ID)
			}
			all[it.ID] = it
			after = it.ID
		}
		if len(page) < 100 {
			return all
		}
	}
}

func TestItemsAreImportedChangedAndGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if got := importItems(t, s, edge.ItemFeed{Items: hats(0, 1000), Full: true}, itemDay); got != (edge.ItemImport{Added: 1000, Items: 1000}) {
		t.Errorf("the first feed: %+v", got)
	}
	if got := importItems(t, s, edge.ItemFeed{Items: hats(0, 1000), Full: true}, itemDay.Add(time.Hour)); got != (edge.ItemImport{Unchanged: 1000, Items: 1000}) {
		t.Errorf("the same again: %+v", got)
	}
	dearer := hats(0, 1)
	dearer[0].Price = "29.90"
	if got := importItems(t, s, edge.ItemFeed{Items: dearer}, itemDay.Add(2*time.Hour)); got != (edge.ItemImport{Changed: 1, Items: 1000}) {
		t.Errorf("a part of the feed: %+v", got)
	}
	full := edge.ItemFeed{Items: hats(10, 1005), Full: true, Keep: []string{"sku-3"}}
	if got := importItems(t, s, full, itemDay.Add(3*time.Hour)); got != (edge.ItemImport{Added: 5, Unchanged: 990, Gone: 9, Items: 996, GoneItems: 9}) {
		t.Errorf("a feed without ten, one of which could not be read: %+v", got)
	}
	closeStream(t, s)

	s = open(t, Options{Dir: dir})
	all := allItems(t, s)
	if len(all) != 1005 {
		t.Fatalf("%d items are listed, want 1005", len(all))
	}
	if it := all["sku-0"]; it.Price != "29.90" || !it.Gone.Equal(itemDay.Add(3*time.Hour)) || !it.Imported.Equal(itemDay.Add(2*time.Hour)) {
		t.Errorf("what is gone is %+v", it)
	}
	if it := all["sku-3"]; !it.Gone.IsZero() || !it.Imported.Equal(itemDay) {
		t.Errorf("what could not be read is %+v, want it as it was", it)
	}
	it, err := s.Item(t.Context(), "shop", "sku-500")
	if err != nil || it.Title != "Hat 500" || it.Attributes["colour"] != "red" {
		t.Errorf("Item() = %+v, %v", it, err)
	}
	if _, err := s.Item(t.Context(), "shop", "sku-x"); !errors.Is(err, ErrNoItem) || !errors.Is(err, edge.ErrNone) {
		t.Errorf("an item that is not there: %v", err)
	}
	c, err := s.Catalogue(t.Context(), "shop")
	if want := (edge.Catalogue{Site: "shop", Items: 996, GoneItems: 9, Imported: itemDay.Add(3 * time.Hour)}); err != nil || c != want {
		t.Errorf("Catalogue() = %+v, %v, want %+v", c, err, want)
	}
	// What is back counts as new, and what has been gone for long is forgotten.
	later := itemDay.Add(goneAge + 4*time.Hour)
	back := edge.ItemFeed{Items: hats(5, 1005), Full: true}
	if got := importItems(t, s, back, later); got.Added != 5 || got.Gone != 1 || got.GoneItems != 1 {
		t.Errorf("five are back: %+v", got)
	}
	if _, err := s.Item(t.Context(), "shop", "sku-0"); !errors.Is(err, ErrNoItem) {
		t.Errorf("an item that was gone for 90 days: %v", err)
	}
}

func TestAFeedThatWasCutOffDeletesNothing(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	importItems(t, s, edge.ItemFeed{Items: hats(0, 300), Full: true}, itemDay)
	for name, feed := range map[string]edge.ItemFeed{
		"a third":      {Items: hats(0, 100), Full: true},
		"nothing":      {Full: true},
		"other things": {Items: hats(1000, 1300), Full: true},
	} {
		if _, err := s.ImportItems(t.Context(), "shop", feed, itemDay); !errors.Is(err, edge.ErrItemsShrink) {
			t.Errorf("%s of the feed: %v, want %v", name, err, edge.ErrItemsShrink)
		}
	}
	if c, err := s.Catalogue(t.Context(), "shop"); err != nil || c.Items != 300 || c.GoneItems != 0 {
		t.Errorf("Catalogue() = %+v, %v, want all 300", c, err)
	}
	if got := importItems(t, s, edge.ItemFeed{Items: hats(0, 100), Full: true, Shrink: true}, itemDay); got.Gone != 200 {
		t.Errorf("a feed that may shrink: %+v", got)
	}
}

func TestAnItemIsDeleted(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	importItems(t, s, edge.ItemFeed{Items: hats(0, 700)}, itemDay)
	if err := s.DeleteItem(t.Context(), "shop", "sku-7", itemDay); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"sku-7", "sku-x", "", "two words"} {
		if err := s.DeleteItem(t.Context(), "shop", id, itemDay); !errors.Is(err, ErrNoItem) {
			t.Errorf("delete %q: %v, want %v", id, err, ErrNoItem)
		}
	}
	if all := allItems(t, s); len(all) != 699 || all["sku-7"].ID != "" {
		t.Errorf("%d items are left, want 699 without sku-7", len(all))
	}
}

func TestItemsThatAreRefused(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	bad := hats(0, 2)
	bad[1].URL = "javascript:alert(1)"
	if _, err := s.ImportItems(t.Context(), "shop", edge.ItemFeed{Items: bad}, itemDay); !errors.Is(err, ErrInvalid) {
		t.Errorf("a bad item: %v, want %v", err, ErrInvalid)
	}
	if _, err := s.ImportItems(t.Context(), "No Site", edge.ItemFeed{Items: hats(0, 1)}, itemDay); err == nil {
		t.Error("a bad site is taken")
	}
	if all := allItems(t, s); len(all) != 0 {
		t.Errorf("%d items are there, want none", len(all))
	}
}

// A part that is too large for one message is divided, whatever the number of
// its items.
func TestLargeItemsAreDivided(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	items := hats(0, 200)
	for i := range items {
		items[i].Attributes = make(map[string]string)
		for j := range 30 {
			// Hardly compressible.
			items[i].Attributes[fmt.Sprintf("a%d", j)] = hashOf([]byte(fmt.Sprint(i, j, 1))) + hashOf([]byte(fmt.Sprint(i, j, 2))) + hashOf([]byte(fmt.Sprint(i, j, 3)))
		}
	}
	importItems(t, s, edge.ItemFeed{Items: items, Full: true}, itemDay)
	h, err := s.head(t.Context(), "shop")
	if err != nil || len(h.Parts) < 2 {
		t.Errorf("%d parts, %v; want several", len(h.Parts), err)
	}
	if all := allItems(t, s); len(all) != 200 || len(all["sku-9"].Attributes) != 30 {
		t.Errorf("%d items are there, want 200 whole ones", len(all))
	}
}

// An import that ended anywhere leaves the catalogue as it was, and what it
// wrote is taken away by the next one.
func TestAnImportThatBrokeOffLeavesNothingBehind(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	importItems(t, s, edge.ItemFeed{Items: hats(0, 600), Full: true}, itemDay)
	was, err := s.head(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	// As far as an import comes before its head: it is announced, and its parts
	// are written.
	changed := hats(0, 600)
	for i := range changed {
		changed[i].Price = "1.00"
	}
	plan := planImport(was, &edge.ItemFeed{Items: changed, Full: true}, itemDay)
	if _, err := plan.run(func(hash string) ([]byte, error) { return s.part(t.Context(), "shop", hash) }); err != nil {
		t.Fatal(err)
	}
	announced := was
	announced.Loose = plan.fresh()
	if err := s.putHead(t.Context(), "shop", announced); err != nil {
		t.Fatal(err)
	}
	for hash, packed := range plan.packed {
		if err := s.write(t.Context(), func(ctx context.Context, b *broker) error {
			_, err := b.items.Put(ctx, partKey("shop", hash), packed)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if it := allItems(t, s)["sku-1"]; it.Price != "19.90" {
		t.Errorf("an import that broke off shows a price of %s", it.Price)
	}
	importItems(t, s, edge.ItemFeed{Items: hats(0, 601), Full: true}, itemDay)
	now, err := s.head(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	if err := s.withBroker(t.Context(), func(ctx context.Context, b *broker) error {
		list, err := b.items.ListKeys(ctx)
		if err != nil {
			return err
		}
		keys = nil
		for key := range list.Keys() {
			keys = append(keys, key)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(keys) != len(now.Parts)+1 || len(now.Loose) != 0 {
		t.Errorf("%d keys are there for %d parts and a head; loose: %d", len(keys), len(now.Parts), len(now.Loose))
	}
}

func TestHammerItemsWhileTheyAreImported(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	importItems(t, s, edge.ItemFeed{Items: hats(0, 2000), Full: true}, itemDay)
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				it, err := s.Item(context.Background(), "shop", "sku-77")
				if err != nil || it.Title != "Hat 77" {
					t.Errorf("Item() = %+v, %v", it, err)
					return
				}
			}
		})
	}
	for round := range 5 {
		changed := hats(0, 2000)
		for i := range changed {
			changed[i].Price = fmt.Sprintf("%d.00", round)
		}
		importItems(t, s, edge.ItemFeed{Items: changed, Full: true}, itemDay)
	}
	close(stop)
	wait.Wait()
}

// FuzzPart gives stored bytes to who reads parts.
func FuzzPart(f *testing.F) {
	hash, packed, err := packPart([]byte(`{"id":"a","title":"A","url":"https://shop.example/a","imported":"2026-11-27T12:00:00Z"}` + "\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, hash)
	f.Add(packed[:len(packed)/2], hash)
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, packed []byte, hash string) {
		lines, err := unpackPart(packed, hash)
		if err != nil {
			return
		}
		items, err := decodeItems(lines)
		if err != nil {
			return
		}
		q := itemQuery{limit: 10}
		if found, err := q.run([]string{hash}, func(string) ([]byte, error) { return lines, nil }); err == nil && len(found) != min(10, len(items)) {
			t.Errorf("%d of %d items are found", len(found), len(items))
		}
	})
}

// BenchmarkImportItems is a feed of 100,000 items, of which one in ten has
// changed since the one before.
func BenchmarkImportItems(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir()})
	items := hats(0, 100_000)
	round := 0
	for b.Loop() {
		round++
		for i := round % 10; i < len(items); i += 10 {
			items[i].Price = fmt.Sprintf("%d.00", round)
		}
		importItems(b, s, edge.ItemFeed{Items: items, Full: true}, itemDay)
	}
}
