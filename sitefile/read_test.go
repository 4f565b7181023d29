// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestReadOfTheShop(t *testing.T) {
	files, err := Read(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(files.Document, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/shop.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s", got)
	}
}

// What a person wrote in their own layout reads the same after an export.
func TestTheShopComesBackFromAnExport(t *testing.T) {
	files, err := Read(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := Render(&files.Document)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(asFS(rendered))
	if err != nil {
		t.Fatal(err)
	}
	sameDocument(t, &back.Document, &files.Document)
}

// head is a file's begin that is right.
const head = "site: shop\nsettings: {origins: [https://shop.example], languages: [en]}\n"

// A wrong file, and what is said of it. Both means that it is refused by the
// JSON Schema as well: it is wrong by itself, whatever else there is.
var wrongFiles = []struct {
	name, text string
	both       bool
	want       []string
}{
	{"a bracket that is not closed", "site: [shop\nsettings: x\n", false,
		[]string{"a.yaml:2:9: syntax: while parsing a flow sequence: did not find expected ',' or ']'"}},
	{"a condition that begins with !", "audiences:\n  - name: new\n    when: !bought(\"é\")\n", false,
		[]string{"a.yaml:3:11: syntax: while parsing a tag: found character '\"' that is not allowed in a YAML tag; text that begins with ! stands in quotes"}},
	{"a file that ends in between", "site: [é", false, []string{"a.yaml:1:9: syntax: while parsing a flow sequence: did not find expected ',' or ']'"}},
	{"a tag", "site: !shop shop\n", false, []string{"a.yaml:1:7: syntax: site files have no tags (!shop); text that begins with ! stands in quotes"}},
	{"an anchor and its alias", "a: &x 1\nb: *x\n", false, []string{
		"a.yaml:1:4: syntax: site files have no anchors (&x); write the value again where it is wanted",
		"a.yaml:2:4: syntax: site files have no aliases (*x); text that begins with * stands in quotes; a value is written again, or gets a name as an audience"}},
	{"two documents", head + "---\nfields: []\n", false, []string{"a.yaml:4:1: syntax: the file holds 2 documents, want one; put the second into a file of its own"}},
	{"a key twice", head + "site: shop\n", false, []string{`a.yaml:3:1: duplicate: "site" stands here twice, first in line 1`}},
	{"a tab that indents", "settings:\n\tcurrency: EUR\n", false, []string{"a.yaml:2:1: syntax: while scanning for the next token: found character that cannot start any token; indent with spaces"}},
	{"a tab among the keys of a thing", "settings:\n  currency: EUR\n\ttimezone: x\n", false, []string{"a.yaml:3:1: syntax: while scanning a plain scalar: found a tab character that violates indentation; indent with spaces"}},
	{"a key too far left", "a:\n  - b: 1\n   c: 2\n", false, []string{"a.yaml:3:4: syntax: while parsing a block collection: did not find expected '-' indicator; the keys of one thing begin in one column, and so do the dashes of one list"}},
	{"a key without a space behind it", "a:\n  - d: e\n    b:c\n    f: g\n", false, []string{"a.yaml:3:5: syntax: while scanning a simple key: could not find expected ':'; behind a key stand a colon and a space"}},
	{"a text with a colon", "a: b: c\n", false, []string{"a.yaml:1:5: syntax: mapping values are not allowed in this context; text with a colon and a space in it stands in quotes; the keys of one thing begin in one column"}},
	{"a text that begins with @", "a: @b\n", false, []string{"a.yaml:1:4: syntax: while scanning for the next token: found character that cannot start any token; text that begins with @ stands in quotes"}},
	{"a text that begins with *", "a: *b* c\n", false, []string{"a.yaml:1:4: syntax: unknown anchor 'b*' referenced; text that begins with * stands in quotes"}},
	{"double quotes in double quotes", "a:\n  b: \"c == \"d\"\"\n", false, []string{`a.yaml:2:13: syntax: while parsing a block mapping: did not find expected key; text that holds " stands in single quotes, or without any`}},
	{"a text that is a comment", head + "audiences:\n  - name: a\n    when: #1\n", true, []string{"a.yaml:5:10: type: when is nothing, want text; text that begins with # stands in quotes"}},
	{"a score with a fraction", slotWith("{name: r, show: v, score: 1.5}"), true, []string{"a.yaml:3:81: type: score is a number, want text or a whole number; leave the fraction out"}},
	{"variants without weights", slotWith("{name: r, show: [v]}"), true, []string{"a.yaml:3:72: type: an item of show is text, want a mapping; write {variant: v}"}},
	{"a carriage return alone", "site: a\rb\n", false, []string{`a.yaml:1:8: syntax: a carriage return without a line feed; in double quotes it is written "\u000d"`}},
	{"a line separator", "site: shop\nx: a\u2028b\n", false, []string{`a.yaml:2:5: syntax: the character U+2028; in double quotes it is written "\u2028"`}},
	{"bytes that are no text", "site: \xff\n", false, []string{"a.yaml:1:7: syntax: it is not UTF-8"}},
	{"a list for a file", "- site\n", true, []string{"a.yaml:1:1: type: a site file is a list, want a mapping"}},
	{"text for a file", "site\n", true, []string{"a.yaml:1:1: type: a site file is text, want a mapping"}},
	{"no site and no settings", "fields: []\n", false, []string{"missing: no file has the key site", "missing: no file has the key settings"}},
	{"a misspelt key", head + "audience: []\n", true, []string{`a.yaml:3:1: unknown-key: a site file has no key "audience"; did you mean audiences?`}},
	{"a key far from all", head + "audiences: [{name: a, when: x, zzzzzzzz: 1}]\n", true,
		[]string{`a.yaml:3:32: unknown-key: an audience has no key "zzzzzzzz"; there are name, description, when`}},
	{"a number for text", head + "audiences: [{name: a, when: 5}]\n", true, []string{`a.yaml:3:29: type: when is a whole number, want text; put text that looks like something else in quotes: "5"`}},
	{"true for a condition", head + "audiences:\n  - name: a\n    when: true\n", true, []string{`a.yaml:5:11: type: when is true or false, want text; put text that looks like something else in quotes: "true"`}},
	{"text for a list", strings.Replace(head, "[en]", "en", 1), true, []string{"a.yaml:2:56: type: languages is text, want a list; a list is [en]"}},
	{"nothing for a list", head + "slots:\n", true, []string{"a.yaml:3:7: type: slots is nothing, want a list"}},
	{"an empty list of origins", "site: shop\nsettings: {origins: [], languages: [en]}\n", true, []string{"a.yaml:2:21: value: origins is empty"}},
	{"an origin with a path", strings.Replace(head, "example", "example/", 1), true, []string{`a.yaml:2:22: value: an item of origins is "https://shop.example/", want like https://shop.example, without a path`}},
	{"settings without origins", "site: shop\nsettings: {languages: [en]}\n", true, []string{"a.yaml:2:11: missing: settings has no origins"}},
	{"a site id with capitals", strings.Replace(head, "shop", "Shop", 1), true, []string{`a.yaml:1:7: value: site is "Shop", want lower-case words joined by dashes`}},
	{"a site id that is too long", strings.Replace(head, "shop", strings.Repeat("s", 65), 1), true, []string{`a.yaml:1:7: value: site has 65 characters, at most 64`}},
	{"a vendor that is too large", "site: shop\nsettings: {origins: [https://a.b], languages: [en], consent: {tcf: 65536}}\n", true, []string{"a.yaml:2:68: value: tcf is 65536, want a whole number from 1 to 65535"}},
	{"a TCF reading that is none", "site: shop\nsettings: {origins: [https://a.b], languages: [en], consent: {tcf: publishers}}\n", true, []string{`a.yaml:2:68: value: tcf is "publishers", want one of purpose, publisher; did you mean publisher?`}},
	{"days that are too many", "site: shop\nsettings: {origins: [https://a.b], languages: [en], retainDays: 401}\n", true, []string{"a.yaml:2:65: value: retainDays is 401, want a whole number from 1 to 400"}},
	{"a purpose that is none", head + "fields: [{name: a.b, type: string, purpose: spying, origin: first, from: settings, value: 1}]\n", true,
		[]string{`a.yaml:3:45: value: purpose is "spying", want one of storage, measure, context, profile, personalise, share, geo, device`}},
	{"a purpose that is nearly one", head + "fields: [{name: a.b, type: string, purpose: personalize, origin: first, from: settings, value: 1}]\n", true,
		[]string{`a.yaml:3:45: value: purpose is "personalize", want one of storage, measure, context, profile, personalise, share, geo, device; did you mean personalise?`}},
	{"a roll-out without %", slotWith("{name: r, show: v, rollout: 20}"), true, []string{"a.yaml:3:83: type: rollout is a whole number, want text; write it like 20%"}},
	{"a roll-out to nobody", slotWith("{name: r, show: v, rollout: 0%}"), true, []string{`a.yaml:3:83: value: rollout is "0%", want a share of the visitors like 20% or 0.5%, up to 100%`}},
	{"a roll-out to more than all", slotWith("{name: r, show: v, rollout: 100.5%}"), true, []string{`a.yaml:3:83: value: rollout is "100.5%", want a share of the visitors like 20% or 0.5%, up to 100%`}},
	{"a rule of both kinds", slotWith("{name: r, show: v, module: m}"), true, []string{"a.yaml:3:74: unknown-key: a rule without code has no module"}},
	{"a rule of neither kind", slotWith("{when: x}"), true, []string{"a.yaml:3:55: missing: a rule has neither name nor module"}},
	{"a rule that shows nothing", slotWith("{name: r}"), true, []string{"a.yaml:3:55: missing: a rule without code has no show"}},
	{"a module with a condition", slotWith("{module: m, when: x}"), true, []string{"a.yaml:3:67: unknown-key: a rule that is a module has no when"}},
	{"a rung that is none", head + "slots: [{name: s, kind: text, ladder: {contxt: []}}]\n", true, []string{`a.yaml:3:40: unknown-key: ladder has no key "contxt"; did you mean context?`}},
	{"a weight of nothing", slotWith("{name: r, show: [{variant: v, weight: 0}]}"), true, []string{"a.yaml:3:93: value: weight is 0, want a whole number from 1 to 10000"}},
	{"a rule that shows what is not there", slotWith("{name: r, show: [{variant: v}, {variant: w}]}"), false, []string{"a.yaml:3:96: reference: the slot s has no variant w; did you mean v?"}},
	{"two rules of one name, the second of a campaign that is not there", slotWith("{name: r, show: v}, {name: r, show: w, campaign: c}"), false, []string{
		"a.yaml:3:82: duplicate: the rule s/r stands in a.yaml already, line 3", "a.yaml:3:91: reference: the slot s has no variant w; did you mean v?", "a.yaml:3:104: reference: there is no campaign c"}},
	{"a campaign that is not there", slotWith("{name: r, show: v, campaign: c}"), false, []string{"a.yaml:3:84: reference: there is no campaign c"}},
	{"variants of a slot that is not there", head + "variants: {s: []}\n", false, []string{"a.yaml:3:12: reference: there is no slot s"}},
	{"a rule's name twice in a slot", slotWith("{name: r, show: v}, {name: r, show: v}"), false, []string{"a.yaml:3:82: duplicate: the rule s/r stands in a.yaml already, line 3"}},
	{"a language that is none", head + "slots: [{name: s, kind: text, ladder: {}}]\nvariants: {s: [{name: v, state: live, content: {English: x}}]}\n", true, []string{`a.yaml:4:49: value: "English" is not a language like en, pt-BR or zh-Hans`}},
	{"a date of another order", head + "campaigns: [{name: c, state: live, from: 01.12.2026}]\n", true, []string{`a.yaml:3:42: value: from is "01.12.2026", want a date and time like 2026-12-01T00:00`}},
	{"a day without a time", head + "campaigns: [{name: c, state: live, from: 2026-12-01}]\n", true, []string{`a.yaml:3:42: value: from is "2026-12-01", want a date and time like 2026-12-01T00:00`}},
	{"text for content of another kind", head + "slots: [{name: s, kind: image, ladder: {}}]\nvariants: {s: [{name: v, state: live, content: {en: x}}]}\n", false, []string{"a.yaml:4:53: type: content of kind image is text, want a mapping"}},
	{"content in full of another kind", head + "slots: [{name: s, kind: link, ladder: {}}]\nvariants: {s: [{name: v, state: live, content: {en: {text: x, src: y}}}]}\n", false,
		[]string{"a.yaml:4:63: unknown-key: content of kind link has no src; there are href, text"}},
	{"settings that are text", head + "modules: [{name: m, settings: north}]\n", true, []string{"a.yaml:3:31: type: settings is text, want a mapping"}},
	{"no number at all", head + "modules: [{name: m, settings: {a: .inf}}]\n", false, []string{"a.yaml:3:35: value: there is no number .inf here; in quotes it is text"}},
}

// slotWith is a file with one slot, one variant and a ladder with rules.
func slotWith(rules string) string {
	return head + "slots: [{name: s, kind: text, ladder: {context: [" + strings.Repeat(" ", 5) + rules + "]}}]\nvariants: {s: [{name: v, state: live, content: {en: x}}]}\n"
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, tt := range wrongFiles {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(tt.text)}})
			if want := strings.Join(tt.want, "\n"); err == nil || err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

// schema compiles the published JSON Schema.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("site.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("site.schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("site.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bySchema is what the JSON Schema says of a file.
func bySchema(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	f, wrong := parse("a.yaml", text)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(f.root.json()))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

// Editors that know the schema alone say the same as the reader.
func TestTheSchemaAgreesWithTheReader(t *testing.T) {
	s := schema(t)
	for _, tt := range wrongFiles {
		if tt.both {
			t.Run(tt.name, func(t *testing.T) {
				if bySchema(t, s, []byte(tt.text)) == nil {
					t.Error("the JSON Schema allows it")
				}
			})
		}
	}
	var examples []string
	for _, pattern := range []string{"testdata/shop/*.y*ml", "testdata/*/slots/*.yaml", "testdata/export/*.yaml", "../testdata/eval/site/*.yaml", "../demo/site/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		examples = append(examples, found...)
	}
	for _, name := range examples {
		t.Run(name+" is right", func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := bySchema(t, s, text); err != nil {
				t.Error(err)
			}
		})
	}
}
