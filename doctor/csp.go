// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A policy is one Content-Security-Policy, read as far as the tag is concerned
// (https://www.w3.org/TR/CSP3/).
type policy struct {
	directives map[string][]string // by name, the first of each counts
	isReport   bool                // nothing is blocked by it
	from       string              // "header" or "meta"
}

// parsePolicies reads the policies of a page. A header may hold several, parted
// by commas; browsers' tools join headers by line breaks.
func parsePolicies(header http.Header, metas []string) []policy {
	var all []policy
	add := func(text, from string, isReport bool) {
		for _, one := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
			if p := parsePolicy(one); len(p) > 0 {
				all = append(all, policy{p, isReport, from})
			}
		}
	}
	for _, text := range header.Values("Content-Security-Policy") {
		add(text, "header", false)
	}
	for _, text := range header.Values("Content-Security-Policy-Report-Only") {
		add(text, "header", true)
	}
	for _, text := range metas {
		add(text, "meta", false)
	}
	return all
}

func parsePolicy(text string) map[string][]string {
	directives := map[string][]string{}
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(words[0])
		if _, there := directives[name]; !there {
			directives[name] = words[1:]
		}
	}
	return directives
}

// sources returns the list of the first of the directives that is there.
func (p *policy) sources(names ...string) (list []string, directive string, ok bool) {
	for _, name := range names {
		if list, ok = p.directives[name]; ok {
			return list, name, true
		}
	}
	return nil, "", false
}

// The directives that speak for each kind of use, the nearest first.
var (
	scriptDirectives  = []string{"script-src-elem", "script-src", "default-src"}
	styleDirectives   = []string{"style-src-elem", "style-src", "default-src"}
	connectDirectives = []string{"connect-src", "default-src"}
)

// blocksScript returns the directive that blocks a script that is part of the
// page's HTML, "" if none does.
func (p *policy) blocksScript(s *script, src, page *url.URL) string {
	list, directive, ok := p.sources(scriptDirectives...)
	switch {
	case !ok, hasNonce(list, s.Nonce), integrityListed(list, s.Attrs["integrity"]):
		return ""
	case !hasKeyword(list, "'strict-dynamic'") && matchesAny(list, src, page):
		return ""
	}
	return directive
}

// blocksInline returns the directive that blocks an inline script or style, "" if
// none does.
func (p *policy) blocksInline(directives []string, nonce, text string) string {
	list, directive, ok := p.sources(directives...)
	if !ok || hasNonce(list, nonce) || hashListed(list, text) {
		return ""
	}
	strict := slices.ContainsFunc(list, func(source string) bool {
		source = strings.ToLower(source)
		return strings.HasPrefix(source, "'nonce-") || strings.HasPrefix(source, "'sha") || source == "'strict-dynamic'"
	})
	if hasKeyword(list, "'unsafe-inline'") && !strict {
		return ""
	}
	return directive
}

// blocksConnect returns the directive that blocks a request, "" if none does.
func (p *policy) blocksConnect(to, page *url.URL) string {
	list, directive, ok := p.sources(connectDirectives...)
	if !ok || matchesAny(list, to, page) {
		return ""
	}
	return directive
}

func hasKeyword(list []string, keyword string) bool {
	return slices.ContainsFunc(list, func(source string) bool { return strings.EqualFold(source, keyword) })
}

func hasNonce(list []string, nonce string) bool {
	return nonce != "" && slices.Contains(list, "'nonce-"+nonce+"'")
}

// hashListed reports whether a text's hash is allowed.
func hashListed(list []string, text string) bool {
	return slices.ContainsFunc(list, func(source string) bool {
		kind, want, ok := strings.Cut(strings.Trim(source, "'"), "-")
		return ok && strings.HasPrefix(source, "'") && want != "" && digest(kind, []byte(text)) == want
	})
}

// integrityListed reports whether every hash of an integrity attribute is allowed.
func integrityListed(list []string, integrity string) bool {
	hashes := strings.Fields(integrity)
	for _, hash := range hashes {
		if !slices.Contains(list, "'"+hash+"'") {
			return false
		}
	}
	return len(hashes) > 0
}

// digest returns a digest in base64 by its name, "" for a name that it does not
// know.
func digest(kind string, text []byte) string {
	switch strings.ToLower(kind) {
	case "sha256":
		sum := sha256.Sum256(text)
		return base64.StdEncoding.EncodeToString(sum[:])
	case "sha384":
		sum := sha512.Sum384(text)
		return base64.StdEncoding.EncodeToString(sum[:])
	case "sha512":
		sum := sha512.Sum512(text)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	return ""
}

// integrityHolds reports whether a file is the one that an integrity attribute
// names: of several hashes the strongest kind counts, and one that is no hash is
// passed over (https://www.w3.org/TR/SRI/).
func integrityHolds(integrity string, file []byte) bool {
	for _, kind := range []string{"sha512", "sha384", "sha256"} {
		found := false
		for _, hash := range strings.Fields(integrity) {
			name, want, _ := strings.Cut(hash, "-")
			want, _, _ = strings.Cut(want, "?")
			if name != kind {
				continue
			}
			if found = true; want == digest(kind, file) {
				return true
			}
		}
		if found {
			return false
		}
	}
	return true
}

func matchesAny(list []string, to, page *url.URL) bool {
	return slices.ContainsFunc(list, func(source string) bool { return matches(source, to, page) })
}

// matches reports whether a source expression allows an address. A keyword but
// 'self' allows none.
func matches(source string, to, page *url.URL) bool {
	switch {
	case strings.EqualFold(source, "'self'"):
		return originOf(to) == originOf(page) || isSecured(to, page)
	case source == "*":
		return to.Scheme == "http" || to.Scheme == "https"
	case strings.HasPrefix(source, "'"):
		return false
	case strings.HasSuffix(source, ":") && !strings.Contains(source, "/"):
		return schemeMatches(strings.ToLower(strings.TrimSuffix(source, ":")), to.Scheme)
	}
	scheme, rest, ok := strings.Cut(source, "://")
	if !ok {
		scheme, rest = page.Scheme, source
	}
	path := ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest, path = rest[:i], rest[i:]
	}
	host, port, _ := strings.Cut(rest, ":")
	return schemeMatches(strings.ToLower(scheme), to.Scheme) && hostMatches(strings.ToLower(host), strings.ToLower(to.Hostname())) &&
		portMatches(port, to) && pathMatches(path, to.EscapedPath())
}

// isSecured reports whether an address is the page's own host by TLS.
func isSecured(to, page *url.URL) bool {
	return strings.EqualFold(to.Hostname(), page.Hostname()) && page.Scheme == "http" && to.Scheme == "https" && to.Port() == "" && page.Port() == ""
}

// schemeMatches reports whether a scheme is the wanted one or its secure form.
func schemeMatches(want, scheme string) bool {
	return want == scheme || want == "http" && scheme == "https"
}

func hostMatches(want, host string) bool {
	if suffix, ok := strings.CutPrefix(want, "*."); ok {
		return strings.HasSuffix(host, "."+suffix)
	}
	return want == "*" || want == host
}

func portMatches(want string, to *url.URL) bool {
	port := to.Port()
	if port == "" {
		port = defaultPort(to.Scheme)
	}
	switch want {
	case "*":
		return true
	case "":
		return port == defaultPort(to.Scheme)
	case "80":
		return port == "80" || to.Scheme == "https" && port == "443"
	}
	return want == port
}

func pathMatches(want, path string) bool {
	if want == "" || want == "/" {
		return true
	}
	if strings.HasSuffix(want, "/") {
		return strings.HasPrefix(path, want)
	}
	return path == want
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
