// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// These say what no tree may hold in words of their own, not in the tables of
// the package, so that a hole in a table is found.
var (
	forbiddenTags = regexp.MustCompile(`^(script|style|link|meta|base|template|slot|i?frame(set)?|object|embed|applet|` +
		`svg|math|form|input|select|option|textarea|title|noscript|noembed|noframes|xmp|plaintext|html|head|body|.*[^a-z0-9].*)$`)
	forbiddenAttrs = regexp.MustCompile(`^(on.*|srcdoc|id|name|is|slot|form.*|action|data|ping|background|http-equiv|` +
		`.*[^a-z0-9-].*|data-(slot|near|hx-|ng-|bind|on).*)$`)
	forbiddenStyle = regexp.MustCompile(`(?i)url\(|expression|image|@|\\|/\*|[{}<>"'!]|position\s*:\s*(fixed|absolute|sticky)`)
	browserScheme  = regexp.MustCompile(`(?i)^([a-z][a-z0-9+.-]*):`)
)

// checkHarmless fails if a tree holds what must never reach a page.
func checkHarmless(t *testing.T, nodes []Node) {
	t.Helper()
	for _, n := range nodes {
		if n.Tag == "" {
			if n.Text == "" || len(n.Attrs)+len(n.Children) != 0 {
				t.Fatalf("a text node is %+v", n)
			}
			continue
		}
		if forbiddenTags.MatchString(n.Tag) {
			t.Fatalf("the tree holds <%s>", n.Tag)
		}
		for i, attr := range n.Attrs {
			if forbiddenAttrs.MatchString(attr.Name) || i > 0 && n.Attrs[i-1].Name >= attr.Name {
				t.Fatalf("<%s> has %q out of place: %v", n.Tag, attr.Name, n.Attrs)
			}
			checkValue(t, n.Tag, attr)
		}
		checkHarmless(t, n.Children)
	}
}

func checkValue(t *testing.T, tag string, attr Attr) {
	t.Helper()
	switch attr.Name {
	case "style":
		if m := forbiddenStyle.FindString(strings.ReplaceAll(attr.Value, "background-image", "")); m != "" {
			t.Fatalf("<%s> has the style %q, which holds %q", tag, attr.Value, m)
		}
	case "href", "src", "poster":
		checkAddress(t, tag, attr.Value)
	case "srcset":
		// Any word of it could be read as an address by a lenient parser.
		for _, word := range strings.FieldsFunc(attr.Value, func(r rune) bool { return strings.ContainsRune(" ,\t\n\r\f", r) }) {
			if m := browserScheme.FindStringSubmatch(word); m != nil && strings.HasPrefix(attr.Value, word) {
				checkAddress(t, tag, word)
			}
		}
	}
}

// checkAddress reads the scheme as a browser does: it strips controls and
// spaces around the address, and tabs and line breaks everywhere.
func checkAddress(t *testing.T, tag, address string) {
	t.Helper()
	seen := strings.TrimFunc(address, func(r rune) bool { return r <= ' ' })
	seen = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(seen)
	m := browserScheme.FindStringSubmatch(seen)
	if m == nil {
		return
	}
	switch strings.ToLower(m[1]) {
	case "http", "https":
	case "mailto", "tel":
		if tag != "a" {
			t.Fatalf("<%s> loads %q", tag, address)
		}
	default:
		t.Fatalf("<%s> has the address %q", tag, address)
	}
}

// checkStable fails unless the tree survives JSON, HTML and the compiler.
func checkStable(t *testing.T, nodes []Node) {
	t.Helper()
	data, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseNodes(data)
	if err != nil {
		t.Fatalf("%s is refused: %v", data, err)
	}
	if again, _ := json.Marshal(back); !bytes.Equal(again, data) {
		t.Fatalf("%s came back as %s", data, again)
	}
	if bytes.ContainsAny(data, "<>&") {
		t.Fatalf("%s could not stand inside a script element", data)
	}
	var page bytes.Buffer
	for i := range nodes {
		if err := html.Render(&page, nodes[i].html()); err != nil {
			t.Fatal(err)
		}
	}
	if page.Len() > MaxSourceBytes {
		return
	}
	recompiled, err := Compile(page.String())
	if err != nil {
		t.Fatalf("%s is refused: %v", page.String(), err)
	}
	if again, _ := json.Marshal(recompiled); !bytes.Equal(again, trimmed(t, nodes)) {
		t.Fatalf("%s\ncompiles to %s\nwant %s", page.String(), again, data)
	}
}

