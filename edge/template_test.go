// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nearside/nearside/edge/consent"
)

// templateRelease is a site with own fields of each type.
func templateRelease(t testing.TB) *Release {
	t.Helper()
	r, err := CompileRelease([]byte(`{"schema":1,"site":"shop","number":1,"settings":{"origins":["https://shop.example"],"languages":["en"]},
		"fields":[{"name":"shop.price","type":"f64","purpose":"context","origin":"first","from":"event","event":"view_item","prop":"price"},
			{"name":"shop.open","type":"bool","purpose":"context","origin":"first","from":"event","event":"view_item","prop":"open"},
			{"name":"shop.colours","type":"list","purpose":"context","origin":"first","from":"event","event":"view_item","prop":"colours"}],
		"slots":[],"variants":[],"modules":[]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// compileContent compiles content and finds the fields it names; without any the
// template is nil and plain is what is sent.
func compileContent(t testing.TB, r *Release, kind Kind, content string) (compiled *template, plain []byte, err error) {
	t.Helper()
	wire, err := kinds[kind].compile([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return r.newTemplate(kind, wire)
}

// fillWith fills a template with values, all of them granted.
func (r *Release) fillWith(compiled *template, values map[string]Value) string {
	view := View{values: make([]Value, BuiltinFields+len(r.own)), mask: compiled.reads, granted: consent.All}
	for name, v := range values {
		n, _ := r.fieldNumber(name)
		view.values[n] = v
	}
	return string(compiled.render(&view))
}

// fillContent compiles content and fills it.
func fillContent(t testing.TB, kind Kind, content string, values map[string]Value) (string, error) {
	t.Helper()
	r := templateRelease(t)
	compiled, plain, err := compileContent(t, r, kind, content)
	if err != nil || compiled == nil {
		return string(plain), err
	}
	return r.fillWith(compiled, values), nil
}

func TestTextsNameFields(t *testing.T) {
	values := map[string]Value{
		"geo.city": stringValue("Lyon"), "page.title": stringValue(`5 < "6" & \7`), "visitor.visits": intValue(-12), "visitor.returning": boolValue(false),
		"shop.price": floatValue(12.5), "shop.open": boolValue(true),
	}
	tests := []struct {
		name    string
		kind    Kind
		content string
		want    string
	}{
		{"a value takes the place", KindText, `{"text":"Hello {{geo.city}}!"}`, `{"text":"Hello Lyon!"}`},
		{"blanks around do not matter", KindText, `{"text":"{{  geo.city  |  your town  }}"}`, `{"text":"Lyon"}`},
		{"without a value the fallback stands", KindText, `{"text":"Hello {{geo.region | your \"town\" <3}}!"}`, `{"text":"Hello your \"town\" \u003c3!"}`},
		{"without either there is nothing", KindText, `{"text":"Hello{{geo.region}}!"}`, `{"text":"Hello!"}`},
		{"a fallback may hold bars and single braces", KindText, `{"text":"{{geo.region | a | {b} }}"}`, `{"text":"a | {b}"}`},
		{"numbers are written plainly", KindText, `{"text":"{{visitor.visits}} {{shop.price}}"}`, `{"text":"-12 12.5"}`},
		{"so is yes and no", KindText, `{"text":"{{shop.open}} {{visitor.returning | maybe}}"}`, `{"text":"true false"}`},
		{"a value is never markup", KindText, `{"text":"{{page.title}}"}`, `{"text":"5 \u003c \"6\" & \\7"}`},
		{"four braces are two", KindText, `{"text":"{{{{geo.city}} {{geo.city}} }}"}`, `{"text":"{{geo.city}} Lyon }}"}`},
		{"also in a text that names nothing", KindText, `{"text":"{{{{a}}"}`, `{"text":"{{a}}"}`},
		{"a text of a value alone", KindLink, `{"href":"/a","text":"{{geo.city}}"}`, `{"href":"/a","text":"Lyon"}`},
		{"what a picture shows", KindImage, `{"src":"/a.png","alt":"In {{geo.city}}","width":1,"height":1}`, `{"src":"/a.png","alt":"In Lyon","width":1,"height":1}`},
		{"an item's text", KindItems, `{"items":[{"id":"a"},{"id":"b","text":"{{geo.city}}"}]}`, `{"items":[{"id":"a"},{"id":"b","text":"Lyon"}]}`},
		{"texts of a value for scripts", KindJSON, `{"json":{"a":["{{geo.city}}",1,null,true,{"b":"x:{{geo.city}}/y?"}],"security":"{{geo.city}}."}}`, `{"json":{"a":["Lyon",1,null,true,{"b":"x:Lyon/y?"}],"security":"Lyon."}}`},
		{"texts in markup", KindHTML, `{"html":"<p>In {{geo.city}} <b>{{geo.region | here}}</b></p>{{geo.city}}"}`, `{"nodes":[["p",{},"In Lyon ",["b",{},"here"]],"Lyon"]}`},
		{"attributes that are read out", KindHTML, `{"html":"<img src=\"/a.png\" alt=\"{{geo.city}}\"><p title=\"{{geo.city}}\" aria-label=\"{{geo.city}}\">x</p>"}`, `{"nodes":[["img",{"alt":"Lyon","src":"/a.png"}],["p",{"aria-label":"Lyon","title":"Lyon"},"x"]]}`},
		{"in markup a value is a text too", KindHTML, `{"nodes":[["p",{},"{{page.title}}"]]}`, `{"nodes":[["p",{},"5 \u003c \"6\" & \\7"]]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := fillContent(t, tt.kind, tt.content, values)
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s is no JSON", got)
			}
		})
	}
}

