// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/valyala/fasthttp"
)

// signInAs posts the sign-in's form to a page.
func signInAs(t *testing.T, d *Demo, path, customer string, headers ...string) *fasthttp.Response {
	t.Helper()
	ctx := newRequest(path, headers...)
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.Header.SetContentType("application/x-www-form-urlencoded")
	ctx.Request.SetBodyString("customer=" + customer)
	d.Wrap(func(*fasthttp.RequestCtx) { t.Errorf("POST %s was handed on", path) })(ctx)
	return &ctx.Response
}

func TestSigningInSetsACookieAndLeadsBack(t *testing.T) {
	d := newShop(t)
	for _, tt := range []struct {
		name, customer, origin string
		status                 int
		cookie                 string
	}{
		{"a customer", "A", "http://shop.example", 303, "brae-customer=A; path=/; HttpOnly; SameSite=Lax"},
		{"over TLS", "B", "https://shop.example", 303, "brae-customer=B; path=/; HttpOnly; secure; SameSite=Lax"},
		{"out", "nobody", "http://shop.example", 303, "brae-customer=nobody; path=/; HttpOnly; SameSite=Lax"},
		{"no customer", "C", "http://shop.example", 400, ""},
		{"nothing said", "", "http://shop.example", 400, ""},
		{"from another origin", "A", "http://shop.example.evil", 403, ""},
		{"from no origin", "A", "null", 403, ""},
		{"without an origin", "A", "", 403, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.origin != "" {
				headers = []string{"Origin", tt.origin}
			}
			r := signInAs(t, d, "/en/hats/?grant=context&cart=brae-felt:1", tt.customer, headers...)
			if got := string(r.Header.Peek("Set-Cookie")); r.StatusCode() != tt.status || got != tt.cookie {
				t.Errorf("status %d and cookie %q, want %d and %q", r.StatusCode(), got, tt.status, tt.cookie)
			}
			want := "/en/hats/?grant=context&cart=brae-felt:1"
			if tt.name == "out" {
				want = "/en/hats/?grant=context" // the basket is whose it was
			}
			if to := string(r.Header.Peek("Location")); tt.status == 303 && to != want {
				t.Errorf("it leads to %q, want %q", to, want)
			}
		})
	}
}

// Whatever the path of the page, the way back stays on the shop's origin.
func TestSigningInLeadsToNoOtherHost(t *testing.T) {
	d := newShop(t)
	for _, path := range []string{"/%5Cevil.example/", "/%09/evil.example/", "//evil.example/", "/%2Fevil.example/", "/en/%2e%2e//evil.example/"} {
		r := signInAs(t, d, path, "A", "Origin", "http://shop.example")
		to := string(r.Header.Peek("Location"))
		if r.StatusCode() != 303 || strings.ContainsAny(to, "\\\t") || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
			t.Errorf("POST %s leads to %q", path, to)
		}
	}
}

var identified = regexp.MustCompile(`near\("identify", *(?:"([^"]+)"|(null)) *\);`)

func TestEveryPageSaysWhoIsSignedIn(t *testing.T) {
	d := newShop(t)
	for _, tt := range []struct{ cookie, says, menu, cache string }{
		{"", "", "Sign in", "private, no-cache"},
		{"brae-customer=C", "", "Sign in", "private, no-cache"},
		{"brae-customer=nobody", "null", "Sign in", "no-store"},
		{"brae-customer=B", "customer-B", "Signed in as Customer B", "no-store"},
	} {
		r := get(t, d, "/en/?grant=context", "Cookie", tt.cookie)
		body := string(r.Body())
		says := ""
		if m := identified.FindStringSubmatch(body); m != nil {
			if says = m[2]; m[1] != "" {
				says = subject(t, m[1])
			}
		}
		if says != tt.says || !strings.Contains(body, `<summary aria-label="`+tt.menu+`">`) || string(r.Header.Peek("Cache-Control")) != tt.cache {
			t.Errorf("with %q it says %q, want %q; %s", tt.cookie, says, tt.says, r.Header.Peek("Cache-Control"))
		}
		if at := strings.Index(body, `near("identify"`); at > strings.Index(body, `near("consent", {`) {
			t.Errorf("with %q it says so after the answer for consent", tt.cookie)
		}
	}
}

