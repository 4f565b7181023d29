// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Slots are what pages ask for.
var Slots = [...]string{"hero", "offer", "announce"}

const (
	rulesPerSlot    = 20
	variantsPerSlot = 8
	rulesSeed       = 20
)

// A Rule shows a variant in a slot when all its conditions hold. The first of a
// slot's rules that holds is the answer; without one it is the page's own content.
type Rule struct {
	Slot, Name, Variant string
	Conditions          []Condition
}

// A Condition holds when a field has one of the values.
type Condition struct {
	Field string
	In    []string
}

// fields are what rules ask for, by the product's names, and the values that it
// is asked whether they have.
var fields = []struct {
	name   string
	values []string
}{
	{"geo.country", countries},
	{"device.type", []string{"phone", "tablet", "desktop"}},
	{"lang", Languages},
	{"source.channel", []string{"direct", "search", "social", "referral"}},
	{"page.type", pageTypes},
	{"page.category", categories},
}

// rules are the same whatever the corpus: two to four conditions each, each of
// which about half of all values meet.
func rules() []Rule {
	random := rand.New(rand.NewPCG(rulesSeed, 1))
	var all []Rule
	for _, slot := range Slots {
		for i := range rulesPerSlot {
			r := Rule{Slot: slot, Name: fmt.Sprintf("r%d", i), Variant: fmt.Sprintf("%s-%d", slot, i%variantsPerSlot)}
			for _, f := range random.Perm(len(fields))[:2+random.IntN(3)] {
				values := fields[f].values
				in := make([]string, (len(values)+1)/2)
				for k, at := range random.Perm(len(values))[:len(in)] {
					in[k] = values[at]
				}
				slices.Sort(in)
				r.Conditions = append(r.Conditions, Condition{fields[f].name, in})
			}
			all = append(all, r)
		}
	}
	return all
}

// field is a visitor's value of a field, "" for none.
func (v *Visitor) field(name string) string {
	switch name {
	case "geo.country":
		return v.Country
	case "device.type":
		return v.Agent.device
	case "lang":
		return v.Lang
	case "source.channel":
		return v.Channel
	case "page.type":
		return v.PageType
	case "page.category":
		return v.Category
	default:
		panic("traffic: no field " + name)
	}
}

// decide is the plain reading of the rules, which every server is held to.
func decide(rules []Rule, v *Visitor) (wants [len(Slots)]string) {
	for i, slot := range Slots {
		at := slices.IndexFunc(rules, func(r Rule) bool {
			return r.Slot == slot && !slices.ContainsFunc(r.Conditions, func(c Condition) bool {
				return !slices.Contains(c.In, v.field(c.Field))
			})
		})
		if at >= 0 {
			wants[i] = rules[at].Variant
		}
	}
	return wants
}

// A Content is what a variant shows.
type Content struct {
	Title string `json:"title"`
	Text  string `json:"text"`
	Link  string `json:"link"`
}

// ContentOf is a variant's content, about 200 bytes.
func ContentOf(variant string) Content {
	return Content{
		Title: "What " + variant + " has to say",
		Text:  "A whole winter, laid out: start with the beanie, add the scarf, finish with mittens, three pieces to be worn together.",
		Link:  "/en/collections/" + variant + "/",
	}
}

// Contents are the contents of all variants, as JSON and as ours answers them.
func Contents() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for _, slot := range Slots {
		for _, variant := range variants(slot) {
			content, err := json.Marshal(map[string]Content{"json": ContentOf(variant)})
			if err != nil {
				panic(err) // strings only
			}
			all[variant] = content
		}
	}
	return all
}
