// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of a site's catalogue.
const (
	// MaxItems is how many items a site has at most, those that are gone
	// included.
	MaxItems = 250_000
	// MaxItemBytes bounds an item as JSON.
	MaxItemBytes = 8 << 10
	// MaxItemIDBytes bounds an item's id.
	MaxItemIDBytes = 64

	maxItemTitleBytes    = 500
	maxItemURLBytes      = 2048
	maxItemBrandBytes    = 128
	maxItemCategories    = 10
	maxItemCategoryBytes = 256
	maxItemTags          = 32
	maxItemTagBytes      = 64
	maxItemAttributes    = 32
	maxItemNameBytes     = 64 // of an attribute
	maxItemValueBytes    = 256
)

// A CatalogueItem is one thing that a site shows or sells, as its feed tells of it. What
// is not known is empty. One that Check accepts is whole and bounded.
type CatalogueItem struct {
	// ID is what the site's pages and events call it: 1 to 64 bytes without
	// blanks or control characters.
	ID string `json:"id"`
	// Title is plain text of at most 500 bytes.
	Title string `json:"title"`
	// URL and Image are absolute addresses of http or https, at most 2,048 bytes.
	URL   string `json:"url"`
	Image string `json:"image,omitempty"`
	// Price is a plain decimal, which is not negative, in Currency (ISO 4217,
	// three capitals); both or neither are given.
	Price    string `json:"price,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Availability is one of ItemAvailabilities; empty is unknown.
	Availability string `json:"availability,omitempty"`
	// Categories go from the most to the least important, at most 10 of at most
	// 256 bytes; a path is written "Clothing > Hats".
	Categories []string `json:"categories,omitempty"`
	Brand      string   `json:"brand,omitempty"`
	// Tags are at most 32 of at most 64 bytes.
	Tags []string `json:"tags,omitempty"`
	// Attributes are the site's own: at most 32, named by a-z, 0-9 and "_" in at
	// most 64 bytes, of at most 256 bytes.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Updated is when the site changed the item, as far as its feed says so.
	Updated time.Time `json:"updated,omitzero"`
}

// ItemAvailabilities are the words that say whether an item can be had, as in
// product feeds.
var ItemAvailabilities = [...]string{"in_stock", "out_of_stock", "preorder", "backorder"}

// The codes of an ItemError.
const (
	ItemMissing   = "missing"   // a member that must be given is not
	ItemTooLong   = "too_long"  // a text, or the item itself, is longer than allowed
	ItemTooMany   = "too_many"  // a list has more members than allowed
	ItemMalformed = "malformed" // a value is not of its form
	ItemUnknown   = "unknown"   // a member, or a word of a closed list, that is not known
	ItemRepeated  = "repeated"  // the feed has an item of the same id before
)

// An ItemError says why an item is refused. It names a member and a stable code,
// and never a value.
type ItemError struct {
	Code string
	// Field is the member's name in JSON, such as "price"; empty for the item.
	Field string
}

func (e *ItemError) Error() string {
	if e.Field == "" {
		return "item: " + e.Code
	}
	return e.Field + ": " + e.Code
}

// Check returns what is wrong with an item, an *ItemError, or nil.
func (it *CatalogueItem) Check() error {
	switch {
	case it.ID == "":
		return &ItemError{ItemMissing, "id"}
	case len(it.ID) > MaxItemIDBytes:
		return &ItemError{ItemTooLong, "id"}
	case !ValidItemID(it.ID):
		return &ItemError{ItemMalformed, "id"}
	}
	texts := []struct {
		name, value string
		most        int
		needed      bool
	}{
		{"title", it.Title, maxItemTitleBytes, true},
		{"url", it.URL, maxItemURLBytes, true},
		{"image", it.Image, maxItemURLBytes, false},
		{"brand", it.Brand, maxItemBrandBytes, false},
	}
	for _, t := range texts {
		switch {
		case t.value == "" && t.needed:
			return &ItemError{ItemMissing, t.name}
		case len(t.value) > t.most:
			return &ItemError{ItemTooLong, t.name}
		case !cleanText(t.value):
			return &ItemError{ItemMalformed, t.name}
		}
	}
	if !webAddress(it.URL) {
		return &ItemError{ItemMalformed, "url"}
	}
	if it.Image != "" && !webAddress(it.Image) {
		return &ItemError{ItemMalformed, "image"}
	}
	if err := it.checkPrice(); err != nil {
		return err
	}
	return it.checkLists()
}

func (it *CatalogueItem) checkPrice() error {
	switch {
	case it.Price == "" && it.Currency == "":
	case it.Price == "":
		return &ItemError{ItemMissing, "price"}
	case !isDecimal([]byte(it.Price)) || it.Price[0] == '-' || strings.Contains(it.Price, `"`):
		return &ItemError{ItemMalformed, "price"}
	case it.Currency == "":
		return &ItemError{ItemMissing, "currency"}
	case len(it.Currency) != 3 || strings.Trim(it.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "":
		return &ItemError{ItemMalformed, "currency"}
	}
	for _, known := range ItemAvailabilities {
		if it.Availability == known {
			return nil
		}
	}
	if it.Availability != "" {
		return &ItemError{ItemUnknown, "availability"}
	}
	return nil
}

