// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nearside/nearside/edge"
)

func jsonOf(f *Files) ([]byte, error) { return json.Marshal(&f.Document) }

// shopDocument is the release of testdata/shop.
func shopDocument(t *testing.T) *edge.ReleaseDocument {
	t.Helper()
	files, err := Read(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	return &files.Document
}

func writeText(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What an export looks like is kept beside what it was made of.
func TestAnExportLooksLikeThis(t *testing.T) {
	dir := t.TempDir()
	doc := shopDocument(t)
	doc.Number = 7
	if err := Export(dir, doc, false); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(name))
		if filepath.Base(filepath.Dir(path)) == ".nearside" {
			return nil // the schema has a golden file of its own
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		golden := filepath.Join("testdata/export", name)
		if *update {
			writeText(t, "testdata/export", name, string(got))
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s (%v):\n%s", name, golden, err, got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".nearside/base.json", ".nearside/site.schema.json", "audiences.yaml", "campaigns.yaml", "site.yaml", "slots/also-like.yaml", "slots/banner.yaml", "slots/facts.yaml", "slots/greeting.yaml", "slots/hero.yaml", "slots/more.yaml"}
	if !slices.Equal(names, want) {
		t.Errorf("wrote %q, want %q", names, want)
	}
	base, err := ReadBase(dir)
	if err != nil || base.Site != "shop" || base.Number != 7 || base.Hash != Hash(doc) || len(base.Files) != len(want)-2 {
		t.Errorf("base %+v, %v", base, err)
	}
}

func TestExportSparesSomebodysWork(t *testing.T) {
	doc := shopDocument(t)
	tests := []struct {
		name   string
		before func(t *testing.T, dir string)
		want   []string // files that are not spared without force
	}{
		{"an empty directory", func(*testing.T, string) {}, nil},
		{"an export as it was", func(t *testing.T, dir string) { export(t, dir, doc) }, nil},
		{"a file that was changed", func(t *testing.T, dir string) {
			export(t, dir, doc)
			writeText(t, dir, "site.yaml", "site: shop\n")
		}, []string{"site.yaml"}},
		{"a file that is not of it", func(t *testing.T, dir string) {
			export(t, dir, doc)
			writeText(t, dir, "mine/a.yml", "audiences: [{name: mine, when: 'true'}]\n")
		}, []string{"mine/a.yml"}},
		{"files without a base", func(t *testing.T, dir string) { writeText(t, dir, "b.yaml", "site: shop\n") }, []string{"b.yaml"}},
		{"other files and folders", func(t *testing.T, dir string) {
			writeText(t, dir, "README.md", "hello")
			writeText(t, dir, ".github/x.yaml", "a: b")
		}, nil},
		{"a file that is no more", func(t *testing.T, dir string) {
			older := *doc
			older.Slots = append(slices.Clone(doc.Slots), edge.SlotSpec{Name: "old", Kind: "text", Ladder: []edge.RungSpec{}})
			export(t, dir, &older)
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.before(t, dir)
			before, _ := siteFilesIn(dir)
			err := Export(dir, doc, false)
			if refused, ok := errors.AsType[*ExportError](err); ok != (tt.want != nil) || ok && !slices.Equal(refused.Files, tt.want) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			if tt.want != nil {
				if after, _ := siteFilesIn(dir); len(after) != len(before) || after[tt.want[0]] != before[tt.want[0]] {
					t.Error("a refused export changed something")
				}
				if err := Export(dir, doc, true); err != nil {
					t.Fatalf("with force: %v", err)
				}
			}
			back, err := Read(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			sameDocument(t, &back.Document, doc)
		})
	}
}

// An engine may take content that no file can say; that is told, and nothing is
// written.
func TestExportWritesOnlyWhatComesBack(t *testing.T) {
	doc := shopDocument(t)
	doc.Variants[4].Content = map[string]json.RawMessage{"en": json.RawMessage(`{"HTML":"<p>x</p>"}`)}
	dir := filepath.Join(t.TempDir(), "none")
	err := Export(dir, doc, false)
	if err == nil || !strings.Contains(err.Error(), `slots/hero.yaml:`) || !strings.Contains(err.Error(), `has no key "HTML"`) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
	doc = shopDocument(t)
	rule(doc, "snow").Because["North"] = "nobody reads it"
	export(t, dir, doc)
}

// What is behind a link was never looked at, so it might be anybody's.
func TestExportFollowsNoLink(t *testing.T) {
	for _, folder := range []string{"slots", ".nearside"} {
		for _, inside := range []bool{false, true} {
			dir := t.TempDir()
			behind := t.TempDir()
			if inside {
				behind = filepath.Join(dir, ".behind")
			}
			writeText(t, behind, "hero.yaml", "somebody's")
			writeText(t, behind, "base.json", "{}")
			if err := os.Symlink(behind, filepath.Join(dir, folder)); err != nil {
				t.Skip(err)
			}
			err := Export(dir, shopDocument(t), true)
			if err == nil || !strings.Contains(err.Error(), folder) {
				t.Errorf("through the link %s: got error %v", folder, err)
			}
			entries, err := os.ReadDir(behind)
			if err != nil || len(entries) != 2 {
				t.Errorf("behind the link %s are %v, error %v", folder, entries, err)
			}
			if text, err := os.ReadFile(filepath.Join(behind, "hero.yaml")); string(text) != "somebody's" {
				t.Errorf("behind the link %s stands %.40q, error %v", folder, text, err)
			}
		}
	}
}

func TestExportKeepsToOneSite(t *testing.T) {
	dir, doc := t.TempDir(), shopDocument(t)
	export(t, dir, doc)
	other := *doc
	other.Site = "boat"
	if err := Export(dir, &other, false); err == nil || err.Error() != "the files are of site shop" {
		t.Errorf("error %v", err)
	}
	if err := Export(dir, &other, true); err != nil || Site(os.DirFS(dir)) != "boat" {
		t.Errorf("with force the files are of site %q: %v", Site(os.DirFS(dir)), err)
	}
}

func export(t *testing.T, dir string, doc *edge.ReleaseDocument) {
	t.Helper()
	if err := Export(dir, doc, false); err != nil {
		t.Fatal(err)
	}
}

// A document is the same to files however its JSON was spelt and wherever its
// slots stand.
func TestTheHashIsOfWhatAReleaseSays(t *testing.T) {
	doc := shopDocument(t)
	other := *doc
	other.Number, other.Compiled = 9, &edge.Compiled{Hash: "x"}
	other.Slots = slices.Clone(doc.Slots)
	slices.Reverse(other.Slots)
	other.Variants = slices.Clone(doc.Variants)
	slices.Reverse(other.Variants)
	spelt := json.RawMessage(strings.ReplaceAll(string(doc.Modules[2].Settings), "°", `°`))
	other.Modules = slices.Clone(doc.Modules)
	other.Modules[2].Settings = append(json.RawMessage("  "), spelt...)
	// Reversing also turns the variants of one slot around, which says something.
	slices.SortStableFunc(other.Variants, func(a, b edge.Variant) int { return strings.Compare(a.Slot+a.Name, b.Slot+b.Name) })
	doc.Variants = slices.Clone(doc.Variants)
	slices.SortStableFunc(doc.Variants, func(a, b edge.Variant) int { return strings.Compare(a.Slot+a.Name, b.Slot+b.Name) })
	if Hash(&other) != Hash(doc) {
		t.Error("the same release has another hash")
	}
	other.Settings.Why = false
	if Hash(&other) == Hash(doc) {
		t.Error("another release has the same hash")
	}
}

func TestReadIsBounded(t *testing.T) {
	many := fstest.MapFS{}
	for i := range MaxFiles + 1 {
		many[strings.Repeat("a", i+1)+".yaml"] = &fstest.MapFile{}
	}
	deep := "a: " + strings.Repeat("[", 100) + strings.Repeat("]", 100)
	tests := []struct {
		name string
		dir  fstest.MapFS
		want string
	}{
		{"no file", fstest.MapFS{"README.md": {}}, "missing: there is no file *.yaml or *.yml in the directory"},
		{"too many files", many, "limit: the directory holds more than 256 files"},
		{"a file that is too large", fstest.MapFS{"a.yaml": {Data: bytes.Repeat([]byte("#"), MaxBytes+1)}}, "a.yaml: limit: the files hold more than 16777216 bytes"},
		{"files that are too large together", fstest.MapFS{"a.yaml": {Data: bytes.Repeat([]byte("#"), MaxBytes)}, "b.yaml": {Data: []byte("##")}}, "b.yaml: limit: the files hold more than"},
		{"too many anchors", fstest.MapFS{"a.yaml": {Data: bytes.Repeat([]byte("&a "), maxMarks+1)}}, "a.yaml: limit: the files hold more than 1000000 values"},
		{"too many values", fstest.MapFS{"a.yaml": {Data: bytes.Repeat([]byte("- \n"), maxMarks)}}, "a.yaml: limit: the files hold more than 1000000 values"},
		{"a value too deep", fstest.MapFS{"a.yaml": {Data: []byte(deep)}}, "a.yaml:1:"},
		{"folders too deep", fstest.MapFS{"1/2/3/4/5/6/7/8/9/a.yaml": {}}, "limit: a folder in more than 8 others"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(tt.dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %.300v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestFindingsAreBounded(t *testing.T) {
	_, err := Read(fstest.MapFS{"a.yaml": {Data: []byte("fields: [" + strings.Repeat("&a x, ", 2000) + "]\n")}})
	findings, _ := errors.AsType[Findings](err)
	if len(findings) != maxFindings+1 || findings[maxFindings].String() != "limit: 1500 more things are wrong" {
		t.Errorf("%d findings, the last %v", len(findings), findings[len(findings)-1])
	}
}

func TestChangesAreToldInWords(t *testing.T) {
	before := shopDocument(t)
	tests := []struct {
		name   string
		change func(d *edge.ReleaseDocument)
		want   []string
	}{
		{"nothing", func(*edge.ReleaseDocument) {}, nil},
		{"a number that publishing gave", func(d *edge.ReleaseDocument) { d.Number = 9 }, nil},
		{"a roll-out", func(d *edge.ReleaseDocument) { rule(d, "snow").Rollout = 2000 }, []string{"changed rule hero/snow: rollout from 12.5% to 20%"}},
		{"a condition", func(d *edge.ReleaseDocument) { rule(d, "snow").When = "true" }, []string{`changed rule hero/snow: when from «!inAudience("hat-lovers") && inAudience("snowed-in")» to true`}},
		{"words in one language", func(d *edge.ReleaseDocument) {
			rule(d, "snow").Because = map[string]string{"en": "It snows.", "fr": "Il neige chez vous."}
		},
			[]string{"changed rule hero/snow: because.en from «It snows where you are.» to «It snows.»"}},
		{"a rule that is gone", func(d *edge.ReleaseDocument) { d.Slots[4].Ladder[1].Rules = d.Slots[4].Ladder[1].Rules[1:] },
			[]string{"removed rule hero/snow"}},
		{"a rule that moved", func(d *edge.ReleaseDocument) {
			r := d.Slots[4].Ladder[1].Rules
			d.Slots[4].Ladder[1].Rules = append(slices.Clone(r[1:]), r[0])
		}, []string{"changed rule hero/snow: place from 1 to 3"}},
		{"two rules that changed places", func(d *edge.ReleaseDocument) {
			r := slices.Clone(d.Slots[4].Ladder[1].Rules)
			r[1], r[2] = r[2], r[1]
			d.Slots[4].Ladder[1].Rules = r
		}, []string{"changed rule hero/weather: place from 2 to 3"}},
		{"a rule in front", func(d *edge.ReleaseDocument) {
			d.Slots[4].Ladder[1].Rules = append([]edge.RuleSpec{{Name: "new", Show: []edge.ShowSpec{{Variant: "winter"}}}}, d.Slots[4].Ladder[1].Rules...)
		}, []string{"added rule hero/new"}},
		{"another weight", func(d *edge.ReleaseDocument) {
			rule(d, "snow").Show = []edge.ShowSpec{{Variant: "winter", Weight: 9}, {Variant: "gloves", Weight: 1}}
		}, []string{"changed rule hero/snow: show from winter to winter 9, gloves 1"}},
		{"an audience more", func(d *edge.ReleaseDocument) {
			d.Audiences = append(d.Audiences, edge.Audience{Name: "new", When: "true"})
		}, []string{"added audience new"}},
		{"a text", func(d *edge.ReleaseDocument) {
			d.Variants = slices.Clone(d.Variants)
			d.Variants[4].Content = map[string]json.RawMessage{"en": json.RawMessage(`{"html":"<p>x</p>"}`), "fr": d.Variants[4].Content["fr"]}
		}, []string{"changed variant hero/winter: content.en.html changed"}},
		{"a state", func(d *edge.ReleaseDocument) { d.Campaigns[0].State = "archived" }, []string{"changed campaign first-snow: state from live to archived"}},
		{"a module's version", func(d *edge.ReleaseDocument) { d.Modules[2].Version = "1.1.0" }, []string{"added module weather@1.1.0", "removed module weather@1.0.0"}},
		{"a setting", func(d *edge.ReleaseDocument) { d.Settings.RetainDays = 0 }, []string{"changed settings: retainDays is no more 90"}},
		{"a slot's kind", func(d *edge.ReleaseDocument) { d.Slots[0].Kind = "json" }, []string{"changed slot also-like: kind from items to json"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			after := shopDocument(t)
			tt.change(after)
			var got []string
			for _, c := range Changes(before, after) {
				got = append(got, c.String())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// rule returns a rule of the slot hero.
func rule(d *edge.ReleaseDocument, name string) *edge.RuleSpec {
	for i := range d.Slots[4].Ladder {
		for j := range d.Slots[4].Ladder[i].Rules {
			if r := &d.Slots[4].Ladder[i].Rules[j]; r.Name == name {
				return r
			}
		}
	}
	panic(name)
}

func TestAUnifiedDiffIsOne(t *testing.T) {
	numbers := func(skip int, add string) []byte {
		var out strings.Builder
		for i := 1; i <= 20; i++ {
			if i == skip {
				out.WriteString(add)
				continue
			}
			out.WriteString(strings.Repeat("x", i) + "\n")
		}
		return []byte(out.String())
	}
	got := Unified(
		map[string][]byte{"a": numbers(5, ""), "gone": []byte("one\n"), "same": []byte("x\n")},
		map[string][]byte{"a": numbers(18, "new\nnewer\n"), "same": []byte("x\n"), "added": []byte("two\n")},
	)
	x := func(n int) string { return strings.Repeat("x", n) + "\n" }
	want := "--- a/a\n+++ b/a\n" +
		"@@ -2,6 +2,7 @@\n " + x(2) + " " + x(3) + " " + x(4) + "+" + x(5) + " " + x(6) + " " + x(7) + " " + x(8) +
		"@@ -14,6 +15,7 @@\n " + x(15) + " " + x(16) + " " + x(17) + "-" + x(18) + "+new\n+newer\n " + x(19) + " " + x(20) +
		"--- /dev/null\n+++ b/added\n@@ -0,0 +1,1 @@\n+two\n" +
		"--- a/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-one\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Whatever two texts are, the edits lead from one to the other.
func TestEditsLeadFromOneTextToTheOther(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	some := func() []string {
		out := make([]string, random.IntN(12))
		for i := range out {
			out[i] = string(rune('a' + random.IntN(4)))
		}
		return out
	}
	for range 2000 {
		a, b := some(), some()
		var left, right []string
		for _, e := range edits(a, b) {
			if e.sign != '+' {
				left = append(left, e.line)
			}
			if e.sign != '-' {
				right = append(right, e.line)
			}
		}
		if !slices.Equal(left, a) || !slices.Equal(right, b) {
			t.Fatalf("%q to %q by %v", a, b, edits(a, b))
		}
	}
}
