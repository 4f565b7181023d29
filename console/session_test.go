// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
)

func TestSignIn(t *testing.T) {
	b := openBench(t, nil)
	v := b.visitor()
	v.post("/console/signin", url.Values{"token": {"near_wrong"}}).want("a wrong token", 401, "not known here")
	if page := v.get("/console/sites/shop/history"); page.path != "/console/signin" || !strings.Contains(page.html, `name="next" value="/console/sites/shop/history"`) {
		t.Errorf("who is not signed in gets %s: %s", page.path, page.text)
	}
	secret := b.token("ada", publishing.Viewer, "shop")
	page := v.post("/console/signin", url.Values{"token": {" " + secret + " "}, "next": {"/console/sites/shop/history"}})
	if page.status != 200 || page.path != "/console/sites/shop/history" {
		t.Fatalf("signed in: %d %s", page.status, page.path)
	}
	if page := v.get("/console/signin"); page.path != "/console/sites/shop" {
		t.Errorf("who is signed in is asked again: %s", page.path)
	}
	if strings.Contains(page.html, secret) {
		t.Error("the page holds the token")
	}
	// The API takes the session as well.
	if got := v.get("/v1/sites"); got.status != 200 || !strings.Contains(got.html, "shop") {
		t.Errorf("the API answers %d %s", got.status, got.html)
	}
	was := v.client.Jar.Cookies(mustParse(t, b.base))
	if page := v.post("/console/signout", nil); page.path != "/console/signin" || !strings.Contains(page.text, "You are signed out.") {
		t.Errorf("signed out: %s %s", page.path, page.text)
	}
	v.client.Jar.SetCookies(mustParse(t, b.base), was) // somebody kept it
	if page := v.get("/console"); page.path != "/console/signin" {
		t.Errorf("a session that was ended goes on: %s", page.path)
	}
	v.post("/console/sites/shop/rollback", url.Values{}).want("a form whose session is over", 401, "Your session is over", "nothing was changed")
}

func TestASessionEndsWithItsTimeAndItsToken(t *testing.T) {
	now := testNow
	b := openBench(t, func(o *Options) { o.Now = func() time.Time { return now } })
	ada := b.signedIn("ada", publishing.Viewer)
	now = now.Add(sessionTime - time.Second)
	ada.get("/console/sites/shop").want("in time", 200, "Release 1")
	now = now.Add(time.Second)
	if page := ada.get("/console/sites/shop"); page.path != "/console/signin" {
		t.Errorf("after %v: %s", sessionTime, page.path)
	}

	bob := b.signedIn("bob", publishing.Viewer)
	tokens, err := b.options.Desk.Tokens(context.Background(), publishing.Operator())
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if err := b.options.Desk.RevokeToken(context.Background(), publishing.Operator(), token.ID); err != nil {
			t.Fatal(err)
		}
	}
	if page := bob.get("/console/sites/shop"); page.path != "/console/signin" {
		t.Errorf("after the token was revoked: %s", page.path)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	first := s.begin("t", testNow)
	second := s.begin("t", testNow.Add(time.Second))
	for i := range maxSessions - 1 {
		s.begin(fmt.Sprint("t", i), testNow.Add(time.Minute))
	}
	if len(s.byKey) != maxSessions || s.token(first, testNow) != "" || s.token(second, testNow) == "" {
		t.Errorf("%d sessions; the first is %q, the second %q", len(s.byKey), s.token(first, testNow), s.token(second, testNow))
	}
	s.begin("late", testNow.Add(sessionTime+time.Hour)) // the others are over
	if len(s.byKey) != 1 {
		t.Errorf("%d sessions are left, want the one that is not over", len(s.byKey))
	}
}

