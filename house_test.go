// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestHouseRules holds what no linter does.
func TestHouseRules(t *testing.T) {
	root := os.DirFS(".")
	for _, fault := range append(houseFaults(parseTree(t, root)), unlicensed(t, root)...) {
		t.Error(fault)
	}
}

func TestHouseRulesRefuse(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             string // part of the fault, empty if there is none
	}{
		{"a plain file", "geo/geo.go", "// Package geo is here.\npackage geo\n\nfunc Open() {}\n", ""},
		{"no package comment", "geo/geo.go", "package geo\n", "no comment"},
		{"a comment that is not the package's", "geo/geo.go", "// Places.\npackage geo\n", "no comment"},
		{"work before main", "geo/geo.go", "// Package geo is here.\npackage geo\n\nfunc init() {}\n", "init"},
		{"a method may be called init", "geo/geo.go", "// Package geo is here.\npackage geo\n\nfunc (t T) init() {}\n", ""},
		{"a value in a context", "geo/geo.go", "// Package geo is here.\npackage geo\n\nvar c = context.WithValue(nil, 1, 2)\n", "WithValue"},
		{"a value in a test's context is no better", "geo/geo_test.go", "package geo\n\nvar c = context.WithValue(nil, 1, 2)\n", "WithValue"},
		{"a name of the standard library", "http/http.go", "// Package http is here.\npackage http\n", "package http"},
		{"a package name that says nothing", "util/util.go", "// Package util is here.\npackage util\n", "package util"},
		{"a second meaning of context", "geo/geo.go", "// Package geo is here.\npackage geo\n\ntype Context struct{}\n", "Context"},
		{"a suffix that says nothing", "geo/geo.go", "// Package geo is here.\npackage geo\n\ntype PlaceInfo struct{}\n", "PlaceInfo"},
		{"a getter called Get", "geo/geo.go", "// Package geo is here.\npackage geo\n\nfunc (p Place) GetCity() {}\n", "GetCity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := parseTree(t, fstest.MapFS{tt.file: {Data: []byte(tt.text)}})
			checkFault(t, houseFaults(tree), tt.want)
		})
	}
}

func TestHouseRulesRefuseCodeWithoutLicence(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             string
	}{
		{"a licence in Go", "geo/geo.go", spdx + "\n\npackage geo\n", ""},
		{"no licence", "geo/geo.go", "package geo\n", "geo/geo.go"},
		{"a licence further down", "geo/geo.go", "package geo\n" + spdx + "\n", "geo/geo.go"},
		{"another licence", "geo/geo.go", "// SPDX-License-Identifier: MIT\n", "geo/geo.go"},
		{"no licence in a guest", "wasm-rules/testdata/spin.c", "int main() {}\n", "spin.c"},
		{"no licence in the tag", "tag/src/send.ts", "export {};\n", "send.ts"},
		{"what the tag's sources give", "tag/dist/tag.js", "(()=>{})();\n", ""},
		{"code of others", "wasm-rules/node_modules/x/x.ts", "export {};\n", ""},
		{"a document", "README.md", "# Nearside\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkFault(t, unlicensed(t, fstest.MapFS{tt.file: {Data: []byte(tt.text)}}), tt.want)
		})
	}
}

// checkFault fails the test unless there is just one fault, one that contains
// want, or none if want is empty.
func checkFault(t *testing.T, faults []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(faults) > 0:
		t.Errorf("got faults %q, want none", faults)
	case want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)):
		t.Errorf("got faults %q, want one with %q", faults, want)
	}
}

// houseFaults returns a sentence for each breach of a rule that every file or
// package of the tree has to keep.
func houseFaults(tree []source) []string {
	var faults []string
	commented := make(map[string]bool) // by folder
	for _, s := range tree {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok && selector.Sel.Name == "WithValue" {
				faults = append(faults, s.path+" uses context.WithValue; pass an argument")
			}
			return true
		})
		if s.isTest() {
			continue
		}
		doc := s.file.Doc.Text()
		says := strings.HasPrefix(doc, "Package ") || strings.HasPrefix(doc, "Command ")
		commented[s.dir()] = commented[s.dir()] || says
		faults = append(faults, nameFaults(s)...)
	}
	for _, dir := range slices.Sorted(maps.Keys(commented)) {
		if !commented[dir] {
			faults = append(faults, "the package in "+dir+" has no comment")
		}
	}
	return faults
}

var (
	refusedPackages = []string{
		"util", "utils", "common", "helpers", "types", "models", "base", "core", "manager",
		// Packages of the standard library that every reader knows.
		"http", "context", "sync", "runtime", "log", "time", "net", "io", "os", "errors", "testing",
	}
	refusedTypes    = []string{"Context"}
	refusedSuffixes = []string{"Impl", "Data", "Info", "Object", "Manager", "Helper"}
)

// nameFaults returns a sentence for each name that says nothing, or that means
// something else to every reader of Go.
func nameFaults(s source) []string {
	var faults []string
	if name := s.file.Name.Name; slices.Contains(refusedPackages, name) {
		faults = append(faults, s.path+" is of package "+name+"; name what is in it")
	}
	for _, decl := range s.file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if name == "init" && decl.Recv == nil {
				faults = append(faults, s.path+" has an init function; use a table")
			}
			if what, ok := strings.CutPrefix(name, "Get"); ok && ast.IsExported(what) {
				faults = append(faults, s.path+" declares "+name+"; leave Get out")
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && saysNothing(spec.Name.Name) {
					faults = append(faults, s.path+" declares type "+spec.Name.Name+"; say what it is")
				}
			}
		}
	}
	return faults
}

func saysNothing(name string) bool {
	return slices.Contains(refusedTypes, name) || slices.ContainsFunc(refusedSuffixes, func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
}

const spdx = "// SPDX-License-Identifier: Apache-2.0"

// unlicensed returns a sentence for each file of code under the root, guests
// and test data included, whose first line is not the licence's.
func unlicensed(t *testing.T, root fs.FS) []string {
	t.Helper()
	var faults []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "dist", "node_modules", "vendor"}, base):
			return fs.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".go", ".ts", ".js", ".c", ".h"}, path.Ext(name)):
			return nil
		}
		file, err := root.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		first := bufio.NewScanner(file)
		if !first.Scan() || first.Text() != spdx {
			faults = append(faults, name+" does not begin with "+spdx)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return faults
}
