// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestNoticesSayWhatIsMostlyNotMeant(t *testing.T) {
	const text = `site: shop
settings: {origins: [https://shop.example], languages: [en, zh-Hans]}
slots:
  - name: hero
    kind: text
    ladder:
      context:
        - name: anybody
          show: [{variant: a, weight: 1}, {variant: b, weight: 1}]
          because: {en: Hello., zh: 你好}
variants:
  hero:
    - {name: a, state: live, content: {en: Hello, zh-Hans: 你好}}
    - {name: b, state: draft, content: {en: Bye}}
`
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", "", "", nil},
		{"words in a language that the site lacks", "zh: 你好", "de: Hallo", []string{"a.yaml:10:33: notice: the site has no language de; settings.languages has en, zh-Hans"}},
		{"a text in a language that the site lacks", "zh-Hans: 你好", "fr: Salut", []string{"a.yaml:13:51: notice: the site has no language fr; settings.languages has en, zh-Hans"}},
		{"a text without the fallback", "en: Hello, ", "", []string{"a.yaml:13:39: notice: there is no text in en, the site's fallback; add it, or what is there stands in for it"}},
		{"a rule that shows only drafts", "name: a, state: live", "name: a, state: draft", []string{"a.yaml:9:17: notice: the rule shows nothing that is live; only a variant whose state is live is served"}},
		{"a rule that shows one draft", "[{variant: a, weight: 1}, {variant: b, weight: 1}]", "b", []string{"a.yaml:9:17: notice: the rule shows nothing that is live; only a variant whose state is live is served"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(strings.Replace(text, tt.old, tt.new, 1))}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range files.Notices(nil) {
				got = append(got, n.String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
