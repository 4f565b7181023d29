// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"reflect"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/nearside/nearside/edge"
)

const (
	// maxParts bounds the parts of a site: some 60 items each when it is full.
	maxParts = 4096
	// partItems is how many items a part has about.
	partItems = 256
	// maxPartBytes bounds a part as JSON: it is checked before it is unpacked
	// whole.
	maxPartBytes = 8 << 20
)

// placeOf is where an item stands in the order of a catalogue: parts are equal
// ranges of it.
func placeOf(id string) uint64 { return xxh3.HashString(id) }

// partOf returns the part, of n, a power of two, that a place is in.
func partOf(place uint64, n int) int {
	if n <= 1 {
		return 0
	}
	return int(place >> (64 - bits.TrailingZeros(uint(n))))
}

// partsFor returns into how many parts so many items are put.
func partsFor(items int) int {
	n := 1
	for n < maxParts && n*partItems < items {
		n *= 2
	}
	return n
}

// byPlace orders items as their parts are.
func byPlace(a, b *edge.StoredItem) int {
	return cmp.Or(cmp.Compare(placeOf(a.ID), placeOf(b.ID)), cmp.Compare(a.ID, b.ID))
}

// packPart returns lines compressed, and their hash.
func packPart(lines []byte) (hash string, packed []byte, err error) {
	var out bytes.Buffer
	gz, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return "", nil, err
	}
	if _, err := gz.Write(lines); err != nil {
		return "", nil, err
	}
	if err := gz.Close(); err != nil {
		return "", nil, err
	}
	return hashOf(lines), out.Bytes(), nil
}

func unpackPart(packed []byte, hash string) ([]byte, error) {
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	lines, err := io.ReadAll(io.LimitReader(gz, maxPartBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	case len(lines) > maxPartBytes || hashOf(lines) != hash:
		return nil, fmt.Errorf("%w: part %s", ErrBody, hash)
	}
	return lines, nil
}

// decodeItems reads a part's lines.
func decodeItems(lines []byte) ([]*edge.StoredItem, error) {
	var items []*edge.StoredItem
	for line := range bytes.Lines(lines) {
		it := new(edge.StoredItem)
		if err := json.Unmarshal(line, it); err != nil {
			return nil, fmt.Errorf("%w: an item: %w", ErrBody, err)
		}
		items = append(items, it)
	}
	return items, nil
}

// run reads the parts that may hold what the query wants.
func (q itemQuery) run(parts []string, read func(hash string) ([]byte, error)) ([]edge.StoredItem, error) {
	first := 0
	if q.from != "" {
		first = partOf(placeOf(q.from), len(parts))
	}
	var found []edge.StoredItem
	for at := first; at < len(parts) && len(found) < q.limit; at++ {
		lines, err := read(parts[at])
		if err != nil {
			return nil, err
		}
		items, err := decodeItems(lines)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			switch {
			case len(found) == q.limit:
			case q.only && it.ID == q.from:
				return []edge.StoredItem{*it}, nil
			case q.only:
			case q.from == "" || byPlace(it, &edge.StoredItem{CatalogueItem: edge.CatalogueItem{ID: q.from}}) > 0:
				found = append(found, *it)
			}
		}
		if q.only {
			break
		}
	}
	return found, nil
}

// An importPlan is a feed on its way into a catalogue.
type importPlan struct {
	was    head
	feed   *edge.ItemFeed
	now    time.Time
	remove string // an id that is taken out

	byPart  [][]*edge.CatalogueItem // of the feed, by the part it goes into
	keep    map[string]bool
	next    head
	packed  map[string][]byte // parts that were not there, by hash
	out     edge.ItemImport
	removed bool
}

// planImport says what an import of feed over was is. The plan reads the feed and
// changes nothing of it.
func planImport(was head, feed *edge.ItemFeed, now time.Time) *importPlan {
	n := max(partsFor(max(was.Items+was.Gone, len(feed.Items))), len(was.Parts))
	return &importPlan{was: was, feed: feed, now: now.UTC().Truncate(time.Millisecond), next: head{Parts: make([]string, n)}}
}

// run makes every part anew from what was there and what the feed has. If one
// becomes too large, it begins again with twice as many.
func (p *importPlan) run(read func(hash string) ([]byte, error)) (edge.ItemImport, error) {
	p.keep = make(map[string]bool, len(p.feed.Keep))
	for _, id := range p.feed.Keep {
		p.keep[id] = true
	}
	for {
		n := len(p.next.Parts)
		p.byPart = make([][]*edge.CatalogueItem, n)
		for i := range p.feed.Items {
			at := partOf(placeOf(p.feed.Items[i].ID), n)
			p.byPart[at] = append(p.byPart[at], &p.feed.Items[i])
		}
		p.packed, p.out = make(map[string][]byte), edge.ItemImport{}
		p.next = head{Parts: make([]string, n), Items: p.was.Items, Gone: p.was.Gone, Bytes: p.was.Bytes, At: p.was.At}
		large := false
		for at := 0; at < n && !large; at++ {
			var err error
			if large, err = p.makePart(at, read); err != nil {
				return p.out, err
			}
		}
		if large {
			if n == maxParts {
				return p.out, edge.ErrItemsFull
			}
			p.next.Parts = make([]string, 2*n)
			continue
		}
		return p.out, p.finish()
	}
}

