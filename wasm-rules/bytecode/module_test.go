// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// declared is a module with something in every section.
func declared() draft {
	return draft{
		imports: []draftImport{{wasiModule, "fd_write", "iiii:i"}, {wasiModule, "proc_exit", "i:"}},
		funcs: []draftFunc{
			{name: "f", typ: "il:f", locals: []byte{2, 3, byte(I32), 1, byte(F64)}, code: []byte{opF32Const, 0, 0, 0, 0}},
			{typ: ":", code: []byte{opI32Const, 0, opIf, emptyBlock, opBlock, emptyBlock, opEnd, opEnd}},
		},
		table: []byte{1, 0x70, 0, 3}, memory: []byte{1, 0, 2},
		globals:  []byte{3, byte(I32), 1, opI32Const, 7, opEnd, byte(I64), 0, opI64Const, 8, opEnd, byte(F32), 1, opF32Const, 0, 0, 0x80, 0x3f, opEnd},
		exports:  []draftExport{{"memory", Memory, 0}, {"table", Table, 0}, {"g", Global, 1}, {"write", Function, 0}, {"near_decide", Function, 3}},
		elements: []byte{1, 0, opI32Const, 1, opEnd, 2, 2, 3},
		data:     []byte{1, 0, opI32Const, 8, opEnd, 3, 'a', 'b', 'c'},
		raw:      map[byte][]byte{sectionDataCount: {1}},
	}
}

func TestVerifySaysWhatAModuleDeclares(t *testing.T) {
	wasm := slices.Concat(declared().bytes(), []byte("\x00\x08\x04namexyz"))
	m, err := Verify(wasm, Standard())
	if err != nil {
		t.Fatal(err)
	}
	exports := []Export{
		{"memory", Memory, 0, ""}, {"table", Table, 0, ""}, {"g", Global, 1, ""}, {"write", Function, 0, "(i32, i32, i32, i32) -> (i32)"},
		{"near_decide", Function, 3, "() -> ()"}, {"f", Function, 2, "(i32, i64) -> (f32)"},
	}
	if !slices.Equal(m.Exports, exports) {
		t.Errorf("exports %+v", m.Exports)
	}
	if len(m.Imports) != 2 || m.Imports[1].Module != wasiModule || m.Imports[1].Name != "proc_exit" || m.Imports[1].Type != "(i32) -> ()" {
		t.Errorf("imports %+v", m.Imports)
	}
	if m.MemoryPages != 2 || string(m.customNamed("name")) != "xyz" {
		t.Errorf("%d pages, custom section %q", m.MemoryPages, m.customNamed("name"))
	}
	used := map[string]uint64{
		"size": uint64(len(wasm)), "types": 4, "params": 4, "results": 1, "imports": 2, "functions": 2, "table": 3, "memory": 2,
		"globals": 3, "exports": 6, "customs": 1, "segments": 1, "element-segments": 1, "elements": 2, "body": 11, "locals": 4,
		"operands": 1, "nesting": 2, "branches": 0, "blocks": 4, "complexity": 14 + 4*8,
	}
	uses := m.Uses()
	if len(uses) != len(used) {
		t.Errorf("%d uses, want %d", len(uses), len(used))
	}
	for _, u := range uses {
		if want, ok := used[u.Name]; !ok || u.Used != want || u.Limit == 0 {
			t.Errorf("%s: %d of %d, want %d", u.Name, u.Used, u.Limit, want)
		}
	}
}

