// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// codesOf are the codes of a report's findings, in order.
func codesOf(r *Report) []string {
	var codes []string
	for i := range r.Findings {
		codes = append(codes, r.Findings[i].Code)
	}
	return codes
}

// examine looks at a page within a few seconds.
func examine(t *testing.T, address, browser string, timeout time.Duration) *Report {
	t.Helper()
	u, err := ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := Examine(context.Background(), Options{URL: u, Browser: browser, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	// Opening and reading have the timeout each; the rest is the bounds of starting,
	// looking, asking and closing.
	if most := startTimeout + 2*timeout + 3*lookTimeout + askTimeout + 5*time.Second; time.Since(began) > most {
		t.Errorf("it took %v, want at most %v", time.Since(began), most)
	}
	return r
}

func chromium(t *testing.T) string {
	t.Helper()
	path := FindBrowser()
	if path == "" {
		t.Fatal("no Chromium on this machine: make test installs it")
	}
	return path
}

const aTag = `<script async src="/_near/tag.js" data-site="shop"></script>`

// pages that are no good to whoever opens them. Each is written by its path.
func hostilePages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/slow-image":
		fmt.Fprint(w, aTag+`<img src="/never">`)
	case "/never", "/silent":
		<-r.Context().Done()
	case "/redirects":
		http.Redirect(w, r, "/redirects", http.StatusFound)
	case "/endless":
		fmt.Fprint(w, aTag)
		filler := []byte("<!--" + strings.Repeat("x", 1<<20) + "-->")
		for range 1024 {
			if _, err := w.Write(filler); err != nil {
				return
			}
		}
	case "/busy":
		fmt.Fprint(w, aTag+`<script>for (;;);</script>`)
	case "/dialogs":
		fmt.Fprint(w, aTag+`<script>alert("a"); confirm("b"); prompt("c")</script>`)
	case "/alerts":
		fmt.Fprint(w, aTag+`<script>for (;;) alert("again")</script>`)
	case "/leaves":
		fmt.Fprint(w, `<script>setTimeout(() => location.href = "/stays", 50)</script>`)
	case "/circle":
		fmt.Fprintf(w, `<script>location.href = "/circle?" + Math.random()</script>`)
	case "/file":
		w.Header().Set("Content-Disposition", "attachment; filename=a.html")
		fmt.Fprint(w, aTag)
	case "/saves":
		fmt.Fprint(w, aTag+`<a download href="/file">x</a><script>document.querySelector("a").click(); window.open("/stays")</script>`)
	case "/text":
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, aTag)
	case "/stays":
		fmt.Fprint(w, aTag+"it stays")
	case "/missing":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "nothing here")
	case "/deep":
		fmt.Fprint(w, aTag+strings.Repeat("<div>", 100_000))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// A page may do what it likes: the doctor ends, says what it was, and goes on with
// what it could see.
func TestAPageCannotHoldUpTheDoctor(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(hostilePages))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	const sawTag = "tag-found"
	tests := []struct {
		path    string
		browser []string // codes with a browser, nil to leave it out
		reading []string // and without
		lacks   string   // a code that neither may have
	}{
		{"/slow-image", []string{"page-slow", sawTag}, []string{"page-opened", sawTag}, "page-unreachable"},
		{"/silent", []string{"page-unreachable"}, []string{"page-unreachable"}, "tag-missing"},
		{"/redirects", []string{"page-unreachable"}, []string{"page-unreachable"}, "tag-missing"},
		{"/endless", []string{"page-too-large", sawTag}, []string{"page-too-large", sawTag}, "tag-missing"},
		{"/busy", []string{"page-stuck", sawTag}, nil, "tag-missing"},
		{"/dialogs", []string{"page-dialogs", sawTag}, nil, "page-slow"},
		{"/alerts", []string{"page-stuck", sawTag}, nil, "tag-missing"},
		{"/leaves", []string{"page-left", sawTag}, []string{"tag-missing"}, "page-loops"},
		{"/circle", []string{"page-loops|page-stuck"}, nil, "page-left"}, // stuck where the machine is slow
		{"/file", []string{"page-download"}, []string{"page-download"}, "tag-missing"},
		{"/saves", []string{"page-opened", sawTag}, nil, "page-download"},
		{"/text", []string{"page-not-html"}, []string{"page-not-html"}, "tag-missing"},
		{"/missing", []string{"page-status", "tag-missing"}, []string{"page-status", "tag-missing"}, "page-opened"},
		{"/deep", []string{sawTag}, []string{sawTag}, "tag-missing"},
	}
	check := func(t *testing.T, r *Report, want []string, lacks string) {
		t.Helper()
		codes := codesOf(r)
		for _, code := range want {
			if !slices.ContainsFunc(strings.Split(code, "|"), func(one string) bool { return slices.Contains(codes, one) }) {
				t.Errorf("found %q, want %s among them", codes, code)
			}
		}
		if slices.Contains(codes, lacks) {
			t.Errorf("found %q, want no %s", codes, lacks)
		}
	}
	for _, tt := range tests {
		if tt.reading != nil {
			t.Run("reading "+tt.path, func(t *testing.T) {
				t.Parallel()
				check(t, examine(t, server.URL+tt.path, "", 2*time.Second), tt.reading, tt.lacks)
			})
		}
		t.Run("opening "+tt.path, func(t *testing.T) {
			t.Parallel()
			check(t, examine(t, server.URL+tt.path, chromium(t), 4*time.Second), tt.browser, tt.lacks)
		})
	}
}

