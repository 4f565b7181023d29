// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// What is read at most.
const (
	// MaxFiles is how many files a directory may hold, and MaxBytes how many bytes
	// all of them together.
	MaxFiles = 256
	MaxBytes = 16 << 20

	maxDepth   = 64        // of collections in each other
	maxFolders = 8         // of folders in each other
	maxMarks   = 1_000_000 // bytes of all files that may begin a value
)

// A kind is what a node is.
type kind uint8

const (
	null kind = iota
	boolean
	whole // a number without a fraction
	number
	text
	list
	mapping
)

// kindWords say what is wanted or found.
var kindWords = [...]string{null: "nothing", boolean: "true or false", whole: "a whole number", number: "a number", text: "text", list: "a list", mapping: "a mapping"}

// A node is one value of a file with its place.
type node struct {
	kind kind
	// text is a scalar's value, for null and numbers as it is written.
	text string
	// keys are a mapping's keys, and kids their values or a list's items.
	keys, kids []*node
	style      yaml.Style
	file       *file
	line       int
	column     int
}

// A file is one file of the directory.
type file struct {
	name string
	// lines of the file, without their ends.
	lines []string
	root  *node // nil where there is nothing in it, or no YAML
}

// get returns the value of a mapping's key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.kids[i]
		}
	}
	return nil
}

// finding makes a finding at the node's begin.
func (n *node) finding(code, hint, format string, args ...any) Finding {
	return Finding{File: n.file.name, Line: n.line, Column: n.column, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// parse reads a file's YAML. A file without any value has no root.
func parse(name string, content []byte) (*file, Findings) {
	f := &file{name: name}
	if wrong := f.readable(content); wrong != nil {
		return f, Findings{*wrong}
	}
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	f.lines = strings.Split(strings.ReplaceAll(string(content), "\r\n", "\n"), "\n")
	var documents []*yaml.Node
	if err := load(content, &documents); err != nil {
		return f, Findings{f.syntax(err)}
	}
	if len(documents) == 0 {
		return f, nil
	}
	p := parser{file: f}
	f.root = p.node(documents[0].Content[0])
	if len(documents) > 1 {
		p.bad(documents[1].Content[0], CodeSyntax, "put the second into a file of its own", "the file holds %d documents, want one", len(documents))
	}
	if f.root.kind == null && len(p.findings) == 0 {
		f.root = nil // only comments, or ---
	}
	return f, p.findings
}

// load loads all documents of a file. A panic of the YAML package is an error
// like any other: it must not end the program.
func load(content []byte, into *[]*yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth))
	loader, err := yaml.NewLoader(bytes.NewReader(content), yaml.WithV4Defaults(), yaml.WithPlugin(limits))
	if err != nil {
		return err
	}
	for {
		var n yaml.Node
		if err := loader.Load(&n); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		*into = append(*into, &n)
	}
}

// readable reports what no editor or parser agrees about: bytes that are no
// text, and characters that end a line for some only.
func (f *file) readable(content []byte) *Finding {
	line, column := 1, 1
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		wrong := ""
		switch {
		case r == utf8.RuneError && size == 1:
			wrong = "it is not UTF-8"
		case r == '\r' && !bytes.HasPrefix(content[i+1:], []byte("\n")):
			wrong = "a carriage return without a line feed"
		case r == '\u0085' || r == '\u2028' || r == '\u2029' || r == '\uFEFF' && i > 0:
			wrong = fmt.Sprintf("the character U+%04X", r)
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f:
			wrong = fmt.Sprintf("the control character U+%04X", r)
		}
		if wrong != "" {
			hint := ""
			if r != utf8.RuneError {
				hint = fmt.Sprintf(`in double quotes it is written "\u%04x"`, r)
			}
			return &Finding{File: f.name, Line: line, Column: column, Code: CodeSyntax, Message: wrong, Hint: hint}
		}
		i += size
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return nil
}

// syntax makes a finding of what the YAML package says.
func (f *file) syntax(err error) Finding {
	out := Finding{File: f.name, Line: 1, Column: 1, Code: CodeSyntax, Message: err.Error()}
	wrong, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return out
	}
	out.Message = wrong.Message
	if wrong.ContextMsg != "" {
		out.Message = wrong.ContextMsg + ": " + wrong.Message
	}
	mark := wrong.Mark
	if strings.Contains(wrong.ContextMsg, "tag") || strings.Contains(wrong.Message, "end of stream") || strings.Contains(wrong.ContextMsg, "simple key") {
		mark = wrong.ContextMark // where it begins; where it ends nobody knows
	}
	out.Line, out.Column = f.within(mark.Line, mark.Column)
	out.Hint = f.syntaxHint(out)
	return out
}