func TestNumbersInTexts(t *testing.T) {
	for _, tt := range []struct {
		give float64
		want string
	}{
		{0, "0"}, {100, "100"}, {0.1 + 0.2, "0.3"}, {12.345, "12.35"}, {12.301, "12.3"}, {-0.001, "0"}, {-0.5, "-0.5"}, {1e13, "10000000000000"},
		{1e14, "none"}, {math.NaN(), "none"}, {math.Inf(-1), "none"},
	} {
		got, err := fillContent(t, KindText, `{"text":"{{shop.price | none}}"}`, map[string]Value{"shop.price": floatValue(tt.give)})
		if want := `{"text":"` + tt.want + `"}`; err != nil || got != want {
			t.Errorf("%v is %s, %v, want %s", tt.give, got, err, want)
		}
	}
}

func TestAValueDoesNotTurnTheTextAroundIt(t *testing.T) {
	got, err := fillContent(t, KindText, `{"text":"{{page.title | -}}!"}`, map[string]Value{"page.title": stringValue("a\u202e\u2066b\n\x00c שלום")})
	if want := `{"text":"ab  c שלום!"}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	got, err = fillContent(t, KindText, `{"text":"{{page.title | -}}!"}`, map[string]Value{"page.title": stringValue("\u202e")})
	if want := `{"text":"-!"}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestLongValuesAreCutAtACharacter(t *testing.T) {
	got, err := fillContent(t, KindText, `{"text":"{{page.title}}"}`, map[string]Value{"page.title": stringValue(strings.Repeat("é", 200) + "x")})
	if want := `{"text":"` + strings.Repeat("é", 128) + `"}`; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	got, err = fillContent(t, KindText, `{"text":"{{page.title}}"}`, map[string]Value{"page.title": stringValue("x" + strings.Repeat("é", 200))})
	if want := `{"text":"x` + strings.Repeat("é", 127) + `"}`; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// A release whose texts cannot be filled is refused, and the error says which
// variant in which language is to blame.
func TestAFieldStandsInTextsOnly(t *testing.T) {
	tests := []struct {
		name, kind, content, want string
	}{
		{"a field that is not there", "text", `{"text":"{{geo.town}}"}`, "{{geo.town}}: there is no such field"},
		{"three braces", "text", `{"text":"{{{geo.city}}}"}`, "{{{geo.city}}: there is no such field"},
		{"no field at all", "text", `{"text":"{{}}"}`, "{{}}: there is no such field"},
		{"the visitor's id", "text", `{"text":"{{visitor.id}}"}`, "{{visitor.id}}: there is no such field"},
		{"another language's or", "text", `{"text":"{{geo.city || 'here'}}"}`, "{{geo.city}}: two bars, want one"},
		{"a list", "text", `{"text":"{{recent}}"}`, "the field is of type list"},
		{"a part of a map", "text", `{"text":"{{interests[\"hats\"]}}"}`, "there is no such field"},
		{"a moment", "text", `{"text":"{{now}}"}`, "the field is of type time"},
		{"no end", "text", `{"text":"a {{geo.city | b } c"}`, `"{{geo.city | b } c" has no }} behind it`},
		{"an end in another text", "html", `{"html":"<p>{{geo.city <b>x}}</b></p>"}`, "has no }} behind it"},
		{"a link's address", "link", `{"href":"/a/{{geo.city}}","text":"a"}`, "a field cannot stand in href"},
		{"a picture's address", "image", `{"src":"/a?{{geo.city}}","alt":"a","width":1,"height":1}`, "a field cannot stand in src"},
		{"an item's id", "items", `{"items":[{"id":"{{geo.city}}"}]}`, "a field cannot stand in id"},
		{"a link in markup", "html", `{"html":"<a href=\"{{geo.city}}\">a</a>"}`, "a field cannot stand in the attribute href"},
		{"braces in an address, even doubled", "html", `{"html":"<a href=\"/{{{{a\">a</a>"}`, "a field cannot stand in the attribute href"},
		{"a picture in markup", "html", `{"html":"<img src=\"/{{geo.city}}\" alt=\"\">"}`, "a field cannot stand in the attribute src"},
		{"a class", "html", `{"html":"<p class=\"a {{geo.city}}\">a</p>"}`, "a field cannot stand in the attribute class"},
		{"data for scripts", "html", `{"html":"<p data-a=\"{{geo.city}}\">a</p>"}`, "a field cannot stand in the attribute data-a"},
		{"a style", "html", `{"html":"<p style=\"color:{{geo.city}}\">a</p>"}`, "style"},
		{"a tag", "html", `{"nodes":[["{{geo.city}}",{},"a"]]}`, "{{geo.city}}"},
		{"a name in JSON", "json", `{"json":{"{{geo.city}}":1}}`, "a field cannot stand in the name"},
		{"an address in JSON by its name", "json", `{"json":{"imageUrl":"{{geo.city}}"}}`, "a field cannot stand in imageUrl"},
		{"addresses in JSON by their name", "json", `{"json":{"hrefs":["{{geo.city}}"]}}`, "a field cannot stand in hrefs"},
		{"markup in JSON by its name", "json", `{"json":{"bodyHTML":"<b>{{geo.city}}</b>"}}`, "a field cannot stand in bodyHTML"},
		{"a class in JSON by its name", "json", `{"json":{"class":"city-{{geo.city}}"}}`, "a field cannot stand in class"},
		{"a script in JSON by its name", "json", `{"json":{"onClick":"{{geo.city}}"}}`, "a field cannot stand in onClick"},
		{"an address in JSON", "json", `{"json":["https://shop.example/{{geo.city}}"]}`, "a field cannot stand in an address"},
		{"a path in JSON", "json", `{"json":{"to":"/hats/{{geo.city}}"}}`, "a field cannot stand in an address"},
		{"a scheme in JSON", "json", `{"json":{"to":"{{geo.city}}://x"}}`, "a field cannot stand in an address"},
		{"a script in JSON", "json", `{"json":{"to":"JavaScript:alert({{geo.city}})"}}`, "a field cannot stand in an address"},
		{"a query in JSON", "json", `{"json":{"to":"?a={{geo.city}}"}}`, "a field cannot stand in an address"},
		{"more fields than one text may name", "text", `{"text":"` + strings.Repeat("{{geo.city}}", maxTemplates+1) + `"}`, "more than 64 fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CompileRelease(fmt.Appendf(nil, `{"schema":1,"site":"shop","number":1,"settings":{"origins":["https://shop.example"],"languages":["fr"]},
				"slots":[{"name":"hero","kind":%q,"ladder":[]}],"variants":[{"slot":"hero","name":"warm","state":"live","content":{"fr":%s}}],"modules":[]}`, tt.kind, tt.content), nil)
			if err == nil || !strings.Contains(err.Error(), "variants: hero/warm: fr: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want hero/warm, fr and %q", err, tt.want)
			}
		})
	}
}

// FuzzTemplateValue puts any title into each kind of content: around the value
// nothing changes, and the value is a text, cut or not, whatever it is made of.
func FuzzTemplateValue(f *testing.F) {
	for _, s := range []string{
		"</script><script>alert(1)</script>", `"],["script",{},"alert(1)"],["p",{},"`, `\"`, `\`, "\u2028", "\xff\xfe", "{{geo.city}}", "a\x00b",
		strings.Repeat("\U0001f3a9", 100), strings.Repeat("a", 255) + "é", "javascript:alert(1)", "", "\u202eabc",
	} {
		f.Add(s)
	}
	contents := map[Kind]string{
		KindHTML:  `{"html":"<p title=\"a {{page.title | -}}\">b {{page.title | -}} <b>c</b></p>"}`,
		KindText:  `{"text":"a {{page.title | -}} b"}`,
		KindJSON:  `{"json":{"a":["b",{"c":"{{page.title | -}}"}]}}`,
		KindImage: `{"src":"/a.png","alt":"{{page.title | -}}","width":1,"height":1}`,
		KindLink:  `{"href":"/a","text":"{{page.title | -}} b"}`,
	}
	r, templates := templateRelease(f), map[Kind]*template{}
	for kind, content := range contents {
		var err error
		if templates[kind], _, err = compileContent(f, r, kind, content); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, title string) {
		shown := strings.ToValidUTF8(title, "\ufffd")
		if len(title) > maxTemplateValue || title == "" || !utf8.ValidString(title) || strings.Map(showable, title) != title {
			shown = ""
		}
		for kind, compiled := range templates {
			got := r.fillWith(compiled, map[string]Value{"page.title": stringValue(title)})
			marked := r.fillWith(compiled, map[string]Value{"page.title": stringValue("MARK")})
			var is, want any
			if err := json.Unmarshal([]byte(got), &is); err != nil {
				t.Fatalf("%s with %q is no JSON: %v", kind, title, err)
			}
			if err := json.Unmarshal([]byte(marked), &want); err != nil {
				t.Fatal(err)
			}
			if !sameShape(is, want) {
				t.Fatalf("%s with %q is %s", kind, title, got)
			}
			if shown != "" && !strings.Contains(fmt.Sprint(is), shown) {
				t.Fatalf("%s with %q does not show it: %s", kind, title, got)
			}
			if strings.ContainsAny(got, "<\u2028\u2029\u202e\u2066\n") {
				t.Fatalf("%s with %q could end a script around it: %s", kind, title, got)
			}
		}
	})
}

// sameShape reports whether JSON is another's but for the texts that hold MARK.
func sameShape(is, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		m, ok := is.(map[string]any)
		if !ok || len(m) != len(want) {
			return false
		}
		for name := range want {
			if !sameShape(m[name], want[name]) {
				return false
			}
		}
		return true
	case []any:
		l, ok := is.([]any)
		if !ok || len(l) != len(want) {
			return false
		}
		for i := range want {
			if !sameShape(l[i], want[i]) {
				return false
			}
		}
		return true
	case string:
		if before, after, marked := strings.Cut(want, "MARK"); marked {
			s, ok := is.(string)
			return ok && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
		}
	}
	return reflect.DeepEqual(is, want)
}

func TestRenderAllocs(t *testing.T) {
	r := templateRelease(t)
	compiled, _, err := r.newTemplate(KindText, []byte(`{"text":"Hello {{geo.city | there}}, {{visitor.visits | 1}}"}`))
	if err != nil {
		t.Fatal(err)
	}
	visit := &Visit{Place: Place{City: "Lyon"}}
	view := NewView(visit, compiled.reads, consent.All)
	if got := testing.AllocsPerRun(100, func() { compiled.render(view) }); got > 1 {
		t.Errorf("render allocates %v times, budget 1", got)
	}
}
