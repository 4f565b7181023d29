// SPDX-License-Identifier: Apache-2.0

package abitest

import (
	"os"
	"path/filepath"
	"testing"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// TestMain is also the program that compiles the modules.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
		os.Exit(wasmrules.CompileMain(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestConformance has a row for every guest language.
func TestConformance(t *testing.T) {
	for _, language := range []struct{ name, folder string }{
		{"C", "echo-c"},
		{"AssemblyScript", "echo-assemblyscript"},
		{"Rust", "echo-rust"},
	} {
		t.Run(language.name, func(t *testing.T) {
			wasm, err := os.ReadFile(filepath.Join(language.folder, "rule.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			Run(t, wasm)
		})
	}
}

func TestTheKitAsksEverySlotOfTheManifest(t *testing.T) {
	manifest, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, c := range cases {
		if manifest.Slot(c.Slot) < 0 {
			t.Errorf("%s: the manifest has no slot %q", c.Name, c.Slot)
		}
		asked[c.Slot] = true
	}
	for _, s := range manifest.Slots {
		if !asked[s.Name] {
			t.Errorf("no case asks slot %q", s.Name)
		}
	}
}
