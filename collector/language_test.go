// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nearside/nearside/edge"
)

// releaseIn returns a release of the site demo with other languages.
func releaseIn(t testing.TB, langs ...string) *edge.Release {
	t.Helper()
	quoted := `"` + strings.Join(langs, `","`) + `"`
	document := `{"schema":1,"site":"demo","number":1,"settings":{"origins":["https://shop.example"],"languages":[` + quoted + `],"consent":{}},"slots":[],"variants":[],"modules":[]}`
	release, err := newEngine(t, &gazetteer{}).Publish([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func TestLanguages(t *testing.T) {
	five := []string{"en", "zh-Hans", "zh-Hant", "ru", "ar"}
	tests := []struct {
		name string
		site []string
		give question
		want string
	}{
		{"the header alone", five, question{accept: "ru"}, "ru"},
		{"a region is passed over", five, question{accept: "ru-RU,ru;q=0.9"}, "ru"},
		{"Taiwan reads traditional characters", five, question{accept: "zh-TW"}, "zh-Hant"},
		{"Hong Kong too", five, question{accept: "zh-HK,zh;q=0.9"}, "zh-Hant"},
		{"Macao too", five, question{prefers: []string{"zh-MO"}}, "zh-Hant"},
		{"China reads simplified characters", five, question{accept: "zh-CN,zh;q=0.9,en;q=0.8"}, "zh-Hans"},
		{"Singapore too", five, question{prefers: []string{"zh-SG"}}, "zh-Hans"},
		{"Chinese alone is simplified", five, question{prefers: []string{"zh"}}, "zh-Hans"},
		{"a script says more than a region", five, question{prefers: []string{"zh-Hant-CN"}}, "zh-Hant"},
		{"the order of traditional first does not matter", []string{"zh-Hant", "zh-Hans"}, question{prefers: []string{"zh-CN"}}, "zh-Hans"},
		{"weights are minded", five, question{accept: "en;q=0.2, ar;q=0.9, ru;q=0.5"}, "ar"},
		{"weight nought is a refusal", five, question{accept: "ru;q=0, ar;q=0.1"}, "ar"},
		{"the tag's list goes before the header", five, question{prefers: []string{"ar", "en"}, accept: "ru"}, "ar"},
		{"the header helps out", five, question{prefers: []string{"ja"}, accept: "ru"}, "ru"},
		{"nothing suits", five, question{prefers: []string{"ja"}, accept: "ko"}, ""},
		{"a Swahili reader gets by in English", five, question{prefers: []string{"sw"}}, "en"},
		{"one's own language goes before one that one gets by in", five, question{prefers: []string{"kk", "en"}}, "en"},
		{"nothing is said", five, question{}, ""},
		{"any language will do", five, question{accept: "*"}, ""},
		{"garbage is passed over", five, question{prefers: []string{"!!", "", "und", "x"}, accept: ";;,q=,\x7f,a-,ru;q=x,ar"}, "ar"},
		{"only sixteen are looked at", five, question{prefers: append(slices.Repeat([]string{"ja"}, 16), "ru")}, ""},
		{"a Portuguese reader gets by with Brazil's", []string{"en", "pt-BR"}, question{prefers: []string{"pt-PT"}}, "pt-BR"},
		{"the page's own language", five, question{prefers: []string{"zh-TW"}, exact: true}, "zh-Hant"},
		{"the page's language with a region", []string{"en", "fr"}, question{prefers: []string{"fr-CA"}, exact: true}, "fr"},
		{"a page in a language the site has not got", []string{"en", "nl"}, question{prefers: []string{"af"}, exact: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLanguages()
			release := releaseIn(t, tt.site...)
			for _, way := range []string{"worked out", "remembered"} {
				if got, _ := l.match(release, &tt.give, nil); got != tt.want {
					t.Errorf("%s: %q, want %q", way, got, tt.want)
				}
			}
		})
	}
}

// TestAMatchIsNotTakenForAnothers checks that no two questions share a place in
// the cache's key.
func TestAMatchIsNotTakenForAnothers(t *testing.T) {
	l := newLanguages()
	release := releaseIn(t, "en", "fr")
	ask := func(q question) string {
		got, _ := l.match(release, &q, nil)
		return got
	}
	if got := ask(question{prefers: []string{"ja,fr"}}); got != "" {
		t.Errorf("one list entry with a comma: %q", got)
	}
	if got := ask(question{prefers: []string{"ja", "fr"}}); got != "fr" {
		t.Errorf("two list entries: %q", got)
	}
	if got := ask(question{prefers: []string{"ja"}, accept: "fr"}); got != "fr" {
		t.Errorf("an entry and a header: %q", got)
	}
	other := releaseIn(t, "en", "de")
	if got, _ := l.match(other, &question{prefers: []string{"ja", "fr"}}, nil); got != "" {
		t.Errorf("the next release speaks no French: %q", got)
	}
	if got := ask(question{prefers: []string{"ja", "fr"}}); got != "fr" {
		t.Errorf("the release before: %q", got)
	}
}

func TestHammerLanguages(t *testing.T) {
	l := newLanguages()
	releases := []*edge.Release{releaseIn(t, "en", "fr"), releaseIn(t, "en", "de"), releaseIn(t, "fr")}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var key []byte
			for i := range 2000 {
				release := releases[(g+i)%len(releases)]
				var got string
				got, key = l.match(release, &question{accept: "fr"}, key)
				if want := slices.Contains(release.Languages(), "fr"); (got == "fr") != want {
					t.Errorf("%v answers %q", release.Languages(), got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzLanguages(f *testing.F) {
	f.Add("zh-TW", "fr;q=0.5,*;q=0.1")
	f.Add("", ";q=;q=,,-")
	f.Add("x-klingon", strings.Repeat("a-", 200))
	release := releaseIn(f, "en", "fr", "zh-Hant")
	f.Fuzz(func(t *testing.T, tag, accept string) {
		l := newLanguages()
		for _, exact := range []bool{false, true} {
			got, _ := l.match(release, &question{prefers: []string{tag}, accept: accept, exact: exact}, nil)
			if got != "" && !slices.Contains(release.Languages(), got) {
				t.Errorf("%q is not the site's", got)
			}
		}
	})
}
