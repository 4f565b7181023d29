// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// writeModule puts a module into a folder.
func writeModule(t *testing.T, dir, name string, wasm []byte, m edge.Manifest) {
	t.Helper()
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name+".wasm"), wasm)
	writeFile(t, filepath.Join(dir, name+".json"), manifest)
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
	a, b := assemble(minimal()), assemble(minimal(testFunc{"near_out", nil, []byte{wasmI32}, constI32(40000)}))
	writeModule(t, dir, "a", a, oneSlot())
	if _, _, err := source.Open(HashOf(b)); !errors.Is(err, ErrUnknownModule) || !strings.Contains(err.Error(), HashOf(b)) {
		t.Errorf("a module that is not there: %v", err)
	}
	writeModule(t, dir, "b", b, oneSlot())
	for _, want := range [][]byte{a, b} {
		got, m, err := source.Open(HashOf(want))
		if err != nil || !bytes.Equal(got, want) || m.Name != "test" {
			t.Errorf("got %d bytes, %q, %v", len(got), m.Name, err)
		}
	}
	writeFile(t, filepath.Join(dir, "a.wasm"), b)
	if _, _, err := source.Open(HashOf(a)); !errors.Is(err, ErrUnknownModule) {
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
		{"no manifest", func(dir string) { writeFile(t, filepath.Join(dir, "a.wasm"), wasm) }, "a.json"},
		{"a manifest that is not JSON", func(dir string) {
			writeFile(t, filepath.Join(dir, "a.wasm"), wasm)
			writeFile(t, filepath.Join(dir, "a.json"), []byte("{"))
		}, "a.json: unexpected end"},
		{"a manifest that is wrong", func(dir string) { writeModule(t, dir, "a", wasm, edge.Manifest{}) }, "a.json: manifest: abi 0"},
		{"a manifest that is too large", func(dir string) {
			writeFile(t, filepath.Join(dir, "a.wasm"), wasm)
			writeFile(t, filepath.Join(dir, "a.json"), make([]byte, maxManifestBytes+1))
		}, "a.json: more than 1048576 bytes"},
		{"a module that is too large", func(dir string) { writeModule(t, dir, "a", make([]byte, MaxModuleBytes+1), oneSlot()) }, "a.wasm: more than 524288 bytes"},
		{"a module that is a folder", func(dir string) { makeFolder(t, filepath.Join(dir, "a.wasm")) }, "a.wasm: not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.fill(dir)
			if _, _, err := DirSource(dir).Open(HashOf(wasm)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open gave %v, want %q", err, tt.want)
			}
			if list, err := DirSource(dir).List(); err == nil || !strings.Contains(err.Error(), tt.want) || len(list) != 0 {
				t.Errorf("List gave %v, %v, want %q", list, err, tt.want)
			}
		})
	}
}

func TestABadNeighbourHidesNothing(t *testing.T) {
	dir, wasm := t.TempDir(), assemble(minimal())
	writeFile(t, filepath.Join(dir, "a.wasm"), make([]byte, MaxModuleBytes+1))
	writeModule(t, dir, "b", wasm, oneSlot())
	if _, _, err := DirSource(dir).Open(HashOf(wasm)); err != nil {
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
		if wasm, _, err := Embedded().Open(m.Hash); err != nil || HashOf(wasm) != m.Hash {
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
		if _, got, err := both.Open(m.Hash); err != nil || got.Name != m.Manifest.Name {
			t.Errorf("%s: got %q, %v", m.Manifest.Name, got.Name, err)
		}
	}
	for _, s := range []ModuleSource{both, Chain()} {
		if _, _, err := s.Open("nothing"); !errors.Is(err, ErrUnknownModule) {
			t.Errorf("an unknown hash: %v", err)
		}
	}
	// A source that is broken must not let another answer in its place.
	broken := Chain(DirSource(filepath.Join(dir, "missing")), Embedded())
	if _, _, err := broken.Open(list[0].Hash); err == nil || errors.Is(err, ErrUnknownModule) {
		t.Errorf("a broken source: %v", err)
	}
}
