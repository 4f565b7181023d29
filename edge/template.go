// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts in a variant's content may name fields:
//
//	Still thinking of {{shop.look | hats}}, {{geo.city}}?
//
// Where the visitor granted the field and it has a value, the value takes the
// place; else the text behind the bar, and without a bar nothing. A field is
// built in or the site's own, of type string, i64, f64 or bool. A value is only
// ever text: it stands in texts and in attributes that are read out or shown, never
// in an address, a style, a class or a name. Four opening braces are two.

const (
	templateOpen  = "{{"
	templateClose = "}}"

	// maxTemplates bounds the fields that one content names: each may grow it by
	// maxTemplateValue bytes, which JSON may spell sixfold.
	maxTemplates     = 64
	maxTemplateValue = 256
	// maxTemplateNumber is where numbers are no longer exact to a hundredth.
	maxTemplateNumber = 1e13
)

// A template is content that names fields: JSON for the wire with holes in it. It
// is immutable.
type template struct {
	wire  []byte // without the holes
	holes []hole // in their order in wire
	reads Mask
}

// A hole is a place in a JSON string that a field's value fills.
type hole struct {
	at       int // offset in wire
	field    FieldNumber
	fallback string // escaped for JSON
}

// render returns the content with what the view shows of the fields.
func (t *template) render(view *View) json.RawMessage {
	size := len(t.wire) + 32*len(t.holes)
	for i := range t.holes {
		size += len(t.holes[i].fallback)
	}
	out, from := make([]byte, 0, size), 0
	for i := range t.holes {
		h := &t.holes[i]
		out = append(out, t.wire[from:h.at]...)
		from = h.at
		var ok bool
		if out, ok = appendPlain(out, view.Value(h.field)); !ok {
			out = append(out, h.fallback...)
		}
	}
	return append(out, t.wire[from:]...)
}

// appendPlain appends a value as the inside of a JSON string, as people write it.
// It reports whether there is one to write.
func appendPlain(dst []byte, v Value) ([]byte, bool) {
	switch v.Type {
	case TypeString:
		shown := strings.Map(showable, cutText(v.Str, maxTemplateValue))
		return appendEscaped(dst, shown), shown != ""
	case TypeInt:
		return strconv.AppendInt(dst, v.Int, 10), true
	case TypeBool:
		return strconv.AppendBool(dst, v.Int != 0), true
	case TypeFloat:
		if !(math.Abs(v.Float) <= maxTemplateNumber) {
			return dst, false // no number, or one that nobody reads
		}
		from := len(dst)
		dst = strconv.AppendFloat(dst, v.Float, 'f', 2, 64)
		dst = bytes.TrimSuffix(bytes.TrimRight(dst, "0"), []byte("."))
		if string(dst[from:]) == "-0" {
			dst = append(dst[:from], '0')
		}
		return dst, true
	}
	return dst, false
}

// showable drops the characters that turn the direction of what follows them, so
// that no value changes how the text around it reads, and makes blanks of controls.
func showable(r rune) rune {
	switch {
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return -1
	case unicode.IsControl(r):
		return ' '
	}
	return r
}

// cutText returns at most the first limit bytes of s, and no part of a character.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// newTemplate finds the fields that compiled content names. It returns nil and the
// content, with braces spelt as they are meant, where there is none.
func (r *Release) newTemplate(kind Kind, wire []byte) (*template, []byte, error) {
	if !bytes.Contains(wire, []byte(templateOpen)) {
		return nil, wire, nil
	}
	p := templateParser{release: r}
	p.value(wire, place{kind: kind})
	if err := errors.Join(p.errs...); err != nil {
		return nil, nil, err
	}
	if len(p.holes) == 0 {
		return nil, p.wire, nil
	}
	return &p.template, nil, nil
}

// A templateParser copies content to a template's wire, without the holes.
type templateParser struct {
	template
	release *Release
	errs    []error
}

func (p *templateParser) bad(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// value copies a JSON value.
func (p *templateParser) value(raw []byte, at place) {
	n := 0
	switch raw[0] {
	case '{':
		p.wire = append(p.wire, '{')
		members(raw, func(key, value []byte) bool {
			if bytes.Contains(key, []byte(templateOpen)) {
				p.bad("a field cannot stand in the name %q", key)
			}
			p.wire = append(append(append(comma(p.wire, n), '"'), key...), '"', ':')
			p.value(value, at.member(keyText(key)))
			n++
			return true
		})
		p.wire = append(p.wire, '}')
	case '[':
		p.wire = append(p.wire, '[')
		elements(raw, func(value []byte) bool {
			p.wire = comma(p.wire, n)
			p.value(value, at.element(n))
			n++
			return true
		})
		p.wire = append(p.wire, ']')
	case '"':
		p.text(raw, at)
	default:
		p.wire = append(p.wire, raw...)
	}
}

// text copies a JSON string.
func (p *templateParser) text(raw []byte, at place) {
	if !bytes.Contains(raw, []byte(templateOpen)) {
		p.wire = append(p.wire, raw...)
		return
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		p.bad("a text: %w", err) // the compiled content is JSON: it does not happen
		return
	}
	if !at.isText() {
		p.bad("a field cannot stand in %s: only in texts", at)
		return
	}
	p.wire = append(p.wire, '"')
	literal := "" // the text with an x for each field
	for rest := text; ; {
		before, after, found := strings.Cut(rest, templateOpen)
		p.wire, literal = appendEscaped(p.wire, before), literal+before
		if !found {
			break
		}
		if doubled, ok := strings.CutPrefix(after, templateOpen); ok {
			p.wire, rest = append(p.wire, templateOpen...), doubled
			continue
		}
		inner, after, found := strings.Cut(after, templateClose)
		if !found {
			p.bad("%q has no %s behind it", templateOpen+cutText(inner, 40), templateClose)
			break
		}
		p.hole(inner)
		literal, rest = literal+"x", after
	}
	p.wire = append(p.wire, '"')
	if at.kind == KindJSON && isAddress(literal) {
		p.bad("a field cannot stand in an address: %q", cutText(text, 80))
	}
}

// hole adds what stands between the braces.
func (p *templateParser) hole(inner string) {
	name, fallback, _ := strings.Cut(inner, "|")
	name = strings.TrimSpace(name)
	if strings.HasPrefix(fallback, "|") {
		p.bad("{{%s}}: two bars, want one before the text that stands in for it", cutText(name, 80))
		return
	}
	n, ok := p.release.fieldNumber(name)
	if !ok || p.release.field(n).Internal() {
		p.bad("{{%s}}: there is no such field", cutText(name, 80))
		return
	}
	switch f := p.release.field(n); f.Type {
	case TypeString, TypeInt, TypeFloat, TypeBool:
	default:
		p.bad("{{%s}}: the field is of type %s, and a text can hold a string, i64, f64 or bool", name, f.Type)
		return
	}
	if len(p.holes) == maxTemplates {
		p.bad("{{%s}}: more than %d fields", name, maxTemplates)
		return
	}
	p.reads = p.reads.With(n)
	p.holes = append(p.holes, hole{len(p.wire), n, string(appendEscaped(nil, strings.TrimSpace(fallback)))})
}
