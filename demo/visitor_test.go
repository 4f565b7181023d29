// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"html"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent"
)

func TestParseVisitor(t *testing.T) {
	tests := []struct {
		name, query string
		want        visitor
	}{
		{"nothing", "", visitor{}},
		{"everything", "place=paris&device=phone&lang=ar&grant=storage,context&gpc=1&cart=brae-felt:2,tarn-scarf:1&bar=1", visitor{
			Place: "paris", Device: "phone", Lang: "ar", Decided: true, Granted: consent.Storage | consent.Context, GPC: true,
			Cart: []cartLine{{"brae-felt", 2}, {"tarn-scarf", 1}}, BarOpen: true,
		}},
		{"encoded commas", "grant=storage%2Ccontext", visitor{Decided: true, Granted: consent.Storage | consent.Context}},
		{"everything refused", "grant=none", visitor{Decided: true}},
		{"an empty answer is a refusal", "grant=", visitor{Decided: true}},
		{"an unknown purpose is not granted", "grant=context,everything", visitor{Decided: true, Granted: consent.Context}},
		{"unknown words are dropped", "place=atlantis&device=toaster&lang=tlh&gpc=yes&bar=open", visitor{}},
		{"what is not ours is dropped", "utm_source=mail&gclid=x", visitor{}},
		{"a basket of nonsense", "cart=none:1,brae-felt:0,tarn-scarf:1x1,loop-snood:x,crag-mittens:-1,:,", visitor{}},
		{"more than the basket holds", "cart=brae-felt:12,tarn-scarf:99999999999999999999", visitor{Cart: []cartLine{{"brae-felt", maxQuantity}, {"tarn-scarf", maxQuantity}}}},
		{"an item counts once", "cart=brae-felt:2,brae-felt:3", visitor{Cart: []cartLine{{"brae-felt", 2}}}},
		{"one is the least", "cart=brae-felt", visitor{Cart: []cartLine{{"brae-felt", 1}}}},
		{"a broken escape", "place=paris&grant=%zz", visitor{}},
		{"a semicolon", "place=paris;grant=context", visitor{}},
		{"longer than is read", "place=paris&x=" + strings.Repeat("x", maxQueryBytes), visitor{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseVisitor(tt.query); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseVisitor(%q) = %+v, want %+v", tt.query, got, tt.want)
			}
		})
	}
}

// FuzzParseVisitor checks that what was read means the same after it was
// spelled again, and that the spelling needs no escapes.
func FuzzParseVisitor(f *testing.F) {
	f.Add("place=paris&device=phone&lang=ar&grant=storage,context&gpc=1&cart=brae-felt:2,tarn-scarf:1&bar=1")
	f.Add("grant=&cart=:,;%")
	plain := regexp.MustCompile(`^[a-zA-Z0-9=&,:-]*$`)
	f.Fuzz(func(t *testing.T, query string) {
		v := parseVisitor(query)
		spelled := v.query()
		if !plain.MatchString(spelled) {
			t.Fatalf("query %q needs escapes", spelled)
		}
		if again := parseVisitor(spelled); !reflect.DeepEqual(again, v) {
			t.Fatalf("%+v was spelled %q and read as %+v", v, spelled, again)
		}
	})
}

var anchor = regexp.MustCompile(`<a [^>]*href="([^"]*)"[^>]*>`)

func TestEveryLinkKeepsTheVisitor(t *testing.T) {
	d := newShop(t)
	const query = "place=paris&device=phone&lang=ar&grant=storage,context&gpc=1&cart=brae-felt:2&bar=1"
	for _, path := range everyPath {
		links := 0
		for _, m := range anchor.FindAllStringSubmatch(getPage(t, d, "/ar"+path+"?"+query), -1) {
			href := html.UnescapeString(m[1])
			switch {
			case strings.HasPrefix(href, "#"), strings.Contains(m[0], "data-as-is"), strings.Contains(m[0], "data-elsewhere"):
			case strings.Contains(m[0], "data-platform"):
				if want := strings.Replace(query, "&grant=storage,context&gpc=1", "&gpc=1&cmp=1", 1); !strings.HasSuffix(href, "?"+want) {
					t.Errorf("%s: to be asked by a platform leads to %s", path, href)
				}
			case strings.Contains(m[0], "stage-again"):
				if want := strings.Replace(query, "&grant=storage,context", "", 1); !strings.HasSuffix(href, "?"+want) {
					t.Errorf("%s: to be asked again leads to %s", path, href)
				}
			case !strings.HasPrefix(href, "/") || !strings.HasSuffix(href, "?"+query):
				t.Errorf("%s: the link to %s loses the visitor", path, href)
			default:
				links++
			}
		}
		if links < 10 {
			t.Errorf("%s: only %d links were found", path, links)
		}
	}
	if body := getPage(t, d, "/ar/?utm_source=mail&gclid=x"); strings.Contains(body, "utm_source") || strings.Contains(body, "gclid") {
		t.Error("a link repeats where the visit came from: every page would be a new arrival")
	}
}

func TestPersonasAreVisitorsThatAddressesCanSpell(t *testing.T) {
	p := &page{demo: newShop(t), path: "/", Visitor: visitor{Cart: []cartLine{{"brae-felt", 1}}}}
	p.language = p.demo.languages[0]
	for i, l := range p.Personas() {
		_, query, _ := strings.Cut(l.Href, "?")
		want := personas[i].Visitor
		want.Cart = p.Visitor.Cart
		if got := parseVisitor(query); !reflect.DeepEqual(got, want) {
			t.Errorf("%s leads to %+v, want %+v", l.Name, got, want)
		}
		if personas[i].Lang != "" && !strings.HasPrefix(l.Href, "/"+personas[i].Lang+"/") {
			t.Errorf("%s leads to %s", l.Name, l.Href)
		}
	}
}
