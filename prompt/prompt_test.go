// SPDX-License-Identifier: Apache-2.0

package prompt_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/nearside/nearside/prompt"
)

var purposes = []string{"storage", "measure", "context", "profile", "personalise", "share", "geo", "device"}

func TestEveryLanguageHasEveryText(t *testing.T) {
	for _, lang := range prompt.Languages {
		p, err := prompt.New(lang, prompt.DefaultVersion, purposes, nil)
		if err != nil {
			t.Errorf("%s: %v", lang, err)
			continue
		}
		var out strings.Builder
		if err := p.Write(&out); err != nil {
			t.Fatal(err)
		}
		want := []string{`lang="` + lang + `"`, `data-near-prompt="` + prompt.DefaultVersion + `"`, `role="dialog"`, `aria-modal="false"`, " hidden>"}
		for _, name := range purposes {
			want = append(want, `value="`+name+`"`)
		}
		for _, part := range want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: no %s", lang, part)
			}
		}
		if rtl := strings.Contains(out.String(), `dir="rtl"`); rtl != (lang == "ar") {
			t.Errorf("%s: written from right to left: %v", lang, rtl)
		}
	}
}

func TestASitesOwnWords(t *testing.T) {
	own := map[string]string{"title": `<b>"Hats"</b>`, "measure.name": "Zählen"}
	p, err := prompt.New("en", "2027-01", []string{"measure"}, own)
	if err != nil {
		t.Fatal(err)
	}
	p.Shown, p.Keep = true, "page"
	var out strings.Builder
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"&lt;b&gt;", "Zählen", `data-near-keep="page"`, "Count pages"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %s in %s", part, out.String())
		}
	}
	for _, part := range []string{"<b>\"", `value="storage"`, `tabindex="-1" hidden`} {
		if strings.Contains(out.String(), part) {
			t.Errorf("%s is in %s", part, out.String())
		}
	}
}

func TestAPromptThatLacksSomethingIsRefused(t *testing.T) {
	german := map[string]string{"title": "Darf sich diese Seite anpassen?"}
	for _, tt := range []struct {
		name, lang string
		purposes   []string
		own        map[string]string
		says       string
	}{
		{"a language with too few texts", "de", []string{"measure"}, german, `no text "text" in de`},
		{"a purpose that is none", "en", []string{"fun"}, nil, `no text "fun.name" in en`},
		{"nothing to ask for", "en", nil, nil, "asks for nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := maps.Clone(tt.own)
			_, err := prompt.New(tt.lang, "2026-11", tt.purposes, tt.own)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
			if !maps.Equal(before, tt.own) {
				t.Error("the site's own texts were changed")
			}
		})
	}
}
