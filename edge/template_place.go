// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strings"
)

// A place is where a value stands in the compiled content of a kind.
type place struct {
	kind  Kind
	node  nodePlace
	depth int    // values around it
	name  string // of the member it is or is in, "" in none
}

// A nodePlace is a place in the markup of KindHTML.
type nodePlace uint8

const (
	outsideNodes nodePlace = iota
	amongNodes             // a node, or the list of the top
	insideNode             // a tag or a node's attributes
	inAttribute
)

// member returns the place of a member of the object at p.
func (p place) member(name string) place {
	p.depth++
	p.name = name
	switch {
	case p.kind == KindHTML && p.node == outsideNodes:
		p.node = amongNodes // the only member is nodes
	case p.node == insideNode:
		p.node = inAttribute
	}
	return p
}

// element returns the place of element i of the list at p. The first list is that
// of the nodes; every other is a node: its tag, its attributes, its children.
func (p place) element(i int) place {
	p.depth++
	if p.node == amongNodes && p.depth > 2 && i < 2 {
		p.node = insideNode
	}
	return p
}

// textAttributes are those of markup that a browser shows or reads out as text.
// It makes nothing else of them.
var textAttributes = []string{"alt", "title", "aria-label"}

// isText reports whether a string at p is text for people.
func (p place) isText() bool {
	switch p.kind {
	case KindHTML:
		return p.node == amongNodes || p.node == inAttribute && slices.Contains(textAttributes, p.name)
	case KindText, KindLink, KindItems:
		return p.name == "text"
	case KindImage:
		return p.name == "alt"
	case KindJSON:
		return !namesMore(p.name)
	}
	return false
}

// String says where p is.
func (p place) String() string {
	switch {
	case p.node == insideNode:
		return "a tag"
	case p.node == inAttribute:
		return "the attribute " + p.name
	}
	return p.name
}

// namesMore reports whether a member of JSON is an address, markup, a style or a
// script by its name: what a page makes more of than text.
func namesMore(name string) bool {
	name = strings.ToLower(name)
	if slices.Contains(moreThanText, name) {
		return true
	}
	name = strings.TrimSuffix(name, "s")
	for _, word := range [...]string{"href", "src", "url", "uri", "html"} {
		if strings.HasPrefix(name, word) || strings.HasSuffix(name, word) {
			return true
		}
	}
	return false
}

var moreThanText = []string{
	"action", "actions", "link", "links", "redirect", "goto", "markup", "svg", "style", "styles", "css", "class", "classes",
	"classname", "script", "scripts", "onclick", "onload", "onerror",
}

// addressBegins are how a text begins that is an address.
var addressBegins = []string{"/", "./", "../", "mailto:", "tel:", "sms:", "data:", "blob:", "javascript:", "vbscript:"}

// isAddress reports whether a text reads as an address, whatever its holes hold;
// here they hold an x.
func isAddress(text string) bool {
	if strings.ContainsAny(text, " \t\n\u00a0") {
		return false
	}
	begins := func(with string) bool { return strings.HasPrefix(strings.ToLower(text), with) }
	return slices.ContainsFunc(addressBegins, begins) || strings.Contains(text, "://") ||
		begins("?") && strings.Contains(text, "=")
}
