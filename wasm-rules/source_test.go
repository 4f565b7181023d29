// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// writeModule puts a module with a manifest into a folder and returns the file's
// content.
func writeModule(t *testing.T, dir, name string, wasm []byte, m edge.Manifest) []byte {
	t.Helper()
	wasm = packAnything(wasm, m)
	writeFile(t, filepath.Join(dir, name+".wasm"), wasm)
	return wasm
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func makeFolder(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestDirSourceOpensByHash(t *testing.T) {
	dir := t.TempDir()
	source := DirSource(dir)
	wasm := assemble(minimal())
	other := oneSlot()
	other.Version = "1.0.1"
	a, b := packAnything(wasm, oneSlot()), packAnything(wasm, other)
	writeFile(t, filepath.Join(dir, "a.wasm"), a)
	if _, err := source.Open(HashOf(b)); !errors.Is(err, ErrUnknownModule) || !strings.Contains(err.Error(), HashOf(b)) {
		t.Errorf("a module that is not there: %v", err)
	}
	writeFile(t, filepath.Join(dir, "b.wasm"), b)
	for _, want := range [][]byte{a, b} {
		if got, err := source.Open(HashOf(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	}
	list, err := source.List()
	if err != nil || len(list) != 2 || list[0].Manifest.ID() != "test@1.0.0" || list[1].Manifest.ID() != "test@1.0.1" {
		t.Errorf("List gave %+v, %v", list, err)
	}
	writeFile(t, filepath.Join(dir, "a.wasm"), b)
	if _, err := source.Open(HashOf(a)); !errors.Is(err, ErrUnknownModule) {
		t.Errorf("a module that was replaced: %v", err)
	}
}

func TestDirSourceSaysWhatIsWrong(t *testing.T) {
	wasm := assemble(minimal())
	tests := []struct {
		name string
		fill func(dir string)
		want string
	}{
		{"no folder", func(dir string) { os.Remove(dir) }, "list modules"},
		{"no manifest", func(dir string) { writeFile(t, filepath.Join(dir, "a.wasm"), wasm) }, "a.wasm: manifest: the module has none"},
		{"a manifest that is wrong", func(dir string) { writeModule(t, dir, "a", wasm, edge.Manifest{}) }, "a.wasm: manifest: abi: 0"},
		{"a file that is no module", func(dir string) { writeFile(t, filepath.Join(dir, "a.wasm"), []byte("no")) }, "a.wasm: this is not a WebAssembly 1.0 module"},
		{"a file that is too large", func(dir string) { writeFile(t, filepath.Join(dir, "a.wasm"), make([]byte, MaxModuleBytes+1)) }, "a.wasm: more than 4194304 bytes"},
		{"a module that is a folder", func(dir string) { makeFolder(t, filepath.Join(dir, "a.wasm")) }, "a.wasm: not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.fill(dir)
			if list, err := DirSource(dir).List(); err == nil || !strings.Contains(err.Error(), tt.want) || len(list) != 0 {
				t.Errorf("List gave %v, %v, want %q", list, err, tt.want)
			}
		})
	}
}

func TestOpenNamesTheFilesItCouldNotRead(t *testing.T) {
	dir := t.TempDir()
	makeFolder(t, filepath.Join(dir, "a.wasm"))
	if _, err := DirSource(dir).Open("nothing"); !errors.Is(err, ErrUnknownModule) || !strings.Contains(err.Error(), "a.wasm: not a regular file") {
		t.Errorf("Open gave %v", err)
	}
	if _, err := DirSource(filepath.Join(dir, "missing")).Open("nothing"); err == nil || errors.Is(err, ErrUnknownModule) {
		t.Errorf("Open in a folder that is missing gave %v", err)
	}
}

func TestABadNeighbourHidesNothing(t *testing.T) {
	dir, wasm := t.TempDir(), assemble(minimal())
	writeFile(t, filepath.Join(dir, "a.wasm"), make([]byte, MaxModuleBytes+1))
	good := writeModule(t, dir, "b", wasm, oneSlot())
	if _, err := DirSource(dir).Open(HashOf(good)); err != nil {
		t.Errorf("Open: %v", err)
	}
	if list, err := DirSource(dir).List(); err == nil || len(list) != 1 {
		t.Errorf("List gave %v, %v, want one module and an error", list, err)
	}
}

func TestEmbeddedHasTheProductsModules(t *testing.T) {
	list, err := Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Manifest.Name)
		if wasm, err := Embedded().Open(m.Hash); err != nil || HashOf(wasm) != m.Hash {
			t.Errorf("%s: %v", m.Manifest.Name, err)
		}
	}
	if got := strings.Join(names, " "); got != "by-device offer-by-history season-by-place" {
		t.Errorf("embedded are %s", got)
	}
}

func TestChainAsksOneAfterTheOther(t *testing.T) {
	dir, wasm := t.TempDir(), assemble(minimal())
	writeModule(t, dir, "a", wasm, oneSlot())
	both := Chain(Embedded(), DirSource(dir))
	list, err := both.List()
	if err != nil || len(list) != 4 {
		t.Fatalf("List gave %d modules, %v", len(list), err)
	}
	for _, m := range list {
		if got, err := both.Open(m.Hash); err != nil || HashOf(got) != m.Hash {
			t.Errorf("%s: %v", m.Manifest.Name, err)
		}
	}
	for _, s := range []ModuleSource{both, Chain()} {
		if _, err := s.Open("nothing"); !errors.Is(err, ErrUnknownModule) {
			t.Errorf("an unknown hash: %v", err)
		}
	}
	// A source that is broken must not let another answer in its place.
	broken := Chain(DirSource(filepath.Join(dir, "missing")), Embedded())
	if _, err := broken.Open(list[0].Hash); err == nil || errors.Is(err, ErrUnknownModule) {
		t.Errorf("a broken source: %v", err)
	}
}
