// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// Bounds of reading without a browser.
const (
	maxPageBytes = 5 << 20
	maxHops      = 10
	maxHeader    = 1 << 20
	// maxElements bounds the scripts and slots that are looked at.
	maxElements = 500
)

// userAgent says of the doctor's own requests that nobody is behind them: the
// collector counts no visit and gives no slot a variant then.
const userAgent = "nearside-doctor (bot)"

var errHops = fmt.Errorf("more than %d redirects", maxHops)

// newClient returns a client that keeps no cookies and follows few redirects.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: askTimeout,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxHops {
				return errHops
			}
			return nil
		},
	}
}

// read fetches a page and reads its HTML.
func read(ctx context.Context, client *http.Client, address *url.URL) *page {
	p := &page{url: withoutUser(address)}
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		p.problem = "the address cannot be asked for"
		return p
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	res, err := client.Do(req)
	if err != nil {
		p.problem = reasonOf(err)
		return p
	}
	defer res.Body.Close()
	p.url, p.status, p.header, p.kind = withoutUser(res.Request.URL), res.StatusCode, res.Header, res.Header.Get("Content-Type")
	p.hops = hopsOf(res.Request)
	if !isHTML(p.kind) || isAttachment(p.header) {
		return p
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPageBytes+1))
	if p.isTooLong = len(body) > maxPageBytes; p.isTooLong {
		body = body[:maxPageBytes]
	}
	p.isSlow = err != nil
	p.watched = time.Since(began)
	p.doc = readDocument(string(body))
	p.doc.IsLoaded = err == nil
	return p
}

// hopsOf counts the redirects that led to a request.
func hopsOf(req *http.Request) int {
	n := 0
	for req.Response != nil && n <= maxHops {
		n, req = n+1, req.Response.Request
	}
	return n
}

func withoutUser(u *url.URL) *url.URL {
	bare := *u
	bare.User, bare.Fragment, bare.RawFragment = nil, "", ""
	return &bare
}

// reasonOf says why a request had no answer, without its address.
func reasonOf(err error) string {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		if inner.Timeout() {
			return "no answer in time"
		}
		err = inner.Err
	}
	return line(err.Error())
}

func isHTML(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "text/html" || kind == "application/xhtml+xml")
}

func isAttachment(header http.Header) bool {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	return err == nil && kind == "attachment"
}

// readDocument reads HTML as far as it goes. A parser accepts any text.
func readDocument(text string) document {
	var d document
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return d // only a reader fails, and a string does not
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			d.add(n)
		}
	}
	return d
}

// add notes an element.
func (d *document) add(n *html.Node) {
	attrs := map[string]string{}
	for _, a := range n.Attr {
		if _, there := attrs[a.Key]; !there && a.Namespace == "" {
			attrs[a.Key] = a.Val
		}
	}
	_, marked := attrs["data-slot"]
	switch {
	case n.Data == "base" && d.Base == "":
		d.Base = attrs["href"]
	case n.Data == "meta" && strings.EqualFold(attrs["http-equiv"], "content-security-policy"):
		d.Metas = append(d.Metas, attrs["content"])
	case n.Data == "script" && len(d.Scripts) < maxElements:
		_, async := attrs["async"]
		_, later := attrs["defer"]
		d.Scripts = append(d.Scripts, script{Attrs: attrs, Nonce: attrs["nonce"], Text: textOf(n), Async: async || later})
	case n.Data == "style" && strings.Contains(textOf(n), "@keyframes near") && len(d.Styles) < maxElements:
		d.Styles, d.Styled = append(d.Styles, style{Nonce: attrs["nonce"], Text: textOf(n)}), true
	case (n.Data == "near-slot" || marked) && len(d.Slots) < maxElements:
		name := attrs["data-slot"]
		if name == "" {
			name = attrs["name"]
		}
		d.Slots = append(d.Slots, slot{Name: clip(name, 100), Attrs: attrs})
	}
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for child := range n.ChildNodes() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data)
		}
	}
	return b.String()
}