// trimmed returns the JSON of nodes without space around the whole, which
// Compile drops and a foreign tree may have.
func trimmed(t *testing.T, nodes []Node) []byte {
	t.Helper()
	b := builder{places: make([]place, MaxNodes)}
	nodes = b.trim(nodes)
	data, err := json.Marshal(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func FuzzCompile(f *testing.F) {
	for _, a := range attacks {
		f.Add(a.source)
	}
	f.Add(`<picture><source srcset="/a.webp 2x" type="image/webp"><img src="/a.jpg" alt="A"></picture>`)
	f.Add(`<table><caption>x</caption><tr><th scope=row>a</th><td style="color:red">b</td></tr></table>`)
	f.Add(`<a href="https://x.example/?a=1&amp;b=2" target=_blank data-x=1>x</a><!-- c --><pre>` + "\n\ny</pre>")
	f.Add(`<details open><summary>x</summary><ol type=A start=3><li value=4>y</li></ol></details><video controls></video>`)
	f.Fuzz(func(t *testing.T, source string) {
		nodes, err := Compile(source)
		if err != nil {
			checkError(t, err)
			return
		}
		checkHarmless(t, nodes)
		checkStable(t, nodes)
	})
}

func FuzzParseNodes(f *testing.F) {
	for _, tree := range trees {
		f.Add([]byte(tree.tree))
	}
	f.Add([]byte(`["a",["p",{"class":"c"},"x",["a",{"href":"/","rel":"noopener","target":"_blank"},"y"]]]`))
	f.Add([]byte(`[["table",{},["tbody",{},["tr",{},["td",{"colspan":"2"},"x"]]]],["img",{"srcset":"/a 2x"}]]`))
	f.Add([]byte(`[["pre",{},"\n\u00e9"],["button",{"type":"button"}],["p",{"style":"color:red;margin:0"}]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, err := ParseNodes(data)
		if err != nil {
			checkError(t, err)
			return
		}
		checkHarmless(t, nodes)
		checkStable(t, nodes)
	})
}

// A fuzzer rarely writes whole elements, so this writes them: well-formed HTML
// from the allowed tables mixed with what is forbidden.
func TestRandomMarkup(t *testing.T) {
	r := rand.New(rand.NewPCG(2026, 11))
	g := generator{r: r, tags: slices.Sorted(maps.Keys(allowed))}
	const documents = 20_000
	accepted := 0
	refused := make(map[Code]int)
	for range documents {
		g.out.Reset()
		g.content(0)
		nodes, err := Compile(g.out.String())
		if err != nil {
			checkError(t, err)
			var e *Error
			errors.As(err, &e)
			refused[e.Code]++
			continue
		}
		accepted++
		checkHarmless(t, nodes)
		checkStable(t, nodes)
	}
	// Both ways must be taken often enough to mean something.
	if accepted < documents/10 {
		t.Errorf("only %d of %d documents were accepted, refused were %v", accepted, documents, refused)
	}
	for _, code := range []Code{Tag, Attribute, Value, URL, Style, Misplaced} {
		if refused[code] < documents/200 {
			t.Errorf("only %d of %d documents were refused for %s", refused[code], documents, code)
		}
	}
}

type generator struct {
	r    *rand.Rand
	tags []string
	out  strings.Builder
}

func (g *generator) pick(from ...string) string { return from[g.r.IntN(len(from))] }

func (g *generator) content(depth int) {
	for range g.r.IntN(4) {
		if depth > 4 || g.r.IntN(3) == 0 {
			g.out.WriteString(g.pick("x", " ", "\n", "&lt;b&gt;", "é", "<!-- c -->", "&#10;", "a&b"))
			continue
		}
		g.element(depth)
	}
}

func (g *generator) element(depth int) {
	tag := g.pick(g.tags...)
	switch g.r.IntN(30) {
	case 5, 6, 7, 8:
		tag = g.pick("a", "img", "video", "ol", "button")
	case 0:
		tag = g.pick("script", "style", "svg", "form", "near-slot", "title", "iframe")
	case 1, 2, 3, 4:
		g.out.WriteString("<table>")
		defer g.out.WriteString("</table>")
		tag = g.pick("tr", "tbody", "caption", "thead")
	}
	g.out.WriteString("<" + tag)
	for range g.r.IntN(3) {
		g.out.WriteString(" " + g.attr(tag))
	}
	g.out.WriteString(">")
	if voidTags[tag] {
		return
	}
	g.content(depth + 1)
	g.out.WriteString("</" + tag + ">")
}

func (g *generator) attr(tag string) string {
	address := g.pick("/x", " https://x.example/?a=1&b=2 ", "//x", "#", "mailto:a@b.example", "a,b", "")
	if g.r.IntN(8) == 0 {
		address = g.pick("javascript:x", "java&Tab;script:x", "data:text/html,x", "&#1;x:", "VBSCRIPT:x", "x y")
	}
	css := g.pick("color: red", "margin:0;;PADDING : 1px", "width:calc(1px + (2px))", "background:var(--x)", "")
	if g.r.IntN(4) == 0 {
		css = g.pick("position:fixed", "background:url(x)", "color:red}", "width:calc(1px", "a:b", "color:r\\65 d")
	}
	if own := slices.Sorted(maps.Keys(allowed[tag])); len(own) > 0 && g.r.IntN(4) > 0 {
		name := g.pick(own...)
		if allowed[tag][name].code == URL {
			return name + "='" + address + "'"
		}
		return name + "='" + g.pick("1", "1", "2", "", name, "_blank", "lazy", "auto", "nofollow", "none", "A") + "'"
	}
	return g.pick(
		"class='a  b'", "title=\"<b> '\"", "lang=fr", "dir=RTL", "hidden", "data-x=1", "aria-label='x'", "role=note",
		"style=\""+css+"\"", "style=\""+css+"\"", "tabindex=0", "data-y='"+address+"'",
		g.pick("onclick=x", "id=x", "srcdoc=x", "data-slot=x", "x:y=z", "class=c"),
	)
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var refused *Error
	if !errors.As(err, &refused) || refused.Line < 1 || refused.Column < 1 || refused.Code == "" || refused.Reason == "" {
		t.Fatalf("not a full error: %#v", err)
	}
}
