// SPDX-License-Identifier: Apache-2.0

// Command build makes rule.wasm of every guest module in this repository: the
// rules, the echo modules of the conformance kit and those of the bench. A guest
// is a folder that holds one C, Rust or AssemblyScript file and, there or in the
// folder above, a manifest.json, which is packed into the module.
//
//	go run ./wasm-rules/build              rebuild in place
//	go run ./wasm-rules/build -out DIR     build into DIR, in the repository's folders
//	go run ./wasm-rules/build -check       build aside and compare with what is committed
//
// It needs clang-14 and lld-14 for C, Debian's rustc with its wasm32 library for
// Rust, Node and npm for AssemblyScript; the AssemblyScript compiler comes from
// package-lock.json. The same sources and
// compilers give the same bytes. Building the product needs none of this: the
// built modules are committed.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("build: ")
	out := flag.String("out", "", "build into this folder instead of in place")
	check := flag.Bool("check", false, "compare with the committed modules and fail on a difference")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		log.Fatal(err)
	}
}

func run(out string, check bool) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	guests, err := findGuests(root)
	if err != nil {
		return err
	}
	if check && out == "" {
		if out, err = os.MkdirTemp("", "wasm-rules-"); err != nil {
			return err
		}
		defer os.RemoveAll(out)
	}
	if out == "" {
		out = filepath.Dir(root)
	}
	if out, err = filepath.Abs(filepath.Join(out, filepath.Base(root))); err != nil {
		return err
	}
	tools, err := findTools(root, guests)
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range guests {
		built := filepath.Join(out, g.module())
		if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
			return err
		}
		if err := tools.build(g, built); err != nil {
			return fmt.Errorf("%s: %w", g.source, err)
		}
		if err := pack(root, g, built); err != nil {
			return fmt.Errorf("%s: %w", g.source, err)
		}
		if check {
			errs = append(errs, compare(g, built, filepath.Join(root, g.module())))
		}
	}
	return errors.Join(errs...)
}

// findRoot returns the wasm-rules folder of the repository around the working
// directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		root := filepath.Join(dir, "wasm-rules")
		if _, err := os.Stat(filepath.Join(root, "ABI.md")); err == nil {
			return root, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run it inside the repository: no wasm-rules folder above")
		}
	}
}

// A guest is one module: its source, relative to the wasm-rules folder.
type guest struct{ source string }

func (g guest) module() string   { return filepath.Join(filepath.Dir(g.source), "rule.wasm") }
func (g guest) language() string { return filepath.Ext(g.source) }

// languages are the file name extensions of guests' sources.
var languages = []string{".c", ".rs", ".ts"}

func findGuests(root string) ([]guest, error) {
	var guests []guest
	seen := map[string]bool{}
	for _, pattern := range []string{"rules/*/*", "abitest/*/*", "../bench/guests/*/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if !slices.Contains(languages, filepath.Ext(file)) {
				continue
			}
			source, err := filepath.Rel(root, file)
			if err != nil {
				return nil, err
			}
			g := guest{source}
			if seen[g.module()] {
				return nil, fmt.Errorf("%s: a guest's folder holds one source file", filepath.Dir(source))
			}
			seen[g.module()] = true
			guests = append(guests, g)
		}
	}
	if len(guests) == 0 {
		return nil, fmt.Errorf("no guests below %s", root)
	}
	return guests, nil
}

// pack puts a guest's manifest into its module: the one beside its source, or
// the one that all guests of the folder above share.
func pack(root string, g guest, built string) error {
	dir := filepath.Join(root, filepath.Dir(g.source))
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if errors.Is(err, os.ErrNotExist) {
		manifest, err = os.ReadFile(filepath.Join(filepath.Dir(dir), "manifest.json"))
	}
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	if wasm, err = wasmrules.Pack(wasm, manifest); err != nil {
		return err
	}
	// One linker marks its output executable, the other does not.
	return errors.Join(os.WriteFile(built, wasm, 0o644), os.Chmod(built, 0o644))
}

