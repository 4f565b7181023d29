// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// scriptTexts are the beginnings of the texts that the shop's scripts say.
var scriptTexts = [...]string{
	"why.", "verdict.", "condition.", "cause.", "reason.", "rung.", "authority.", "field.", "device.", "stage.", "intent.", "cart.", "bar.count", "bar.undecided",
}

// A scriptPage is what the shop's scripts get to know of the page, as JSON in
// its markup.
type scriptPage struct {
	Lang     string            `json:"lang"`
	Currency string            `json:"currency"`
	Price    string            `json:"price"`
	Texts    map[string]string `json:"texts"`
	Items    []scriptItem      `json:"items"`
	Shelves  map[string]string `json:"shelves"`
	Purposes []scriptPurpose   `json:"purposes"`
	Asked    []string          `json:"asked"`
	// SignedIn says that a customer is signed in, Mine where their history is told.
	SignedIn bool   `json:"signedIn"`
	Mine     string `json:"mine"`
}

type scriptItem struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Price    int    `json:"price"`
}

type scriptPurpose struct {
	Name string           `json:"name"`
	Bit  consent.Purposes `json:"bit"`
	Text string           `json:"text"`
}

// Script is what the page tells the shop's scripts.
func (p *page) Script() scriptPage {
	l := p.language
	out := scriptPage{
		Lang: l.Tag, Currency: currency, Price: l.price,
		Texts: map[string]string{}, Shelves: map[string]string{}, Asked: asked.Names(),
		SignedIn: p.Customer() != "", Mine: p.demo.prefix + "/v1/mine?site=" + Site,
	}
	for key, text := range l.texts {
		for _, prefix := range scriptTexts {
			if strings.HasPrefix(key, prefix) {
				out.Texts[key] = text
			}
		}
	}
	for _, it := range items {
		out.Items = append(out.Items, scriptItem{it.ID, l.texts["item."+it.ID+".name"], it.Category, it.Price})
	}
	for _, c := range categories {
		out.Shelves[c] = l.texts["category."+c+".name"]
	}
	for _, row := range consent.Rows() {
		out.Purposes = append(out.Purposes, scriptPurpose{row.Name, row.Bit, l.texts["purpose."+row.Name+".name"]})
	}
	return out
}
