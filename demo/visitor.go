// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// A visitor is who a page's address plays, and what they decided and put in
// their basket. The zero value is a visitor who plays nobody and was not asked.
type visitor struct {
	Place  string // a Place's ID, "" for where they are
	Device string // a device's ID, "" for their own
	Lang   string // a language's Tag, "" for their browser's
	// Decided says that they answered the prompt; Granted is their answer.
	Decided bool
	Granted consent.Purposes
	GPC     bool
	// Platform has a consent platform ask them, in place of the shop's prompt.
	Platform bool
	Cart     []cartLine
	// BarOpen keeps the visitor bar open from page to page.
	BarOpen bool
}

// A cartLine is an item in the basket.
type cartLine struct {
	ID       string
	Quantity int // 1 to maxQuantity
}

const (
	// maxQueryBytes bounds the part of a page's address that is read.
	maxQueryBytes = 1024
	maxQuantity   = 9
)

// grantedNone is how an address spells "everything was refused".
const grantedNone = "none"

// parseVisitor reads a page's query. It takes what it knows and drops the rest:
// an address is typed and shared by people.
func parseVisitor(query string) visitor {
	var v visitor
	if len(query) > maxQueryBytes {
		return v
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return v
	}
	if p, ok := placeByID(values.Get("place")); ok {
		v.Place = p.ID
	}
	if dev, ok := deviceByID(values.Get("device")); ok {
		v.Device = dev.ID
	}
	for _, l := range languages {
		if l.Tag == values.Get("lang") {
			v.Lang = l.Tag
		}
	}
	v.Decided = values.Has("grant")
	for name := range strings.SplitSeq(values.Get("grant"), ",") {
		if p, err := consent.ParsePurposes(name); err == nil {
			v.Granted |= p
		}
	}
	v.GPC, v.Platform = values.Get("gpc") == "1", values.Get("cmp") == "1"
	v.BarOpen = values.Get("bar") == "1"
	v.Cart = parseCart(values.Get("cart"))
	return v
}

// parseCart reads "fell-beanie:2,tarn-scarf:1" as address.js does. An item
// counts once.
func parseCart(text string) []cartLine {
	var out []cartLine
	for part := range strings.SplitSeq(text, ",") {
		id, n, _ := strings.Cut(part, ":")
		quantity := parseQuantity(n)
		if _, ok := itemByID(id); !ok || quantity < 1 || inCart(out, id) {
			continue
		}
		out = append(out, cartLine{ID: id, Quantity: quantity})
	}
	return out
}

// parseQuantity reads how many of an item are in the basket: 1 where nothing is
// said, maxQuantity where more is, 0 for what is no number.
func parseQuantity(text string) int {
	if text == "" {
		return 1
	}
	if strings.Trim(text, "0123456789") != "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > maxQuantity { // digits alone fail by their number only
		return maxQuantity
	}
	return n
}

func inCart(lines []cartLine, id string) bool {
	for _, l := range lines {
		if l.ID == id {
			return true
		}
	}
	return false
}

// query spells the visitor as parseVisitor and address.js read it, "" for the
// zero visitor. Every character is one that a query may hold as it is.
func (v visitor) query() string {
	var parts []string
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	add("place", v.Place)
	add("device", v.Device)
	add("lang", v.Lang)
	if v.Decided {
		grant := strings.Join(v.Granted.Names(), ",")
		if grant == "" {
			grant = grantedNone
		}
		add("grant", grant)
	}
	if v.GPC {
		add("gpc", "1")
	}
	if v.Platform {
		add("cmp", "1")
	}
	var cart []string
	for _, l := range v.Cart {
		cart = append(cart, l.ID+":"+strconv.Itoa(l.Quantity))
	}
	add("cart", strings.Join(cart, ","))
	if v.BarOpen {
		add("bar", "1")
	}
	return strings.Join(parts, "&")
}

// count returns how many things are in the basket.
func (v visitor) count() int {
	n := 0
	for _, l := range v.Cart {
		n += l.Quantity
	}
	return n
}
