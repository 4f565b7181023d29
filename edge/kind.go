// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/nearside/nearside/edge/markup"
)

// A Kind is what a slot holds. The zero value, KindDefault, is the page's own
// content.
type Kind uint8

// The kinds.
const (
	KindDefault Kind = iota
	KindHTML
	KindText
	KindJSON
	KindImage
	KindLink
	KindItems

	kindCount
)

// MaxContentBytes bounds one variant's content in one language.
const MaxContentBytes = 64 << 10

// kinds is the one table of slot kinds: what each is called and how its
// content, as a site file writes it, is checked and compiled for the wire, and
// what a server that renders pages puts into the slot.
var kinds = [kindCount]struct {
	name    string
	compile func(content []byte) (wire []byte, err error)
	html    func(wire []byte) (html string, err error) // nil for data, which has none
}{
	KindDefault: {"default", func([]byte) ([]byte, error) { return nil, errors.New("a default has no content") }, nil},
	KindHTML:    {"html", compileHTML, nodesHTML},
	KindText:    {"text", compileText, textHTML},
	KindJSON:    {"json", compileJSON, nil},
	KindImage:   {"image", compileImage, imageHTML},
	KindLink:    {"link", compileLink, linkHTML},
	KindItems:   {"items", compileItems, nil},
}

// String returns the kind as the wire and site files spell it.
func (k Kind) String() string { return kinds[k].name }

// ParseKind returns the kind a site file names.
func ParseKind(name string) (Kind, error) {
	for k := KindHTML; k < kindCount; k++ {
		if kinds[k].name == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kind %q is not known", name)
}

// strict decodes content and refuses members it does not know, so that a
// misspelt member is found at publishing and not on a page.
func strict(content []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func compileHTML(content []byte) ([]byte, error) {
	var c struct {
		HTML  *string         `json:"html,omitempty"`
		Nodes json.RawMessage `json:"nodes,omitempty"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	if (c.HTML == nil) == (c.Nodes == nil) {
		return nil, errors.New("html or nodes must be given, and not both")
	}
	var nodes []markup.Node
	var err error
	if c.HTML != nil {
		nodes, err = markup.Compile(*c.HTML)
	} else {
		nodes, err = markup.ParseNodes(c.Nodes)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Nodes []markup.Node `json:"nodes"`
	}{nodes})
}

func compileText(content []byte) ([]byte, error) {
	var c struct {
		Text string `json:"text"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

func compileJSON(content []byte) ([]byte, error) {
	var c struct {
		JSON json.RawMessage `json:"json"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	if c.JSON == nil {
		return nil, errors.New("json is missing")
	}
	return json.Marshal(c)
}

func compileImage(content []byte) ([]byte, error) {
	var c struct {
		Src    string `json:"src"`
		Alt    string `json:"alt"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	if c.Width <= 0 || c.Height <= 0 {
		return nil, errors.New("width and height must be given, so that the page can reserve the room")
	}
	if err := checkURL(c.Src); err != nil {
		return nil, fmt.Errorf("src: %w", err)
	}
	return json.Marshal(c)
}

func compileLink(content []byte) ([]byte, error) {
	var c struct {
		Href string `json:"href"`
		Text string `json:"text"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	if c.Text == "" {
		return nil, errors.New("text is missing")
	}
	if err := checkURL(c.Href); err != nil {
		return nil, fmt.Errorf("href: %w", err)
	}
	return json.Marshal(c)
}

func compileItems(content []byte) ([]byte, error) {
	var c struct {
		Items []AnswerItem `json:"items"`
	}
	if err := strict(content, &c); err != nil {
		return nil, err
	}
	return json.Marshal(c)
}

// checkURL allows http, https, mailto, tel and relative addresses.
func checkURL(raw string) error {
	if raw == "" || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("empty, or holds spaces or control characters")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not an address")
	}
	switch strings.ToLower(u.Scheme) {
	case "", "http", "https", "mailto", "tel":
		return nil
	}
	return fmt.Errorf("scheme %q is not allowed", u.Scheme)
}
