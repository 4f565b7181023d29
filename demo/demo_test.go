// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// testSnippet is shaped like the tag package's.
const testSnippet = `<style>near-slot{display:block}</style>
<script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>
<script async src="/_near/tag.js" data-site="demo"></script>
`

// testSecret is as long as an identity key's secret.
var testSecret = []byte("a secret of thirty-two bytes ...")

var everyPath = []string{
	"/", "/hats/", "/scarves/", "/gloves/", "/cart/", "/how/",
	"/item/fell-beanie/", "/item/brae-felt/", "/item/shore-straw/", "/item/tarn-scarf/", "/item/linen-square/",
	"/item/loop-snood/", "/item/crag-mittens/", "/item/signal-gloves/", "/item/spoke-mitts/",
}

func newShop(t testing.TB) *Demo {
	t.Helper()
	d, err := New(Options{Snippet: testSnippet, Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newRequest is a GET of a path of the shop at shop.example, from loopback,
// with headers as pairs.
func newRequest(path string, headers ...string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.SetRequestURI(path)
	req.Header.SetHost("shop.example")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}, nil)
	return ctx
}

// get answers a request for the shop itself and fails if it is handed on.
func get(t testing.TB, d *Demo, path string, headers ...string) *fasthttp.Response {
	t.Helper()
	ctx := newRequest(path, headers...)
	d.Wrap(func(*fasthttp.RequestCtx) { t.Errorf("%s was handed on", path) })(ctx)
	return &ctx.Response
}

func getPage(t testing.TB, d *Demo, path string) string {
	t.Helper()
	r := get(t, d, path)
	if r.StatusCode() != fasthttp.StatusOK {
		t.Fatalf("GET %s: status %d: %s", path, r.StatusCode(), r.Body())
	}
	return string(r.Body())
}

func TestNewRefusesASnippetForAnotherSite(t *testing.T) {
	for _, snippet := range []string{"", `<script src="/_near/tag.js" data-site="other"></script>`} {
		if _, err := New(Options{Snippet: snippet, Secret: testSecret}); !errors.Is(err, ErrSnippet) {
			t.Errorf("New with snippet %q: %v, want ErrSnippet", snippet, err)
		}
	}
}

func TestEveryPageRendersInEveryLanguage(t *testing.T) {
	d := newShop(t)
	for _, l := range languages {
		for _, path := range everyPath {
			t.Run(l.Tag+path, func(t *testing.T) {
				body := getPage(t, d, "/"+l.Tag+path)
				if want := fmt.Sprintf(`<html lang="%s" dir="%s">`, l.Tag, l.Dir); !strings.Contains(body, want) {
					t.Errorf("no %s", want)
				}
				if n := strings.Count(body, "<h1"); n != 1 {
					t.Errorf("%d headings of the first level, want 1", n)
				}
				for _, gap := range []string{"{{", "<no value>", "ZgotmplZ", "[object", "%!"} {
					if strings.Contains(body, gap) {
						t.Errorf("the page holds %q", gap)
					}
				}
				if at := regexp.MustCompile(`\{[a-z]+\}`).FindString(withoutScripts(body)); at != "" {
					t.Errorf("placeholder %s is not filled", at)
				}
				for _, img := range regexp.MustCompile(`<img[^>]*>`).FindAllString(body, -1) {
					if !strings.Contains(img, " alt=") || !strings.Contains(img, " width=") {
						t.Errorf("%s has no alt or no width", img)
					}
				}
			})
		}
	}
}

var scriptElement = regexp.MustCompile(`(?s)<script[^>]*>.*?</script>`)

func withoutScripts(body string) string { return scriptElement.ReplaceAllString(body, "") }

func TestArabicIsWrittenFromRightToLeft(t *testing.T) {
	var rtl []string
	for _, l := range languages {
		if l.Dir == "rtl" {
			rtl = append(rtl, l.Tag)
		}
	}
	if !slices.Equal(rtl, []string{"ar"}) {
		t.Errorf("right to left: %v, want ar alone", rtl)
	}
}

func TestEveryPageHasTheTagAndItsSlots(t *testing.T) {
	d := newShop(t)
	for path, slots := range map[string][]string{
		"/en/": {"announce", "hero", "offer"}, "/en/item/brae-felt/": {"announce", "offer"},
		"/en/hats/": {"announce"}, "/en/cart/": {"announce"}, "/en/how/": {"announce"},
	} {
		body := getPage(t, d, path)
		if !strings.Contains(body, ` src="/_near/tag.js" data-site="demo" data-why>`) {
			t.Errorf("%s does not embed the tag with explanations", path)
		}
		var got []string
		for _, m := range regexp.MustCompile(`<near-slot name="([a-z-]+)">`).FindAllStringSubmatch(body, -1) {
			got = append(got, m[1])
			if !strings.Contains(body, `data-explain="`+m[1]+`"`) {
				t.Errorf("%s: slot %s has no button that explains it", path, m[1])
			}
		}
		if !slices.Equal(got, slots) {
			t.Errorf("%s has slots %v, want %v", path, got, slots)
		}
	}
}

func TestThePromptShowsUntilItIsAnswered(t *testing.T) {
	d := newShop(t)
	for _, tt := range []struct {
		query string
		want  bool
	}{
		{"", true}, {"?place=paris", true}, {"?grant=none", false}, {"?grant=", false}, {"?grant=context", false}, {"?grant=bogus", false},
	} {
		body := getPage(t, d, "/en/"+tt.query)
		if got := strings.Contains(body, `data-near-prompt=`); got != tt.want {
			t.Errorf("with %q the prompt shows: %v, want %v", tt.query, got, tt.want)
		}
		if told := strings.Contains(body, `near("consent", {`); told == tt.want {
			t.Errorf("with %q the page answers for the visitor: %v, want %v", tt.query, told, !tt.want)
		}
	}
	prompt := getPage(t, d, "/ru/")
	for _, want := range []string{`role="dialog"`, `aria-modal="false"`, `aria-labelledby="near-prompt-title"`, `data-near-prompt="` + PromptVersion + `"`, `lang="ru"`, "только этот магазин"} {
		if !strings.Contains(prompt, want) {
			t.Errorf("the prompt has no %s", want)
		}
	}
	if strings.Contains(prompt, "autofocus") {
		t.Error("the page takes the focus")
	}
}

func TestThePagePlaysItsVisitorForTheTag(t *testing.T) {
	d := newShop(t)
	plain := getPage(t, d, "/en/?grant=context")
	for _, absent := range []string{"globalPrivacyControl", "defineProperty"} {
		if strings.Contains(plain, absent) {
			t.Errorf("a page that plays nobody has %s", absent)
		}
	}
	played := getPage(t, d, "/en/?grant=storage,context&gpc=1&lang=zh-Hant")
	for _, want := range []string{"globalPrivacyControl", `["zh-TW","zh"]`, `"context":true`, `"storage":true`, `"share":false`} {
		if !strings.Contains(played, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

func TestRequestsOfTheTagAndTheCollectorAreHandedOn(t *testing.T) {
	d := newShop(t)
	for _, tt := range []struct {
		path string
		on   bool
	}{
		{"/_near/tag.js", true}, {"/_near/v1/beacon", true}, {"/_near/healthz", true}, {"/_near/anything", true},
		{"/tag.js", true}, {"/healthz", true}, {"/readyz", true}, {"/v1/beacon", true}, {"/v1/withdraw", true},
		{"/", false}, {"/en/", false}, {"/en/v1/", false}, {"/_nearly/", false}, {"/tag.js/", false}, {"/asset/mark.svg", false},
	} {
		on := false
		d.Wrap(func(*fasthttp.RequestCtx) { on = true })(newRequest(tt.path))
		if on != tt.on {
			t.Errorf("%s is handed on: %v, want %v", tt.path, on, tt.on)
		}
	}
}

func TestTheCollectorMayAnswerUnderAnotherPrefix(t *testing.T) {
	d, err := New(Options{Snippet: testSnippet, Prefix: "/edge", Secret: testSecret})
	if err != nil {
		t.Fatal(err)
	}
	on := false
	d.Wrap(func(*fasthttp.RequestCtx) { on = true })(newRequest("/edge/tag.js"))
	if !on {
		t.Error("/edge/tag.js is not handed on")
	}
	if r := get(t, d, "/_near/tag.js"); r.StatusCode() != fasthttp.StatusNotFound {
		t.Errorf("/_near/tag.js: status %d, want 404", r.StatusCode())
	}
}

func BenchmarkPage(b *testing.B) {
	d := newShop(b)
	handler := d.Wrap(func(*fasthttp.RequestCtx) {})
	ctx := newRequest("/ar/?place=riyadh&device=tablet&grant=context")
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		handler(ctx)
	}
}
