// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"regexp"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTheRootLeadsToTheVisitorsLanguage(t *testing.T) {
	d := newShop(t)
	tests := []struct {
		name, path, accept, want string
	}{
		{"nobody said", "/", "", "/en/"},
		{"Simplified by region", "/", "zh-CN,zh;q=0.9,en;q=0.8", "/zh-Hans/"},
		{"Simplified by nothing", "/", "zh", "/zh-Hans/"},
		{"Simplified by script in Taiwan", "/", "zh-Hans-TW", "/zh-Hans/"},
		{"Traditional by region", "/", "zh-HK", "/zh-Hant/"},
		{"Traditional by script", "/", "zh-Hant-CN", "/zh-Hant/"},
		{"the heavier one", "/", "ru;q=0.3, ar-EG;q=0.7", "/ar/"},
		{"the earlier of two", "/", "ar,ru", "/ar/"},
		{"refused", "/", "ru;q=0, de", "/en/"},
		{"unknown to the shop", "/", "fr-FR,fr;q=0.9", "/en/"},
		{"unknown but one", "/", "fr-FR,fr;q=0.9,ru;q=0.1", "/ru/"},
		{"nonsense", "/", ";;q=x,,zh;q=2,-", "/en/"},
		{"the query stays", "/?utm_source=mail&grant=none", "ru", "/ru/?utm_source=mail&grant=none"},
		{"the played language wins", "/?lang=ar", "ru", "/ar/?lang=ar"},
		{"longer than is read", "/", strings.Repeat("fr,", 200) + "ru", "/en/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := get(t, d, tt.path, "Accept-Language", tt.accept)
			if got := string(r.Header.Peek("Location")); r.StatusCode() != fasthttp.StatusFound || got != tt.want {
				t.Errorf("status %d to %q, want 302 to %q", r.StatusCode(), got, tt.want)
			}
			if got := string(r.Header.Peek("Vary")); got != "Accept-Language" {
				t.Errorf("Vary %q, want Accept-Language", got)
			}
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("zh-CN,zh;q=0.9,en;q=0.8")
	f.Add(";q=,zh-;q=1e9,\x00")
	d := newShop(f)
	f.Fuzz(func(t *testing.T, accept string) {
		if d.negotiate(accept) == nil {
			t.Fatal("no language")
		}
	})
}

func TestPathsWithoutASlashAreCompleted(t *testing.T) {
	d := newShop(t)
	for path, want := range map[string]string{
		"/en": "/en/", "/en/hats": "/en/hats/", "/ar/item/brae-felt?grant=none": "/ar/item/brae-felt/?grant=none",
	} {
		r := get(t, d, path)
		if got := string(r.Header.Peek("Location")); r.StatusCode() != fasthttp.StatusFound || got != want {
			t.Errorf("%s: status %d to %q, want 302 to %q", path, r.StatusCode(), got, want)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	d := newShop(t)
	for path, lang := range map[string]string{
		"/ar/nothing/": "ar", "/ru/item/none/": "ru", "/en/item/brae-felt/more/": "en", "/de/": "en", "/asset/none.svg": "en", "/en/item//": "en",
	} {
		r := get(t, d, path)
		if r.StatusCode() != fasthttp.StatusNotFound || !strings.Contains(string(r.Body()), `<html lang="`+lang+`"`) {
			t.Errorf("%s: status %d, want 404 in %s", path, r.StatusCode(), lang)
		}
	}
}

func TestTheShopIsOnlyForLookingAtAndSigningIn(t *testing.T) {
	d := newShop(t)
	ctx := newRequest("/en/")
	ctx.Request.Header.SetMethod("PUT")
	d.Wrap(func(*fasthttp.RequestCtx) { t.Error("handed on") })(ctx)
	if got := ctx.Response.StatusCode(); got != fasthttp.StatusMethodNotAllowed {
		t.Errorf("PUT: status %d, want 405", got)
	}
}

var (
	inlineHandler = regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`)
	inlineStyle   = regexp.MustCompile(`(?i)<[^>]*\sstyle\s*=`)
	openTag       = regexp.MustCompile(`<(script|style)\b[^>]*>`)
)

func TestThePolicyAllowsNothingThatThePageDoesNotNeed(t *testing.T) {
	d := newShop(t)
	seen := map[string]bool{}
	for _, path := range everyPath {
		r := get(t, d, "/en"+path+"?grant=context&gpc=1&lang=ru")
		policy := string(r.Header.Peek("Content-Security-Policy"))
		for _, want := range []string{
			"default-src 'none'", "script-src 'self' 'nonce-", "style-src 'self' 'nonce-", "img-src 'self' data:",
			"connect-src 'self'", "form-action 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'",
		} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy has no %s", path, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
			t.Errorf("%s: the policy is open: %s", path, policy)
		}
		if got := string(r.Header.Peek("Referrer-Policy")); got != "same-origin" {
			t.Errorf("%s: Referrer-Policy %q: the middleware needs the page's whole address", path, got)
		}
		nonce := regexp.MustCompile(`'nonce-([A-Za-z0-9_-]{22})'`).FindStringSubmatch(policy)
		if nonce == nil || seen[nonce[1]] {
			t.Fatalf("%s: the policy's nonce is missing or was used before: %s", path, policy)
		}
		seen[nonce[1]] = true
		body := string(r.Body())
		for _, tag := range openTag.FindAllString(body, -1) {
			if !strings.Contains(tag, ` nonce="`+nonce[1]+`"`) && !strings.Contains(tag, "application/json") {
				t.Errorf("%s: %s has no nonce", path, tag)
			}
		}
		markup := withoutScripts(body)
		if at := inlineHandler.FindString(markup) + inlineStyle.FindString(markup); at != "" {
			t.Errorf("%s: the policy would block %s", path, at)
		}
		if got := r.Header.Peek("Set-Cookie"); len(got) > 0 {
			t.Errorf("%s: the shop sets a cookie", path)
		}
	}
}

func TestAssetsAreCheckedByEntityTag(t *testing.T) {
	d := newShop(t)
	r := get(t, d, "/asset/style.css")
	if got := string(r.Header.ContentType()); got != "text/css; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	tag := string(r.Header.Peek("ETag"))
	if again := get(t, d, "/asset/style.css", "If-None-Match", tag); tag == "" || again.StatusCode() != fasthttp.StatusNotModified || len(again.Body()) > 0 {
		t.Errorf("with tag %q: status %d, want 304", tag, again.StatusCode())
	}
}

var (
	assetReference = regexp.MustCompile(`["'(](/asset/[^"')#?]+)`)
	moduleImport   = regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	foreignAddress = regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]`)
)

// loadedBy are the files that a text makes a browser load, directly or not.
func loadedBy(t *testing.T, d *Demo, text string, into map[string]bool) {
	t.Helper()
	var names []string
	for _, m := range assetReference.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	for _, m := range moduleImport.FindAllStringSubmatch(text, -1) {
		names = append(names, "/asset/js/"+m[1])
	}
	for _, name := range names {
		if strings.Contains(name, "$") || into[name] { // $ is a template literal of the basket
			continue
		}
		a, ok := d.assets[name]
		if !ok {
			t.Errorf("%s is not there", name)
			continue
		}
		into[name] = true
		if !strings.HasSuffix(name, ".svg") {
			loadedBy(t, d, string(a.body), into)
		}
	}
}

func TestPagesLoadLittleAndOnlyFromHere(t *testing.T) {
	// A page of photographs weighs megabytes. With every picture that any
	// variant could show, before compression, this one stays below.
	const maxBytes = 160 << 10
	d := newShop(t)
	for _, l := range languages {
		for _, path := range everyPath {
			body := getPage(t, d, "/"+l.Tag+path)
			files := map[string]bool{}
			loadedBy(t, d, body, files)
			weight := len(body)
			for name := range files {
				weight += len(d.assets[name].body)
			}
			if weight > maxBytes {
				t.Errorf("/%s%s weighs %d bytes with %d files, want at most %d", l.Tag, path, weight, len(files), maxBytes)
			}
			if at := foreignAddress.FindString(body); at != "" {
				t.Errorf("/%s%s names %q", l.Tag, path, at)
			}
		}
	}
	for name, a := range d.assets {
		if isOthers(name) {
			continue
		}
		text := strings.ReplaceAll(string(a.body), "http://www.w3.org/2000/svg", "")
		if at := foreignAddress.FindString(text); at != "" {
			t.Errorf("%s names %q", name, at)
		}
	}
}

func TestEveryPartOfTheStyleSheetIsInIt(t *testing.T) {
	parts, err := assetFiles.ReadDir("asset/css")
	if err != nil || len(parts) != len(stylesheets) {
		t.Errorf("%d files of style, %d in the style sheet (%v)", len(parts), len(stylesheets), err)
	}
	if css := string(newShop(t).assets["/asset/style.css"].body); strings.Count(css, "{") != strings.Count(css, "}") {
		t.Error("the style sheet's braces do not match")
	}
}

// isOthers reports whether an asset is of those that others made, which load only
// where a page asks for them.
func isOthers(name string) bool { return strings.HasPrefix(name, "/asset/vendor/") }

func TestEveryAssetIsUsed(t *testing.T) {
	d := newShop(t)
	files := map[string]bool{}
	for _, path := range everyPath {
		loadedBy(t, d, getPage(t, d, "/en"+path), files)
		loadedBy(t, d, getPage(t, d, "/en"+path+"?cmp=1"), files)
	}
	for name := range d.assets {
		if !files[name] {
			t.Errorf("no page loads %s", name)
		}
	}
}

// Under the shop's policy a string can never become markup or script, so code
// that tries would fail on every page.
func TestScriptsNeverMakeMarkupOfStrings(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|eval\(|new Function|localStorage|sessionStorage|indexedDB|document\.cookie`)
	for name, a := range newShop(t).assets {
		if at := forbidden.Find(a.body); strings.HasSuffix(name, ".js") && !isOthers(name) && at != nil {
			t.Errorf("%s uses %s", name, at)
		}
	}
}
