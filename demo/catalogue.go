// SPDX-License-Identifier: Apache-2.0

package demo

// currency is the shop's only one (ISO 4217).
const currency = "EUR"

// An item is a thing the shop pretends to sell. Its texts and its picture are
// found by its ID.
type item struct {
	ID       string
	Category string
	Price    int    // whole euros
	Tone     string // the card's colour, a class in base.css
}

// categories are the shop's shelves.
var categories = [...]string{"hats", "scarves", "gloves"}

// items are all the shop has, in the order of its shelves.
var items = [...]item{
	{"fell-beanie", "hats", 38, "sky"},
	{"brae-felt", "hats", 96, "fog"},
	{"shore-straw", "hats", 54, "straw"},
	{"tarn-scarf", "scarves", 62, "straw"},
	{"linen-square", "scarves", 29, "fog"},
	{"loop-snood", "scarves", 44, "lichen"},
	{"crag-mittens", "gloves", 49, "sky"},
	{"signal-gloves", "gloves", 42, "heather"},
	{"spoke-mitts", "gloves", 34, "lichen"},
}

// itemByID returns the item with an id.
func itemByID(id string) (item, bool) {
	for _, it := range items {
		if it.ID == id {
			return it, true
		}
	}
	return item{}, false
}

// shelf returns a category's items in order.
func shelf(category string) []item {
	var out []item
	for _, it := range items {
		if it.Category == category {
			out = append(out, it)
		}
	}
	return out
}
