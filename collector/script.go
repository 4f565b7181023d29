// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"

	"github.com/valyala/fasthttp"
)

// A File is served by its name.
type File struct {
	Name string // a plain file name: JavaScript if it ends in ".js", else JSON
	Body []byte
	// Immutable says that the name is of these bytes alone. Caches may keep it
	// for ever then.
	Immutable bool
	// SourceMap is the name of the file that maps a script to its sources; empty
	// without one. It is told by the header of that name (https://tc39.es/ecma426/).
	SourceMap string
}

// scriptCache lets browsers and CDNs keep the tag for five minutes, and use an
// older one for a day while they fetch the next: a page never waits for it.
const scriptCache = "public, max-age=300, stale-while-revalidate=86400"

// immutableCache is for an address that changes with what is there: a year, the
// longest that caches take.
const immutableCache = "public, max-age=31536000, immutable"

// A script is the tag or a file beside it, ready to be sent. It is the same for
// everybody: cookies and consent play no part in it.
type script struct {
	contentType, cache    string
	sourceMap             string // empty without one
	plain, packed         []byte
	plainETag, packedETag string
}

// newScript prepares a script. Each encoding is a representation of its own and
// has its own entity tag (RFC 9110, 8.8.3).
func newScript(tag []byte) (*script, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress the tag: %w", err)
	}
	if _, err := w.Write(tag); err != nil {
		return nil, fmt.Errorf("compress the tag: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress the tag: %w", err)
	}
	sum := sha256.Sum256(tag)
	digest := base64.RawURLEncoding.EncodeToString(sum[:12])
	return &script{
		contentType: "text/javascript; charset=utf-8", cache: scriptCache,
		plain: bytes.Clone(tag), packed: packed.Bytes(),
		plainETag: `"` + digest + `"`, packedETag: `"` + digest + `-gz"`,
	}, nil
}

// isLoopback reports whether a Host header names this machine, with or without
// a port. It decides nothing but which build of the tag is sent.
func isLoopback(host []byte) bool {
	name, _, err := net.SplitHostPort(string(host))
	if err != nil {
		name = string(host)
	}
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && addr.IsLoopback()
}

// tag answers GET /tag.js.
func (s *Server) tag(ctx *fasthttp.RequestCtx) error {
	if s.devScript != nil && isLoopback(ctx.Host()) {
		return s.devScript.serve(ctx)
	}
	return s.script.serve(ctx)
}

// fileRoutes returns a route for each file.
func fileRoutes(files []File) ([]route, error) {
	routes := make([]route, 0, len(files))
	for _, f := range files {
		ready, err := newScript(f.Body)
		if err != nil {
			return nil, err
		}
		switch path.Ext(f.Name) {
		case ".json", ".map":
			ready.contentType = "application/json"
		case ".css":
			ready.contentType = "text/css; charset=utf-8"
		}
		ready.sourceMap = f.SourceMap
		if f.Immutable {
			ready.cache = immutableCache
		}
		routes = append(routes, route{"/" + f.Name, "GET, HEAD", routeTag, ready.serve})
	}
	return routes, nil
}

// serve answers with the script.
func (b *script) serve(ctx *fasthttp.RequestCtx) error {
	header := &ctx.Response.Header
	body, etag := b.plain, b.plainETag
	packed := ctx.Request.Header.HasAcceptEncoding("gzip")
	if packed {
		body, etag = b.packed, b.packedETag
	}
	setHeader(header, "ETag", etag)
	setHeader(header, "Vary", "Accept-Encoding")
	setHeader(header, "Cache-Control", b.cache)
	setHeader(header, "X-Content-Type-Options", "nosniff")
	// Any page may load it, also with crossorigin and integrity.
	setHeader(header, "Cross-Origin-Resource-Policy", "cross-origin")
	setHeader(header, "Access-Control-Allow-Origin", "*")
	if bytes.Contains(ctx.Request.Header.Peek("If-None-Match"), []byte(etag)) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	if packed {
		header.SetContentEncoding("gzip")
	}
	if b.sourceMap != "" {
		setHeader(header, "SourceMap", b.sourceMap)
	}
	header.SetContentType(b.contentType)
	ctx.Response.SetBodyRaw(body)
	return nil
}
