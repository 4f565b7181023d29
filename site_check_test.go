// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/sitefile"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// What is wrong with files and rules, in plain, quoted and block text, is told in
// one go.
func TestCheckTellsAllThatIsWrong(t *testing.T) {
	out, why := refusedBy(t, "check", "testdata/check")
	golden(t, "testdata/check/check.txt", out)
	if want := fmt.Sprintf("nearside check: %d things are wrong with the files of testdata/check\n", strings.Count(out, "\n")); why != want {
		t.Errorf("it ends with %s, want %s", why, want)
	}
}

func TestFindingsForPrograms(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("site: shop\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := refusedBy(t, "check", dir, "--json")
	var findings sitefile.Findings
	if err := json.Unmarshal([]byte(out), &findings); err != nil || len(findings) != 1 || findings[0].Code != sitefile.CodeMissing {
		t.Errorf("%v in %s", err, out)
	}
	if !strings.Contains(out, `"severity": "error"`) {
		t.Errorf("what is wrong is no error: %s", out)
	}
	good := filepath.Join(dir, "good")
	cli(t, "site", "files", "shop", good, "--origin", shopOrigin)
	if out := cli(t, "check", good, "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("nothing wrong is %s", out)
	}
	rewrite(t, good, "slots/hero.yaml", "state: live", "state: draft")
	var noticed []map[string]any
	if out := cli(t, "check", good, "--json"); json.Unmarshal([]byte(out), &noticed) != nil || len(noticed) != 1 ||
		noticed[0]["severity"] != "notice" || noticed[0]["file"] != "slots/hero.yaml" || noticed[0]["line"] == 0.0 {
		t.Errorf("a notice is %s", out)
	}
}

// A name that is taken is told once, and not again by what comes of it.
func TestADuplicateIsToldOnce(t *testing.T) {
	dir := t.TempDir()
	const text = `site: shop
settings: {origins: [https://shop.example], languages: [en]}
audiences:
  - {name: a, when: device.type == "phone"}
  - {name: a, when: inAudience("a")}
slots:
  - {name: hero, kind: text, ladder: {context: [{name: r, when: inAudience("a"), show: x}]}}
variants:
  hero: [{name: x, state: live, content: {en: Hi}}]
`
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := refusedBy(t, "check", dir); out != filepath.Join(dir, "a.yaml")+":5:12: duplicate: the audience a stands in a.yaml already, line 4\n" {
		t.Errorf("check says %s", out)
	}
}

// What a condition mostly does not mean is noticed where it stands, and the files
// may be applied.
func TestCheckNoticesWhatNeverHolds(t *testing.T) {
	dir := t.TempDir()
	cli(t, "site", "files", "shop", dir, "--origin", shopOrigin)
	rewrite(t, dir, "slots/hero.yaml", `device.type == "phone"`, `device.type == "mobile"`)
	out := cli(t, "check", dir)
	hero := filepath.Join(dir, "slots", "hero.yaml")
	if _, notice, ok := strings.Cut(out, "0 audiences.\n"); !ok || notice != hero+":11:32: notice: device.type is never \"mobile\"; it is phone, tablet, desktop, tv or other\n" {
		t.Errorf("check says %s", out)
	}
	cli(t, "apply", dir, "--data", t.TempDir())
}

func TestAModuleThatIsNotHereIsBelieved(t *testing.T) {
	if out := cli(t, "check", "sitefile/testdata/shop"); !strings.HasPrefix(out, "Nothing is wrong with site shop: 6 slots") {
		t.Errorf("check says %s", out)
	}
	dir := t.TempDir()
	cli(t, "site", "files", "shop", dir, "--origin", shopOrigin)
	rewrite(t, dir, "site.yaml", "site: shop\n", "site: shop\nmodules: [{name: by-device}, {name: weather}]\n")
	out, _ := refusedBy(t, "check", dir)
	if want := "site.yaml:6:30: release: modules: weather: there is none here by that name"; !strings.Contains(out, want) || strings.Contains(out, "by-device") {
		t.Errorf("check says %s, want %s", out, want)
	}
}

func TestAModuleWithoutAHashIsTheOneAtHand(t *testing.T) {
	known := []edge.ModuleRef{{Name: "a", Version: "1.0.0", Hash: "x"}, {Name: "a", Version: "1.0.0", Hash: "x"}, {Name: "b", Version: "1.0.0", Hash: "y"}, {Name: "b", Version: "2.0.0", Hash: "z"},
		{Name: "d", Version: "1.0.0", Hash: "uploaded"}, {Name: "d", Version: "1.0.0", Hash: "built here"}}
	tests := []struct {
		name, give string
		want       string // name@version hash, or part of the error
	}{
		{"known once, twice over", "a", "a@1.0.0 x"},
		{"by its version", "b@2.0.0", "b@2.0.0 z"},
		{"two versions", "b", "say which version: b@1.0.0, b@2.0.0"},
		{"another version", "a@3.0.0", "none here by that name"},
		{"two builds of a version", "d@1.0.0", "two different modules"},
		{"not known", "c", "none here by that name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ref := moduleRef(tt.give)
			err := fillModule(&ref, known)
			if got := ref.ID() + " " + ref.Hash; err == nil && got != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	whole := edge.ModuleRef{Name: "a", Version: "9.0.0", Hash: "own"}
	if err := fillModule(&whole, known); err != nil || whole.Hash != "own" {
		t.Errorf("a module with version and hash becomes %+v, %v", whole, err)
	}
}

// FuzzCheckSite checks that no site file makes the rules' compiler panic, and that
// what the compiler refuses is found in the file.
func FuzzCheckSite(f *testing.F) {
	for _, name := range []string{"testdata/eval/site/shop.yaml", "sitefile/testdata/shop/people.yml", "sitefile/testdata/shop/slots/hero.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := sitefile.Check(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, lang.Compile)
		findings, ok := errors.AsType[sitefile.Findings](err)
		if err != nil && !ok {
			t.Fatalf("%v is no finding", err)
		}
		for _, one := range findings {
			if one.File != "" && (one.Line < 1 || one.Column < 1 || one.Line > strings.Count(text, "\n")+1) {
				t.Errorf("%v is not in the file", one)
			}
		}
	})
}

// The example of docs/SITE.md is right, and stays so.
func TestTheDocumentedSiteIsRight(t *testing.T) {
	document, err := os.ReadFile("docs/SITE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(document), "<!-- A test checks this example. -->\n```yaml\n")
	example, _, found := strings.Cut(after, "```\n")
	if !found {
		t.Fatal("docs/SITE.md has no example of a site file")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(example), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := cli(t, "check", dir); !strings.HasPrefix(out, "Nothing is wrong with site shop: 1 slot, 2 rules, 2 variants, 1 audience.") {
		t.Errorf("check says %s", out)
	}
}
