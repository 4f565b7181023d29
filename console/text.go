// SPDX-License-Identifier: Apache-2.0

package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"

	xlanguage "golang.org/x/text/language"
)

//go:embed text/*.json
var textFiles embed.FS

// A language is one of the page's languages with everything that it says in
// it.
type language struct {
	Tag  string // BCP 47
	Name string // in itself
	Dir  string // ltr or rtl

	group, point, percent string // of numbers

	texts map[string]string
}

// languages lists the page's languages, the fallback first.
var languages = [...]language{
	{Tag: "en", Name: "English", Dir: "ltr", group: ",", point: ".", percent: "%"},
	{Tag: "zh-Hans", Name: "简体中文", Dir: "ltr", group: ",", point: ".", percent: "%"},
	{Tag: "zh-Hant", Name: "繁體中文", Dir: "ltr", group: ",", point: ".", percent: "%"},
	{Tag: "ru", Name: "Русский", Dir: "ltr", group: "\u00a0", point: ",", percent: "\u00a0%"},
	{Tag: "ar", Name: "العربية", Dir: "rtl", group: ",", point: ".", percent: "%"},
}

// loadLanguages reads the texts of every language.
func loadLanguages() ([]*language, error) {
	var out []*language
	for _, l := range languages {
		raw, err := textFiles.ReadFile("text/" + l.Tag + ".json")
		if err != nil {
			return nil, fmt.Errorf("texts: %w", err)
		}
		if err := json.Unmarshal(raw, &l.texts); err != nil {
			return nil, fmt.Errorf("texts of %s: %w", l.Tag, err)
		}
		out = append(out, &l)
	}
	return out, nil
}

// What a value is put between, so that a name written from left to right does
// not turn an Arabic sentence around.
const (
	isolate    = "\u2068" // first strong isolate
	popIsolate = "\u2069"
)

// say returns a text with its {placeholders} filled from name and value pairs.
// A text that does not exist is an error, so that a page cannot be rendered
// with a hole in it.
func (l *language) say(key string, pairs ...any) (string, error) {
	text, ok := l.texts[key]
	if !ok {
		return "", fmt.Errorf("%s has no text %q", l.Tag, key)
	}
	var replace []string
	for i := 0; i+1 < len(pairs); i += 2 {
		replace = append(replace, fmt.Sprintf("{%v}", pairs[i]), isolate+fmt.Sprint(pairs[i+1])+popIsolate)
	}
	return strings.NewReplacer(replace...).Replace(text), nil
}

// has reports whether there is a text.
func (l *language) has(key string) bool { return l.texts[key] != "" }

// number spells a whole number.
func (l *language) number(value any) (string, error) {
	digits := fmt.Sprint(value)
	if _, err := strconv.ParseUint(digits, 10, 64); err != nil {
		return "", fmt.Errorf("%v is not a count", value)
	}
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), l.group), nil
}

// share spells exactly how many per cent of whole a part is.
func (l *language) share(part, whole any) (string, error) { return l.percentage(part, whole, 2) }

// rate spells about how many per cent of whole a part is.
func (l *language) rate(part, whole any) (string, error) { return l.percentage(part, whole, 1) }

func (l *language) percentage(part, whole any, decimals int) (string, error) {
	p, err := strconv.ParseFloat(fmt.Sprint(part), 64)
	if err != nil {
		return "", err
	}
	w, err := strconv.ParseFloat(fmt.Sprint(whole), 64)
	if err != nil {
		return "", err
	}
	if w == 0 {
		return "–", nil
	}
	text := strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(p*100/w, 'f', decimals, 64), "0"), ".")
	return strings.Replace(text, ".", l.point, 1) + l.percent, nil
}

// moment writes a time, which the page's script spells as its reader does.
func moment(t time.Time) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" dir="ltr">%s</time>`, t.Format(time.RFC3339), t.Format("2006-01-02 15:04 UTC")))
}

// bar draws how much of most a value is. What it shows is written beside it.
func bar(value, most any) (template.HTML, error) {
	v, err := strconv.ParseUint(fmt.Sprint(value), 10, 64)
	if err != nil {
		return "", fmt.Errorf("a bar of %v: %w", value, err)
	}
	m, err := strconv.ParseUint(fmt.Sprint(most), 10, 64)
	if err != nil {
		return "", fmt.Errorf("a bar of at most %v: %w", most, err)
	}
	part := 0.0
	if m > 0 {
		part = min(100, 100*float64(v)/float64(m))
	}
	return template.HTML(fmt.Sprintf(`<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="%.2f" height="1"/></svg>`, part)), nil
}

// languageCookie remembers which language was chosen.
const languageCookie = "near_lang"

// maxLanguageBytes bounds how much of what a browser says of its languages is
// read.
const maxLanguageBytes = 256

var languageMatcher = func() xlanguage.Matcher {
	var tags []xlanguage.Tag
	for _, l := range languages {
		tags = append(tags, xlanguage.MustParse(l.Tag))
	}
	return xlanguage.NewMatcher(tags)
}()

// language returns the one that the request asks for: by its address, by the
// cookie of an earlier choice, by what the browser speaks.
func (c *Console) language(r *http.Request) *language {
	if l := c.languageNamed(r.URL.Query().Get("lang")); l != nil {
		return l
	}
	if cookie, err := r.Cookie(languageCookie); err == nil {
		if l := c.languageNamed(cookie.Value); l != nil {
			return l
		}
	}
	accept := r.Header.Get("Accept-Language")
	if len(accept) > maxLanguageBytes {
		accept = accept[:maxLanguageBytes]
	}
	_, index := xlanguage.MatchStrings(languageMatcher, accept)
	return c.languages[index]
}

func (c *Console) languageNamed(tag string) *language {
	for _, l := range c.languages {
		if l.Tag == tag {
			return l
		}
	}
	return nil
}
