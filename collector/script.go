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
	"strings"

	"github.com/valyala/fasthttp"
)

// scriptCache lets browsers and CDNs keep the tag for five minutes, and use an
// older one for a day while they fetch the next: a page never waits for it.
const scriptCache = "public, max-age=300, stale-while-revalidate=86400"

// A script is the tag or a file beside it, ready to be sent. It is the same for
// everybody: cookies and consent play no part in it.
type script struct {
	contentType           string
	plain, packed         []byte
	plainETag, packedETag string
}

// newScript prepares a file with the name of path. Each encoding is a
// representation of its own and has its own entity tag (RFC 9110, 8.8.3).
func newScript(path string, content []byte) (*script, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", path, err)
	}
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress %s: %w", path, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress %s: %w", path, err)
	}
	sum := sha256.Sum256(content)
	digest := base64.RawURLEncoding.EncodeToString(sum[:12])
	out := &script{
		contentType: "text/javascript; charset=utf-8", plain: bytes.Clone(content), packed: packed.Bytes(),
		plainETag: `"` + digest + `"`, packedETag: `"` + digest + `-gz"`,
	}
	if strings.HasSuffix(path, ".css") {
		out.contentType = "text/css; charset=utf-8"
	}
	return out, nil
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

// serve answers a request for the file.
func (f *script) serve(ctx *fasthttp.RequestCtx) error {
	header := &ctx.Response.Header
	body, etag := f.plain, f.plainETag
	packed := ctx.Request.Header.HasAcceptEncoding("gzip")
	if packed {
		body, etag = f.packed, f.packedETag
	}
	setHeader(header, "ETag", etag)
	setHeader(header, "Vary", "Accept-Encoding")
	setHeader(header, "Cache-Control", scriptCache)
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
	header.SetContentType(f.contentType)
	ctx.Response.SetBodyRaw(body)
	return nil
}