// finish bounds what came out.
func (p *importPlan) finish() error {
	p.out.Items, p.out.GoneItems = p.next.Items, p.next.Gone
	switch {
	case p.next.Items+p.next.Gone > edge.MaxItems || p.next.Bytes > maxCatalogueBytes:
		return edge.ErrItemsFull
	case p.feed.Full && !p.feed.Shrink && 2*p.out.Gone > p.was.Items:
		return edge.ErrItemsShrink
	}
	if !slices.Equal(p.next.Parts, p.was.Parts) {
		p.next.At = p.now.UnixMilli()
	}
	return nil
}

// fresh are the hashes of the parts that were not there.
func (p *importPlan) fresh() []string {
	var hashes []string
	for hash := range p.packed {
		hashes = append(hashes, hash)
	}
	return hashes
}

// makePart makes one part, and reports whether it is too large for a value.
func (p *importPlan) makePart(at int, read func(hash string) ([]byte, error)) (large bool, err error) {
	n := len(p.next.Parts)
	same := n == len(p.was.Parts)
	if same && !p.feed.Full && len(p.byPart[at]) == 0 && (p.remove == "" || partOf(placeOf(p.remove), n) != at) {
		p.next.Parts[at] = p.was.Parts[at]
		return false, nil
	}
	var before []byte
	if len(p.was.Parts) > 0 {
		// A part splits into equal ranges of it, never the other way round.
		if before, err = read(p.was.Parts[at*len(p.was.Parts)/n]); err != nil {
			return false, err
		}
	}
	items, err := decodeItems(before)
	if err != nil {
		return false, err
	}
	items = slices.DeleteFunc(items, func(it *edge.StoredItem) bool { return partOf(placeOf(it.ID), n) != at })
	bytesBefore := 0
	if same {
		bytesBefore = len(before)
	} else if at == 0 {
		bytesBefore = p.was.Bytes // all of it goes when parts are divided anew
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, it := range p.merge(items, p.byPart[at]) {
		if err := encoder.Encode(it); err != nil {
			return false, err
		}
	}
	if lines.Len() > maxPartBytes {
		return true, nil
	}
	hash, packed, err := packPart(lines.Bytes())
	if err != nil || len(packed) > MaxFrameBytes {
		return err == nil, err
	}
	p.next.Bytes += lines.Len() - bytesBefore
	p.next.Parts[at] = hash
	if !same || p.was.Parts[at] != hash {
		p.packed[hash] = packed
	}
	return false, nil
}

// merge returns what a part holds after an import: items, which were there, and
// fresh, which the feed has.
func (p *importPlan) merge(items []*edge.StoredItem, fresh []*edge.CatalogueItem) []*edge.StoredItem {
	known := make(map[string]*edge.StoredItem, len(items))
	for _, it := range items {
		known[it.ID] = it
	}
	seen := make(map[string]bool, len(fresh))
	for _, f := range fresh {
		seen[f.ID] = true
		was := known[f.ID]
		switch {
		case was == nil:
			was = &edge.StoredItem{CatalogueItem: *f, Imported: p.now}
			known[f.ID] = was
			items = append(items, was)
			p.out.Added++
			p.next.Items++
		case !was.Gone.IsZero():
			*was = edge.StoredItem{CatalogueItem: *f, Imported: p.now}
			p.out.Added++
			p.next.Items++
			p.next.Gone--
		case sameItem(&was.CatalogueItem, f):
			p.out.Unchanged++
		default:
			*was = edge.StoredItem{CatalogueItem: *f, Imported: p.now}
			p.out.Changed++
		}
	}
	items = slices.DeleteFunc(items, func(it *edge.StoredItem) bool { return p.ends(it, seen) })
	slices.SortFunc(items, byPlace)
	return items
}

// ends marks an item gone that a full feed lacks, and reports whether one is to
// be forgotten.
func (p *importPlan) ends(it *edge.StoredItem, seen map[string]bool) bool {
	gone := !it.Gone.IsZero()
	switch {
	case p.remove != "" && it.ID == p.remove, gone && p.now.Sub(it.Gone) > goneAge:
		if it.ID == p.remove {
			p.removed = true
		}
		if gone {
			p.next.Gone--
		} else {
			p.next.Items--
		}
		return true
	case p.feed.Full && !gone && !seen[it.ID] && !p.keep[it.ID]:
		it.Gone = p.now
		p.out.Gone++
		p.next.Items--
		p.next.Gone++
	}
	return false
}

// sameItem reports whether a feed tells nothing new. An item's own time of change
// alone is nothing.
func sameItem(a, b *edge.CatalogueItem) bool {
	x, y := *a, *b
	x.Updated, y.Updated = time.Time{}, time.Time{}
	return reflect.DeepEqual(tidy(x), tidy(y))
}

// tidy makes empty lists and maps equal to none.
func tidy(it edge.CatalogueItem) edge.CatalogueItem {
	if len(it.Categories) == 0 {
		it.Categories = nil
	}
	if len(it.Tags) == 0 {
		it.Tags = nil
	}
	if len(it.Attributes) == 0 {
		it.Attributes = nil
	}
	return it
}