func (it *CatalogueItem) checkLists() error {
	lists := []struct {
		name       string
		values     []string
		many, long int
	}{
		{"categories", it.Categories, maxItemCategories, maxItemCategoryBytes},
		{"tags", it.Tags, maxItemTags, maxItemTagBytes},
	}
	for _, l := range lists {
		if len(l.values) > l.many {
			return &ItemError{ItemTooMany, l.name}
		}
		for _, value := range l.values {
			switch {
			case len(value) > l.long:
				return &ItemError{ItemTooLong, l.name}
			case value == "" || !cleanText(value):
				return &ItemError{ItemMalformed, l.name}
			}
		}
	}
	if len(it.Attributes) > maxItemAttributes {
		return &ItemError{ItemTooMany, "attributes"}
	}
	for name, value := range it.Attributes {
		switch {
		case len(name) > maxItemNameBytes || len(value) > maxItemValueBytes:
			return &ItemError{ItemTooLong, "attributes"}
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || !cleanText(value):
			return &ItemError{ItemMalformed, "attributes"}
		}
	}
	return nil
}

// ValidItemID reports whether id could be an item's.
func ValidItemID(id string) bool {
	return id != "" && len(id) <= MaxItemIDBytes && cleanText(id) && !strings.ContainsAny(id, " \t\u00a0\u2028\u2029")
}

// cleanText reports whether s is UTF-8 without control characters.
func cleanText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}

// webAddress reports whether s is an absolute address of http or https.
func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

// An ItemFeed is what an import brings.
type ItemFeed struct {
	// Items were accepted by Check; no two have the same id.
	Items []CatalogueItem
	// Full says that the feed is of everything: an item that is neither in Items
	// nor in Keep is marked gone. Without it the others stay as they are.
	Full bool
	// Keep are ids that the feed has, but not in a form that could be taken: the
	// items stay as they are.
	Keep []string
	// Shrink allows a full feed to mark more than half of the items gone, which
	// is refused otherwise: a feed that was cut off looks like that.
	Shrink bool
}

// An ItemImport is what became of a feed.
type ItemImport struct {
	// Added, Changed and Unchanged count the feed's items; Added has those that
	// were gone and are back.
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	// Gone counts the items that the feed no longer has.
	Gone int `json:"gone"`
	// Items and GoneItems are the catalogue after it.
	Items     int `json:"items"`
	GoneItems int `json:"goneItems"`
}

// A StoredItem is an item with what its catalogue knows of it.
type StoredItem struct {
	CatalogueItem
	// Imported is when it was imported in this form.
	Imported time.Time `json:"imported"`
	// Gone is since when feeds no longer have it; zero for one that is there.
	Gone time.Time `json:"gone,omitzero"`
}

// A Catalogue says what a site's items are.
type Catalogue struct {
	Site string `json:"site"`
	// Items are there, GoneItems were.
	Items     int `json:"items"`
	GoneItems int `json:"goneItems"`
	// Imported is the last change.
	Imported time.Time `json:"imported,omitzero"`
}

// ErrItemsShrink reports a full feed that lacks more than half of a site's items.
var ErrItemsShrink = errors.New("the feed lacks more than half of the items")

// ErrItemsFull reports more items than MaxItems, or more bytes than are kept.
var ErrItemsFull = fmt.Errorf("a site has at most %d items", MaxItems)