// TestEveryLimitIsHeld lowers each limit to less than a module takes.
func TestEveryLimitIsHeld(t *testing.T) {
	wasm := slices.Concat(declared().bytes(), []byte("\x00\x08\x04namexyz"))
	m, err := Verify(wasm, Standard())
	if err != nil {
		t.Fatal(err)
	}
	lower := map[string]func(l *Limits, n int){
		"size": func(l *Limits, n int) { l.Bytes = n }, "types": func(l *Limits, n int) { l.Types = n },
		"params": func(l *Limits, n int) { l.Params = n }, "results": func(l *Limits, n int) { l.Results = n },
		"imports": func(l *Limits, n int) { l.Imports = n }, "functions": func(l *Limits, n int) { l.Functions = n },
		"table": func(l *Limits, n int) { l.TableEntries = n }, "memory": func(l *Limits, n int) { l.MemoryPages = n },
		"globals": func(l *Limits, n int) { l.Globals = n }, "exports": func(l *Limits, n int) { l.Exports = n },
		"customs": func(l *Limits, n int) { l.CustomSections = n }, "segments": func(l *Limits, n int) { l.DataSegments = n },
		"element-segments": func(l *Limits, n int) { l.ElementSegments = n }, "elements": func(l *Limits, n int) { l.Elements = n },
		"body": func(l *Limits, n int) { l.BodyBytes = n }, "locals": func(l *Limits, n int) { l.Locals = n },
		"operands": func(l *Limits, n int) { l.Operands = n }, "nesting": func(l *Limits, n int) { l.Nesting = n },
		"blocks": func(l *Limits, n int) { l.Blocks = n }, "complexity": func(l *Limits, n int) { l.Complexity = n },
	}
	for _, u := range m.Uses() {
		if u.Used == 0 {
			continue
		}
		exact := Standard()
		lower[u.Name](&exact, int(u.Used))
		if _, err := Verify(wasm, exact); err != nil {
			t.Errorf("%s: %d is allowed and refused: %v", u.Name, u.Used, err)
		}
		less := Standard()
		lower[u.Name](&less, int(u.Used)-1)
		_, err := Verify(wasm, less)
		e, ok := err.(*Error)
		if !ok || e.Code != u.Name || !strings.HasPrefix(e.What, fmt.Sprint(u.Used, " ")) || !strings.HasSuffix(e.What, fmt.Sprint(", at most ", u.Used-1)) {
			t.Errorf("%s: %d of %d gave %v", u.Name, u.Used, u.Used-1, err)
		}
	}
}

// TestARewrittenModuleIsTheSameModule looks at it through the compiler.
func TestARewrittenModuleIsTheSameModule(t *testing.T) {
	wasm := slices.Concat(declared().bytes(), []byte("\x00\x08\x04namexyz"))
	m, err := Verify(wasm, Standard())
	if err != nil {
		t.Fatal(err)
	}
	w := m.Rewrite()
	if !bytes.Equal(w.Wasm, m.Rewrite().Wasm) {
		t.Error("rewritten twice it is not the same")
	}
	if want := []MutableGlobal{{"near.g0", 0}, {"near.g2", 2}}; !slices.Equal(w.Globals, want) {
		t.Errorf("globals %+v", w.Globals)
	}
	r := newRuntime(t, wazero.NewRuntimeConfig().WithCustomSections(true))
	compiled, err := r.CompileModule(t.Context(), w.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(compiled.CustomSections()); n > 0 {
		t.Errorf("%d custom sections are left", n)
	}
	if n := len(compiled.ImportedFunctions()) + len(compiled.ImportedMemories()); n > 0 {
		t.Errorf("%d imports are left", n)
	}
	if most, ok := compiled.ExportedMemories()["memory"].Max(); !ok || most != 64 {
		t.Errorf("the memory may grow to %d pages", most)
	}
	for name, index := range map[string]uint32{"write": 0, "f": 2, "near_decide": 3} {
		if f := compiled.ExportedFunctions()[name]; f == nil || f.Index() != index {
			t.Errorf("%s is %v, want number %d", name, f, index)
		}
	}
	instance := plain(t, r, w.Wasm)
	for name, want := range map[string]uint64{"g": 8, "near.g0": 7, "near.g2": 0x3f800000, ExportFuel: 0, ExportDepth: 0, ExportDirty: 0} {
		if got := instance.ExportedGlobal(name).Get(); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if got, _ := instance.Memory().Read(8, 3); string(got) != "abc" {
		t.Errorf("the data is %q", got)
	}
	if _, ok := instance.ExportedGlobal("g").(api.MutableGlobal); ok {
		t.Error("a constant became mutable")
	}
}
