// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/nearside/nearside/edge"
)

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	d := newShop(t)
	english := d.languages[0].texts
	if len(english) < 300 {
		t.Fatalf("only %d texts", len(english))
	}
	for _, l := range d.languages {
		for _, key := range slices.Sorted(maps.Keys(english)) {
			text := l.texts[key]
			if strings.TrimSpace(text) == "" || text != strings.TrimSpace(text) {
				t.Errorf("%s: %s is %q", l.Tag, key, text)
			}
			got, want := placeholder.FindAllString(text, -1), placeholder.FindAllString(english[key], -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has placeholders %v, want %v", l.Tag, key, got, want)
			}
		}
		for key := range l.texts {
			if english[key] == "" {
				t.Errorf("%s: %s is in no other language", l.Tag, key)
			}
		}
	}
}

// untranslated are names that a language writes as English does.
var untranslated = map[string][]string{
	"ru":      {"bar.gpc", "authority.gcm", "condition.is", "condition.has", "condition.true"},
	"ar":      {"condition.is", "condition.has", "condition.true"},
	"zh-Hans": {"bar.count", "condition.has", "condition.true"},
	"zh-Hant": {"bar.count", "condition.has", "condition.true"},
}

func TestEveryTextIsTranslated(t *testing.T) {
	scripts := map[string]*unicode.RangeTable{"zh-Hans": unicode.Han, "zh-Hant": unicode.Han, "ru": unicode.Cyrillic, "ar": unicode.Arabic}
	d := newShop(t)
	for lang, script := range scripts {
		for key, text := range d.language(lang).texts {
			if !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(script, r) }) && !slices.Contains(untranslated[lang], key) {
				t.Errorf("%s: %s is %q", lang, key, text)
			}
		}
	}
	same := 0
	hans, hant := d.language("zh-Hans").texts, d.language("zh-Hant").texts
	for key := range hans {
		if hans[key] == hant[key] {
			same++
		}
	}
	if same > len(hans)/5 {
		t.Errorf("%d of %d texts are the same in both Chinese scripts", same, len(hans))
	}
}

func TestAMissingTextIsAnError(t *testing.T) {
	l := newShop(t).languages[0]
	if got, err := l.say("no.such.text"); err == nil {
		t.Errorf("say gave %q, want an error", got)
	}
	if got, err := l.say("bar.count", "n", 3); err != nil || got != "3 of 8" {
		t.Errorf("say gave %q, %v", got, err)
	}
}

// A rule without code may read any field, and the panel says which.
func TestEveryFieldHasWords(t *testing.T) {
	texts := newShop(t).languages[0].texts
	for _, f := range edge.Fields() {
		if texts["field."+f.Name] == "" {
			t.Errorf("%s has no words", f.Name)
		}
	}
}

// Scripts ask for texts by keys that no compiler checks.
func TestScriptsAskOnlyForTextsThatPagesTellThem(t *testing.T) {
	d := newShop(t)
	p := &page{demo: d, language: d.languages[0]}
	told := p.Script().Texts
	asked := 0
	for name, a := range d.assets {
		for _, m := range regexp.MustCompile(`\b(?:say|compose)\((?:[^"()]*\? )?"([a-z.-]+)"(?: : "([a-z.-]+)")?`).FindAllStringSubmatch(string(a.body), -1) {
			for _, key := range m[1:] {
				if key == "" {
					continue
				}
				asked++
				known := told[key] != ""
				if strings.HasSuffix(key, ".") { // the beginning of a key
					for k := range told {
						known = known || strings.HasPrefix(k, key)
					}
				}
				if !known {
					t.Errorf("%s asks for %q", name, key)
				}
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d texts were found in the scripts", asked)
	}
}
