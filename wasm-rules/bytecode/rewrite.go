// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"math/bits"
	"slices"
	"strconv"
)

// The exports that Rewrite adds. All are mutable globals.
const (
	// ExportFuel is an i64, what the call may still spend. The module traps
	// once it is below 0. It begins at 0: who calls sets it.
	ExportFuel = ReservedPrefix + "fuel"
	// ExportDepth is an i32, how deep calls may still go. A call of a function
	// that calls others takes 1, and 1 for every eight parameters, locals and
	// operands. The module traps once it is below 0; a trap leaves it where it
	// was. It begins at 0: who calls sets it.
	ExportDepth = ReservedPrefix + "depth"
	// ExportDirty is an i64 with a bit for each chunk that was written. Bit n is
	// of every chunk whose number is n modulo 64.
	ExportDirty = ReservedPrefix + "dirty"

	exportGlobal = ReservedPrefix + "g"
)

// Straddle is how many bytes past a marked chunk may have been written, because
// a store that begins in one chunk may end in the next.
const Straddle = 16

// A Rewritten module imports nothing, spends fuel, bounds its calls, and says
// what it wrote. It needs the WebAssembly features of Verify, bulk memory
// included, and no others.
type Rewritten struct {
	Wasm []byte
	// ChunkShift is log2 of the bytes of a chunk, of which ExportDirty speaks.
	ChunkShift uint
	// Globals are all its mutable globals but for fuel, depth and dirty. To put
	// an instance back is to set each to what it was, and to copy back the dirty
	// chunks.
	Globals []MutableGlobal
}

// A MutableGlobal carries something from call to call.
type MutableGlobal struct {
	Export string // its name, which begins with ReservedPrefix

	index uint32
}

// smallestChunk is log2 of the bytes of a chunk of a small memory.
const smallestChunk = 10

// Rewrite returns the module as it may run. Custom sections are left out. The
// same module always gives the same bytes.
func (m *Module) Rewrite() *Rewritten {
	own := uint32(len(m.globals))
	w := &rewriter{
		Module: m,
		fuel:   own, depth: own + 1, dirty: own + 2,
		types:   slices.Clone(m.types),
		globals: slices.Clone(m.globals),
		shift:   smallestChunk,
	}
	if size := m.MemoryPages * PageBytes; size > 64<<smallestChunk {
		w.shift = uint(bits.Len(uint(size-1))) - 6
	}
	zero := constant{op: opI64Const}
	w.globals = append(w.globals,
		globalVariable{I64, true, zero}, globalVariable{I32, true, constant{op: opI32Const}}, globalVariable{I64, true, zero})
	bodies := w.bodies()
	return &Rewritten{Wasm: w.module(bodies), ChunkShift: w.shift, Globals: w.carried()}
}

// A rewriter holds what is added to a module.
type rewriter struct {
	*Module
	fuel, depth, dirty uint32 // their globals
	shift              uint
	types              []funcType       // the module's, then those of blocks around bodies
	clock, random      uint32           // globals of WASI's functions, 0 for none yet
	globals            []globalVariable // the module's, fuel, depth, dirty, then what WASI's functions keep
}

// typeNumber returns the number of a type, which it adds if there is none.
func (w *rewriter) typeNumber(t funcType) int {
	if i := slices.Index(w.types, t); i >= 0 {
		return i
	}
	w.types = append(w.types, t)
	return len(w.types) - 1
}

// bodies writes the code section: first what stands in for imported functions,
// so that no function's number changes.
func (w *rewriter) bodies() code {
	var all code
	all.u32(uint32(w.functionCount()))
	for _, i := range w.Imports {
		f, instructions := w.stub(i)
		all.sized(w.body(&f, instructions))
	}
	for i := range w.functions {
		f := &w.functions[i]
		all.sized(w.body(f, w.wasm[f.at:f.end]))
	}
	return all
}

// carried lists the globals that carry something from call to call.
func (w *rewriter) carried() []MutableGlobal {
	var list []MutableGlobal
	for i, g := range w.globals {
		if n := uint32(i); g.mutable && n != w.fuel && n != w.depth && n != w.dirty {
			list = append(list, MutableGlobal{exportGlobal + strconv.Itoa(i), n})
		}
	}
	return list
}

// module writes every section but for custom ones.
func (w *rewriter) module(bodies code) []byte {
	out := code(slices.Clone(header))
	out.section(sectionType, w.typeBytes())
	out.section(sectionFunction, w.functionBytes())
	if w.table != nil {
		// Nothing grows a table, so it is never larger than at the start.
		out.section(sectionTable, sizes(code{1, 0x70}, w.table.least, w.table.least))
	}
	out.section(sectionMemory, sizes(code{1}, uint32(w.MemoryPages), w.memoryMax))
	out.section(sectionGlobal, w.globalBytes())
	out.section(sectionExport, w.exportBytes())
	if len(w.elements) > 0 {
		out.section(sectionElement, w.elementBytes())
	}
	out.section(sectionCode, bodies)
	if len(w.segments) > 0 {
		out.section(sectionData, w.dataBytes())
	}
	return out
}

func sizes(c code, least, most uint32) code {
	c.on(1, least)
	c.u32(most)
	return c
}

func (w *rewriter) typeBytes() (c code) {
	c.u32(uint32(len(w.types)))
	for _, t := range w.types {
		c.op(0x60)
		c.sized([]byte(t.params))
		c.sized([]byte(t.results))
	}
	return c
}

func (w *rewriter) functionBytes() (c code) {
	c.u32(uint32(w.functionCount()))
	for _, i := range w.Imports {
		c.u32(uint32(i.typ))
	}
	for _, f := range w.functions {
		c.u32(uint32(f.typ))
	}
	return c
}

func (w *rewriter) globalBytes() (c code) {
	c.u32(uint32(len(w.globals)))
	for _, g := range w.globals {
		c.op(byte(g.typ), 0)
		if g.mutable {
			c[len(c)-1] = 1
		}
		c.constant(g.initial)
	}
	return c
}

func (w *rewriter) exportBytes() (c code) {
	carried := w.carried()
	c.u32(uint32(len(w.Exports) + len(carried) + 3))
	export := func(name string, kind Kind, index uint32) {
		c.sized([]byte(name))
		c.on(byte(kind), index)
	}
	for _, e := range w.Exports {
		export(e.Name, e.Kind, uint32(e.Index))
	}
	export(ExportFuel, Global, w.fuel)
	export(ExportDepth, Global, w.depth)
	export(ExportDirty, Global, w.dirty)
	for _, g := range carried {
		export(g.Export, Global, g.index)
	}
	return c
}

func (w *rewriter) elementBytes() (c code) {
	c.u32(uint32(len(w.elements)))
	for _, s := range w.elements {
		c.op(0)
		c.constant(s.offset)
		c.u32(uint32(len(s.functions)))
		for _, f := range s.functions {
			c.u32(f)
		}
	}
	return c
}

func (w *rewriter) dataBytes() (c code) {
	c.u32(uint32(len(w.segments)))
	for _, s := range w.segments {
		c.op(0)
		c.constant(s.offset)
		c.sized(s.content)
	}
	return c
}