func TestTheSessionsCookie(t *testing.T) {
	b := openBench(t, nil)
	secret := b.token("ada", publishing.Viewer, "shop")
	ask := func(header ...string) *http.Cookie {
		headers := append([]string{"Content-Type: application/x-www-form-urlencoded"}, header...)
		res := b.as("", "POST", "/console/signin", url.Values{"token": {secret}}.Encode(), headers...)
		if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
			t.Fatalf("answer %d with cookies %v", res.StatusCode, res.Cookies())
		}
		return res.Cookies()[0]
	}
	plain, secure := ask(), ask("X-Forwarded-Proto: https")
	for _, c := range []*http.Cookie{plain, secure} {
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != 8*60*60 || c.Domain != "" {
			t.Errorf("cookie %s", c)
		}
	}
	if plain.Secure || plain.Name != "near_console" || !secure.Secure || secure.Name != "__Host-near_console" {
		t.Errorf("cookies %s and %s", plain, secure)
	}
}

func TestSafeNext(t *testing.T) {
	for next, want := range map[string]string{
		"/console/sites/shop":         "/console/sites/shop",
		"/console":                    "/console",
		"":                            "/console",
		"https://evil.example/":       "/console",
		"//evil.example/console":      "/console",
		"/console\\evil":              "/console",
		"/console/signout":            "/console",
		"/v1/sites":                   "/console",
		"/console/a\r\nSet-Cookie: x": "/console",
		"/consolevil":                 "/console",
	} {
		if got := safeNext(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

// A strict cookie stays away when a link elsewhere is followed: the page asks
// once more by itself.
func TestALinkFromElsewhereKeepsTheSession(t *testing.T) {
	b := openBench(t, nil)
	res := b.as("", "GET", "/console/sites/shop", "", "Sec-Fetch-Site: cross-site")
	if res.StatusCode != 200 || !strings.Contains(res.body, `http-equiv="refresh" content="0"`) {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
	if res := b.as("", "GET", "/console/sites/shop", "", "Sec-Fetch-Site: same-origin"); res.StatusCode != 303 {
		t.Errorf("the second time: answer %d", res.StatusCode)
	}
}

func TestPagesTellTheBrowserWhatIsAllowed(t *testing.T) {
	b := openBench(t, nil)
	res := b.as("", "GET", "/console/signin", "")
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := res.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if csp := res.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	css := b.as("", "GET", b.assetLink(t, "base.css"), "")
	if css.StatusCode != 200 || css.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(css.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("style: %d %v", css.StatusCode, css.Header)
	}
	if old := b.as("", "GET", "/console/asset/base.css?v=old", ""); old.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a style of another version may be kept: %v", old.Header)
	}
	if res := b.as("", "GET", "/console/asset/passwd", ""); res.StatusCode != 404 {
		t.Errorf("an asset that is not there: %d", res.StatusCode)
	}
}

func (b *bench) assetLink(t *testing.T, name string) string {
	t.Helper()
	link, err := b.assets.link(name)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func TestLanguage(t *testing.T) {
	b := openBench(t, nil)
	for _, tt := range []struct{ address, cookie, accept, want string }{
		{"/console", "", "", "en"},
		{"/console", "", "fr, ru;q=0.8, ar;q=0.9", "ar"},
		{"/console", "", "zh-TW", "zh-Hant"},
		{"/console", "", "zh", "zh-Hans"},
		{"/console", "ru", "ar", "ru"},
		{"/console?lang=zh-Hant", "ru", "ar", "zh-Hant"},
		{"/console?lang=xx", "xx", "ar", "ar"},
		{"/console", "", strings.Repeat("x,", 5000), "en"},
	} {
		r := httptest.NewRequest("GET", tt.address, nil)
		r.Header.Set("Accept-Language", tt.accept)
		if tt.cookie != "" {
			r.AddCookie(&http.Cookie{Name: languageCookie, Value: tt.cookie})
		}
		if got := b.language(r).Tag; got != tt.want {
			t.Errorf("%+v: language %s", tt, got)
		}
	}
	v := b.visitor()
	v.get("/console?lang=ru").want("a choice", 200, "Токен доступа")
	v.get("/console/signin").want("a choice is kept", 200, "Токен доступа")
}

func mustParse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
