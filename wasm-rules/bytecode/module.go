// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"slices"
)

// PageBytes is the size of a page of memory.
const PageBytes = 64 << 10

// A Module has passed Verify.
type Module struct {
	Exports []Export
	Imports []Import
	// MemoryPages is how many pages its memory has at the start.
	MemoryPages int

	wasm      []byte
	budget    budget
	customs   []customSection
	types     []funcType
	functions []function // its own; imported ones come before them in the index space
	table     *table
	memoryMax uint32
	globals   []globalVariable
	elements  []elementSegment
	segments  []dataSegment
}

// An Export is something that a module offers by name.
type Export struct {
	Name string
	Kind Kind
	// Index is the number among all of its kind.
	Index int
	// Type is like "(i32, i32) -> (i64)" for a function, and empty otherwise.
	Type string
}

// A Kind is what an export is.
type Kind byte

// What a module can export.
const (
	Function Kind = iota
	Table
	Memory
	Global
)

// An Import is a function that a module asks for. Rewrite puts one of its own in
// its place.
type Import struct {
	Module, Name string
	Type         string // like an Export's

	typ int
}

type customSection struct {
	name    string
	content []byte
}

// A function of the module's own.
type function struct {
	typ      int
	locals   string // types of those that are not parameters
	at, end  int    // where its instructions are, the final end included
	operands int    // most values on its stack at once
	calls    bool   // any function
}

type table struct{ least, most uint32 }

type globalVariable struct {
	typ     ValueType
	mutable bool
	initial constant
}

// A constant is what a global or an offset begins with.
type constant struct {
	op    byte
	value int64
	bits  []byte
}

type elementSegment struct {
	offset    constant
	functions []uint32
}

type dataSegment struct {
	offset  constant
	content []byte
}

// customNamed returns the content of the first custom section of a name, nil if there
// is none. It is part of the bytes that the module was made from.
func (m *Module) customNamed(name string) []byte {
	i := slices.IndexFunc(m.customs, func(c customSection) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return m.customs[i].content
}

// Uses returns how much of each limit the module takes, in a fixed order.
func (m *Module) Uses() []Use { return m.budget.uses() }

// typeOf returns the type of the function of an index, imported or not.
func (m *Module) typeOf(index uint32) funcType {
	if n := uint32(len(m.Imports)); index >= n {
		return m.types[m.functions[index-n].typ]
	}
	return m.types[m.Imports[index].typ]
}

func (m *Module) functionCount() int { return len(m.Imports) + len(m.functions) }

// Verify reads a module and refuses it, with an *Error, unless it is valid
// WebAssembly, within the limits, and of nothing but what rules may use: no
// start function, no passive segments, no instruction outside WebAssembly 1.0
// but sign extension, saturating conversion, several results, memory.copy and
// memory.fill, no import but some of WASI's functions, no exports whose name
// begins with "near.".
//
// The module keeps wasm, which must not be changed.
func Verify(wasm []byte, l Limits) (*Module, error) {
	v := &verifier{
		reader: *newReader(wasm),
		Module: &Module{wasm: wasm, budget: newBudget(&l)},
	}
	if v.budget.use(&v.reader, limitBytes, uint64(len(wasm)), 0) {
		v.module()
	}
	if v.err != nil {
		return nil, v.err
	}
	return v.Module, nil
}

var header = []byte("\x00asm\x01\x00\x00\x00")

// A verifier fills a module from what it reads.
type verifier struct {
	reader
	*Module
	memories   int
	declared   int // functions that the function section announces
	bodies     int // of those, how many have been read
	dataCount  int // -1 if it is not said
	complexity uint64
}

func (v *verifier) module() {
	if !bytes.HasPrefix(v.b, header) {
		v.fail(0, CodeHeader, "this is not a WebAssembly 1.0 module: it does not begin with %q", header)
		return
	}
	v.at, v.dataCount = len(header), -1
	last := 0
	for v.at < len(v.b) && v.err == nil {
		last = v.nextSection(last)
	}
	v.section, v.at = sectionModule, len(v.b)
	switch {
	case v.bodies != v.declared:
		v.fail(v.at, CodeSection, "the module declares %d functions and has the code of %d", v.declared, v.bodies)
	case v.dataCount >= 0 && v.dataCount != len(v.segments):
		v.fail(v.at, CodeSection, "the module announces %d data segments and has %d", v.dataCount, len(v.segments))
	case v.memories == 0:
		v.fail(v.at, CodeSection, "the module has no memory")
	}
}