// What is no browser is said to be none, and the page is read.
func TestABrowserThatDoesNotStart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(hostilePages))
	t.Cleanup(server.Close)
	for name, script := range map[string]string{"it ends": "echo no sandbox >&2; exit 1", "it hangs": "exec sleep 60"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "browser")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			r := examine(t, server.URL+"/stays", path, 2*time.Second)
			codes := codesOf(r)
			if codes[0] != "browser-failed" || !slices.Contains(codes, "tag-found") || r.Browser != "" {
				t.Errorf("found %q with browser %q, want browser-failed first, and the page read", codes, r.Browser)
			}
		})
	}
}

// Whoever waits for the doctor may stop it.
func TestExamineEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(hostilePages))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	u, err := ParseURL(server.URL + "/silent")
	if err != nil {
		t.Fatal(err)
	}
	for _, browser := range []string{"", chromium(t)} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		began := time.Now()
		if _, err := Examine(ctx, Options{URL: u, Browser: browser, Timeout: time.Minute}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with browser %q it ends with %v", browser, err)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("with browser %q it ended after %v", browser, took)
		}
		cancel()
	}
}

func TestParseURL(t *testing.T) {
	tests := []struct{ give, want string }{
		{"https://shop.example/hats?a=b", "https://shop.example/hats?a=b"},
		{"shop.example", "https://shop.example"},
		{"localhost:8080/en/", "http://localhost:8080/en/"},
		{"127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"ftp://shop.example", ""},
		{"file:///etc/passwd", ""},
		{"https:///path", ""},
		{"https://user:pass%zz@shop.example", ""},
		{"", ""},
	}
	for _, tt := range tests {
		u, err := ParseURL(tt.give)
		if got := fmt.Sprint(u); (err == nil) != (tt.want != "") || err == nil && got != tt.want {
			t.Errorf("ParseURL(%q) = %v, %v, want %q", tt.give, u, err, tt.want)
		}
		if err != nil && (!errors.Is(err, ErrURL) || strings.Contains(err.Error(), "pass%zz")) {
			t.Errorf("ParseURL(%q): %v", tt.give, err)
		}
	}
}

// A password in the address is used for the page and its node, and never printed.
func TestAPasswordIsUsedAndNotPrinted(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ada" || password != "marker-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked = append(asked, r.URL.Path)
		hostilePages(w, r)
	}))
	t.Cleanup(server.Close)
	r := examine(t, strings.Replace(server.URL, "http://", "http://ada:marker-secret@", 1)+"/stays", "", 2*time.Second)
	var out strings.Builder
	if err := r.Print(&out, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "marker-secret") {
		t.Errorf("the password is printed:\n%s", out.String())
	}
	if !slices.Contains(asked, "/stays") || !slices.Contains(asked, "/_near/tag.js") {
		t.Errorf("asked with the password: %q", asked)
	}
}

// What a page says cannot steer a terminal.
func TestLineIsOneLineOfPlainText(t *testing.T) {
	for give, want := range map[string]string{
		"a\nb\tc":            "a b c",
		"\x1b[31mred\x07":    "[31mred",
		"\u202eback\u2066":   "back",
		"near(…) “quoted” 😀": "near(…) “quoted” 😀",
		"\u009b31m":          "31m",
	} {
		if got := line(give); got != want {
			t.Errorf("line(%q) = %q, want %q", give, got, want)
		}
	}
	if got := line(strings.Repeat("ä", 2000)); len(got) > 1000 || !strings.HasSuffix(got, "ä…") {
		t.Errorf("a long text is cut to %d bytes ending in %q", len(got), got[len(got)-5:])
	}
}
