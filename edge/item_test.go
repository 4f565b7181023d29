// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestItemsAreChecked(t *testing.T) {
	many := func(n, length int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%0*d", length, i))
		}
		return list
	}
	attributes := func(n int, name, value string) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[fmt.Sprint(name, i)] = value
		}
		return m
	}
	tests := []struct {
		name        string
		change      func(it *CatalogueItem)
		code, field string
	}{
		{"a whole item", func(*CatalogueItem) {}, "", ""},
		{"the least there is", func(it *CatalogueItem) { *it = CatalogueItem{ID: "1", Title: "A", URL: "http://a.example"} }, "", ""},
		{"all that may be", func(it *CatalogueItem) {
			it.ID, it.Title = strings.Repeat("x", MaxItemIDBytes), strings.Repeat("é", 250)
			it.Categories, it.Tags, it.Attributes = many(10, 256), many(32, 64), attributes(32, "a_", strings.Repeat("x", 256))
		}, "", ""},
		{"no id", func(it *CatalogueItem) { it.ID = "" }, ItemMissing, "id"},
		{"a long id", func(it *CatalogueItem) { it.ID = strings.Repeat("x", 65) }, ItemTooLong, "id"},
		{"an id of two words", func(it *CatalogueItem) { it.ID = "a b" }, ItemMalformed, "id"},
		{"an id with a control character", func(it *CatalogueItem) { it.ID = "a\x00b" }, ItemMalformed, "id"},
		{"no title", func(it *CatalogueItem) { it.Title = "" }, ItemMissing, "title"},
		{"a long title", func(it *CatalogueItem) { it.Title = strings.Repeat("x", 501) }, ItemTooLong, "title"},
		{"a title that is not UTF-8", func(it *CatalogueItem) { it.Title = "\xff" }, ItemMalformed, "title"},
		{"no url", func(it *CatalogueItem) { it.URL = "" }, ItemMissing, "url"},
		{"a script for a url", func(it *CatalogueItem) { it.URL = "javascript:alert(1)" }, ItemMalformed, "url"},
		{"a path for a url", func(it *CatalogueItem) { it.URL = "/hats" }, ItemMalformed, "url"},
		{"a password in a url", func(it *CatalogueItem) { it.URL = "https://a:b@shop.example/" }, ItemMalformed, "url"},
		{"a data image", func(it *CatalogueItem) { it.Image = "data:image/png;base64,AA" }, ItemMalformed, "image"},
		{"a price in words", func(it *CatalogueItem) { it.Price = "free" }, ItemMalformed, "price"},
		{"a price in quotes", func(it *CatalogueItem) { it.Price = `"1"` }, ItemMalformed, "price"},
		{"a price below nothing", func(it *CatalogueItem) { it.Price = "-1" }, ItemMalformed, "price"},
		{"a price with a comma", func(it *CatalogueItem) { it.Price = "1,50" }, ItemMalformed, "price"},
		{"a price of no currency", func(it *CatalogueItem) { it.Currency = "" }, ItemMissing, "currency"},
		{"a currency of no price", func(it *CatalogueItem) { it.Price = "" }, ItemMissing, "price"},
		{"a currency by its sign", func(it *CatalogueItem) { it.Currency = "€" }, ItemMalformed, "currency"},
		{"an availability of its own", func(it *CatalogueItem) { it.Availability = "soon" }, ItemUnknown, "availability"},
		{"too many categories", func(it *CatalogueItem) { it.Categories = many(11, 3) }, ItemTooMany, "categories"},
		{"a long category", func(it *CatalogueItem) { it.Categories = many(1, 257) }, ItemTooLong, "categories"},
		{"an empty tag", func(it *CatalogueItem) { it.Tags = []string{""} }, ItemMalformed, "tags"},
		{"too many tags", func(it *CatalogueItem) { it.Tags = many(33, 3) }, ItemTooMany, "tags"},
		{"too many attributes", func(it *CatalogueItem) { it.Attributes = attributes(33, "a", "b") }, ItemTooMany, "attributes"},
		{"an attribute with a capital", func(it *CatalogueItem) { it.Attributes = attributes(1, "A", "b") }, ItemMalformed, "attributes"},
		{"a long attribute", func(it *CatalogueItem) { it.Attributes = attributes(1, "a", strings.Repeat("x", 257)) }, ItemTooLong, "attributes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			it := CatalogueItem{ID: "sku-1", Title: "Hat", URL: "https://shop.example/hat", Image: "https://shop.example/hat.jpg",
				Price: "19.90", Currency: "EUR", Availability: "in_stock", Categories: []string{"Clothing > Hats"}, Brand: "Felt",
				Tags: []string{"new"}, Attributes: map[string]string{"colour": "red"}}
			tt.change(&it)
			err := it.Check()
			wrong, refused := errors.AsType[*ItemError](err)
			switch {
			case tt.code == "" && err != nil:
				t.Errorf("Check() = %v, want nil", err)
			case tt.code != "" && (!refused || wrong.Code != tt.code || wrong.Field != tt.field):
				t.Errorf("Check() = %v, want %s of %s", err, tt.code, tt.field)
			}
		})
	}
}
