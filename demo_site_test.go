// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/sitefile"
)

// demoSite is the demo's site as its files spell it.
func demoSite(t testing.TB) edge.ReleaseDocument {
	t.Helper()
	files, err := sitefile.Read(demo.SiteFiles())
	if err != nil {
		t.Fatal(err)
	}
	return files.Document
}

// markupOf is what a variant of kind html or text shows in a language.
func markupOf(t testing.TB, v edge.Variant, lang string) string {
	t.Helper()
	var c struct{ HTML, Text string }
	if err := json.Unmarshal(v.Content[lang], &c); err != nil || c.HTML+c.Text == "" {
		t.Fatalf("%s in %s: %s, %v", v.Name, lang, v.Content[lang], err)
	}
	return c.HTML + c.Text
}

func TestTheDemosSiteIsMostlyRulesWithoutCode(t *testing.T) {
	doc := demoSite(t)
	var ladders []string
	for _, s := range doc.Slots {
		text := s.Name + " " + s.Kind
		for _, rung := range s.Ladder {
			text += " " + rung.Rung + ":"
			for _, rule := range rung.Rules {
				text += " " + rule.Name + rule.Module
				if len(rule.Because) != len(doc.Settings.Languages) {
					t.Errorf("%s: %s says why in %d languages", s.Name, rule.Name+rule.Module, len(rule.Because))
				}
			}
		}
		ladders = append(ladders, text)
	}
	if want := []string{
		"announce text session: one-of-two context: phone tablet desktop",
		"hero html profile: hat-lover context: south-winter-phone south-winter-desktop south-summer-phone south-summer-desktop winter-phone winter-desktop summer-phone summer-desktop",
		"offer html profile: forgotten-cart complete-cart second-look favourite-shelf offer-by-history session: welcome-back context: phone tablet desktop",
	}; !slices.Equal(ladders, want) {
		t.Errorf("ladders %q, want %q", ladders, want)
	}
	if len(doc.Modules) != 1 || doc.Site != demo.Site || !doc.Settings.Why || !doc.Settings.Consent.StrictGPC {
		t.Errorf("modules %v of site %q with settings %+v", doc.Modules, doc.Site, doc.Settings)
	}
}

var (
	linked   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	markup   = regexp.MustCompile(`<[^>]*>|\s+`)
	demoSays = regexp.MustCompile(`\{\{[a-z._]+ \| [^}]+\}\}`)
)

// Every variant says something of its own in every language, and what it links to
// is there.
func TestEveryVariantOfTheDemoIsWhole(t *testing.T) {
	n := startDemo(t)
	doc := demoSite(t)
	there := map[string]int{}
	seen := map[string]string{}
	templates := 0
	for _, v := range doc.Variants {
		at := v.Slot + "/" + v.Name
		if v.State != "live" {
			t.Errorf("%s is %s", at, v.State)
		}
		for _, lang := range doc.Settings.Languages {
			text := markupOf(t, v, lang)
			templates += len(demoSays.FindAllString(text, -1))
			words := lang + markup.ReplaceAllString(text, " ")
			if other := seen[words]; other != "" {
				t.Errorf("%s in %s says the same as %s", at, lang, other)
			}
			seen[words] = at
			for _, m := range linked.FindAllStringSubmatch(text, -1) {
				address := html.UnescapeString(m[1])
				if !strings.HasPrefix(address, "/"+lang+"/") && !strings.HasPrefix(address, "/asset/") {
					t.Errorf("%s in %s leads to %s", at, lang, address)
				}
				there[address]++
			}
		}
	}
	for address := range there {
		res, err := http.Get(n.base + address)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", address, res.Status)
		}
	}
	if len(there) < 30 || templates != 2*len(doc.Settings.Languages) {
		t.Errorf("%d addresses and %d texts with a field in them", len(there), templates)
	}
}

// explained is what the demo's release decides for a visit.
func (n *testNode) explained(t testing.TB, granted, fields string, slot string) edge.SampledDecision {
	t.Helper()
	var out publishing.Explanation
	body := fmt.Sprintf(`{"granted":[%s],"fields":{%s},"slots":[%q]}`, granted, fields, slot)
	r := apiRequest{method: http.MethodPost, path: "/v1/sites/demo/explain", body: []byte(body)}
	if err := dialAdmin(n.data).call(t.Context(), r, &out); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return out.Decisions[0]
}