func compare(g guest, built, committed string) error {
	want, err := os.ReadFile(committed)
	if err != nil {
		return err
	}
	got, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s: the committed module differs from its source (%d bytes, built %d): run go run ./wasm-rules/build",
			g.module(), len(want), len(got))
	}
	return nil
}

// tools are the compilers, by path.
type tools struct{ root, clang, lld, rustc, node, asc string }

// rustLibrary is where Debian's package libstd-rust-dev-wasm32 puts what rustc
// needs for WebAssembly.
const rustLibrary = "/usr/lib/rustlib/wasm32-unknown-unknown/lib"

func findTools(root string, guests []guest) (*tools, error) {
	t := &tools{root: root, rustc: "/usr/bin/rustc", asc: filepath.Join(root, "node_modules", "assemblyscript", "bin", "asc.js")}
	used := map[string]bool{}
	for _, g := range guests {
		used[g.language()] = true
	}
	var err error
	if used[".c"] {
		if t.clang, err = exec.LookPath("clang-14"); err != nil {
			return nil, fmt.Errorf("%w (Debian package clang-14)", err)
		}
		if t.lld, err = exec.LookPath("wasm-ld-14"); err != nil {
			return nil, fmt.Errorf("%w (Debian package lld-14)", err)
		}
	}
	if used[".rs"] {
		// Not the one of PATH: another version gives other bytes.
		for _, path := range []string{t.rustc, rustLibrary} {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("%w (Debian packages rustc, libstd-rust-dev-wasm32)", err)
			}
		}
	}
	if used[".ts"] {
		if t.node, err = exec.LookPath("node"); err != nil {
			return nil, fmt.Errorf("%w (Debian packages nodejs, npm)", err)
		}
		return t, t.installCompiler()
	}
	return t, nil
}

// installCompiler installs the pinned AssemblyScript compiler unless it is there.
func (t *tools) installCompiler() error {
	var want struct {
		DevDependencies map[string]string `json:"devDependencies"`
	}
	var have struct {
		Version string `json:"version"`
	}
	if err := readJSON(filepath.Join(t.root, "package.json"), &want); err != nil {
		return err
	}
	installed := readJSON(filepath.Join(t.root, "node_modules", "assemblyscript", "package.json"), &have) == nil
	if installed && have.Version == want.DevDependencies["assemblyscript"] {
		return nil
	}
	return t.run("npm", "ci", "--silent", "--no-audit", "--no-fund")
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// build compiles one guest. sdk/*/build.sh compiles with the same flags.
func (t *tools) build(g guest, built string) error {
	switch g.language() {
	case ".c":
		// The stack stands first so that it overflows into a trap, not into data.
		return t.run(t.clang, "--target=wasm32", "-O2", "-std=c11", "-nostdlib", "-ffreestanding", "-fno-builtin",
			"-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Isdk/c", "-fuse-ld="+t.lld,
			"-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--stack-first", "-Wl,-z,stack-size=8192",
			"-o", built, g.source)
	case ".rs":
		// rustc puts the stack first by itself, and a megabyte of it. Several units
		// would be put together in the order in which they are done.
		return t.run(t.rustc, "--target=wasm32-unknown-unknown", "--crate-type=cdylib", "--edition=2021", "-O", "-Dwarnings",
			"-Cpanic=abort", "-Clto", "-Ccodegen-units=1", "-Cstrip=symbols", "-Clink-arg=-zstack-size=8192", "-o", built, g.source)
	}
	// Without abort a failed assertion is a trap and the module needs no import.
	return t.run(t.node, t.asc, g.source, "-O3", "--converge", "--runtime", "stub", "--use", "abort=",
		"--exportStart", "_initialize", "-o", built)
}

// run runs a compiler in the wasm-rules folder; what it says is shown only if
// it fails.
func (t *tools) run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = t.root
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, bytes.TrimSpace(said))
	}
	return nil
}
