// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is a module of whole sections.
func module(sections ...[]byte) []byte {
	return slices.Concat(wasmHeader, slices.Concat(sections...))
}

func committed(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"rules/*/rule.wasm", "abitest/*/rule.wasm"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			if out[name], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

func TestVerifyAcceptsTheCommittedModules(t *testing.T) {
	for name, wasm := range committed(t) {
		if _, err := verify(wasm); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyDropsCustomSectionsAndNothingElse(t *testing.T) {
	plain := assemble(minimal())
	custom := section(sectionCustom, []byte("\x04nameanything"))
	with := slices.Concat(plain[:len(wasmHeader)], custom, plain[len(wasmHeader):], custom)
	got, err := verify(with)
	if err != nil || !bytes.Equal(got.wasm, plain) {
		t.Errorf("got % x, %v, want % x", got.wasm, err, plain)
	}
}

func TestVerifyFindsMutableGlobals(t *testing.T) {
	globals := section(sectionGlobal, slices.Concat([]byte{3},
		[]byte{wasmI32, 1}, constI32(1), []byte{0x0b},
		[]byte{wasmI64, 0}, constI64(-1), []byte{0x0b},
		[]byte{wasmI64, 1}, constI64(1<<40), []byte{0x0b}))
	exports := section(sectionExport, []byte("\x01\x01g\x03\x02"))
	got, err := verify(module(section(sectionMemory, []byte{1, 0, 1}), globals, exports))
	if err != nil || !slices.Equal(got.mutable, []int{0, 2}) || len(got.exported) != 1 || got.exported[2] != "g" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestVerifyRefuses has, among others, the shapes that make a compiler allocate
// hundreds of gigabytes for twenty bytes of module.
func TestVerifyRefuses(t *testing.T) {
	memory := section(sectionMemory, []byte{1, 0, 1})
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	body := func(b []byte) []byte { return section(sectionCode, append([]byte{1}, sized(b)...)) }
	tests := []struct {
		name, want string
		wasm       []byte
	}{
		{"nothing", "not a WebAssembly", nil},
		{"another version", "not a WebAssembly", []byte("\x00asm\x02\x00\x00\x00")},
		{"no memory", "no memory", module()},
		{"a section over the end", "bytes wanted", module([]byte{1, 5, 0})},
		{"a section that is not read to its end", "left over", module(section(sectionMemory, []byte{1, 0, 1, 0}))},
		{"a section twice", "repeated", module(memory, memory)},
		{"sections out of order", "out of order", module(memory, section(sectionType, []byte{0}))},
		{"an unknown section", "unknown", module(section(12, []byte{0}))},
		{"an import", "1 imports, at most 0", module(section(sectionImport, []byte("\x01\x03env\x01f\x00\x00")))},
		{"imports by a huge count", "imports, at most 0", module(section(sectionImport, huge))},
		{"functions by a huge count", "functions, at most", module(section(sectionCode, huge))},
		{"types by a huge count", "types, at most", module(section(sectionType, huge))},
		{"more elements than bytes", "bytes left", module(section(sectionFunction, []byte{100, 0}))},
		{"a number of six bytes", "32 bits", module(section(sectionType, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}))},
		{"a number of 35 bits", "32 bits", module(section(sectionType, []byte{0xff, 0xff, 0xff, 0xff, 0x7f}))},
		{"a type that is no function", "not a function type", module(section(sectionType, []byte{1, 0x61, 0, 0}))},
		{"too many parameters", "parameters, at most 16", module(section(sectionType, append([]byte{1, 0x60, 17}, make([]byte, 20)...)))},
		{"too many results", "results, at most 4", module(section(sectionType, append([]byte{1, 0x60, 0, 5}, make([]byte, 20)...)))},
		{"two memories", "2 memories", module(section(sectionMemory, []byte{2, 0, 1, 0, 1}))},
		{"a large memory", "memory begins at 65, at most 64", module(section(sectionMemory, []byte{1, 0, 65}))},
		{"a shared memory", "memory of kind 3", module(section(sectionMemory, []byte{1, 3, 1, 1}))},
		{"a large table", "at most 16384", module(section(sectionTable, []byte{1, 0x70, 0, 0x81, 0x80, 0x01}))},
		{"a start function", "export _initialize instead", module(memory, section(sectionStart, []byte{0}))},
		{"too many exports", "exports, at most 256", module(memory, section(sectionExport, append([]byte{0x81, 0x02}, make([]byte, 900)...)))},
		{"a passive data segment", "not active", module(memory, section(sectionData, []byte{1, 1, 0}))},
		{"a data segment over the end", "bytes wanted", module(memory, section(sectionData, slices.Concat([]byte{1, 0, 0x41, 0, 0x0b}, huge)))},
		{"an initialiser that is a call", "initialiser with instruction 0x10", module(memory, section(sectionGlobal, []byte{1, wasmI32, 0, 0x10, 0, 0x0b}))},
		{"an initialiser without an end", "without an end", module(memory, section(sectionGlobal, []byte{1, wasmI32, 0, 0x41, 0, 0x41}))},
		{"four thousand million locals", "locals, at most 128", module(memory, body(slices.Concat([]byte{1}, huge, []byte{wasmI32, 0x0b})))},
		{"locals that add up", "129 locals, at most 128", module(memory, body([]byte{2, 100, wasmI32, 29, wasmI64, 0x0b}))},
		{"groups of locals by a huge count", "groups of locals", module(memory, body(huge))},
		{"a large function", "function body of 65537 bytes", module(memory, body(make([]byte, maxBodyBytes+1)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := verify(tt.wasm); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzVerify checks that what verify lets through is what it read: verified
// again, it is the same.
func FuzzVerify(f *testing.F) {
	for _, wasm := range committed(f) {
		f.Add(wasm)
	}
	f.Add(assemble(minimal()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := verify(b)
		if err != nil {
			return
		}
		if len(m.wasm) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(m.wasm))
		}
		again, err := verify(m.wasm)
		if err != nil || !bytes.Equal(again.wasm, m.wasm) || !slices.Equal(again.mutable, m.mutable) {
			t.Fatalf("verified again: %v", err)
		}
	})
}