func TestTheSeasonFollowsCalendarAndPlace(t *testing.T) {
	n := startDemo(t)
	for month := time.January; month <= time.December; month++ {
		north, south := "winter", "summer"
		if month >= time.April && month <= time.September {
			north, south = "summer", "winter"
		}
		for country, season := range map[string]string{`"FR"`: north, `"AU"`: south, `"BR"`: south, `"CN"`: north, "": north} {
			for device, name := range map[string]string{"phone": "phone", "tablet": "desktop", "desktop": "desktop"} {
				fields := fmt.Sprintf(`"now":%d,"device.type":%q`, time.Date(2026, month, 15, 12, 0, 0, 0, time.UTC).UnixMilli(), device)
				if country != "" {
					fields += `,"geo.country":` + country
				}
				if got := n.explained(t, `"context"`, fields, "hero"); got.Variant != season+"-"+name {
					t.Errorf("in %s, %s, on a %s: %s", month, country, device, got.Variant)
				}
			}
		}
	}
}

func TestTheOfferFollowsHistory(t *testing.T) {
	n := startDemo(t)
	const all = `"storage","measure","context","profile","personalise"`
	const nothing = `"device.type":"phone","visitor.returning":false,"visitor.visits":1,"cart":[],"bought":[],"recent":[],"interests":{},"stage":"unaware","intent":"cart","counts":{"view_item/7d":0}`
	with := func(name, value string) string {
		return regexp.MustCompile(regexp.QuoteMeta(name)+`":(\{[^}]*\}|\[[^]]*\]|[a-z0-9]+|"[a-z]*")`).ReplaceAllString(nothing, name+`":`+value)
	}
	tests := []struct{ name, granted, fields, variant, rule string }{
		{"somebody new", all, nothing, "phone", "phone"},
		{"a full basket", all, with("cart", `[{"id":"fell-beanie","quantity":1,"price":38}]`), "complete-cart", "complete-cart"},
		{"a basket left yesterday", all, with("stage", `"abandoned"`), "forgotten-cart", "forgotten-cart"},
		{"a full basket that may not be used", `"storage","context"`, with("cart", `[{"id":"fell-beanie","quantity":1,"price":38}]`), "phone", "phone"},
		{"something looked at, before it is counted", all, with("recent", `["tarn-scarf"]`), "recently-viewed", "offer-by-history@1.0.0"},
		{"a favourite shelf", all, with("interests", `{"hats":3}`), "favourite-category", "favourite-shelf"},
		{"back again", `"storage","context"`, with("visitor.returning", "true"), "welcome-back", "welcome-back"},
		{"nothing granted", "", nothing, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := n.explained(t, tt.granted, tt.fields, "offer")
			if got.Variant != tt.variant || got.Rule != tt.rule {
				t.Errorf("it shows %q by %q, want %q by %q", got.Variant, got.Rule, tt.variant, tt.rule)
			}
		})
	}
}

// Every text that the notice may show has room in what the page reserves.
func TestTheNoticeNeverGrows(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	doc := demoSite(t)
	for _, lang := range doc.Settings.Languages {
		b.open(n.base + "/" + lang + "/how/?grant=none")
		var texts []string
		for _, v := range doc.Variants {
			if v.Slot == "announce" {
				texts = append(texts, markupOf(t, v, lang))
			}
		}
		list, err := json.Marshal(texts)
		if err != nil || len(texts) != 5 {
			t.Fatalf("%d texts, %v", len(texts), err)
		}
		eval[bool](b, `window.notice = document.querySelector('near-slot[name=announce]'), window.own = notice.textContent, true`)
		for _, width := range []int64{320, 390, 768, 1280} {
			b.do(chromedp.EmulateViewport(width, 700))
			grown := eval[[]string](b, `(() => { notice.textContent = own; const room = notice.offsetHeight; return `+string(list)+`.filter(text => { notice.textContent = text; return notice.offsetHeight !== room; }); })()`)
			if len(grown) > 0 {
				t.Errorf("/%s/ at %d px: the notice grows by %q", lang, width, grown)
			}
		}
	}
}
