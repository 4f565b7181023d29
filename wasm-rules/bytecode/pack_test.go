// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"errors"
	"testing"
)

func TestPackReplacesASection(t *testing.T) {
	plain := one("").bytes()
	custom := func(name string) []byte {
		return write(func(c *code) {
			c.section(sectionCustom, append(append([]byte{byte(len(name))}, name...), "old"...))
		})
	}
	given := bytes.Join([][]byte{header, custom("near.manifest"), custom("name"), plain[len(header):], custom("near.manifest")}, nil)
	packed, err := Pack(given, "near.manifest", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Verify(packed, Standard())
	if err != nil {
		t.Fatal(err)
	}
	if got := m.customNamed("near.manifest"); string(got) != "{}" {
		t.Errorf("the manifest is %q", got)
	}
	if got := m.customNamed("name"); string(got) != "old" {
		t.Errorf("the other section is %q", got)
	}
	if m.customNamed("none") != nil {
		t.Error("there is a section that was never written")
	}
	if found, err := Custom(given, "near.manifest"); err != nil || len(found) != 2 || string(found[1]) != "old" {
		t.Errorf("before there were %q, %v", found, err)
	}
	if found, err := Custom(packed, "near.manifest"); err != nil || len(found) != 1 || string(found[0]) != "{}" {
		t.Errorf("afterwards there are %q, %v", found, err)
	}
	if again, err := Pack(packed, "near.manifest", []byte("{}")); err != nil || !bytes.Equal(again, packed) {
		t.Errorf("packed again it is not the same: %v", err)
	}
}

func TestPackRefuses(t *testing.T) {
	tests := []struct {
		name, section string
		wasm          []byte
		code          string
	}{
		{"what is not a module", "near.manifest", []byte("text"), CodeHeader},
		{"a section that is cut off", "near.manifest", append(bytes.Clone(header), 1, 5, 0), CodeTruncated},
		{"a name that is not UTF-8", "\xff", header, CodeName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Pack(tt.wasm, tt.section, nil)
			var e *Error
			if !errors.As(err, &e) || e.Code != tt.code {
				t.Errorf("got %v, want code %q", err, tt.code)
			}
		})
	}
}

func FuzzPack(f *testing.F) {
	for _, wasm := range guests(f) {
		f.Add(wasm, "near.manifest", []byte("{}"))
	}
	f.Fuzz(func(t *testing.T, wasm []byte, name string, content []byte) {
		packed, err := Pack(wasm, name, content)
		if err != nil {
			return
		}
		l := Large()
		l.CustomSections = 1 << 20
		m, err := Verify(packed, l)
		if _, before := Verify(wasm, l); before == nil && err != nil {
			t.Fatalf("packing broke a good module: %v", err)
		}
		if err == nil && !bytes.Equal(m.customNamed(name), content) {
			t.Fatalf("the section holds %q, want %q", m.customNamed(name), content)
		}
	})
}
