// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/language"

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
		{"any language will do", five, question{accept: "*"}, "en"},
		{"any but one", five, question{accept: "en;q=0, *;q=0.5"}, "zh-Hans"},
		{"none of the site's", []string{"en"}, question{accept: "en;q=0, *"}, ""},
		{"any will do after those that are named", five, question{accept: "*, ja, ar;q=0.1"}, "ar"},
		{"a reader gets by in nothing that is refused", five, question{accept: "kk, ru;q=0"}, ""},
		{"a reader gets by in nothing if nothing else will do", five, question{accept: "kk, *;q=0"}, ""},
		{"a language is refused with its countries", []string{"en-GB", "fr"}, question{accept: "en-US, en;q=0, fr;q=0.1"}, "fr"},
		{"a country is accepted of a language that is refused", []string{"en-GB", "fr"}, question{accept: "en-GB, en;q=0, fr;q=0.1"}, "en-GB"},
		{"a refusal in the header does not touch the tag's list", five, question{prefers: []string{"ru"}, accept: "ru;q=0"}, "ru"},
		{"a weight over one is none", five, question{accept: "ru;q=1.001, ar;q=0.1"}, "ar"},
		{"a weight with four decimals is none", five, question{accept: "ru;q=0.9999, ar;q=0.1"}, "ar"},
		{"capitals do not matter", five, question{accept: "RU;Q=0.1, ar;q=0.05"}, "ru"},
		{"what the bound cuts off is not read", five, question{accept: strings.Repeat("ja,", 84) + "ru-RU"}, ""},
		{"garbage is passed over", five, question{prefers: []string{"!!", "", "und", "x"}, accept: ";;,q=,\x7f,a-,ru;q=x,ar"}, "ar"},
		{"only sixteen are looked at", five, question{prefers: append(slices.Repeat([]string{"ja"}, 16), "ru")}, ""},
		{"a Portuguese reader gets by with Brazil's", []string{"en", "pt-BR"}, question{prefers: []string{"pt-PT"}}, "pt-BR"},
		{"Bokmal is Norwegian", []string{"en", "no"}, question{accept: "nb-NO,nb;q=0.9,en;q=0.8"}, "no"},
		{"Norwegian is Bokmal", []string{"en", "nb"}, question{accept: "no,en;q=0.8"}, "nb"},
		{"Mandarin is Chinese", five, question{accept: "cmn,en;q=0.8"}, "zh-Hans"},
		{"the page's own language", five, question{prefers: []string{"zh-TW"}, exact: true}, "zh-Hant"},
		{"the page's language with a region", []string{"en", "fr"}, question{prefers: []string{"fr-CA"}, exact: true}, "fr"},
		{"a page in a language the site has not got", []string{"en", "nl"}, question{prefers: []string{"af"}, exact: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLanguages()
			release := releaseIn(t, tt.site...)
			for _, way := range []string{"worked out", "remembered"} {
				if got, _ := l.match(l.of(release), &tt.give, nil); got != tt.want {
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
		got, _ := l.match(l.of(release), &q, nil)
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
	if got, _ := l.match(l.of(other), &question{prefers: []string{"ja", "fr"}}, nil); got != "" {
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
				got, key = l.match(l.of(release), &question{accept: "fr"}, key)
				if want := slices.Contains(release.Languages(), "fr"); (got == "fr") != want {
					t.Errorf("%v answers %q", release.Languages(), got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestReadWeight(t *testing.T) {
	for give, want := range map[string]int{
		"q=0": 0, "q=1": 1000, "q=0.8": 800, "q=0.85": 850, "q=0.001": 1, "q=1.000": 1000, "q=0.": 0, "q=1.": 1000, "Q=0.5": 500,
		"q=": -1, "q=2": -1, "q=1.1": -1, "q=.5": -1, "q=0.1234": -1, "q=-0": -1, "q=0,5": -1, "q=1e0": -1, "q =1": -1, "q=0x1": -1, "": -1, "level=1": -1, "q=0.5;a": -1,
	} {
		got, ok := readWeight(give)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("readWeight(%q) = %d, %v, want %d", give, got, ok, want)
		}
	}
}

// FuzzAcceptance compares with x/text, which reads the same headers but refuses
// one as a whole where we pass over an entry, and is laxer about weights.
func FuzzAcceptance(f *testing.F) {
	for _, header := range []string{"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en;q=0,fr;q=0.001", "zh-Hant-TW;q=1.000,a;q=2", " , ;q=1,da", "en;q=0.5;x"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := readAcceptance(header)
		if len(got.names)+len(got.refused) > maxAcceptLanguageBytes {
			t.Fatalf("%q gives %d languages", header, len(got.names))
		}
		for entry := range strings.SplitSeq(header, ",") { // only what both read alike
			name, parameter, found := strings.Cut(entry, ";")
			_, ok := readWeight(strings.Trim(parameter, " \t"))
			_, err := language.Parse(strings.Trim(name, " \t"))
			if found && !ok || err != nil || len(header) > maxAcceptLanguageBytes || strings.ContainsAny(entry, "Q\v\f\r\n\u0085\u00a0") {
				return
			}
		}
		tags, _, err := language.ParseAcceptLanguage(header)
		if err != nil {
			return
		}
		var want []string
		for _, tag := range tags {
			want = append(want, tag.String())
		}
		var have []string
		for _, name := range got.names {
			have = append(have, language.Make(name).String())
		}
		if !slices.Equal(have, want) {
			t.Errorf("%q gives %q, x/text says %q", header, have, want)
		}
	})
}

func TestLanguageAllocs(t *testing.T) {
	l := newLanguages()
	release := releaseIn(t, "en", "fr", "zh-Hant")
	q := question{prefers: []string{"zh-TW", "en"}, accept: "zh-TW,zh;q=0.9,en;q=0.8"}
	_, key := l.match(l.of(release), &q, make([]byte, 0, maxCacheKey))
	if n := testing.AllocsPerRun(100, func() { _, key = l.match(l.of(release), &q, key) }); n > 0 {
		t.Errorf("a match that is remembered costs %v allocations", n)
	}
}

// A language that answers to its own name is the one that matching finds.
func TestOwnLanguages(t *testing.T) {
	for _, names := range [][]string{{"en", "de", "fr"}, {"no", "nb", "nn"}, {"nb", "no"}, {"zh-Hans", "zh-Hant", "zh", "cmn"}, {"en", "en-GB", "en-US"}, {"pt", "pt-BR", "x-a"}, {}} {
		s := newSiteLanguages(names)
		for _, name := range names {
			want := ""
			if i := s.match(&question{prefers: []string{name}, exact: true}); i >= 0 {
				want = names[i]
			}
			if got, ok := s.own[name]; ok && got != want {
				t.Errorf("of %v, %s is %q, want %q", names, name, got, want)
			}
		}
		if len(names) == 3 && names[0] == "en" && len(s.own) != 3 {
			t.Errorf("of %v only %v answer to their names", names, s.own)
		}
	}
}

func FuzzLanguages(f *testing.F) {
	f.Add("zh-TW", "fr;q=0.5,*;q=0.1")
	f.Add("", ";q=;q=,,-")
	f.Add("x-klingon", strings.Repeat("a-", 200))
	release := releaseIn(f, "en", "fr", "zh-Hant")
	f.Fuzz(func(t *testing.T, tag, accept string) {
		l := newLanguages()
		for _, exact := range []bool{false, true} {
			got, _ := l.match(l.of(release), &question{prefers: []string{tag}, accept: accept, exact: exact}, nil)
			if got != "" && !slices.Contains(release.Languages(), got) {
				t.Errorf("%q is not the site's", got)
			}
		}
	})
}