// within returns a place in the file: of what the YAML package sees after the
// last line, that line's end.
func (f *file) within(line, column int) (int, int) {
	if last := len(f.lines); line > last {
		return last, utf8.RuneCountInString(f.lines[last-1]) + 1
	}
	return max(line, 1), max(column, 1)
}

// syntaxHint says what is mostly meant where YAML cannot be read.
func (f *file) syntaxHint(wrong Finding) string {
	rest := f.rest(wrong.Line, wrong.Column)
	before := strings.TrimSuffix(f.rest(wrong.Line, 1), rest)
	first := strings.ContainsAny(rest[:min(len(rest), 1)], "!*&@`%|>")
	switch {
	case strings.HasPrefix(rest, "\t") || strings.Contains(wrong.Message, "tab character"):
		return "indent with spaces"
	case first:
		return "text that begins with " + rest[:1] + " stands in quotes"
	case strings.Contains(wrong.Message, "did not find expected key") && strings.Contains(before, `: "`):
		return `text that holds " stands in single quotes, or without any`
	case strings.Contains(wrong.Message, "mapping values are not allowed"):
		return "text with a colon and a space in it stands in quotes; the keys of one thing begin in one column"
	case strings.Contains(wrong.Message, "did not find expected key"), strings.Contains(wrong.Message, "'-' indicator"):
		return "the keys of one thing begin in one column, and so do the dashes of one list"
	case strings.Contains(wrong.Message, "could not find expected ':'"):
		return "behind a key stand a colon and a space"
	}
	return ""
}

// rest returns a line from a column on.
func (f *file) rest(line, column int) string {
	if line < 1 || line > len(f.lines) {
		return ""
	}
	runes := []rune(f.lines[line-1])
	return string(runes[min(column-1, len(runes)):])
}

// A parser makes nodes of a file.
type parser struct {
	file     *file
	findings Findings
}

func (p *parser) bad(at *yaml.Node, code, hint, format string, args ...any) {
	n := node{file: p.file}
	n.line, n.column = p.file.within(at.Line, at.Column)
	p.findings = append(p.findings, n.finding(code, hint, format, args...))
}

// node makes a node, and refuses what site files do not use of YAML.
func (p *parser) node(from *yaml.Node) *node {
	n := &node{file: p.file, style: from.Style, text: from.Value}
	n.line, n.column = p.file.within(from.Line, from.Column)
	switch {
	case from.Kind == yaml.AliasNode:
		p.bad(from, CodeSyntax, "text that begins with * stands in quotes; a value is written again, or gets a name as an audience", "site files have no aliases (*%s)", from.Value)
	case from.Anchor != "":
		p.bad(from, CodeSyntax, "write the value again where it is wanted", "site files have no anchors (&%s)", from.Anchor)
	case from.Style&yaml.TaggedStyle != 0:
		p.bad(from, CodeSyntax, "text that begins with ! stands in quotes", "site files have no tags (%s)", from.Tag)
	}
	switch from.Kind {
	case yaml.MappingNode:
		n.kind = mapping
		p.pairs(n, from.Content)
	case yaml.SequenceNode:
		n.kind = list
		for _, item := range from.Content {
			n.kids = append(n.kids, p.node(item))
		}
	case yaml.ScalarNode:
		n.kind = text
		if from.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 {
			n.kind = plainKind(from.Value)
			if endlessPattern.MatchString(from.Value) {
				p.bad(from, CodeValue, "in quotes it is text", "there is no number %s here", from.Value)
			}
		}
	}
	return n
}

// pairs reads a mapping's keys and values.
func (p *parser) pairs(n *node, content []*yaml.Node) {
	first := map[string]*node{}
	for i := 0; i+1 < len(content); i += 2 {
		key, value := p.node(content[i]), p.node(content[i+1])
		switch {
		case content[i].Kind != yaml.ScalarNode:
			p.bad(content[i], CodeSyntax, "", "a key is %s, want text", kindWords[key.kind])
			continue
		case first[key.text] != nil:
			p.bad(content[i], CodeDuplicate, "", "%.64q stands here twice, first in line %d", key.text, first[key.text].line)
			continue
		}
		first[key.text] = key
		key.kind = text // no: is a language here, not a refusal
		n.keys, n.kids = append(n.keys, key), append(n.kids, value)
	}
}

var (
	wholePattern   = regexp.MustCompile(`^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$`)
	numberPattern  = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	endlessPattern = regexp.MustCompile(`^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$`)
)

// plainKind is what text without quotes means: the core schema of YAML 1.2, in
// which no and on are text.
func plainKind(value string) kind {
	switch value {
	case "", "~", "null", "Null", "NULL":
		return null
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return boolean
	}
	switch {
	case wholePattern.MatchString(value):
		return whole
	case numberPattern.MatchString(value):
		return number
	}
	return text
}
