// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"fmt"
	"strings"
)

// Code is a stable word for what was wrong, for callers that react to it and
// consoles that translate it.
type Code string

// The codes.
const (
	TooLarge     Code = "too-large"      // more than MaxSourceBytes or MaxTreeBytes
	TooManyNodes Code = "too-many-nodes" // more than MaxNodes
	TooDeep      Code = "too-deep"       // more than MaxDepth
	Encoding     Code = "encoding"       // not UTF-8, or a control character
	Syntax       Code = "syntax"         // neither text, element nor comment; in a tree: not of its JSON form
	Tag          Code = "tag"            // an element that is not allowed
	Attribute    Code = "attribute"      // an attribute that is not allowed there, or comes twice
	Value        Code = "value"          // a value that its attribute does not allow
	URL          Code = "url"            // an address that is not allowed
	Style        Code = "style"          // a style that is not allowed
	Unclosed     Code = "unclosed"       // an element without its end tag
	StrayEnd     Code = "stray-end"      // an end tag that closes nothing
	Misplaced    Code = "misplaced"      // an element or text that a browser would move
)

// An Error says what was refused and where. It is built only on failure. It
// quotes the marketer's own text, shortened, and nothing else.
type Error struct {
	Code Code
	// Line and Column count from 1, the column in characters. They point into
	// the HTML, or into the JSON of a compiled tree.
	Line, Column int
	// Tag and Attr name the element and attribute; empty if it is about none.
	Tag, Attr string
	// Reason completes the sentence "markup is refused because …".
	Reason string
}

// Error returns for example `markup 3:14: <a> href: javascript addresses are
// not allowed`.
func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "markup %d:%d: ", e.Line, e.Column)
	if e.Tag != "" {
		fmt.Fprintf(&s, "<%s> ", shorten(e.Tag))
	}
	if e.Attr != "" {
		fmt.Fprintf(&s, "%s: ", shorten(e.Attr))
	}
	s.WriteString(e.Reason)
	return s.String()
}

// at returns e with its place.
func (e *Error) at(where place) *Error {
	e.Line, e.Column = where.line, where.column
	return e
}

// shorten keeps an error readable whatever it quotes.
func shorten(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// A place is a line and a column, both from 1.
type place struct{ line, column int }

// A cursor finds places in a text, moving forward only, so that finding all of
// them costs one pass.
type cursor struct {
	text   string
	offset int
	place
}

func newCursor(text string) cursor { return cursor{text: text, place: place{1, 1}} }

// moveTo moves the cursor to a byte offset, which is not before its own.
func (c *cursor) moveTo(offset int) {
	for _, r := range c.text[c.offset:offset] {
		c.column++
		if r == '\n' {
			c.line, c.column = c.line+1, 1
		}
	}
	c.offset = offset
}

// ahead returns the place some bytes after the cursor without moving it.
func (c cursor) ahead(bytes int) place {
	c.moveTo(c.offset + bytes)
	return c.place
}
