// SPDX-License-Identifier: Apache-2.0

// Package markup turns the HTML that a marketer writes into a small tree of
// nodes that a browser can build with createElement alone.
//
// Compile runs once, at publishing. It refuses everything that it does not
// know, with an error that names the tag or attribute and its line and column:
// nothing is dropped behind the marketer's back but comments. ParseNodes and
// Check hold a tree that comes from elsewhere to the same rules, so that what
// reaches a page has always passed them here.
//
// A tree can hold no script, style sheet, frame, form, event handler, id or
// name, loads nothing but http and https, and means to a browser exactly what
// its source says: an element that HTML's own parser would move is refused.
// Styles are limited to properties that stay inside the slot; a page with a
// content security policy blocks style attributes, so the browser must apply
// the style through element.style.cssText.
//
// The package does no I/O and keeps no state. Its functions may be called by
// any number of goroutines at once. Working time is for publishing, not for
// the way of a request.
package markup

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Bounds of one piece of markup. Exceeding one is an Error.
const (
	MaxSourceBytes = 64 << 10  // of the HTML
	MaxTreeBytes   = 512 << 10 // of the JSON: six bytes for each of the source, and the nodes
	MaxNodes       = 512       // texts and elements together
	MaxDepth       = 32        // elements inside each other; 1 is an element of the top
	MaxAttrs       = 64        // of one element
)

// A Node is a text or an element. Trees made by this package are read-only once
// shared.
//
// In JSON a text is a string and an element is a list of its tag, an object of
// its attributes, and its children: ["a",{"href":"/hats"},"Hats"].
type Node struct {
	// Text is the text of a node without a tag. It is never empty in a
	// compiled tree.
	Text string
	// Tag is the element's name in lower case, empty for a text.
	Tag string
	// Attrs are the element's attributes, sorted by name, each name once.
	Attrs []Attr
	// Children are the element's content in document order.
	Children []Node
}

// An Attr is one attribute of an element, its value free of HTML escapes.
type Attr struct {
	Name  string
	Value string
}

// Compile parses and checks HTML. The error is always an *Error. The tree has
// what a browser would have made of the source, and besides
//   - no comments, and no space around the whole,
//   - rel="noopener" on links that open another window,
//   - type="button" on buttons, since the slot may stand inside a form.
//
// Every element that can have content must be closed, so that a forgotten end
// tag is found here and not on the page.
func Compile(source string) ([]Node, error) {
	if len(source) > MaxSourceBytes {
		return nil, &Error{Code: TooLarge, Line: 1, Column: 1, Reason: "the markup is larger than 64 KiB"}
	}
	b := newBuilder(repairing)
	if err := scan(source, b); err != nil {
		return nil, err
	}
	return b.finish()
}

// ParseNodes reads a compiled tree, a JSON list of nodes, and checks it by the
// rules of Compile. It repairs nothing: a tree that Compile would not have
// written, up to the spelling of its JSON, is refused. The error is always an
// *Error whose line and column are those of the JSON. The caller owns the tree.
func ParseNodes(data []byte) ([]Node, error) {
	p, err := newTreeParser(data)
	if err != nil {
		return nil, err
	}
	if err := p.list(); err != nil {
		return nil, err
	}
	return p.b.finish()
}

// Check reports the error of ParseNodes without returning the tree.
func Check(data []byte) error {
	_, err := ParseNodes(data)
	return err
}

// MarshalJSON writes the node with its attributes in sorted order: the same
// tree always gives the same bytes. Angle brackets and ampersands are escaped,
// so that the bytes may stand inside a script element.
func (n Node) MarshalJSON() ([]byte, error) { return n.appendJSON(nil), nil }

// UnmarshalJSON reads and checks one node as ParseNodes does for a list, so
// that no unchecked tree enters with a document that holds nodes. The bounds
// then hold for each node of the top by itself.
func (n *Node) UnmarshalJSON(data []byte) error {
	p, err := newTreeParser(data)
	if err != nil {
		return err
	}
	if err := p.node(); err != nil {
		return err
	}
	nodes, err := p.b.finish()
	if err != nil {
		return err
	}
	*n = nodes[0]
	return nil
}

func (n *Node) appendJSON(dst []byte) []byte {
	if n.Tag == "" {
		return appendString(dst, n.Text)
	}
	dst = append(dst, '[')
	dst = appendString(dst, n.Tag)
	dst = append(dst, ',', '{')
	for i, attr := range sorted(n.Attrs) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, attr.Name)
		dst = append(dst, ':')
		dst = appendString(dst, attr.Value)
	}
	dst = append(dst, '}')
	for i := range n.Children {
		dst = append(dst, ',')
		dst = n.Children[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func appendString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always encodes
	return append(dst, quoted...)
}

// sorted returns attrs by name, in a copy if they are not so already.
func sorted(attrs []Attr) []Attr {
	byName := func(a, b Attr) int { return cmp.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(attrs, byName) {
		return attrs
	}
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, byName)
	return attrs
}
