// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"net/http"
	"net/url"
	"testing"
)

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWhatAPolicyBlocks(t *testing.T) {
	const page, own, other = "https://shop.example/hats", "https://shop.example/_near/tag.js", "https://node.example/_near/tag.js"
	tests := []struct {
		name, policy, src, nonce, integrity string
		want                                string // the directive, "" if it is allowed
	}{
		{"no directive", "img-src 'none'", own, "", "", ""},
		{"self", "script-src 'self'", own, "", "", ""},
		{"self is not another host", "script-src 'self'", other, "", "", "script-src"},
		{"none", "script-src 'none'", own, "", "", "script-src"},
		{"an empty list", "script-src", own, "", "", "script-src"},
		{"the default", "default-src 'none'", own, "", "", "default-src"},
		{"the nearest directive counts", "default-src 'none'; script-src 'none'; script-src-elem 'self'", own, "", "", ""},
		{"the first of two counts", "script-src 'none'; script-src 'self'", own, "", "", "script-src"},
		{"a nonce", "script-src 'nonce-abc'", other, "abc", "", ""},
		{"another nonce", "script-src 'nonce-abc'", own, "xyz", "", "script-src"},
		{"no nonce is no nonce", "script-src 'nonce-'", own, "", "", "script-src"},
		{"a host", "script-src node.example", other, "", "", ""},
		{"a host in upper case", "SCRIPT-SRC Node.Example", other, "", "", ""},
		{"a host with a scheme", "script-src http://node.example", other, "", "", ""},
		{"a host by https only", "script-src https://node.example", "http://node.example/tag.js", "", "", "script-src"},
		{"a wildcard", "script-src *.example", other, "", "", ""},
		{"a wildcard is not the name itself", "script-src *.node.example", other, "", "", "script-src"},
		{"a port", "script-src node.example:8443", other, "", "", "script-src"},
		{"any port", "script-src node.example:*", "https://node.example:8443/tag.js", "", "", ""},
		{"a folder", "script-src https://node.example/_near/", other, "", "", ""},
		{"another folder", "script-src https://node.example/near/", other, "", "", "script-src"},
		{"a file", "script-src https://node.example/_near/tag.js", other, "", "", ""},
		{"a path has upper and lower case", "script-src https://node.example/_NEAR/", other, "", "", "script-src"},
		{"a scheme", "script-src https:", other, "", "", ""},
		{"a port after a host in upper case", "script-src NODE.example:443/_near/", other, "", "", ""},
		{"no host at all", "script-src /İİ", other, "", "", "script-src"},
		{"a star", "script-src *", other, "", "", ""},
		{"strict-dynamic passes hosts over", "script-src 'self' 'strict-dynamic' 'nonce-abc'", own, "", "", "script-src"},
		{"strict-dynamic with the nonce", "script-src 'strict-dynamic' 'nonce-abc'", own, "abc", "", ""},
		{"a hash of the file", "script-src 'sha384-AAAA'", other, "", "sha384-AAAA", ""},
		{"two hashes and one is allowed", "script-src 'sha384-AAAA'", other, "", "sha384-AAAA sha384-BBBB", "script-src"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policy{directives: parsePolicy(tt.policy)}
			s := &script{Nonce: tt.nonce, Attrs: map[string]string{"integrity": tt.integrity}}
			if got := p.blocksScript(s, mustURL(t, tt.src), mustURL(t, page)); got != tt.want {
				t.Errorf("%q blocks %s by %q, want %q", tt.policy, tt.src, got, tt.want)
			}
		})
	}
}

func TestWhatAPolicyBlocksInline(t *testing.T) {
	const text = "near()"
	hash := "'sha256-" + digest("sha256", []byte(text)) + "'"
	tests := []struct{ name, policy, nonce, want string }{
		{"no directive", "connect-src 'none'", "", ""},
		{"self is for files", "script-src 'self'", "", "script-src"},
		{"unsafe-inline", "script-src 'unsafe-inline'", "", ""},
		{"a nonce takes unsafe-inline away", "script-src 'unsafe-inline' 'nonce-a'", "", "script-src"},
		{"the nonce", "script-src 'nonce-a'", "a", ""},
		{"the hash", "script-src " + hash, "", ""},
		{"another hash", "script-src 'sha256-AAAA'", "", "script-src"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policy{directives: parsePolicy(tt.policy)}
			if got := p.blocksInline(scriptDirectives, tt.nonce, text); got != tt.want {
				t.Errorf("%q blocks by %q, want %q", tt.policy, got, tt.want)
			}
		})
	}
}

func TestParsePolicies(t *testing.T) {
	header := http.Header{
		"Content-Security-Policy":             {"script-src 'self', connect-src 'none'", "img-src *"},
		"Content-Security-Policy-Report-Only": {"script-src 'none'"},
	}
	got := parsePolicies(header, []string{"style-src 'self'", " ; "})
	if len(got) != 5 || !got[3].isReport || got[0].isReport || got[4].from != "meta" || got[0].from != "header" {
		t.Fatalf("policies %+v", got)
	}
	to, page := mustURL(t, "https://shop.example/_near/v1/beacon"), mustURL(t, "https://shop.example/")
	if d := got[1].blocksConnect(to, page); d != "connect-src" {
		t.Errorf("the second policy of a header blocks requests by %q", d)
	}
	if d := got[0].blocksConnect(to, page); d != "" {
		t.Errorf("script-src blocks requests by %q", d)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add("script-src 'self' *.example:* https://[::1]:80/a; connect-src", "https://shop.example/_near/tag.js")
	f.Add("default-src /İİ K/İ", "https://shop.example/")
	f.Add("default-src : // /a [", "http://[::1]:8080/")
	f.Fuzz(func(_ *testing.T, text, src string) {
		u, err := url.Parse(src)
		if err != nil {
			return
		}
		page := &url.URL{Scheme: "https", Host: "shop.example"}
		for _, p := range parsePolicies(http.Header{"Content-Security-Policy": {text}}, nil) {
			p.blocksScript(&script{Nonce: "n"}, u, page)
			p.blocksConnect(u, page)
			p.blocksInline(styleDirectives, "n", text)
		}
	})
}

func TestIntegrityHolds(t *testing.T) {
	file := []byte("tag")
	good, bad := "sha384-"+digest("sha384", file), "sha384-AAAA"
	tests := []struct {
		name, integrity string
		want            bool
	}{
		{"the hash", good, true},
		{"another", bad, false},
		{"one of two", bad + " " + good, true},
		{"the strongest counts", "sha256-" + digest("sha256", file) + " sha512-AAAA", false},
		{"no hash at all", "md5-AAAA", true},
		{"with options", good + "?x=y", true},
	}
	for _, tt := range tests {
		if got := integrityHolds(tt.integrity, file); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
