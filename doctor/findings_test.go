// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sickNode answers as no healthy node would, by the site that is asked for.
var sickNode = map[string]func(w http.ResponseWriter, r *http.Request){
	"rewritten": refuse(400, "url_origin_mismatch"),
	"busy":      refuse(429, "too_many_requests"),
	"walled":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no POST", http.StatusForbidden) },
	"broken":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusBadGateway) },
	"hangs": func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == userAgent {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		<-r.Context().Done()
	},
	"default":  decide(`{"slot":"hero","kind":"default","reason":"no-answer"}`, ""),
	"fills":    decide(`{"slot":"hero","kind":"html","variant":"tall","reason":"rule","because":"It is tall.","content":{"nodes":[["p",{"style":"height:300px"},"tall"]]}}`, ""),
	"put-off":  decide(``, `,"rejected":[{"id":"x","code":"unavailable"}]`),
	"passes":   decide(`{"slot":"hero","kind":"default","reason":"no-answer"}`, `,"refused":[{"code":"too_long","field":"page.category"}]`),
	"narrower": decide(`{"slot":"hero","kind":"default","reason":"default"}`, `,"granted":4`),
}

func refuse(status int, code string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"it is so"}}`, code)
	}
}

func decide(decision, more string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"v":1,"decisions":[%s],"accepted":0%s}`, decision, more)
	}
}

// sickSite serves pages whose HTML is in the address, the tag and a sickNode.
func sickSite(t *testing.T) *httptest.Server {
	t.Helper()
	script, err := os.ReadFile("../tag/dist/tag.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/_near/tag.js", "/hidden/_near/tag.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(script)
		case "/other/_near/tag.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, "console.log(1)")
		case "/_near/healthz":
			fmt.Fprintln(w, "ok")
		case "/_near/v1/beacon", "/hidden/_near/v1/beacon":
			body, err := io.ReadAll(r.Body)
			var b struct{ Site string }
			if err != nil || json.Unmarshal(body, &b) != nil || sickNode[b.Site] == nil {
				refuse(404, "unknown_site")(w, r)
				return
			}
			sickNode[b.Site](w, r)
		case "/from":
			http.Redirect(w, r, "/?"+r.URL.RawQuery, http.StatusFound)
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, r.FormValue("html"))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server
}

// tagOf is a script element with a site, behind a queue and a grant.
func tagOf(site string) string {
	return `<script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>` +
		`<script async src="/_near/tag.js" data-site="` + site + `" data-wait="0"></script><script>near('consent',{context:true,measure:true})</script>`
}

const (
	hiding  = `<style>near-slot{display:block}near-slot:not([data-near]){animation:near 0s .8s both}@keyframes near{0%{visibility:hidden}to{visibility:visible}}</style>`
	oneSlot = `<near-slot name="hero">own</near-slot>`
)

func TestFindings(t *testing.T) {
	site := sickSite(t)
	script, err := os.ReadFile("../tag/dist/tag.js")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		code, path, html string
		opened           bool
		words            string // in what was seen or the next step
	}{
		{"page-redirected", "/from", "", false, "1 redirect"},
		{"page-redirected", "/from", "", true, "1 redirect"},
		{"tag-without-src", "/", `<script data-site="shop">run()</script>`, false, "/_near/tag.js"},
		{"tag-without-src", "/", `<script src="data:text/javascript,0" data-site="shop"></script>`, false, "data:"},
		{"site-invalid", "/", `<script src="/_near/tag.js" data-site="My Shop"></script>`, false, "My Shop"},
		{"tag-other-build", "/", tagOf("default"), false, "another version"},
		{"tag-other-file", "/", `<script src="/other/_near/tag.js" data-site="shop"></script>`, false, "14 bytes"},
		{"integrity-holds", "/", `<script src="/_near/tag.js" data-site="shop" integrity="sha384-` + digest("sha384", script) + `"></script>`, false, ""},
		{"stub-late", "/", `<script>near("event", "x")</script>` + tagOf("default"), false, "event"},
		{"stub-absent", "/", `<script src="/_near/tag.js" data-site="shop"></script>`, false, "near.q"},
		{"node-health-hidden", "/", `<script src="/hidden/_near/tag.js" data-site="default"></script>`, false, "404"},
		{"origin-rewritten", "/", tagOf("rewritten"), false, "Origin header"},
		{"beacon-refused", "/", tagOf("busy"), false, "429 too_many_requests: it is so"},
		{"beacon-not-passed", "/", tagOf("walled"), false, "403"},
		{"beacon-failed", "/", tagOf("broken"), false, "502"},
		{"consent-unseen", "/", `<script src="/_near/tag.js" data-site="shop"></script>`, false, ""},
		{"slot-repeated", "/", tagOf("default") + oneSlot + oneSlot, false, "hero"},
		{"request-failed", "/", tagOf("hangs") + oneSlot, true, "no answer"},
		{"slot-default", "/", tagOf("default") + oneSlot, true, "no-answer"},
		{"slot-late", "/", tagOf("fills") + oneSlot, true, "variant tall of kind html (It is tall.)"},
		{"slot-moved", "/", hiding + tagOf("fills") + oneSlot, true, "near-slot[name=hero] {min-height: "},
		{"slot-height", "/", tagOf("default") + `<div data-slot="hero" style="font-size:20px;line-height:30px">own</div>`, true, "[data-slot=hero] {min-height: 30px}"},
		{"slot-filled", "/", hiding + tagOf("fills") + oneSlot, true, "variant tall"},
		{"parts-refused", "/", tagOf("passes") + oneSlot, true, "page.category: too_long"},
		{"events-put-off", "/", tagOf("put-off"), true, "1 event"},
		{"consent-narrowed", "/", tagOf("narrower") + oneSlot, true, "grants no measure"},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			browser := ""
			if tt.opened {
				browser = chromium(t)
			}
			r := examine(t, site.URL+tt.path+"?html="+escape(tt.html), browser, 8*time.Second)
			at := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Code == tt.code })
			if at < 0 {
				t.Fatalf("found %q, want %s", codesOf(r), tt.code)
			}
			if f := r.Findings[at]; !strings.Contains(f.Seen+f.Next, tt.words) {
				t.Errorf("%s says %q and next %q, want %q", f.Code, f.Seen, f.Next, tt.words)
			}
		})
	}
}

