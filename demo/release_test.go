// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// A manifestLoader gives rules that only have the manifests of the modules as
// they are in the repository: compiling a release asks no more of them.
type manifestLoader map[string]*edge.Manifest

type manifestRule struct{ manifest *edge.Manifest }

func (r manifestRule) Manifest() *edge.Manifest { return r.manifest }

func (r manifestRule) Choose(*edge.View, int) (edge.Answer, error) { return edge.Answer{}, nil }

func (l manifestLoader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	return edgetest.NoRules{}.LoadRules(site, c, bind)
}

func (l manifestLoader) Load(_ string, ref edge.ModuleRef, _ map[string]int) (edge.Rule, error) {
	m, ok := l[ref.Name]
	if !ok {
		return nil, fmt.Errorf("no module %q", ref.Name)
	}
	return manifestRule{m}, nil
}

// readManifests reads the manifests of the demo's modules.
func readManifests(t *testing.T) (manifestLoader, []edge.ModuleRef) {
	t.Helper()
	loader, refs := manifestLoader{}, []edge.ModuleRef(nil)
	for _, name := range []string{"season-by-place", "offer-by-history", "by-device"} {
		raw, err := os.ReadFile(filepath.Join("..", "wasm-rules", "rules", name, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		m := &edge.Manifest{}
		if err := json.Unmarshal(raw, m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		loader[name] = m
		refs = append(refs, edge.ModuleRef{Name: m.Name, Version: m.Version, Hash: strings.Repeat("0", 64)})
	}
	return loader, refs
}

func releaseAt(t *testing.T, now time.Time) (edge.ReleaseDocument, []byte, manifestLoader) {
	t.Helper()
	loader, refs := readManifests(t)
	refs = append(refs, edge.ModuleRef{Name: "of-another-site", Version: "1.0.0", Hash: strings.Repeat("0", 64)})
	d, err := New(Options{Snippet: testSnippet, Modules: refs, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	raw := d.Release([]string{"http://127.0.0.1:8080"})
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc, raw, loader
}

var november = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestTheReleaseCompiles(t *testing.T) {
	doc, raw, loader := releaseAt(t, november)
	if _, err := edge.CompileRelease(raw, loader); err != nil {
		t.Fatal(err)
	}
	if doc.Site != Site || !doc.Settings.Why || !doc.Settings.Consent.StrictGPC || !slices.Equal(doc.Settings.Origins, []string{"http://127.0.0.1:8080"}) {
		t.Errorf("site %q with settings %+v", doc.Site, doc.Settings)
	}
	if want := []string{"en", "zh-Hans", "zh-Hant", "ru", "ar"}; !slices.Equal(doc.Settings.Languages, want) {
		t.Errorf("languages %v, want %v", doc.Settings.Languages, want)
	}
	if len(doc.Modules) != 3 {
		t.Errorf("%d modules, want the three that its rules use", len(doc.Modules))
	}
	var ladders []string
	for _, s := range doc.Slots {
		text := s.Name + " " + s.Kind
		for _, rung := range s.Ladder {
			for _, rule := range rung.Rules {
				text += " " + rung.Rung + ":" + rule.Module + "/" + rule.Role
				if len(rule.Because) != len(languages) {
					t.Errorf("%s: %s says why in %d languages", s.Name, rule.Module, len(rule.Because))
				}
			}
		}
		ladders = append(ladders, text)
	}
	if want := []string{
		"hero html context:season-by-place/hero",
		"offer html profile:offer-by-history/offer context:by-device/slot",
		"announce text context:by-device/slot",
	}; !slices.Equal(ladders, want) {
		t.Errorf("ladders %q, want %q", ladders, want)
	}
}

// A content is what a variant of either kind shows.
type content struct{ HTML, Text string }

func contentOf(t *testing.T, v edge.Variant, lang string) content {
	t.Helper()
	var c content
	if err := json.Unmarshal(v.Content[lang], &c); err != nil {
		t.Fatalf("%s in %s: %v", v.Name, lang, err)
	}
	return c
}

func TestEveryVariantHasTextInEveryLanguage(t *testing.T) {
	doc, _, _ := releaseAt(t, november)
	d := newShop(t)
	var names []string
	seen := map[string]string{}
	for _, v := range doc.Variants {
		at := v.Slot + "/" + v.Name
		names = append(names, at)
		if v.State != "live" {
			t.Errorf("%s is %s", at, v.State)
		}
		for _, l := range d.languages {
			content := contentOf(t, v, l.Tag)
			if other := seen[l.Tag+content.HTML+content.Text]; other != "" {
				t.Errorf("%s in %s is the same as %s", at, l.Tag, other)
			}
			seen[l.Tag+content.HTML+content.Text] = at
			if v.Slot == "announce" {
				if want := l.texts[v.Slot+"."+v.Name]; want == "" || content.Text != want || want == l.texts["announce.default"] {
					t.Errorf("%s in %s says %q, want %q", at, l.Tag, content.Text, want)
				}
				continue
			}
			for _, part := range []string{"eyebrow", "title", "text", "action"} {
				text := l.texts[v.Slot+"."+v.Name+"."+part]
				if text == "" || !strings.Contains(html.UnescapeString(content.HTML), text) {
					t.Errorf("%s in %s does not say its %s", at, l.Tag, part)
				}
			}
			if !strings.Contains(content.HTML, `href="/`+l.Tag+`/`) {
				t.Errorf("%s in %s leads to another language", at, l.Tag)
			}
		}
	}
	if want := []string{
		"hero/winter-phone", "hero/winter-desktop", "hero/summer-phone", "hero/summer-desktop",
		"offer/phone", "offer/tablet", "offer/desktop",
		"offer/complete-cart", "offer/recently-viewed", "offer/favourite-category", "offer/welcome-back",
		"announce/phone", "announce/tablet", "announce/desktop",
	}; !slices.Equal(names, want) {
		t.Errorf("variants %q, want %q", names, want)
	}
}

func TestTheSeasonFollowsTheCalendar(t *testing.T) {
	for month := time.January; month <= time.December; month++ {
		doc, _, _ := releaseAt(t, time.Date(2026, month, 15, 0, 0, 0, 0, time.UTC))
		want := `{"north":"winter"}`
		if month >= time.April && month <= time.September {
			want = `{"north":"summer"}`
		}
		for _, m := range doc.Modules {
			switch {
			case m.Name == "season-by-place" && string(m.Settings) != want:
				t.Errorf("in %s the season's settings are %s, want %s", month, m.Settings, want)
			case m.Name != "season-by-place" && m.Settings != nil:
				t.Errorf("%s has settings %s", m.Name, m.Settings)
			}
		}
	}
}

// A node publishes the release only if it changed, so it must not change by
// itself.
func TestTheReleaseIsTheSameEachTime(t *testing.T) {
	_, first, _ := releaseAt(t, november)
	for range 5 {
		if _, again, _ := releaseAt(t, november); !bytes.Equal(first, again) {
			t.Fatal("the release changed")
		}
	}
}

func TestLinksOfVariantsLeadSomewhere(t *testing.T) {
	doc, _, _ := releaseAt(t, november)
	d := newShop(t)
	for _, v := range doc.Variants {
		for lang := range v.Content {
			content := contentOf(t, v, lang)
			for _, m := range anchor.FindAllStringSubmatch(content.HTML, -1) {
				getPage(t, d, m[1])
				if m[1] == "/"+lang+"/" {
					t.Errorf("%s in %s leads to the page it is on", v.Name, lang)
				}
			}
			files := map[string]bool{}
			loadedBy(t, d, content.HTML, files)
			if len(files) == 0 && strings.Contains(content.HTML, "<img") {
				t.Errorf("%s in %s: its pictures were not found", v.Name, lang)
			}
		}
	}
}
