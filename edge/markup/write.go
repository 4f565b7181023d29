// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"bytes"
	"encoding/json"
	"errors"
)

// errTree reports JSON that is not a list of nodes, or an element that no
// compiled tree has.
var errTree = errors.New("not a compiled tree")

// IsVoid reports whether an element has no content and no end tag.
func IsVoid(tag string) bool { return voidTags[tag] }

// AppendHTML appends the HTML of a compiled tree, a JSON list of nodes as this
// package writes it. Its texts may have been filled in since: they are written as
// text, whatever they hold. What of a tree could run or load code is refused here
// again, with an error; then dst is as it was.
//
// HTML's parser makes of the HTML the tree that the browser would have been given:
// Compile(AppendHTML(tree)) is the tree.
func AppendHTML(dst, tree []byte) ([]byte, error) {
	w := writer{tokens: json.NewDecoder(bytes.NewReader(tree))}
	html, err := w.list(dst, '[')
	if err != nil {
		return dst, err
	}
	return html, nil
}

// AppendText appends text escaped for the content of an element.
func AppendText(dst []byte, text string) []byte { return appendEscaped(dst, text, false) }

// AppendStart appends a start tag; its attributes are written as they stand.
func AppendStart(dst []byte, tag string, attrs []Attr) []byte {
	dst = append(append(dst, '<'), tag...)
	for _, a := range attrs {
		dst = append(append(append(dst, ' '), a.Name...), '=', '"')
		dst = append(appendEscaped(dst, a.Value, true), '"')
	}
	return append(dst, '>')
}

// appendEscaped escapes what would end a text or a quoted value, and the carriage
// return and the no-break space that a parser or an editor would change.
func appendEscaped(dst []byte, text string, quoted bool) []byte {
	for _, r := range text {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"' && quoted:
			dst = append(dst, "&quot;"...)
		case r == '\r':
			dst = append(dst, "&#13;"...)
		case r == 0:
			dst = append(dst, "\uFFFD"...) // what a parser makes of it where it keeps it
		default:
			dst = append(dst, string(r)...)
		}
	}
	return dst
}

// A writer turns the JSON of a tree into HTML as it reads it.
type writer struct {
	tokens *json.Decoder
	depth  int
}

func (w *writer) next(want json.Delim) error {
	token, err := w.tokens.Token()
	if err != nil || token != want {
		return errTree
	}
	return nil
}

// list writes the nodes of a list.
func (w *writer) list(dst []byte, open json.Delim) ([]byte, error) {
	if err := w.next(open); err != nil {
		return dst, err
	}
	for w.tokens.More() {
		var err error
		if dst, err = w.node(dst, ""); err != nil {
			return dst, err
		}
	}
	return dst, w.next(']')
}

// node writes one node inside an element, "" at the top.
func (w *writer) node(dst []byte, inside string) ([]byte, error) {
	token, err := w.tokens.Token()
	if err != nil {
		return dst, errTree
	}
	switch t := token.(type) {
	case string:
		if inside == "pre" && dst[len(dst)-1] == '>' && len(t) > 0 && t[0] == '\n' {
			dst = append(dst, '\n') // a parser drops the first one there
		}
		return AppendText(dst, t), nil
	case json.Delim:
		if t == '[' {
			return w.element(dst)
		}
	}
	return dst, errTree
}

// element writes an element whose list has been entered.
func (w *writer) element(dst []byte) ([]byte, error) {
	token, err := w.tokens.Token()
	tag, ok := token.(string)
	if _, known := allowed[tag]; err != nil || !ok || !known || w.depth == MaxDepth {
		return dst, errTree
	}
	attrs, err := w.attrs(tag)
	if err != nil {
		return dst, err
	}
	dst = AppendStart(dst, tag, attrs)
	w.depth++
	for w.tokens.More() {
		if IsVoid(tag) {
			return dst, errTree
		}
		if dst, err = w.node(dst, tag); err != nil {
			return dst, err
		}
	}
	w.depth--
	if !IsVoid(tag) {
		dst = append(append(append(dst, "</"...), tag...), '>')
	}
	return dst, w.next(']')
}

// attrs reads the attributes of an element.
func (w *writer) attrs(tag string) (attrs []Attr, err error) {
	if err := w.next('{'); err != nil {
		return nil, err
	}
	for w.tokens.More() {
		name, err := w.tokens.Token()
		if err != nil {
			return nil, errTree
		}
		value, err := w.tokens.Token()
		text, ok := value.(string)
		if _, refused := ruleFor(allowed[tag], name.(string)); err != nil || !ok || refused != nil {
			return nil, errTree
		}
		attrs = append(attrs, Attr{name.(string), text})
	}
	return attrs, w.next('}')
}
