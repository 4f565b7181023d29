// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the trees of testdata/golden")

// compiled returns the JSON of source, having checked it as a foreign tree.
func compiled(t testing.TB, source string) string {
	t.Helper()
	nodes, err := Compile(source)
	if err != nil {
		t.Fatalf("%.200q: %v", source, err)
	}
	data, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseNodes(data)
	if err != nil {
		t.Fatalf("%.200q became %.200s, which is refused: %v", source, data, err)
	}
	if !reflect.DeepEqual(back, nodes) {
		t.Fatalf("%s read back is\n%+v, want\n%+v", data, back, nodes)
	}
	return string(data)
}

// Each testdata/golden/<sentence>.html has its tree beside it.
func TestGolden(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join("testdata", "golden", "*.html"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range sources {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := indented(t, compiled(t, string(source)))
			goldenPath := strings.TrimSuffix(path, ".html") + ".json"
			if *update {
				if err := os.WriteFile(goldenPath, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(goldenPath)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	trees, _ := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if len(trees) != len(sources) {
		t.Errorf("%d trees for %d sources", len(trees), len(sources))
	}
}

func indented(t *testing.T, data string) string {
	t.Helper()
	var nodes []json.RawMessage
	if err := json.Unmarshal([]byte(data), &nodes); err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(nodes))
	for i, node := range nodes {
		lines[i] = string(node)
	}
	return "[\n" + strings.Join(lines, ",\n") + "\n]\n"
}

func TestCompileRepairs(t *testing.T) {
	tests := []struct {
		name   string
		source string
		want   string
	}{
		{"nothing is an empty tree", "", `[]`},
		{"space alone is an empty tree", " \n\t", `[]`},
		{"a comment alone is an empty tree", "<!-- x -->", `[]`},
		{"space around the whole is dropped", "\n  <p>x</p>\n", `[["p",{},"x"]]`},
		{"space inside is kept", "<p> x\n y </p>", `[["p",{}," x\n y "]]`},
		{"line ends are line feeds", "<p>a\r\nb\rc</p>", `[["p",{},"a\nb\nc"]]`},
		{"a byte order mark is dropped", "\ufeff<b>x</b>", `[["b",{},"x"]]`},
		{"tags and attributes are in lower case", `<P TITLE=X>x</P>`, `[["p",{"title":"X"},"x"]]`},
		{"attributes are sorted", `<a title=t href=/ class=c>x</a>`, `[["a",{"class":"c","href":"/","title":"t"},"x"]]`},
		{"entities are read", `<p title="a &amp; &quot;b&quot;">&copy; &eacute;</p>`, `[["p",{"title":"a \u0026 \"b\""},"© é"]]`},
		{"a void element may have a slash", `a<br/>b<hr>`, `["a",["br",{}],"b",["hr",{}]]`},
		{"a link to another window loses its opener", `<a href="https://x.example" target=_blank>x</a>`,
			`[["a",{"href":"https://x.example","rel":"noopener","target":"_blank"},"x"]]`},
		{"noopener joins the other words", `<a href=/ rel="Sponsored  nofollow" target=_BLANK>x</a>`,
			`[["a",{"href":"/","rel":"sponsored nofollow noopener","target":"_blank"},"x"]]`},
		{"noreferrer is enough", `<a href=/ rel=noreferrer target=_blank>x</a>`,
			`[["a",{"href":"/","rel":"noreferrer","target":"_blank"},"x"]]`},
		{"a link in the same window is left alone", `<a href=/ target=_self>x</a>`, `[["a",{"href":"/","target":"_self"},"x"]]`},
		{"a button is only a button", `<button disabled>x</button>`, `[["button",{"disabled":"","type":"button"},"x"]]`},
		{"a row gets its table body", "<table>\n<tr><td>1</td></tr>\n<tr><td>2</td></tr></table>",
			`[["table",{},"\n",["tbody",{},["tr",{},["td",{},"1"]],"\n",["tr",{},["td",{},"2"]]]]]`},
		{"a body ends where the next part begins", `<table><tr><td>1</td></tr><tfoot><tr><td>2</td></tr></tfoot></table>`,
			`[["table",{},["tbody",{},["tr",{},["td",{},"1"]]],["tfoot",{},["tr",{},["td",{},"2"]]]]]`},
		{"the first line feed of pre is dropped", "<pre>\nx</pre>", `[["pre",{},"x"]]`},
		{"the second line feed of pre is kept", "<pre>\n\nx</pre>", `[["pre",{},"\nx"]]`},
		{"space around an address is dropped", `<a href=" /x ">x</a>`, `[["a",{"href":"/x"},"x"]]`},
		{"mail and telephone are addresses", `<a href="mailto:a@x.example">m</a><a href="TEL:+123">t</a>`,
			`[["a",{"href":"mailto:a@x.example"},"m"],["a",{"href":"TEL:+123"},"t"]]`},
		{"srcset is spelt evenly", `<img srcset=" /a.png  480w ,/b.png 1.5x,/c,d.png, /e.png">`,
			`[["img",{"srcset":"/a.png 480w, /b.png 1.5x, /c,d.png, /e.png"}]]`},
		{"a style is spelt evenly", `<p style=" Color : RED ;; margin:0 auto; width:calc( 100% - (2 * 1rem)) ; ">x</p>`,
			`[["p",{"style":"color:RED;margin:0 auto;width:calc( 100% - (2 * 1rem))"},"x"]]`},
		{"a style may use the site's colours", `<p style="background:linear-gradient(to right, var(--brand), #fff8 50%)">x</p>`,
			`[["p",{"style":"background:linear-gradient(to right, var(--brand), #fff8 50%)"},"x"]]`},
		{"a style function may be in capitals", `<p style="width:CALC(1px + 2px)">x</p>`, `[["p",{"style":"width:CALC(1px + 2px)"},"x"]]`},
		{"a flag has no value", `<details OPEN=open hidden><summary>x</summary></details>`,
			`[["details",{"hidden":"","open":""},["summary",{},"x"]]]`},
		{"a closed list is read in lower case", `<img LOADING=Lazy src=/x alt="">`, `[["img",{"alt":"","loading":"lazy","src":"/x"}]]`},
		{"the type of a list keeps its case", `<ol type=A><li>x</li></ol>`, `[["ol",{"type":"A"},["li",{},"x"]]]`},
		{"data and aria attributes are open", `<b data-plan-2=a aria-label="x y" role=Note>x</b>`,
			`[["b",{"aria-label":"x y","data-plan-2":"a","role":"note"},"x"]]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.source); got != tt.want {
				t.Errorf("%q became\n%s, want\n%s", tt.source, got, tt.want)
			}
		})
	}
}

func TestErrorsNameTheirPlace(t *testing.T) {
	tests := []struct {
		source string
		want   string
	}{
		{"<p>a</p>\n  <script>", "markup 2:3: <script> the element is not allowed"},
		{"<p>été</p><svg>", "markup 1:11: <svg> the element is not allowed"},
		{"<a title='> x' \n  HREF = javascript:x>y</a>", "markup 2:3: <a> href: javascript addresses are not allowed"},
		{"<a\n\thref=/ onclick=x>", "markup 2:9: <a> onclick: event handlers are not allowed"},
		{"<img src=/a/b alt id=x>", "markup 1:19: <img> id: the attribute is not allowed: it could take the place of something of the page; use class"},
		{"<p class=a title=b\n class=c>", "markup 2:2: <p> class: the attribute comes twice"},
		{"<ul>\n<li>a\n<li>b\n</ul>", "markup 3:1: <li> the element has no end tag of its own"},
		{"<div>\n<p>x</p>", "markup 1:1: <div> the element has no end tag of its own"},
		{"<p>x</p></div>", "markup 1:9: <div> the end tag closes no open element"},
		{"<div/>", "markup 1:1: <div> HTML ignores the slash in the tag; the element needs an end tag"},
		{"a\n<p>b <div>c</div></p>", "markup 2:6: <div> a browser would not leave it or its content here" +
			" (a block in a paragraph, a link in a link, a part of a table outside its place?)"},
		{"a\nb\x01", "markup 2:2: the source has a control character or a byte that is not UTF-8"},
		{"<p\ttitle=\"a\">x<p title=", "markup 1:15: a tag is not finished"},
		{"<x" + strings.Repeat("y", 100) + ">", "markup 1:1: <x" + strings.Repeat("y", 39) + "…> the element is not allowed"},
		{"<p style='color:red; Position:fixed'>", `markup 1:4: <p> style: the property "position" is not allowed`},
		{"<a href=/ rel=opener>", `markup 1:11: <a> rel: "opener" is not allowed in rel`},
	}
	for _, tt := range tests {
		if _, err := Compile(tt.source); err == nil || err.Error() != tt.want {
			t.Errorf("%q\n got %v\nwant %s", tt.source, err, tt.want)
		}
	}
	tree := "[\"a\",\n [\"p\",{},\n  [\"b\",\n {\"onclick\":\"x\"}]]]"
	want := "markup 3:3: <b> onclick: event handlers are not allowed"
	if err := Check([]byte(tree)); err == nil || err.Error() != want {
		t.Errorf("a tree: got %v, want %s", err, want)
	}
}

func TestBounds(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("<div>", n) + strings.Repeat("</div>", n) }
	attrs := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, " data-x%d=x", i)
		}
		return s.String()
	}
	nestTree := func(n int) string {
		return "[" + strings.Repeat(`["div",{},`, n-1) + `["div",{}]` + strings.Repeat("]", n)
	}
	tests := []struct {
		name   string
		source string
		tree   string
		want   Code // empty if it is within bounds
	}{
		{"the largest source", strings.Repeat("&", MaxSourceBytes), "", ""},
		{"a source too large", strings.Repeat("x", MaxSourceBytes+1), "", TooLarge},
		{"the most nodes", strings.Repeat("<br>", MaxNodes), "", ""},
		{"a node too many", strings.Repeat("<br>", MaxNodes+1), "", TooManyNodes},
		{"a text too many", strings.Repeat("<br>", MaxNodes) + "x", "", TooManyNodes},
		{"the most depth", nest(MaxDepth), "", ""},
		{"too deep", nest(MaxDepth + 1), "", TooDeep},
		{"the most attributes", "<br" + attrs(MaxAttrs) + ">", "", ""},
		{"an attribute too many", "<br" + attrs(MaxAttrs+1) + ">", "", Attribute},
		{"a largest tree", "", `["` + strings.Repeat(`\u0026`, MaxSourceBytes) + `"]`, ""},
		{"a tree too large", "", `["` + strings.Repeat("x", MaxTreeBytes) + `"]`, TooLarge},
		{"the most nodes in a tree", "", "[" + strings.Repeat(`["br",{}],`, MaxNodes-1) + `["br",{}]]`, ""},
		{"a node too many in a tree", "", "[" + strings.Repeat(`["br",{}],`, MaxNodes) + `["br",{}]]`, TooManyNodes},
		{"the most depth in a tree", "", nestTree(MaxDepth), ""},
		{"a tree too deep", "", nestTree(MaxDepth + 1), TooDeep},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.tree == "" && tt.want == "" {
				compiled(t, tt.source) // what Compile accepts, Check does too
				return
			}
			err := Check([]byte(tt.tree))
			if tt.tree == "" {
				_, err = Compile(tt.source)
			}
			var refused *Error
			errors.As(err, &refused)
			if tt.want == "" && err != nil || tt.want != "" && (refused == nil || refused.Code != tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNodeJSON(t *testing.T) {
	var document struct {
		Nodes []Node `json:"nodes"`
	}
	good := `{"nodes":["a",["b",{"class":"c","title":"t"},"x"]]}`
	if err := json.Unmarshal([]byte(good), &document); err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(document); err != nil || string(data) != good {
		t.Errorf("%s was written back as %s, %v", good, data, err)
	}
	for _, bad := range []string{
		`{"nodes":[["script",{}]]}`, `{"nodes":[{"Tag":"script"}]}`, `{"nodes":[null]}`, `{"nodes":[1]}`,
		`{"nodes":[["a",{"href":"javascript:x"}]]}`,
	} {
		var refused *Error
		if err := json.Unmarshal([]byte(bad), &document); !errors.As(err, &refused) {
			t.Errorf("%s was read: %v", bad, err)
		}
	}
	unsorted := Node{Tag: "b", Attrs: []Attr{{"title", "t"}, {"class", "c"}}}
	if data, _ := json.Marshal(unsorted); string(data) != `["b",{"class":"c","title":"t"}]` {
		t.Errorf("unsorted attributes are written as %s", data)
	}
	if unsorted.Attrs[0].Name != "title" {
		t.Error("writing a node changed it")
	}
}

// A rule that names an attribute of no allowed element, or a canon that is not
// its own canon, is a mistake in the tables.
func TestTables(t *testing.T) {
	for tag := range voidTags {
		if _, ok := allowed[tag]; !ok {
			t.Errorf("<%s> is void but not allowed", tag)
		}
	}
	for tag, own := range allowed {
		if strings.ToLower(tag) != tag || strings.ContainsAny(tag, "-: ") {
			t.Errorf("<%s> is no plain HTML element", tag)
		}
		for name, r := range own {
			if _, ok := globalAttrs[name]; ok || strings.HasPrefix(name, "on") || r.canon == nil {
				t.Errorf("<%s> has a wrong rule for %s", tag, name)
			}
		}
	}
	forbidden := []string{"script", "style", "link", "meta", "base", "template", "slot", "iframe", "object", "embed",
		"svg", "math", "form", "input", "select", "textarea", "option", "title", "noscript", "xmp", "plaintext", "body", "html"}
	for _, tag := range forbidden {
		if _, ok := allowed[tag]; ok {
			t.Errorf("<%s> is allowed", tag)
		}
	}
	for property := range styleProperties {
		if slices.Contains([]string{"position", "inset", "top", "left", "z-index", "transform", "animation",
			"transition", "filter", "content", "cursor", "behavior"}, property) || strings.HasPrefix(property, "-") {
			t.Errorf("the property %s is allowed", property)
		}
	}
	for function := range styleFunctions {
		if strings.Contains(function, "url") || strings.Contains(function, "image") || function == "attr" {
			t.Errorf("the function %s is allowed", function)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	source, err := os.ReadFile(filepath.Join("testdata", "golden", "a-hero-with-a-picture-and-a-link.html"))
	if err != nil {
		b.Fatal(err)
	}
	tree := compiled(b, string(source))
	b.Run(fmt.Sprintf("source-of-%d-bytes", len(source)), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Compile(string(source)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(fmt.Sprintf("check-of-%d-bytes", len(tree)), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := Check([]byte(tree)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
