// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/valyala/fasthttp"
)

//go:embed asset
var assetFiles embed.FS

// An asset is a file that pages load, with its entity tag.
type asset struct {
	body        []byte
	contentType string
	etag        string
}

// contentTypes are the types of the files that the shop has.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// stylesheets are the parts of the one style sheet that pages load, in order.
var stylesheets = [...]string{"base", "frame", "shop", "page", "slot", "bar", "panel"}

// loadAssets reads the files that pages load, by their path on the site.
func loadAssets() (map[string]asset, error) {
	out := map[string]asset{}
	add := func(name string, body []byte) error {
		contentType, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s has no content type", name)
		}
		sum := sha256.Sum256(body)
		out[name] = asset{body: body, contentType: contentType, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	}
	err := fs.WalkDir(assetFiles, "asset", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Dir(name) == "asset/css" {
			return err
		}
		body, err := assetFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return add("/"+name, body)
	})
	var style []byte
	for _, part := range stylesheets {
		body, readErr := assetFiles.ReadFile("asset/css/" + part + ".css")
		err = errors.Join(err, readErr)
		style = append(style, body...)
	}
	if err = errors.Join(err, add("/asset/style.css", style)); err != nil {
		return nil, fmt.Errorf("demo: assets: %w", err)
	}
	return out, nil
}

// serve answers a request for the shop itself.
func (d *Demo) serve(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	switch {
	case ctx.IsPost():
		d.signIn(ctx)
		return
	case !ctx.IsGet() && !ctx.IsHead():
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD, POST")
		ctx.Error("the shop is only for looking at and for signing in", fasthttp.StatusMethodNotAllowed)
		return
	}
	where := string(ctx.Path())
	if a, ok := d.assets[where]; ok {
		serveAsset(ctx, a)
		return
	}
	if where == "/" {
		d.welcome(ctx)
		return
	}
	tag, rest, _ := strings.Cut(strings.TrimPrefix(where, "/"), "/")
	l := d.language(tag)
	if l == nil {
		d.servePage(ctx, &page{language: d.negotiate(string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage))), Kind: "missing", path: "/"})
		return
	}
	if rest = "/" + rest; !strings.HasSuffix(where, "/") {
		if _, _, _, ok := route(strings.TrimSuffix(rest, "/") + "/"); ok {
			redirect(ctx, where+"/")
			return
		}
	}
	p := &page{language: l, path: rest}
	var ok bool
	if p.Kind, p.Category, p.Item, ok = route(rest); !ok {
		p.path = "/"
	}
	d.servePage(ctx, p)
}

func serveAsset(ctx *fasthttp.RequestCtx, a asset) {
	ctx.Response.Header.Set(fasthttp.HeaderETag, a.etag)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-cache")
	if string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)) == a.etag {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	ctx.SetContentType(a.contentType)
	ctx.SetBody(a.body)
}

// welcome sends a visitor to the shop in their language: the one they play,
// else their browser's.
func (d *Demo) welcome(ctx *fasthttp.RequestCtx) {
	l := d.language(parseVisitor(string(ctx.URI().QueryString())).Lang)
	if l == nil {
		l = d.negotiate(string(ctx.Request.Header.Peek(fasthttp.HeaderAcceptLanguage)))
	}
	ctx.Response.Header.Set(fasthttp.HeaderVary, fasthttp.HeaderAcceptLanguage)
	redirect(ctx, "/"+l.Tag+"/")
}

// redirect sends the browser to another path and keeps the query. The path is escaped:
// a backslash or a tab in it would lead a browser to another host.
func redirect(ctx *fasthttp.RequestCtx, where string) {
	to := url.URL{Path: where, RawQuery: string(ctx.URI().QueryString())}
	ctx.Response.Header.Set(fasthttp.HeaderLocation, to.String())
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-cache")
	ctx.SetStatusCode(fasthttp.StatusFound)
}

func (d *Demo) servePage(ctx *fasthttp.RequestCtx, p *page) {
	p.demo = d
	p.Visitor = parseVisitor(string(ctx.URI().QueryString()))
	p.Nonce, p.account = newNonce(), account(ctx)
	var body bytes.Buffer
	if err := p.render(&body); err != nil {
		ctx.Error("the page could not be made", fasthttp.StatusInternalServerError)
		return
	}
	header := &ctx.Response.Header
	header.Set(fasthttp.HeaderContentSecurityPolicy, contentPolicy(p.Nonce, p.Visitor.Platform))
	header.Set(fasthttp.HeaderReferrerPolicy, "same-origin") // play reads the page's whole address
	header.Set(fasthttp.HeaderCacheControl, cacheControl(p.account))
	header.Set(fasthttp.HeaderContentLanguage, p.language.Tag)
	ctx.SetContentType("text/html; charset=utf-8")
	if p.Kind == "missing" {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
	ctx.SetBody(body.Bytes())
}

// cacheControl keeps a page that says who is signed in out of every cache, also of
// the one that the browser's way back leads to: it is of then.
func cacheControl(account string) string {
	if account != "" {
		return "no-store"
	}
	return "private, no-cache"
}

// newNonce returns 128 random bits in the alphabet that HTML needs no escapes
// for.
func newNonce() string {
	var bits [16]byte
	rand.Read(bits[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// contentPolicy is as strict as a page with a tag can be: nothing from
// elsewhere, nothing inline without the page's nonce, and no string ever
// becomes script. What works here works on a customer's strictest page. A consent
// platform writes its own words by innerHTML, which trusted types would refuse.
func contentPolicy(nonce string, platform bool) string {
	policy := []string{
		"default-src 'none'",
		"script-src 'self' 'nonce-" + nonce + "'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"connect-src 'self'",
		"base-uri 'none'",
		"form-action 'self'", // to sign in
		"frame-ancestors 'none'",
	}
	if !platform {
		policy = append(policy, "require-trusted-types-for 'script'", "trusted-types 'none'")
	}
	return strings.Join(policy, "; ")
}