// subject checks a token as a node does, and returns whom it names.
func subject(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token is %q", token)
	}
	mac := hmac.New(sha256.New, testSecret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if sum := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); sum != parts[2] {
		t.Errorf("the token's sum is %s, want %s", parts[2], sum)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Aud, Sub string
		Iat, Exp int64
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	if now := time.Now().Unix(); claims.Aud != Site || claims.Iat > now || claims.Iat < now-60 || claims.Exp != claims.Iat+600 {
		t.Errorf("the claims are %+v", claims)
	}
	return claims.Sub
}

func TestNewRefusesAShortSecret(t *testing.T) {
	if _, err := New(Options{Snippet: testSnippet, Secret: testSecret[:31]}); !errors.Is(err, ErrSecret) {
		t.Errorf("New with 31 bytes: %v, want ErrSecret", err)
	}
}

// By keyboard alone, in every language: in, and out again. Nothing on the page moves,
// what was granted and the basket stay, also what the page's address has got since.
func TestSigningInByKeyboard(t *testing.T) {
	s, v := openShop(t), openView(t)
	v.size(1280, 900)
	texts := newShop(t).languages
	for _, l := range texts {
		v.do(chromedp.Navigate(s.base + "/" + l.Tag + "/?grant=none"))
		v.until("the page's scripts", `document.querySelector('#shop') && document.querySelector('.account form').getAttribute('action')`)
		v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#bar').open = true`))
		v.until("the bar in the form's address", `document.querySelector('.account form').getAttribute('action').includes('bar=1')`)
		v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.account summary').focus()`), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
		want, err := l.say("account.as", "letter", "A")
		if err != nil {
			t.Fatal(err)
		}
		v.until(want, `document.querySelector('.account summary')?.getAttribute('aria-label') === '`+want+`'`)
		if at := evaluate[string](v, `location.pathname + location.search`); at != "/"+l.Tag+"/?grant=none&bar=1" {
			t.Errorf("%s: the sign-in leads to %s", l.Tag, at)
		}
		v.nothingMoved(l.Tag)
		v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.account summary').focus()`), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
		if got := evaluate[string](v, `document.activeElement.textContent`); got != l.texts["account.mine"] {
			t.Errorf("%s: the first stop is %q", l.Tag, got)
		}
		v.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
		v.until("nobody", `document.querySelector('.account summary')?.getAttribute('aria-label') === '`+l.texts["account.in"]+`'`)
	}
}

// The masthead and the open menu of the account are whole in view on every screen, in
// every language, and nothing lies on anything else.
func TestTheAccountsMenuFitsEveryScreen(t *testing.T) {
	s, v := openShop(t), openView(t)
	for _, l := range languages {
		for _, customer := range []string{signedOut, customers[0]} {
			v.do(chromedp.Navigate(s.base + "/" + l.Tag + "/how/?grant=none"))
			if customer != signedOut {
				v.do(chromedp.Click(`.account summary`), chromedp.Click(`.account button[value="`+customer+`"]`))
				v.until("the page of "+customer, `document.querySelector('.account-letter') && document.querySelector('main')`)
			}
			v.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.account').open = true`))
			for _, width := range []int64{narrowest, 360, 390, 430, 520, 768, 1149, 1150, 1200, 1280, 1320} {
				v.size(width, 700)
				if off := evaluate[[]string](v, `(() => {
					const box = e => e.getBoundingClientRect(), name = e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40);
					const parts = [...document.querySelectorAll('.brand, .brand span, .masthead summary, .basket')];
					const outside = e => box(e).right > innerWidth + 0.5 || box(e).left < -0.5;
					const lap = (a, b) => !a.contains(b) && !b.contains(a) && box(a).right > box(b).left + 0.5 && box(b).right > box(a).left + 0.5;
					const grown = e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1;
					const crooked = [...document.querySelectorAll('.shelves li')].filter((e, i, all) => box(e).top !== box(all[0]).top);
					const menu = [...document.querySelectorAll('.account form, .account form *')];
					return [...parts, ...menu].filter(outside).concat(menu.filter(grown), crooked).map(name)
						.concat(parts.flatMap(a => parts.filter(b => a !== b && lap(a, b)).map(b => name(a) + ' on ' + name(b))));
				})()`); len(off) > 0 {
					t.Errorf("/%s/ at %d px, %s: not whole in view: %q", l.Tag, width, customer, off)
				}
			}
			if customer != signedOut {
				v.do(chromedp.Click(`.account button[value="` + signedOut + `"]`))
				v.until("the page of nobody", `document.querySelector('.account') && !document.querySelector('.account-letter')`)
			}
		}
	}
}
