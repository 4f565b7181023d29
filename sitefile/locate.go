// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/markup"
	"github.com/nearside/nearside/edge/nearest"
)

// An index says where things stand that an error names.
type index struct {
	site                         map[string]*node // site and settings
	fields, audiences, campaigns map[string]*node // by name
	slots                        map[string]*node
	modules                      map[string]*node // by name@version
	rules                        map[string]*node // by slot/name, or slot/module
	variants                     map[string]*node // by slot/name
}

func newIndex() index {
	return index{
		site: map[string]*node{}, fields: map[string]*node{}, audiences: map[string]*node{}, campaigns: map[string]*node{},
		slots: map[string]*node{}, modules: map[string]*node{}, rules: map[string]*node{}, variants: map[string]*node{},
	}
}

// Locate says where in the files that stands what a compiler of the document
// refuses: every edge.RuleError that err joins, and what edge.CompileRelease
// reports. It returns no findings for nil.
func (f *Files) Locate(err error) Findings {
	var out Findings
	for _, one := range split(err) {
		if wrong, ok := errors.AsType[*edge.RuleError](one); ok {
			out = append(out, f.locateRule(wrong))
		} else {
			out = append(out, f.locateText(one))
		}
	}
	return out.sorted()
}

// split returns the errors that an error joins, those of rules without what is
// wrapped around them.
func split(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var out []error
		for _, one := range e.Unwrap() {
			out = append(out, split(one)...)
		}
		return out
	case interface{ Unwrap() error }:
		if _, ok := errors.AsType[*edge.RuleError](err); ok {
			return split(e.Unwrap())
		}
	}
	return []error{err}
}

// locateRule finds the place in an expression.
func (f *Files) locateRule(wrong *edge.RuleError) Finding {
	n := f.index.audiences[wrong.Audience]
	if wrong.Audience == "" {
		n = cmp.Or(f.index.rules[wrong.Slot+"/"+wrong.Rule], f.index.slots[wrong.Slot])
	}
	if n == nil {
		return f.fallback(wrong.Code, wrong.Hint, wrong.Error())
	}
	at := n.get(wrong.Member)
	exact := at != nil && at.kind != list
	if at == nil {
		at = cmp.Or(n.get("name"), n)
	}
	out := at.finding(wrong.Code, wrong.Hint, "%s", wrong.Message)
	if exact && wrong.Line > 0 {
		out.Line, out.Column = at.place(wrong.Line, wrong.Column)
	}
	return out
}

// The parts of what edge.CompileRelease says: release: variants: hero/winter:
// en: …
var (
	settingsText = regexp.MustCompile(`^settings\.([a-zA-Z]+)`)
	ruleText     = regexp.MustCompile(`^slots: ([a-z0-9-]+): rule ([^: ]+)`)
	slotText     = regexp.MustCompile(`^slots: "?([a-z0-9-]+)`)
	variantText  = regexp.MustCompile(`^variants: ([a-z0-9-]+/[a-z0-9-]+):? ?([a-zA-Z-]*)`)
	fieldText    = regexp.MustCompile(`^fields: "([^"]+)":? ?([a-z]*)`)
	campaignText = regexp.MustCompile(`^campaigns: "?([a-z0-9-]+)"?:? ?([a-z]*)`)
	audienceText = regexp.MustCompile(`^audiences: "?([a-z0-9-]+)"?:? ?([a-z]*)`)
	moduleText   = regexp.MustCompile(`^modules: ([^: ]+)`)
)

// locateText finds the place that an error of the whole release is about.
func (f *Files) locateText(err error) Finding {
	message := strings.TrimPrefix(err.Error(), "release: ")
	code := CodeRelease
	at := f.about(message)
	if at == nil {
		return f.fallback(code, "", message)
	}
	hint := ""
	line, column := at.line, at.column
	if name, unknown := fieldNamed(message); name != "" {
		line, column = at.mention(name)
		if unknown {
			hint = f.nearField(name)
		}
	}
	if wrong, ok := errors.AsType[*markup.Error](err); ok {
		code = CodeContent
		if at.kind == mapping {
			at = cmp.Or(at.get("html"), at)
		}
		line, column = at.line, at.column
		if at.kind == text {
			line, column = at.place(wrong.Line, wrong.Column)
			_, message, _ = strings.Cut(wrong.Error(), ": ") // its own place is in the text
		}
	}
	out := at.finding(code, hint, "%s", message)
	out.Line, out.Column = line, column
	return out
}

// The field that a text names, in what the engine says of it: {{geo.town}}: …
var mentionText = regexp.MustCompile(`\{\{([^{}|]+)\}\}: (there is no such field)?`)

// fieldNamed returns the field that a message about a text names, and whether it
// says that there is none.
func fieldNamed(message string) (name string, unknown bool) {
	if m := mentionText.FindStringSubmatch(message); m != nil {
		return m[1], m[2] != ""
	}
	return "", false
}

// mention returns where in a text, or in a content's texts, a field is named.
func (n *node) mention(field string) (line, column int) {
	named := regexp.MustCompile(`\{\{\s*` + regexp.QuoteMeta(field) + `\s*[|}]`)
	for _, kid := range append([]*node{n}, n.kids...) {
		if at := named.FindStringIndex(kid.text); kid.kind == text && at != nil {
			before := kid.text[:at[0]]
			begin := strings.LastIndexByte(before, '\n') + 1
			return kid.place(1+strings.Count(before, "\n"), 1+utf8.RuneCountInString(before[begin:]))
		}
	}
	return n.line, n.column
}

// nearField is a hint at the field most like a name that is no field's.
func (f *Files) nearField(name string) string {
	var names []string
	for _, field := range edge.Fields() {
		if !field.Internal() {
			names = append(names, field.Name)
		}
	}
	for _, own := range f.Document.Fields {
		names = append(names, own.Name)
	}
	return nearest.Hint(name, names)
}

// about returns what an error's text is about, or nil.
func (f *Files) about(message string) *node {
	in := func(known map[string]*node, parts []string) *node {
		n := known[parts[1]]
		if len(parts) > 2 {
			return cmp.Or(n.get(parts[2]), n.get("content").get(parts[2]), n.get("name"), n)
		}
		return cmp.Or(n.get("name"), n)
	}
	if m := settingsText.FindStringSubmatch(message); m != nil {
		return cmp.Or(f.index.site["settings"].get(m[1]), f.index.site["settings"])
	}
	if m := ruleText.FindStringSubmatch(message); m != nil {
		n := f.index.rules[m[1]+"/"+m[2]]
		return cmp.Or(n.get("name"), n.get("module"), n, f.index.slots[m[1]])
	}
	for _, try := range []struct {
		text  *regexp.Regexp
		known map[string]*node
	}{
		{slotText, f.index.slots}, {variantText, f.index.variants}, {fieldText, f.index.fields},
		{campaignText, f.index.campaigns}, {audienceText, f.index.audiences},
	} {
		if m := try.text.FindStringSubmatch(message); m != nil {
			return in(try.known, m)
		}
	}
	if m := moduleText.FindStringSubmatch(message); m != nil {
		for id, n := range f.index.modules {
			if name, _, _ := strings.Cut(id, "@"); id == m[1] || name == m[1] {
				return n
			}
		}
	}
	return nil
}

// fallback is a finding about the release as a whole.
func (f *Files) fallback(code, hint, message string) Finding {
	if n := f.index.site["site"]; n != nil {
		return n.finding(code, hint, "%s", message)
	}
	return Finding{Code: code, Message: message, Hint: hint}
}
