// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"strconv"

	"github.com/nearside/nearside/edge/markup"
)

// HTML returns a decision's content as HTML, for a server that renders the page
// itself. It means to a browser what the tag would have built: text that fills a
// hole is text and never markup. False is for a default, and for a kind whose
// content is data.
func (d *Decision) HTML() (html string, ok bool) {
	render := kinds[d.Kind].html
	if render == nil || len(d.Content) == 0 {
		return "", false
	}
	html, err := render(d.Content)
	return html, err == nil // the content is ours: it does not happen
}

func nodesHTML(wire []byte) (string, error) {
	var c struct {
		Nodes json.RawMessage `json:"nodes"`
	}
	if err := json.Unmarshal(wire, &c); err != nil {
		return "", err
	}
	html, err := markup.AppendHTML(nil, c.Nodes)
	return string(html), err
}

func textHTML(wire []byte) (string, error) {
	var c struct {
		Text string `json:"text"`
	}
	err := json.Unmarshal(wire, &c)
	return string(markup.AppendText(nil, c.Text)), err
}

func imageHTML(wire []byte) (string, error) {
	var c struct {
		Src    string `json:"src"`
		Alt    string `json:"alt"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
	}
	if err := json.Unmarshal(wire, &c); err != nil {
		return "", err
	}
	return elementHTML("img", []markup.Attr{
		{Name: "src", Value: c.Src}, {Name: "alt", Value: c.Alt},
		{Name: "width", Value: strconv.Itoa(c.Width)}, {Name: "height", Value: strconv.Itoa(c.Height)},
	}, ""), nil
}

func linkHTML(wire []byte) (string, error) {
	var c struct {
		Href string `json:"href"`
		Text string `json:"text"`
	}
	err := json.Unmarshal(wire, &c)
	return elementHTML("a", []markup.Attr{{Name: "href", Value: c.Href}}, c.Text), err
}

func elementHTML(tag string, attrs []markup.Attr, text string) string {
	html := markup.AppendStart(nil, tag, attrs)
	if markup.IsVoid(tag) {
		return string(html)
	}
	return string(append(markup.AppendText(html, text), "</"+tag+">"...))
}