// escape makes HTML a value of a query.
func escape(html string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "+", "%2B", "#", "%23", " ", "%20", `"`, "%22", "<", "%3C", ">", "%3E", ";", "%3B").Replace(html)
}

// What needs TLS or another host is told from the addresses.
func TestFindingsOfAddresses(t *testing.T) {
	tests := []struct{ page, src, want string }{
		{"https://shop.example/", "http://node.example/_near/tag.js", "mixed-content"},
		{"https://shop.example/", "http://127.0.0.1:8080/_near/tag.js", ""},
		{"http://shop.example/", "/_near/tag.js", "page-insecure"},
		{"http://localhost:3000/", "/_near/tag.js", ""},
		{"https://shop.example/", "/_near/tag.js", ""},
	}
	for _, tt := range tests {
		x := &examination{report: &Report{}, facts: map[string]string{}, page: &page{
			url: mustURL(t, tt.page), doc: readDocument(`<script async src="` + tt.src + `" data-site="shop"></script>`),
		}}
		x.locate()
		x.checkOrigin()
		codes := codesOf(x.report)
		for _, code := range []string{"mixed-content", "page-insecure"} {
			if slices.Contains(codes, code) != (code == tt.want) {
				t.Errorf("%s with %s: found %q, want %q", tt.page, tt.src, codes, tt.want)
			}
		}
	}
}

// A report of a page that is wrong in every line stays bounded.
func TestFindingsAreBounded(t *testing.T) {
	x := &examination{report: &Report{}, facts: map[string]string{}, page: &page{
		url: mustURL(t, "https://shop.example/"), doc: readDocument(strings.Repeat(`<near-slot name="Not A Name">`, 2000)),
	}}
	x.locate()
	x.checkSlots()
	if len(x.report.Findings) != maxFindings {
		t.Errorf("%d findings, want %d", len(x.report.Findings), maxFindings)
	}
}

func TestPrintWithColours(t *testing.T) {
	r := &Report{URL: "https://shop.example/", Browser: "/usr/bin/chromium", TookMillis: 1234, Findings: []Finding{
		{Code: "page-opened", Group: "page", Level: OK, Seen: "there"},
		{Code: "tag-missing", Group: "tag", Level: Error, Seen: "gone", Next: "put it there"},
	}}
	var out strings.Builder
	if err := r.Print(&out, true); err != nil {
		t.Fatal(err)
	}
	want := "https://shop.example/, opened in /usr/bin/chromium in 1.2 s\n\nThe page\n  \x1b[32mok     \x1b[0m  there  [page-opened]\n\n" +
		"The tag\n  \x1b[31merror  \x1b[0m  gone  [tag-missing]\n           → put it there\n\n1 error, 0 warnings, 0 notes\n"
	if out.String() != want {
		t.Errorf("printed\n%q, want\n%q", out.String(), want)
	}
}
