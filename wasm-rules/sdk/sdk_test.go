// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// TestMain is also the program that compiles modules, and the nearside command
// that build.sh calls.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
		os.Exit(wasmrules.CompileMain(os.Args[2:]))
	}
	if len(os.Args) == 6 && strings.Join(os.Args[1:4], " ") == "module pack --manifest" {
		if err := pack(os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func pack(manifest, file string) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	packed, err := wasmrules.Pack(wasm, text)
	if err != nil {
		return err
	}
	return os.WriteFile(file, packed, 0o600)
}

// TestACopyOfEachTemplateBuildsAndPassesItsCases takes an author's first steps in
// each language: copy, build by one command, check, test.
func TestACopyOfEachTemplateBuildsAndPassesItsCases(t *testing.T) {
	needs := map[string][]string{
		"assemblyscript": {"node", "npm"},
		"c":              {"clang-14", "wasm-ld-14"},
		"go":             {"go"},
		"rust":           {"/usr/bin/rustc"},
	}
	checker, err := wasmrules.OpenChecker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := checker.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, language := range Languages() {
		t.Run(language, func(t *testing.T) {
			for _, command := range append(needs[language], "sh") {
				if _, err := exec.LookPath(command); err != nil {
					if os.Getenv("CI") != "" {
						t.Fatalf("%v: under CI nothing is left out", err)
					}
					t.Skipf("%v: scripts/deps.sh installs it", err)
				}
			}
			dir := copyTemplate(t, language)
			build(t, dir)
			wasm, err := os.ReadFile(filepath.Join(dir, "rule.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			report, err := checker.Check(t.Context(), wasm)
			if err != nil || !report.OK {
				t.Fatalf("%v, %+v", err, report)
			}
			t.Logf("%d bytes, %d pages, at most %d fuel, compiled in %d ms", report.Bytes, report.MemoryPages, report.MaxFuel, report.CompileMillis)
			if pages := report.MemoryPages; pages > 1 && language != "go" {
				t.Errorf("%d pages of memory where one does", pages)
			}
			result, err := checker.Test(t.Context(), wasm, readCases(t, filepath.Join(dir, "cases.jsonl")))
			if err != nil || !result.OK || result.Passed < 8 {
				t.Errorf("%v, %+v", err, result)
			}
		})
	}
}

func copyTemplate(t *testing.T, language string) string {
	t.Helper()
	template, err := Template(language)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a rule") // a blank must not break the build
	if err := os.CopyFS(dir, template); err != nil {
		t.Fatal(err)
	}
	return dir
}

func build(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "build.sh"))
	command.Dir = t.TempDir() // it works from anywhere
	command.Env = append(os.Environ(), "NEARSIDE="+self)
	if said, err := command.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
		t.Fatalf("build.sh: %v\n%s", err, said)
	}
}

func readCases(t *testing.T, name string) []edge.ModuleCase {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases []edge.ModuleCase
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var c edge.ModuleCase
		if err := decoder.Decode(&c); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestATemplateIsTheWholeFolder: a file that an SDK gains must not be missing
// from what an author gets.
func TestATemplateIsTheWholeFolder(t *testing.T) {
	for _, language := range Languages() {
		template, err := Template(language)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(language)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if made := entry.Name(); made == "rule.wasm" || made == "node_modules" {
				continue
			}
			if _, err := fs.Stat(template, entry.Name()); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s/%s is not in the template", language, entry.Name())
			}
		}
	}
	if _, err := Template("cobol"); err == nil {
		t.Error("there is a template for COBOL")
	}
	if _, err := Template("generate"); err == nil {
		t.Error("a folder that is no language is a template")
	}
}
