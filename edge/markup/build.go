// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A mode says whether what is harmless but not canonical is repaired, as for
// source, or refused, as for a tree that was compiled before.
type mode bool

const (
	repairing mode = false
	exact     mode = true
)

// A builder makes a tree from start tags, texts and end tags in document order.
type builder struct {
	mode mode
	// open are the elements not yet closed; the first is the root, which has
	// no tag and holds the nodes of the top.
	open []frame
	// places has one entry for each node in document order.
	places []place
}

// A frame is an element that is still open.
type frame struct {
	node Node
	at   place
	// implied means that no tag of the source opened it.
	implied bool
}

func newBuilder(m mode) *builder { return &builder{mode: m, open: make([]frame, 1, 8)} }

func (b *builder) top() *frame { return &b.open[len(b.open)-1] }

// count makes room for one more node.
func (b *builder) count(at place) error {
	if len(b.places) == MaxNodes {
		return (&Error{Code: TooManyNodes, Reason: fmt.Sprintf("there are more than %d elements and texts", MaxNodes)}).at(at)
	}
	b.places = append(b.places, at)
	return nil
}

// text adds a text to the open element.
func (b *builder) text(s string, at place) error {
	if badByte(s, "\t\n") >= 0 {
		return (&Error{Code: Encoding, Reason: "the text has a control character"}).at(at)
	}
	parent := &b.top().node
	last := len(parent.Children) - 1
	joins := last >= 0 && parent.Children[last].Tag == ""
	if b.mode == exact {
		if joins || s == "" {
			return (&Error{Code: Syntax, Reason: "a text is empty or follows another text"}).at(at)
		}
	} else if parent.Tag == "pre" && last < 0 {
		s = strings.TrimPrefix(s, "\n") // as a browser does
	}
	if joins {
		parent.Children[last].Text += s
		return nil
	}
	if s == "" {
		return nil
	}
	if err := b.count(at); err != nil {
		return err
	}
	parent.Children = append(parent.Children, Node{Text: s})
	return nil
}

// start opens an element. What it can hold must follow, then end.
func (b *builder) start(tag string, attrs []Attr, at place) error {
	if len(b.open) > MaxDepth { // the root is no element
		return (&Error{Code: TooDeep, Tag: tag, Reason: fmt.Sprintf("elements stand more than %d deep in each other", MaxDepth)}).at(at)
	}
	if err := b.count(at); err != nil {
		return err
	}
	b.open = append(b.open, frame{node: Node{Tag: tag, Attrs: attrs}, at: at})
	return nil
}

// end closes the innermost element.
func (b *builder) end() {
	done := b.top().node
	b.open = b.open[:len(b.open)-1]
	parent := &b.top().node
	parent.Children = append(parent.Children, done)
}

// startTag adds the element of a start tag in source, and around a row the
// tbody that a browser would add.
func (b *builder) startTag(tag string, attrs []Attr, at place) error {
	if b.top().implied && tag != "tr" {
		b.end()
	}
	if tag == "tr" && b.top().node.Tag == "table" {
		if err := b.start("tbody", nil, at); err != nil {
			return err
		}
		b.top().implied = true
	}
	if err := b.start(tag, attrs, at); err != nil {
		return err
	}
	if voidTags[tag] {
		b.end()
	}
	return nil
}

// endTag closes the element of an end tag in source.
func (b *builder) endTag(tag string, at place) error {
	if b.top().implied {
		b.end()
	}
	open := b.top()
	if open.node.Tag == tag && len(b.open) > 1 {
		b.end()
		return nil
	}
	for _, f := range b.open[1:] {
		if f.node.Tag == tag {
			return unclosed(open)
		}
	}
	return (&Error{Code: StrayEnd, Tag: tag, Reason: "the end tag closes no open element"}).at(at)
}

func unclosed(f *frame) error {
	return (&Error{Code: Unclosed, Tag: f.node.Tag, Reason: "the element has no end tag of its own"}).at(f.at)
}

