// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// What a file is written of: text, whole numbers, true or false, a number as
// JSON spells it, nil, lists and mappings.
type (
	// An entry is a key of a mapping with its value; comment stands above it.
	entry struct {
		key     string
		value   any
		comment string
	}
	pairs []entry
	items []any
	// A literal is a number as it is written.
	literal string
	// A row is a mapping that is written on one line.
	row pairs
)

// put adds a key with a value, unless that is the zero value of its type.
func (p *pairs) put(key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case int:
		if v == 0 {
			return
		}
	case bool:
		if !v {
			return
		}
	case pairs:
		if v == nil {
			return
		}
	case items:
		if v == nil {
			return
		}
	case nil:
		return
	}
	p.set(key, value)
}

// set adds a key with any value.
func (p *pairs) set(key string, value any) { *p = append(*p, entry{key: key, value: value}) }

// An emitter writes values as YAML. Two blanks are one step in.
type emitter struct{ strings.Builder }

// pairs writes a mapping; the cursor stands where its first key begins. Between
// the keys of a file is an empty line.
func (w *emitter) pairs(indent int, p pairs) {
	for i, e := range p {
		if i > 0 && indent == 0 {
			w.WriteString("\n")
		}
		if i > 0 {
			w.line(indent)
		}
		if e.comment != "" {
			for line := range strings.SplitSeq(e.comment, "\n") {
				w.WriteString("# " + line)
				w.line(indent)
			}
		}
		key := spellKey(e.key)
		if len(key) > longestKey {
			w.WriteString("? " + key)
			w.line(indent)
			key = ""
		}
		w.WriteString(key + ":")
		w.value(indent, e.value, false)
	}
}

// longestKey is how long a key before a colon may be, with some room to what
// YAML allows.
const longestKey = 900

// line begins a line.
func (w *emitter) line(indent int) { w.WriteString("\n" + strings.Repeat(" ", indent)) }

// value writes a value after a key, or after the dash of a list's item.
func (w *emitter) value(indent int, value any, item bool) {
	switch v := value.(type) {
	case pairs:
		switch {
		case len(v) == 0:
			w.WriteString(" {}")
		case item:
			w.WriteString(" ")
			w.pairs(indent+2, v)
		default:
			w.line(indent + 2)
			w.pairs(indent+2, v)
		}
	case items:
		w.items(indent, v, item)
	case row:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = spellKey(e.key) + ": " + flow(e.value)
		}
		w.WriteString(" {" + strings.Join(words, ", ") + "}")
	case string:
		w.WriteString(" ")
		w.text(indent, v)
	default:
		w.WriteString(" " + flow(value))
	}
}

// items writes a list: in one line where it is short and of plain words.
func (w *emitter) items(indent int, list items, item bool) {
	if line, ok := oneLine(list); ok {
		w.WriteString(" " + line)
		return
	}
	for i, v := range list {
		if i > 0 || !item {
			w.line(indent + 2)
		} else {
			w.WriteString(" ")
		}
		w.WriteString("-")
		w.value(indent+2, v, true)
	}
}

// oneLine writes a list of words in one line, if it is short.
func oneLine(list items) (string, bool) {
	words := make([]string, len(list))
	length := 0
	for i, v := range list {
		switch v := v.(type) {
		case string:
			if strings.Contains(v, "\n") {
				return "", false
			}
		case pairs, items, row:
			return "", false
		}
		words[i] = flow(v)
		length += len(words[i]) + 2
	}
	return "[" + strings.Join(words, ", ") + "]", length <= 90
}

// flow writes a value that needs no lines of its own.
func flow(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		if flowPattern.MatchString(v) && isPlain(v) {
			return v
		}
		return quote(v)
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case literal:
		return string(v)
	}
	panic(fmt.Sprintf("site file: %T is no value of one line", value))
}

var (
	keyPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	// flowPattern is text that no bracket, brace or comma can end.
	flowPattern = regexp.MustCompile(`^[\pL\pN][\pL\pN ._/@%-]*$|^https?://[A-Za-z0-9.:-]+$`)
	// numeralPattern is what begins like a number and is none to any reader.
	numeralPattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}|[0-9]+(\.[0-9]+)?%|[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f]{64})$`)
	// otherWords are values of their own to readers of YAML 1.1.
	otherWords = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$|^<<$|^=$`)
)

func spellKey(key string) string {
	if keyPattern.MatchString(key) && isPlain(key) {
		return key
	}
	return doubleQuote(key)
}

// isPlain reports whether text may stand without quotes on a line of its own,
// for every reader of YAML.
func isPlain(s string) bool {
	if s == "" || plainKind(s) != text || otherWords.MatchString(s) || s != strings.TrimSpace(s) {
		return false
	}
	if strings.ContainsRune("-?:,[]{}#&*!|>'\"%@`=~", rune(s[0])) || strings.Contains(s, ": ") || strings.Contains(s, " #") || s[len(s)-1] == ':' {
		return false
	}
	if strings.ContainsRune("0123456789.+-", rune(s[0])) && !numeralPattern.MatchString(s) && !strings.Contains(s, " ") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || !isClear(r) })
}

// isClear reports whether a character may be written as it is.
func isClear(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return true
	case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\uFEFF' || r == '\uFFFD' || r == '\uFFFE' || r == '\uFFFF':
		return false
	}
	return true
}

// text writes text: in lines of its own where it has several, else plain, in
// single quotes where it holds double ones, or in double quotes.
func (w *emitter) text(indent int, s string) {
	switch {
	case isBlock(s):
		w.block(indent, s)
	case isPlain(s):
		w.WriteString(s)
	default:
		w.WriteString(quote(s))
	}
}

// isBlock reports whether text is written line by line. Empty lines at its end
// would be one with those after it.
func isBlock(s string) bool {
	at := strings.LastIndexByte(s, '\n')
	if at < 0 || strings.TrimSpace(s) == "" || strings.HasSuffix(s, "\n\n") || at < len(s)-1 && strings.TrimSpace(s[at:]) == "" {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !isClear(r) })
}

func (w *emitter) block(indent int, s string) {
	w.WriteString("|")
	if strings.ContainsRune(" \n\t", rune(s[0])) {
		w.WriteString("2") // where its lines begin is not seen from the first
	}
	body := strings.TrimSuffix(s, "\n")
	if body == s {
		w.WriteString("-")
	}
	for line := range strings.SplitSeq(body, "\n") {
		w.WriteString("\n")
		if line != "" {
			w.WriteString(strings.Repeat(" ", indent+2) + line)
		}
	}
}

// quote puts text into quotes, those which need the fewest escapes.
func quote(s string) string {
	odd := func(r rune) bool { return r == '\'' || r < ' ' || !isClear(r) }
	if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, odd) {
		return "'" + s + "'"
	}
	return doubleQuote(s)
}

func doubleQuote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case isClear(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
