// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// treeJSON is a tree as the wire has it.
func treeJSON(t testing.TB, nodes []Node) []byte {
	t.Helper()
	if nodes == nil {
		nodes = []Node{}
	}
	out, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkRoundTrip fails unless the HTML of a compiled source is the source's tree.
func checkRoundTrip(t *testing.T, source string) {
	t.Helper()
	nodes, err := Compile(source)
	if err != nil {
		return
	}
	tree := treeJSON(t, nodes)
	html, err := AppendHTML(nil, tree)
	if err != nil {
		t.Fatalf("%s: %v", tree, err)
	}
	if len(html) > MaxSourceBytes {
		return // escaped it is larger than a source may be
	}
	again, err := Compile(string(html))
	if err != nil {
		t.Fatalf("%s became %s, which is refused: %v", tree, html, err)
	}
	if got := treeJSON(t, again); string(got) != string(tree) {
		t.Fatalf("%s\nbecame %s\nwhich is %s", tree, html, got)
	}
}

func TestHTMLIsTheTreeAgain(t *testing.T) {
	for _, source := range []string{
		``, `a &amp; b &lt; c`, `<p>x</p>`, `<a href="/hats?a=1&amp;b=2" title='say "hi"'>Hats</a>`, `<img src="/a.png" alt="a &quot;b&quot; <c>" width="1" height="2">`,
		"<pre>\n\nfirst line is empty</pre>", "<pre>a\nb</pre>", `<table><tbody><tr><td>1</td></tr></tbody></table>`, `<p>a<br>b<wbr>c</p><hr>`,
		`<video controls src="/a.mp4"></video>`, `<p style="color:red">x</p>`, `<button>go</button>`, `<p>&nbsp;x&#8232;</p>`, `<picture><source srcset="/a 1x, /b 2x"><img src="/c" alt=""></picture>`,
	} {
		if _, err := Compile(source); err != nil {
			t.Errorf("%s is no markup: %v", source, err)
		}
		checkRoundTrip(t, source)
	}
	files, err := filepath.Glob("testdata/*/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			checkRoundTrip(t, string(raw))
		}
	}
}

// What fills a hole in a tree is text, whatever it holds.
func TestTextThatCameLaterIsText(t *testing.T) {
	hostile := `</p><script>alert(1)</script><img src=x onerror=alert(1)>&lt;` + "\x00\r\n"
	tree := treeJSON(t, []Node{{Tag: "p", Attrs: []Attr{{"title", "ok"}}, Children: []Node{{Text: "-"}}}})
	filled := strings.Replace(string(tree), `"-"`, string(appendString(nil, hostile)), 1)
	html, err := AppendHTML([]byte("before "), []byte(filled))
	if err != nil {
		t.Fatal(err)
	}
	want := `before <p title="ok">&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;lt;` + "\uFFFD&#13;\n</p>"
	if string(html) != want {
		t.Errorf("html %q\nwant %q", html, want)
	}
	if got := string(AppendStart(nil, "img", []Attr{{"alt", `"><script>`}})); got != `<img alt="&quot;&gt;&lt;script&gt;">` {
		t.Errorf("start tag %s", got)
	}
}

func TestATreeThatNobodyCompiledHasNoHTML(t *testing.T) {
	for _, tree := range []string{
		``, `{}`, `"a"`, `[1]`, `[["script",{},"x"]]`, `[["p",{"onclick":"x"}]]`, `[["p",{"srcdoc":"x"}]]`, `[["p",{"a b":"x"}]]`, `[["P",{}]]`, `[["near-slot",{}]]`,
		`[["p",{"data-slot":"hero"}]]`, `[["p",{"title":7}]]`, `[["p"]]`, `[[]]`, `[["p",{}`, `[["br",{},"x"]]`, `[["p",[]]]`, `[null]`,
		strings.Repeat(`[["b",{},`, MaxDepth+1) + `"x"` + strings.Repeat(`]]`, MaxDepth+1),
	} {
		if html, err := AppendHTML([]byte("before"), []byte(tree)); err == nil || string(html) != "before" {
			t.Errorf("%.60s: %q, %v", tree, html, err)
		}
	}
}

func FuzzAppendHTML(f *testing.F) {
	f.Add(`<p title="a">b<br>c</p>`, "x")
	f.Add("<pre>\n\na</pre>", "</pre>")
	f.Fuzz(func(t *testing.T, source, text string) {
		checkRoundTrip(t, source)
		html, err := AppendHTML(nil, treeJSON(t, []Node{{Tag: "p", Children: []Node{{Text: text}}}}))
		if err != nil {
			t.Fatal(err)
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(string(html), "<p>"), "</p>")
		if strings.ContainsAny(inner, "<>") {
			t.Fatalf("%q became markup: %s", text, html)
		}
	})
}