// finish returns the tree once it stands as a browser would have built it.
func (b *builder) finish() ([]Node, error) {
	if len(b.open) > 1 {
		return nil, unclosed(b.top())
	}
	nodes := b.open[0].node.Children
	if b.mode == repairing {
		nodes = b.trim(nodes)
	}
	if nodes == nil {
		nodes = []Node{}
	}
	if err := b.compareWithBrowser(nodes); err != nil {
		return nil, err
	}
	return nodes, nil
}

// trim drops the space around the whole.
func (b *builder) trim(nodes []Node) []Node {
	isSpace := func(n Node) bool { return n.Tag == "" && strings.Trim(n.Text, " \t\n") == "" }
	if len(nodes) > 0 && isSpace(nodes[0]) {
		nodes, b.places = nodes[1:], b.places[1:]
	}
	if last := len(nodes) - 1; last >= 0 && isSpace(nodes[last]) {
		nodes, b.places = nodes[:last], b.places[:len(b.places)-1]
	}
	return nodes
}

// compareWithBrowser writes the tree as HTML, parses it by the algorithm of the
// HTML standard and compares. They differ where the content model forbids what
// the tree does: a block in a paragraph, a link in a link, a row outside its
// table. Such a tree would look otherwise when a server renders it, and telling
// one tree from the other is what mutation attacks live on.
func (b *builder) compareWithBrowser(nodes []Node) error {
	var page bytes.Buffer
	for i := range nodes {
		if err := html.Render(&page, nodes[i].html()); err != nil {
			return (&Error{Code: Misplaced, Reason: err.Error()}).at(b.places[0])
		}
	}
	parsed, err := html.ParseFragment(&page, &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div})
	if err != nil {
		return (&Error{Code: Misplaced, Reason: err.Error()}).at(place{1, 1})
	}
	root := &html.Node{Type: html.ElementNode}
	for _, n := range parsed {
		root.AppendChild(n)
	}
	c := comparison{places: b.places}
	if e := c.compare(nodes, root); e != nil {
		return e
	}
	return nil
}

// A comparison walks a tree beside the one that was parsed from it.
type comparison struct {
	places []place
	next   int // index of the next node in document order
}

func (c *comparison) compare(nodes []Node, parent *html.Node) *Error {
	h := parent.FirstChild
	for i := range nodes {
		n := &nodes[i]
		where := c.places[c.next]
		c.next++
		if h == nil || !n.matches(h) {
			return misplaced(n, where)
		}
		if err := c.compare(n.Children, h); err != nil {
			return err
		}
		h = h.NextSibling
	}
	if h != nil { // content that the parser moved to behind the last node
		return misplaced(&Node{Tag: parent.Data}, c.places[c.next-1])
	}
	return nil
}

func misplaced(n *Node, where place) *Error {
	return (&Error{Code: Misplaced, Tag: n.Tag, Reason: "a browser would not leave it or its content here" +
		" (a block in a paragraph, a link in a link, a part of a table outside its place?)"}).at(where)
}

func (n *Node) matches(h *html.Node) bool {
	if n.Tag == "" {
		return h.Type == html.TextNode && h.Data == n.Text
	}
	return h.Type == html.ElementNode && h.Namespace == "" && h.Data == n.Tag && len(h.Attr) == len(n.Attrs)
}

// html returns the node in the form that the HTML package renders.
func (n *Node) html() *html.Node {
	if n.Tag == "" {
		return &html.Node{Type: html.TextNode, Data: n.Text}
	}
	h := &html.Node{Type: html.ElementNode, Data: n.Tag, DataAtom: atom.Lookup([]byte(n.Tag))}
	for _, attr := range n.Attrs {
		h.Attr = append(h.Attr, html.Attribute{Key: attr.Name, Val: attr.Value})
	}
	for i := range n.Children {
		h.AppendChild(n.Children[i].html())
	}
	return h
}
