// SPDX-License-Identifier: Apache-2.0

// Package rights is the page on which a visitor sees what a site holds of them, and
// takes it back: what the browser carries, what is allowed, what is chosen and why,
// how long things stay, and the ways out. It is one HTML document in five languages
// that works without scripts, asks no other address for anything, and is read with a
// keyboard or aloud.
//
// The package turns what it is told into markup. It reads no request, opens no state,
// decides nothing and keeps nothing; who calls it is package collector. A Page may be
// used by any number of goroutines at once.
package rights

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/prompt"
)

//go:embed text/*.json
var textFiles embed.FS

//go:embed page.html
var markup string

//go:embed page.css
var styleFile string

//go:embed page.js
var scriptFile string

// The page's style and script, without the line above them.
var (
	style  = withoutHead(styleFile)
	script = withoutHead(scriptFile)
)

func withoutHead(file string) string {
	_, rest, _ := strings.Cut(file, "\n\n")
	return rest
}

// Languages are the page's languages (BCP 47), the fallback first.
var Languages = prompt.Languages

// names are what the languages are called in themselves.
var names = map[string]string{"en": "English", "ru": "Русский", "zh-Hans": "简体中文", "zh-Hant": "繁體中文", "ar": "العربية"}

// Policy is the Content-Security-Policy of every page: its own style and script, known
// by their hashes, and forms to its own address. Nothing may frame it.
var Policy = "default-src 'none'; img-src data:; style-src " + sourceOf(style) + "; script-src " + sourceOf(script) +
	"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// sourceOf is how a policy names an inline style or script.
func sourceOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// What a visitor may do on the page: the values of the form's member do.
const (
	Show     = ""
	Download = "download"
	Withdraw = "withdraw"
	Erase    = "erase"
)

// A Note says what there is of a state.
type Note uint8

// What there may be of a state.
const (
	NoNote     Note = iota // none was brought
	OpenNote               // it is in Visit.Held
	UnreadNote             // it cannot be opened
	ErasedNote             // it is of before the visitor was erased
)

// A Basis says whether a purpose is granted as far as the page knows, and how it
// knows. The zero value is that it does not.
type Basis string

// The ways to know.
const (
	ByAnswer  Basis = "answer"  // yes: the receipt of the visitor's answer
	ByNote    Basis = "note"    // yes: what the state holds is written under it only
	ByDefault Basis = "default" // yes: the defaults of where the visitor is
	Refused   Basis = "no"      // no: the visitor's answer does not name it
	TakenAway Basis = "gpc"     // no: Global Privacy Control
	Unknown   Basis = "unknown"
)

// A Visit is what one visitor is shown.
type Visit struct {
	Site string
	Lang string // one of Languages
	// State is the sealed state where a form brought it, "" where a cookie did:
	// the page's own forms bring it again.
	State string
	// HandedOn says that a form brought it, also where State is gone since.
	HandedOn bool
	Note     Note
	Held     *edge.Disclosure // nil but for OpenNote
	// Allowed is by the purposes' bits, in the order of consent.Rows.
	Allowed map[consent.Purposes]Basis
	// Decisions have their Why.
	Decisions  []edge.Decision
	RetainDays int
	MayErase   bool
	// Done is Withdraw or Erase where that was just done, with the id of its
	// Receipt; Failed says why something was not done, by its stable code.
	Done, Receipt, Failed string
}

// A Page makes the markup. New makes one.
type Page struct {
	languages map[string]*language
}

// New returns the page in all its languages, or what is wrong with its texts.
func New() (*Page, error) {
	p := &Page{languages: map[string]*language{}}
	for _, tag := range Languages {
		l, err := newLanguage(tag)
		if err != nil {
			return nil, err
		}
		p.languages[tag] = l
	}
	return p, nil
}

// Write writes the page for a visit. The error is w's, or a text's that is missing.
func (p *Page) Write(w io.Writer, v *Visit) error {
	l := p.languages[v.Lang]
	if l == nil {
		return fmt.Errorf("the visitor's page: no language %.40q", v.Lang)
	}
	if err := l.page.Execute(w, &sheet{Visit: v, language: l}); err != nil {
		return fmt.Errorf("the visitor's page: %w", err)
	}
	return nil
}

// A language is the page in one language.
type language struct {
	tag, dir string
	texts    map[string]string
	purposes *prompt.Prompt // has the purposes' words, as visitors are asked for them
	page     *template.Template
}

func newLanguage(tag string) (*language, error) {
	l := &language{tag: tag}
	raw, err := textFiles.ReadFile("text/" + tag + ".json")
	if err != nil {
		return nil, fmt.Errorf("the visitor's page: texts: %w", err)
	}
	if err := json.Unmarshal(raw, &l.texts); err != nil {
		return nil, fmt.Errorf("the visitor's page: texts of %s: %w", tag, err)
	}
	if l.purposes, err = prompt.New(tag, prompt.DefaultVersion, consent.All.Names(), nil); err != nil {
		return nil, fmt.Errorf("the visitor's page: %w", err)
	}
	l.dir = l.purposes.Dir
	l.page, err = template.New("page").Funcs(template.FuncMap{
		"t": l.say, "purpose": l.purposes.Text, "time": l.time, "whole": l.whole,
	}).Parse(markup)
	if err != nil {
		return nil, fmt.Errorf("the visitor's page: %w", err)
	}
	return l, nil
}

// say returns a text with its {placeholders} filled from name and value pairs. A
// text that does not exist is an error, so that no page has a hole in it.
func (l *language) say(key string, pairs ...any) (string, error) {
	text, ok := l.texts[key]
	if !ok {
		return "", fmt.Errorf("%s has no text %q", l.tag, key)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return text, nil
}

// word returns a text that may be missing, and then plain.
func (l *language) word(key, plain string) string {
	if text, ok := l.texts[key]; ok {
		return text
	}
	return plain
}
