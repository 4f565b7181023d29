// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A draft is a module that a test writes. Its zero value is the smallest that
// Verify accepts, once memory has its page.
type draft struct {
	types    []string // in letters, before those of imports and funcs
	imports  []draftImport
	funcs    []draftFunc
	table    []byte // content of the section, as are the next ones
	memory   []byte
	globals  []byte
	exports  []draftExport
	elements []byte
	data     []byte
	// raw replaces or adds sections by id.
	raw map[byte][]byte
}

type draftImport struct{ module, name, typ string }

// A draftFunc is exported under its name, if it has one. Its instructions lack
// the final end; locals are the whole vector of groups, nil for none.
type draftFunc struct {
	name, typ string
	locals    []byte
	code      []byte
}

type draftExport struct {
	name  string
	kind  Kind
	index uint32
}

// onePage is a memory of one page that may grow to any size.
var onePage = []byte{1, 0, 1}

func (d draft) bytes() []byte {
	types := slices.Clone(d.types)
	typeOf := func(letters string) uint32 {
		i := slices.Index(types, letters)
		if i < 0 {
			types = append(types, letters)
			i = len(types) - 1
		}
		return uint32(i)
	}
	sections := map[byte]code{sectionTable: d.table, sectionMemory: d.memory, sectionGlobal: d.globals, sectionElement: d.elements, sectionData: d.data}
	var imports, functions, exports, bodies code
	imports.u32(uint32(len(d.imports)))
	for _, i := range d.imports {
		imports.sized([]byte(i.module))
		imports.sized([]byte(i.name))
		imports.on(byte(Function), typeOf(i.typ))
	}
	exported := slices.Clone(d.exports)
	functions.u32(uint32(len(d.funcs)))
	bodies.u32(uint32(len(d.funcs)))
	for i, f := range d.funcs {
		functions.u32(typeOf(f.typ))
		if f.name != "" {
			exported = append(exported, draftExport{f.name, Function, uint32(len(d.imports) + i)})
		}
		locals := f.locals
		if locals == nil {
			locals = []byte{0}
		}
		bodies.sized(slices.Concat(locals, f.code, []byte{opEnd}))
	}
	exports.u32(uint32(len(exported)))
	for _, e := range exported {
		exports.sized([]byte(e.name))
		exports.on(byte(e.kind), e.index)
	}
	if d.imports != nil {
		sections[2] = imports
	}
	if d.funcs != nil {
		sections[sectionFunction], sections[sectionCode] = functions, bodies
	}
	if exported != nil {
		sections[sectionExport] = exports
	}
	if types != nil {
		var list code
		list.u32(uint32(len(types)))
		for _, letters := range types {
			typ := signature(letters)
			list.op(0x60)
			list.sized([]byte(typ.params))
			list.sized([]byte(typ.results))
		}
		sections[sectionType] = list
	}
	for id, content := range d.raw {
		sections[id] = content
	}
	module := code(slices.Clone(header))
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} {
		if content := sections[id]; content != nil {
			module.section(id, content)
		}
	}
	return module
}

// one is a module of a single function, exported as "f".
func one(typ string, instructions ...byte) draft {
	return draft{memory: onePage, funcs: []draftFunc{{name: "f", typ: typ, code: instructions}}}
}

// write calls f to write a piece of code.
func write(f func(c *code)) []byte {
	var c code
	f(&c)
	return c
}

// guests are the committed modules by path.
func guests(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../*/*/rule.wasm")
	if err != nil || len(names) < 5 {
		t.Fatal(names, err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		if out[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
