// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

const goodManifest = `{"abi":1,"name":"test","version":"1.0.0","slots":[{"name":"slot","variants":["one"]}],"needs":["context"],"reads":["lang"],"settings":{"type":"object"}}`

func TestParseManifestIsStrict(t *testing.T) {
	if _, err := ParseManifest([]byte(goodManifest)); err != nil {
		t.Fatalf("the good manifest: %v", err)
	}
	tests := []struct{ name, old, new, member, what string }{
		{"a member no manifest has", `"needs"`, `"need"`, "need", "no member of a manifest"},
		{"a member with other letters", `"needs"`, `"Needs"`, "Needs", "no member of a manifest"},
		{"a member no slot has", `"variants":["one"]`, `"variants":["one"],"kind":"html"`, "slots/0/kind", "no member of a manifest"},
		{"a member twice", `"abi":1`, `"abi":2,"abi":1`, "abi", "stands twice"},
		{"a slot's member twice", `"variants":["one"]`, `"variants":["one"],"variants":["one"]`, "slots/0/variants", "stands twice"},
		{"a text for a number", `"abi":1`, `"abi":"1"`, "abi", "want int, got string"},
		{"a number for a text", `"1.0.0"`, `1.0`, "version", "want string, got number"},
		{"an object for a list", `["one"]`, `{}`, "slots/variants", "want []string, got object"},
		{"an unknown purpose", `["context"]`, `["fun"]`, "needs", "unknown purpose"},
		{"a value that Validate refuses", `"1.0.0"`, `"one"`, "version", "MAJOR.MINOR.PATCH"},
		{"a schema that is none", `{"type":"object"}`, `{"type":"thing"}`, "settings", "/type"},
		{"a list", goodManifest, `[]`, "", "want edge.Manifest, got array"},
		{"nothing", goodManifest, ``, "", "not JSON"},
		{"half an object", goodManifest, `{"abi":1`, "", "not JSON"},
		{"two objects", `{"abi"`, `{} {"abi"`, "", "something follows"},
		{"other bytes than UTF-8", `test`, "t\xffst", "", "not UTF-8"},
		{"a number no float64 holds", `"abi":1`, `"budget":1e999,"abi":1`, "budget", "too large"},
		{"a manifest without end", `"type":"object"`, `"const":"` + strings.Repeat("x", MaxManifestBytes) + `"`, "", "at most 65536"},
		{"nesting without end", `"type":"object"`, `"const":` + strings.Repeat("[", 40) + strings.Repeat("]", 40), "settings/const" + strings.Repeat("/0", 31), "nested deeper than 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(goodManifest, tt.old, tt.new, 1)
			if text == goodManifest {
				t.Fatal("nothing was changed")
			}
			_, err := ParseManifest([]byte(text))
			wrong := (*edge.ManifestError)(nil)
			if !errors.As(err, &wrong) || wrong.Member != tt.member || !strings.Contains(wrong.What, tt.what) {
				t.Errorf("error %v, want one about %q with %q", err, tt.member, tt.what)
			}
		})
	}
}

func TestPackWritesTheManifestIntoTheModule(t *testing.T) {
	wasm := assemble(minimal())
	first, err := Pack(wasm, []byte(goodManifest))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(first, wasm) {
		t.Error("the module itself has changed")
	}
	if m, err := ReadManifest(first); err != nil || m.ID() != "test@1.0.0" || string(m.Settings) != `{"type":"object"}` {
		t.Errorf("read %+v, %v", m, err)
	}
	spaced, err := Pack(wasm, []byte(strings.NewReplacer(",", " ,\n", ":", ": ").Replace(goodManifest)))
	if err != nil || !bytes.Equal(spaced, first) {
		t.Errorf("the same manifest with white space gave other bytes, %v", err)
	}
	other, err := Pack(first, []byte(strings.Replace(goodManifest, "1.0.0", "1.0.1", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := ReadManifest(other); err != nil || m.Version != "1.0.1" {
		t.Errorf("after packing anew: %+v, %v", m, err)
	}
	if len(other) != len(first) || HashOf(other) == HashOf(first) {
		t.Errorf("%d and %d bytes, hashes %s and %s: want one manifest in each, and other hashes", len(first), len(other), HashOf(first), HashOf(other))
	}
}

func TestPackRefuses(t *testing.T) {
	if _, err := Pack(assemble(minimal()), []byte(`{"abi":2}`)); err == nil || !strings.Contains(err.Error(), "manifest: abi") {
		t.Errorf("a bad manifest: %v", err)
	}
	if _, err := Pack([]byte("no module"), []byte(goodManifest)); err == nil || !strings.Contains(err.Error(), "WebAssembly") {
		t.Errorf("no module: %v", err)
	}
}

func TestReadManifestRefuses(t *testing.T) {
	wasm, manifest := assemble(minimal()), packAnything(nil, oneSlot())
	twice := append(packAnything(wasm, oneSlot()), section(sectionCustom, append([]byte("\x0dnear.manifest"), goodManifest...))...)
	tests := []struct {
		name string
		wasm []byte
		want string
	}{
		{"no manifest", wasm, "the module has none"},
		{"two manifests", twice, "the module has 2 of them"},
		{"no module", manifest, "this is not a WebAssembly 1.0 module"},
		{"a section longer than the file", append(bytes.Clone(wasm), 0, 0xff, 0xff, 0xff, 0xff, 0x0f), "where 0 are left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ReadManifest(tt.wasm); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzReadManifest checks that no bytes panic, and that what is read can be
// packed and is read again as the same.
func FuzzReadManifest(f *testing.F) {
	for _, language := range languages(f) {
		wasm, err := os.ReadFile("abitest/echo-" + language + "/rule.wasm")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	f.Add(packAnything(assemble(minimal()), oneSlot()))
	bare := assemble(minimal())
	f.Fuzz(func(t *testing.T, wasm []byte) {
		sections, err := bytecode.Custom(wasm, ManifestSection)
		if err != nil || len(sections) != 1 {
			return
		}
		m, tidy, err := parseManifest(sections[0])
		if err != nil {
			return
		}
		packed, err := Pack(bare, tidy)
		if err != nil {
			t.Fatalf("%s: %v", tidy, err)
		}
		if again, err := ReadManifest(packed); err != nil || again.ID() != m.ID() {
			t.Fatalf("%s: read again as %+v, %v", tidy, again, err)
		}
	})
}
