// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// A treeParser reads the JSON of a compiled tree, token by token.
type treeParser struct {
	decoder *json.Decoder
	at      cursor
	b       *builder
}

// newTreeParser bounds the JSON and checks its syntax. It copies data.
func newTreeParser(data []byte) (*treeParser, error) {
	if len(data) > MaxTreeBytes {
		return nil, &Error{Code: TooLarge, Line: 1, Column: 1, Reason: "the tree is larger than 512 KiB"}
	}
	if !utf8.Valid(data) {
		return nil, &Error{Code: Encoding, Line: 1, Column: 1, Reason: "the tree is not UTF-8"}
	}
	text := string(data)
	at := newCursor(text)
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		where := len(text)
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			where = min(max(int(s.Offset)-1, 0), len(text))
		}
		return nil, (&Error{Code: Syntax, Reason: "the tree is not JSON"}).at(at.ahead(where))
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	return &treeParser{decoder: decoder, at: at, b: newBuilder(exact)}, nil
}

// next returns the next token and moves the cursor to where it begins.
func (p *treeParser) next() (json.Token, error) {
	end := int(p.decoder.InputOffset())
	rest := p.at.text[end:]
	p.at.moveTo(end + len(rest) - len(strings.TrimLeft(rest, " \t\r\n,:")))
	token, err := p.decoder.Token()
	if err != nil {
		return nil, p.wrong("the tree is not JSON")
	}
	return token, nil
}

func (p *treeParser) wrong(reason string) error {
	return (&Error{Code: Syntax, Reason: reason}).at(p.at.place)
}

// list reads a list of nodes.
func (p *treeParser) list() error {
	token, err := p.next()
	if err != nil {
		return err
	}
	if token != json.Delim('[') {
		return p.wrong("a tree is a list of nodes")
	}
	return p.nodesToEnd()
}

// nodesToEnd reads nodes and the bracket behind them.
func (p *treeParser) nodesToEnd() error {
	for p.decoder.More() {
		if err := p.node(); err != nil {
			return err
		}
	}
	_, err := p.next()
	return err
}

func (p *treeParser) node() error {
	token, err := p.next()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		return p.b.text(token, p.at.place)
	case json.Delim:
		if token == '[' {
			return p.element()
		}
	}
	return p.wrong("a node is a string or a list")
}

// element reads an element behind its opening bracket.
func (p *treeParser) element() error {
	where := p.at.place
	token, err := p.next()
	if err != nil {
		return err
	}
	tag, ok := token.(string)
	if !ok {
		return p.wrong("an element begins with its tag")
	}
	attrs, err := p.attrs()
	if err != nil {
		return err
	}
	attrs, refused := checkElement(tag, attrs, exact)
	if refused != nil {
		return refused.at(where)
	}
	if voidTags[tag] && p.decoder.More() {
		return (&Error{Code: Syntax, Tag: tag, Reason: "the element has no content"}).at(where)
	}
	if err := p.b.start(tag, attrs, where); err != nil {
		return err
	}
	if err := p.nodesToEnd(); err != nil {
		return err
	}
	p.b.end()
	return nil
}

// attrs reads the object of attributes.
func (p *treeParser) attrs() ([]Attr, error) {
	token, err := p.next()
	if err != nil {
		return nil, err
	}
	if token != json.Delim('{') {
		return nil, p.wrong("an element has an object of attributes behind its tag")
	}
	var attrs []Attr
	for p.decoder.More() {
		name, err := p.next()
		if err != nil {
			return nil, err
		}
		value, err := p.next()
		if err != nil {
			return nil, err
		}
		text, ok := value.(string)
		if !ok {
			return nil, p.wrong("the value of an attribute is a string")
		}
		attrs = append(attrs, Attr{name.(string), text})
	}
	_, err = p.next()
	return attrs, err
}
