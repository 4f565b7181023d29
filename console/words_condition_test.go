// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

var withoutIsolates = strings.NewReplacer(isolate, "", popIsolate, "")

func TestAConditionIsSaidInWords(t *testing.T) {
	tests := []struct {
		name      string
		give      edge.Condition
		lang      string
		want, saw string
	}{
		{"one of some countries", edge.Condition{Op: "one-of", Field: "geo.country", Values: []string{`"FR"`, `"DE"`}, Saw: `"FR"`}, "en", "Country is one of FR, DE", "here FR"},
		{"the same in Russian", edge.Condition{Op: "one-of", Field: "geo.country", Values: []string{"FR", "DE"}, Saw: `"US"`}, "ru", "Страна — одно из: FR, DE", "здесь US"},
		{"a part of a map", edge.Condition{Op: "at-least", Field: `interests["hats"]`, Values: []string{"2"}, Saw: "3"}, "en", "Interest in hats is at least 2", "here 3"},
		{"counted events", edge.Condition{Op: "more-than", Field: `count("view_item", "7d")`, Values: []string{"2"}}, "en", "view_item in 7 days is more than 2", ""},
		{"the size of a list", edge.Condition{Op: "more-than", Field: "recent.size()", Values: []string{"0"}, Saw: "0"}, "en", "Number of items looked at is more than 0", "here 0"},
		{"the size of a list, as a function", edge.Condition{Op: "is", Field: "size(cart)", Values: []string{"0"}}, "zh-Hans", "购物车里的商品数是 0", ""},
		{"a text in lower case", edge.Condition{Op: "is", Field: "geo.city.lowerAscii()", Values: []string{"paris"}}, "en", "City is paris", ""},
		{"a distance", edge.Condition{Op: "less-than", Field: "distanceKm(48.86, 2.35)", Values: []string{"50"}}, "en", "Distance in km to 48.86, 2.35 is less than 50", ""},
		{"a month", edge.Condition{Op: "one-of", Field: "now.getMonth()", Values: []string{"10", "11"}, Saw: "10"}, "en", "Month is one of November, December", "here November"},
		{"a month in Arabic", edge.Condition{Op: "is", Field: "now.getMonth()", Values: []string{"0"}, Saw: "11"}, "ar", "الشهر: يناير", "هنا ديسمبر"},
		{"a month that is none", edge.Condition{Op: "is", Field: "now.getMonth()", Values: []string{"12"}}, "en", "Month is 12", ""},
		{"an entry of another map", edge.Condition{Op: "more-than", Field: `counters["view_item"]`, Values: []string{"2"}}, "en", "What they did here (view_item) is more than 2", ""},
		{"the length of a text", edge.Condition{Op: "more-than", Field: "page.title.size()", Values: []string{"9"}}, "en", "Length of “Title of the page” is more than 9", ""},
		{"a lot", edge.Condition{Op: "less-than", Field: `hash("spring")`, Values: []string{"500"}}, "en", "Lot spring (0 to 9,999) is less than 500", ""},
		{"something true", edge.Condition{Op: "true", Field: "visitor.returning", Saw: "true"}, "ar", "زار من قبل", ""},
		{"a list that has something", edge.Condition{Op: "has", Field: "recent", Values: []string{"tarn-scarf"}, Saw: `["fell-beanie","tarn-scarf"]`}, "en", "tarn-scarf is among Items looked at", "here fell-beanie, tarn-scarf"},
		{"a list that is empty", edge.Condition{Op: "has", Field: "recent", Values: []string{"x"}, Saw: `[]`}, "en", "x is among Items looked at", "here –"},
		{"items", edge.Condition{Op: "has", Field: "cart", Values: []string{"x"}, Saw: `[{"id":"fell-beanie","quantity":2}]`}, "en", "x is among Items in the cart", "here fell-beanie"},
		{"an audience", edge.Condition{Op: "audience", Values: []string{"regulars"}}, "en", "Belongs to the audience regulars", ""},
		{"a site's own field", edge.Condition{Op: "is", Field: "shop.size", Values: []string{"L"}}, "en", "shop.size is L", ""},
		{"parts that are joined", edge.Condition{Op: "or"}, "en", "At least one of these", ""},
		{"a share of the visitors", edge.Condition{Op: "share", Values: []string{"12.5"}}, "en", "Among 12.5% of the visitors, drawn by lot", ""},
		{"a share in Russian", edge.Condition{Op: "share", Values: []string{"12.5"}}, "ru", "Среди 12,5 % посетителей, по жребию", ""},
		{"no condition at all", edge.Condition{Op: "true", Text: "true"}, "en", "Always", ""},
		{"what nobody has words for", edge.Condition{Op: "other", Text: "1 + 1 == 2"}, "en", "", ""},
	}
	all := allLanguages(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			words, err := all[tt.lang].conditionWords(tt.give)
			saw, err2 := all[tt.lang].sawWords(tt.give)
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if got := withoutIsolates.Replace(words); got != tt.want {
				t.Errorf("it is said %q, want %q", got, tt.want)
			}
			if got := withoutIsolates.Replace(saw); got != tt.saw {
				t.Errorf("what it saw is said %q, want %q", got, tt.saw)
			}
		})
	}
}

func TestWhyAConditionIsUnknownIsSaidInWords(t *testing.T) {
	tests := map[string]edge.UnknownField{
		"Items looked at cannot be read: the visitor did not allow “Use the notes”": {Field: "recent", Cause: "refused", Purpose: "personalise"},
		"This page view has no value for “City”":                                    {Field: "geo.city", Cause: "absent"},
		"Counting has only begun: view_item in 7 days":                              {Field: `count("view_item", "7d")`, Cause: "warming-up"},
		"This page view has no value for “Interest in gloves”":                      {Field: `interests["gloves"]`, Cause: "absent"},
		"Sessions so far cannot be worked out here":                                 {Field: "visitor.visits", Cause: "error"},
	}
	english := allLanguages(t)["en"]
	for want, give := range tests {
		words, err := english.causeWords(give)
		if got := withoutIsolates.Replace(words); got != want || err != nil {
			t.Errorf("%+v is said %q, %v; want %q", give, got, err, want)
		}
	}
}
