// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

//go:embed text/*.json
var textFiles embed.FS

// A language is one of the shop's languages with everything the shop says in
// it.
type language struct {
	Tag  string // BCP 47, also the first part of a page's path
	Name string // in itself
	Dir  string // ltr or rtl
	// browser is what a browser set to this language says of itself, best
	// first: it takes the place of Accept-Language and navigator.languages.
	browser [2]string
	// price spells an amount of whole euros.
	price string
	texts map[string]string
}

// languages lists the shop's languages, the fallback first.
var languages = [...]language{
	{Tag: "en", Name: "English", Dir: "ltr", browser: [2]string{"en-GB", "en"}, price: "€{n}"},
	{Tag: "zh-Hans", Name: "简体中文", Dir: "ltr", browser: [2]string{"zh-CN", "zh"}, price: "€{n}"},
	{Tag: "zh-Hant", Name: "繁體中文", Dir: "ltr", browser: [2]string{"zh-TW", "zh"}, price: "€{n}"},
	{Tag: "ru", Name: "Русский", Dir: "ltr", browser: [2]string{"ru-RU", "ru"}, price: "{n}\u00a0€"},
	{Tag: "ar", Name: "العربية", Dir: "rtl", browser: [2]string{"ar-SA", "ar"}, price: "{n}\u00a0€"},
}

// loadLanguages reads the texts of every language.
func loadLanguages() ([]*language, error) {
	var out []*language
	for _, l := range languages {
		raw, err := textFiles.ReadFile("text/" + l.Tag + ".json")
		if err != nil {
			return nil, fmt.Errorf("demo: texts: %w", err)
		}
		if err := json.Unmarshal(raw, &l.texts); err != nil {
			return nil, fmt.Errorf("demo: texts of %s: %w", l.Tag, err)
		}
		out = append(out, &l)
	}
	return out, nil
}

// say returns a text with its {placeholders} filled from name and value pairs.
// A text that does not exist is an error, so that a page cannot be rendered
// with a hole in it.
func (l *language) say(key string, pairs ...any) (string, error) {
	text, ok := l.texts[key]
	if !ok {
		return "", fmt.Errorf("demo: %s has no text %q", l.Tag, key)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return text, nil
}

// money spells an amount of whole euros.
func (l *language) money(euros int) string {
	return strings.ReplaceAll(l.price, "{n}", strconv.Itoa(euros))
}

// language returns the shop's language with a tag, nil for none.
func (d *Demo) language(tag string) *language {
	for _, l := range d.languages {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}

// maxAcceptBytes bounds how much of an Accept-Language header is read.
const maxAcceptBytes = 256

// negotiate returns the shop's language that suits an Accept-Language header
// best, the first one where none does. Of equal weights the earlier wins.
func (d *Demo) negotiate(accept string) *language {
	if len(accept) > maxAcceptBytes {
		accept = accept[:maxAcceptBytes]
	}
	best, bestWeight := d.languages[0], 0.0
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			w, err := strconv.ParseFloat(q, 64)
			if err != nil || !(w >= 0 && w <= 1) {
				continue
			}
			weight = w
		}
		if l := d.match(tag); l != nil && weight > bestWeight {
			best, bestWeight = l, weight
		}
	}
	return best
}

// match returns the shop's language for a browser's language tag, nil for
// none. Chinese is matched by script, or by the script that a region writes.
func (d *Demo) match(tag string) *language {
	base, rest, _ := strings.Cut(strings.ToLower(tag), "-")
	if base != "zh" {
		return d.language(base)
	}
	for part := range strings.SplitSeq(rest, "-") {
		switch part {
		case "hant", "tw", "hk", "mo":
			return d.language("zh-Hant")
		case "hans":
			return d.language("zh-Hans")
		}
	}
	return d.language("zh-Hans")
}
