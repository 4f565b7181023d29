// SPDX-License-Identifier: Apache-2.0

// Package prompt is the consent prompt that a site may put on its pages: markup
// with a text and the benefit of each purpose, a script that makes it work and a
// style sheet. It is off unless a page has it, it stands in the page and so shows
// before any request, and its texts are versioned: what was answered to other
// words is no answer.
//
// The package serves nothing and keeps no state; all of it may be used by any
// number of goroutines at once. Nobody may change the embedded bytes.
package prompt

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
)

// Script makes the prompt in a page work: JavaScript in UTF-8.
//
//go:embed prompt.js
var Script []byte

// Style is the prompt's style sheet: CSS in UTF-8.
//
//go:embed prompt.css
var Style []byte

//go:embed text/*.json
var textFiles embed.FS

//go:embed prompt.html
var markup string

var page = template.Must(template.New("prompt").Parse(markup))

// DefaultVersion is the version of the texts in this package.
const DefaultVersion = "2026-11"

// Languages are the languages that the package has texts in (BCP 47).
var Languages = []string{"en", "ru", "zh-Hans", "zh-Hant", "ar"}

// A Prompt is one prompt in one language.
type Prompt struct {
	// Version names its texts: words of a-z and 0-9 joined by dashes, 32
	// characters at most. Raise it when what is asked changes.
	Version string
	Lang    string // one of Languages, or the language of Texts
	Dir     string // ltr or rtl
	// Names are the purposes that are asked for, in order.
	Names []string
	// Shown says that the markup is visible before a script runs, for a page that
	// knows that there was no answer.
	Shown bool
	// Keep says who keeps the answer: "" for the script, in the browser's web
	// storage, or "page" for the page's own scripts, which hear of it by the event
	// near:prompt and tell the tag on later pages.
	Keep string

	texts map[string]string
}

// New returns the prompt that asks for purposes, in a language of the package. Texts
// of own take the place of the package's, by the same keys; a language that is not
// the package's needs all of them.
func New(lang, version string, purposes []string, own map[string]string) (*Prompt, error) {
	p := &Prompt{Version: version, Lang: lang, Dir: "ltr", Names: purposes, texts: map[string]string{}}
	if lang == "ar" || lang == "he" || lang == "fa" || lang == "ur" {
		p.Dir = "rtl"
	}
	if slices.Contains(Languages, lang) {
		raw, err := textFiles.ReadFile("text/" + lang + ".json")
		if err != nil {
			return nil, fmt.Errorf("texts of the prompt: %w", err)
		}
		if err := json.Unmarshal(raw, &p.texts); err != nil {
			return nil, fmt.Errorf("texts of the prompt in %s: %w", lang, err)
		}
	}
	maps.Copy(p.texts, own)
	if len(purposes) == 0 {
		return nil, fmt.Errorf("the prompt in %s asks for nothing", lang)
	}
	return p, p.Write(io.Discard)
}

// Text returns a text by its key. It is for the markup.
func (p *Prompt) Text(key string) (string, error) {
	text := p.texts[key]
	if text == "" {
		return "", fmt.Errorf("the prompt has no text %q in %s", key, p.Lang)
	}
	return text, nil
}

// Write writes the prompt's markup. The error is w's.
func (p *Prompt) Write(w io.Writer) error {
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("markup of the prompt: %w", err)
	}
	return nil
}
