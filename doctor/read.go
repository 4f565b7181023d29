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

// readDocument reads the elements of HTML one after the other, so that a page that
// nests without end is read too. What stands in template and noscript is not on a
// page whose scripts run.
func readDocument(text string) document {
	var d document
	z := html.NewTokenizer(strings.NewReader(text))
	inert, of := 0, ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			return d // the end: a string cannot fail
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attrs := elementOf(z)
			switch {
			case inert > 0 && name == of:
				inert++
			case inert == 0 && (name == "template" || name == "noscript"):
				inert, of = 1, name
			case inert == 0:
				d.add(name, attrs, textOf(z, name))
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); inert > 0 && string(name) == of {
				inert--
			}
		}
	}
}

// elementOf reads a tag. Of an attribute that is there twice the first counts.
func elementOf(z *html.Tokenizer) (string, map[string]string) {
	name, more := z.TagName()
	attrs := map[string]string{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if _, there := attrs[string(key)]; !there {
			attrs[string(key)] = string(value)
		}
	}
	return string(name), attrs
}

// textOf reads what stands in a script or style.
func textOf(z *html.Tokenizer, name string) string {
	if name == "script" || name == "style" {
		if z.Next() == html.TextToken {
			return string(z.Raw())
		}
	}
	return ""
}

// add notes an element.
func (d *document) add(name string, attrs map[string]string, text string) {
	_, marked := attrs["data-slot"]
	switch {
	case name == "base" && d.Base == "":
		d.Base = attrs["href"]
	case name == "meta" && strings.EqualFold(attrs["http-equiv"], "content-security-policy") && len(d.Metas) < maxElements:
		d.Metas = append(d.Metas, attrs["content"])
	case name == "script" && len(d.Scripts) < maxElements:
		_, async := attrs["async"]
		_, later := attrs["defer"]
		d.Scripts = append(d.Scripts, script{Attrs: attrs, Nonce: attrs["nonce"], Text: text, Async: async || later})
	case name == "style" && strings.Contains(text, "@keyframes near") && len(d.Styles) < maxElements:
		d.Styles, d.Styled = append(d.Styles, style{Nonce: attrs["nonce"], Text: text}), true
	case (name == "near-slot" || marked) && len(d.Slots) < maxElements:
		slotName := attrs["data-slot"]
		if slotName == "" {
			slotName = attrs["name"]
		}
		d.Slots = append(d.Slots, slot{Name: clip(slotName, 100), Attrs: attrs})
	}
}
