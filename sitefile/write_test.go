// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// asFS are rendered files as a directory.
func asFS(files map[string][]byte) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: text}
	}
	return out
}

// sameDocument fails the test unless two documents are the same as JSON.
func sameDocument(t *testing.T, got, want *edge.ReleaseDocument) bool {
	t.Helper()
	spell := func(doc *edge.ReleaseDocument) any {
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var out any
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		if err := dec.Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if g, w := spell(got), spell(want); !reflect.DeepEqual(g, w) {
		left, _ := json.MarshalIndent(g, "", " ")
		right, _ := json.MarshalIndent(w, "", " ")
		t.Errorf("the document came back otherwise:\n%s\nwant\n%s", left, right)
		return false
	}
	return true
}

// A maker makes documents of every shape that site files can spell.
type maker struct{ *rand.Rand }

// oddText are texts that YAML could take for something else.
var oddText = []string{
	"", " ", "a", "yes", "no", "null", "~", "true", "1", "1.5", "0x1f", "1_000", "12:30:45", "2026-12-01", ".inf", "=", "<<", "- a", "a: b", "a #b", "#a", "!a", "&a", "*a", "%a", "@a", "`a",
	"'", `"`, `"a" == 'b'`, `\`, "a\\b", "a\nb", "a\n", "a\n\n", "\na", " a\nb", "\ta\nb", "a\n  b\n c\n", "a\n \nb", "a\n  ", "\n", "\n\n", "a\r\nb", "\u0085", "\u2028", "\uFEFF", "\x00\x1f\x7f",
	"é", "日本語", "🧣", "👩‍👩‍👧", "مرحبا", "a,b", "[a]", "{a}", "a: ", ":", "?", "? a", "-", "---", "...", "a:", "x: |\n  y", "geo.country == \"FR\" && !inAudience(\"x\")", "!bought(\"x\")",
	"<p>\n  Hello, <b>you</b>\n</p>\n", "a\tb", "  a", "a  ", "\uFFFD", "\U0001F600\uFFFE", "0", "-0", "+1", "1e5", "0o7", ">", "|", ">-\n a",
}

func (m maker) text() string {
	if m.IntN(4) > 0 {
		return oddText[m.IntN(len(oddText))]
	}
	var b strings.Builder
	for range m.IntN(6) {
		b.WriteString(oddText[m.IntN(len(oddText))])
	}
	return b.String()
}

// some returns text that is not empty.
func (m maker) some() string { return "x" + m.text() }

func (m maker) name() string { return fmt.Sprintf("n%d", m.IntN(1<<30)) }

func (m maker) of(words []string) string { return words[m.IntN(len(words))] }

func (m maker) moment() string {
	if m.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("2026-%02d-%02dT%02d:%02d", 1+m.IntN(12), 1+m.IntN(28), m.IntN(24), m.IntN(60))
}

func (m maker) json(depth int) any {
	switch n := m.IntN(8); {
	case n == 0:
		return nil
	case n == 1:
		return m.IntN(2) == 0
	case n == 2:
		return json.Number(m.of([]string{"0", "-1", "1.50", "1e400", "123456789012345678901234567890", "-0.0", "1E+5"}))
	case n == 3 && depth > 0:
		out := []any{}
		for range m.IntN(4) {
			out = append(out, m.json(depth-1))
		}
		return out
	case n == 4 && depth > 0:
		return m.object(depth)
	}
	return m.text()
}

func (m maker) object(depth int) map[string]any {
	out := map[string]any{}
	for range m.IntN(4) {
		out[m.text()] = m.json(depth - 1)
	}
	if m.IntN(20) == 0 {
		out[strings.Repeat("k", 1500)] = m.json(0)
	}
	return out
}

func (m maker) raw(value any) json.RawMessage {
	out, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return out
}

func (m maker) byLanguage() map[string]string {
	out := map[string]string{}
	for _, lang := range []string{"no", "en", "pt-BR", "zh-Hans"} {
		if m.IntN(2) == 0 {
			out[lang] = m.text()
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (m maker) set() consent.Set { return consent.Set(m.IntN(int(consent.All) + 1)) }

func (m maker) moduleRule() edge.RuleSpec {
	r := edge.RuleSpec{Module: m.name() + "@1.2.3", Priority: m.IntN(9) - 4, Because: m.byLanguage()}
	if m.IntN(2) == 0 {
		r.Role = m.name()
		r.Settings = m.raw(m.object(3))
	}
	return r
}

func (m maker) rule(variants []string) edge.RuleSpec {
	if m.IntN(3) == 0 {
		r := m.moduleRule()
		if m.IntN(2) == 0 {
			before := m.moduleRule()
			r.Rollout, r.Before = 1+m.IntN(edge.Buckets), &before
		}
		r.Shadow = m.IntN(2) == 0
		return r
	}
	r := edge.RuleSpec{Name: m.name(), Priority: m.IntN(9) - 4, Rollout: m.IntN(edge.Buckets + 1), Because: m.byLanguage(), Score: m.of([]string{"", "10", "-3", "visitor.visits * 2", "0"})}
	if m.IntN(2) == 0 {
		r.When = m.some()
	}
	for range 1 + m.IntN(3) {
		r.Show = append(r.Show, edge.ShowSpec{Variant: m.of(variants), Weight: m.IntN(3)})
	}
	return r
}

func (m maker) document() *edge.ReleaseDocument {
	d := &edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: m.name(), Slots: []edge.SlotSpec{}, Variants: []edge.Variant{}, Modules: []edge.ModuleRef{},
		Settings: edge.Settings{
			Origins: []string{"https://shop.example", "http://127.0.0.1:8080"}, Languages: []string{m.of([]string{"no", "en"}), "zh-Hans"}, Currency: "NOK", TimeZone: "Europe/Oslo",
			Consent: consent.Policy{StrictGPC: m.IntN(2) == 0, TCF: []consent.TCFReading{consent.ByPurpose, consent.ByPublisher, 1, 755, consent.MaxTCFVendor}[m.IntN(5)], PurposeOneTreatment: m.IntN(2) == 0, ContextBeforeAnswer: m.IntN(2) == 0, Open: consent.Openings{Elsewhere: m.set()}},
			Prompts: []string{"2026-11", "2026-12"}[:m.IntN(3)], RetainDays: m.IntN(edge.MaxRetainDays), ProfileDays: m.IntN(edge.MaxProfileDays), StateEpoch: m.Uint32N(3), BoughtDays: m.IntN(3), Cap: m.limit(), Why: m.IntN(2) == 0, SecondPerson: m.IntN(2) == 0,
		},
	}
	if c := m.limit(); c != nil {
		d.Settings.Caps = map[string]edge.Cap{"web": *c, "mail": {Times: 1, Hours: 2}}
	}
	if m.IntN(2) == 0 {
		d.Settings.Consent.Open.UK, d.Settings.Consent.Open.USOptOut = consent.Set(consent.Measure), consent.Set(consent.Device)
	}
	for i := range m.IntN(3) {
		d.Fields = append(d.Fields, edge.OwnField{Name: fmt.Sprint("shop.f", i), Type: m.of(typeWords), Purpose: m.of(purposeWords), Origin: m.of(originWords), From: "settings", Value: m.raw(m.json(2))})
	}
	d.Fields = append(d.Fields, edge.OwnField{Name: "shop.seen", Type: "i64", Purpose: "profile", Origin: "first", From: "profile", Event: m.some(), Prop: m.some(), ExpireDays: m.IntN(9)})
	for range m.IntN(3) {
		d.Audiences = append(d.Audiences, edge.Audience{Name: m.name(), Description: m.text(), When: m.some()})
		d.Modules = append(d.Modules, edge.ModuleRef{Name: m.name(), Version: "1.0.0", Hash: fmt.Sprintf("%064x", m.Uint64()), Settings: m.raw(m.object(3)), Signature: m.text()})
	}
	for range m.IntN(3) {
		d.Campaigns = append(d.Campaigns, edge.Campaign{
			Name: m.name(), Owner: m.text(), Hypothesis: m.text(), Goal: m.text(), Segment: m.text(), Moment: m.text(), Tactic: m.text(),
			State: m.of(stateWords), From: m.moment(), Until: m.moment(), Cap: m.limit(), Quiet: m.quiet(), Transactional: m.IntN(2) == 0,
		})
	}
	for i := range m.IntN(5) {
		m.slot(d, fmt.Sprintf("s%d", i))
	}
	return d
}

func (m maker) limit() *edge.Cap {
	if m.IntN(2) == 0 {
		return nil
	}
	return &edge.Cap{Times: 1 + m.IntN(edge.MaxCapTimes), Hours: 1 + m.IntN(edge.MaxCapHours)}
}

func (m maker) quiet() *edge.QuietHours {
	if m.IntN(2) == 0 {
		return nil
	}
	return &edge.QuietHours{From: "22:00", Until: "07:30"}
}

// slot adds a slot with its variants.
func (m maker) slot(d *edge.ReleaseDocument, name string) {
	s := edge.SlotSpec{Name: name, Kind: m.of(kindNames), Ladder: []edge.RungSpec{}}
	var variants []string
	for range 1 + m.IntN(3) {
		v := edge.Variant{Slot: name, Name: m.name(), State: m.of(stateWords), Owner: m.text(), From: m.moment(), Until: m.moment(), Cap: m.limit(), Content: map[string]json.RawMessage{}}
		for range m.IntN(3) {
			v.Promotes = append(v.Promotes, m.name())
		}
		for range m.IntN(3) {
			v.Tags = append(v.Tags, m.text())
		}
		for _, lang := range []string{"no", "en", "zh-Hans"}[:1+m.IntN(3)] {
			v.Content[lang] = m.content(s.Kind)
		}
		variants = append(variants, v.Name)
		d.Variants = append(d.Variants, v)
	}
	for _, rung := range edge.Rungs {
		if m.IntN(2) == 0 {
			continue
		}
		spec := edge.RungSpec{Rung: rung, Rules: []edge.RuleSpec{}}
		for range m.IntN(3) {
			rule := m.rule(variants)
			if rule.Name != "" && len(d.Campaigns) > 0 && m.IntN(2) == 0 {
				rule.Campaign = d.Campaigns[0].Name
			}
			spec.Rules = append(spec.Rules, rule)
		}
		s.Ladder = append(s.Ladder, spec)
	}
	d.Slots = append(d.Slots, s)
}

func (m maker) content(kind string) json.RawMessage {
	switch kind {
	case "text":
		return m.raw(map[string]string{"text": m.text()})
	case "html":
		if m.IntN(4) == 0 {
			return m.raw(map[string]any{"nodes": m.json(4)})
		}
		return m.raw(map[string]string{"html": m.text()})
	case "json":
		return m.raw(map[string]any{"json": m.json(4)})
	case "image":
		return m.raw(map[string]any{"src": m.some(), "alt": m.text(), "width": 1 + m.IntN(4000), "height": 1 + m.IntN(4000)})
	case "link":
		return m.raw(map[string]any{"href": m.some(), "text": m.some()})
	}
	return m.raw(map[string]any{"items": []edge.AnswerItem{{ID: m.some(), Reason: m.text(), Text: m.text()}, {ID: m.some()}}})
}

// A member that is added to a release is added to site files, or this fails.
func TestTheMadeDocumentsHoldEveryMember(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		doc := maker{rand.New(rand.NewPCG(seed, 5))}.document()
		markMembers(reflect.ValueOf(*doc), "", seen)
	}
	// Publishing sets these; a file does not say them.
	for _, name := range []string{".Number", ".Compiled", ".Inputs"} {
		seen[name] = true
	}
	for name, set := range seen {
		if !set {
			t.Errorf("no made document has %s; site files should spell it", name)
		}
	}
}

// markMembers notes each member of a struct, and whether it is set somewhere.
func markMembers(v reflect.Value, at string, seen map[string]bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := at + "." + v.Type().Field(i).Name
			if strings.Contains(name, ".Before.") {
				continue // of a rule, as above
			}
			seen[name] = seen[name] || !v.Field(i).IsZero()
			markMembers(v.Field(i), name, seen)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			markMembers(v.Elem(), at, seen)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				markMembers(v.Index(i), at, seen)
			}
		}
	}
}

// What is exported is read back as it was, whatever the texts.
func TestADocumentComesBackFromItsFiles(t *testing.T) {
	for seed := range uint64(300) {
		doc := maker{rand.New(rand.NewPCG(seed, 4))}.document()
		files, err := Render(doc)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		back, err := Read(asFS(files))
		if err != nil {
			for name, text := range files {
				t.Logf("%s:\n%s", name, text)
			}
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !sameDocument(t, &back.Document, doc) {
			for name, text := range files {
				t.Logf("%s:\n%s", name, text)
			}
			t.Fatalf("seed %d", seed)
		}
	}
}
