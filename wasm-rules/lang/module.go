// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/nearside/nearside/edge"
)

const edgeMaxFields = edge.MaxFields

// Presence of built-in fields is looked at in one word.
var _ [64 - edge.BuiltinFields]struct{}

// Where things are in a module's memory. What a text refers to is counted from
// the record, so all of it is behind the record.
const (
	stateBase     = 0                        // i32: where slots begin, from the record
	statePresence = 8                        // i64: of the built-in fields
	stateOwn      = 16                       // i64s: of the site's own fields that are read
	recordAt      = 64                       // 16384 bytes
	recordBytes   = 16384                    // ABI.md, section 3
	zeroAt        = recordAt + recordBytes   // i64: the slot of an own field that is absent
	bindAt        = zeroAt + 8               // i32s: own fields' numbers
	ownAt         = bindAt + 4*edgeMaxFields // i32s: where own fields' slots are, from the record
	memosAt       = ownAt + 4*edgeMaxFields
)

// A module is a WebAssembly module that is being made.
type module struct {
	builder  *builder
	reads    map[*field]*read
	own      int // how many of the reads are of own fields
	memos    map[*node]*memo
	usual    *costing // with memos
	types    []string // parameters and results, with a byte 0 between
	declared []int    // each function's type
	bodies   [][]byte
	size     int          // bytes of the bodies
	calls    [helpers]int // the helpers' functions, plus one
	texts    map[string]int
	data     []byte // constants
	dataAt   int
}

func newModule(b *builder, reads []*field) *module {
	m := &module{builder: b, reads: make(map[*field]*read), memos: make(map[*node]*memo), texts: make(map[string]int)}
	m.usual = newCosting(usual, m.memos)
	for i, f := range reads {
		r := &read{field: f, place: i, own: -1}
		if f.own >= 0 {
			r.own = m.own
			m.own++
		}
		m.reads[f] = r
	}
	return m
}

func (m *module) read(f *field) *read { return m.reads[f] }

// ownAddress is where the address of an own field's slot is kept.
func (m *module) ownAddress(r *read) int { return ownAt + 4*r.own }

// declare returns the number of a new function; its body comes later.
func (m *module) declare(params, results string) int {
	typ := params + "\x00" + results
	n := slices.Index(m.types, typ)
	if n < 0 {
		n = len(m.types)
		m.types = append(m.types, typ)
	}
	m.declared = append(m.declared, n)
	m.bodies = append(m.bodies, nil)
	return len(m.declared) - 1
}

// define writes a function's body.
func (m *module) define(function, params int, body func(e *emitter)) *emitter {
	e := newEmitter(m, params)
	body(e)
	m.bodies[function] = e.function()
	m.size += len(m.bodies[function])
	return e
}

// helper returns a helper's function, which it makes the first time.
func (m *module) helper(h helper) int {
	if m.calls[h] == 0 {
		row := h.row()
		n := m.declare(row.params, row.results)
		m.calls[h] = n + 1
		m.define(n, len(row.params), row.body)
	}
	return m.calls[h] - 1
}

// constant returns the text of a constant, which is behind everything else.
func (m *module) constant(s string) int64 {
	at, ok := m.texts[s]
	if !ok {
		at = m.dataAt + len(m.data)
		m.data = append(m.data, s...)
		m.texts[s] = at
	}
	return int64(at-recordAt) | int64(len(s))<<32
}

// aligned returns where bytes that begin at a multiple of eight are, from the record.
func (m *module) aligned(b []byte) int {
	m.data = append(m.data, make([]byte, align8(len(m.data))-len(m.data))...)
	at := m.dataAt + len(m.data)
	m.data = append(m.data, b...)
	return at - recordAt
}

// cheapFirst returns the parts of && or || in the order in which they are told:
// what costs half as much goes first. That changes nothing, since what is neither
// true nor false decides neither of the two.
func (m *module) cheapFirst(parts []*node) []*node {
	return slices.SortedStableFunc(slices.Values(parts), func(x, y *node) int {
		return cmp.Compare(bits.Len(uint(m.usual.cost(x))), bits.Len(uint(m.usual.cost(y))))
	})
}

func align8(n int) int { return (n + 7) &^ 7 }

// sortedPins returns pins in an order that does not change.
func sortedPins(pins map[pin]int) []pin {
	return slices.SortedFunc(maps.Keys(pins), func(x, y pin) int {
		return cmp.Or(cmp.Compare(x.address, y.address), cmp.Compare(x.typ, y.typ))
	})
}

// Sections of a module.
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionFunction = 3
	sectionMemory   = 5
	sectionExport   = 7
	sectionCode     = 10
	sectionData     = 11
)

// An export is a function that a module exports.
type export struct {
	name     string
	function int
}

const (
	pageBytes = 64 << 10
	// slack is what is left behind the last byte: texts are loaded eight bytes
	// at a time.
	slack = 64
)

// encode writes the module without custom sections.
func (m *module) encode(exports []export) code {
	var out, types, functions, memory, exported, bodies code
	out.op(0, 'a', 's', 'm', 1, 0, 0, 0)
	types.u32(len(m.types))
	for _, typ := range m.types {
		at := slices.Index([]byte(typ), 0)
		types.op(0x60)
		types.sized([]byte(typ[:at]))
		types.sized([]byte(typ[at+1:]))
	}
	out.section(sectionType, types)
	functions.u32(len(m.declared))
	for _, typ := range m.declared {
		functions.u32(typ)
	}
	out.section(sectionFunction, functions)
	pages := (m.dataAt + len(m.data) + slack + pageBytes - 1) / pageBytes
	memory.op(1, 1)
	memory.u32(pages)
	memory.u32(pages)
	out.section(sectionMemory, memory)
	exported.u32(len(exports) + 1)
	exported.sized([]byte("memory"))
	exported.op(2, 0)
	for _, x := range exports {
		exported.sized([]byte(x.name))
		exported.on(0, x.function)
	}
	out.section(sectionExport, exported)
	bodies.u32(len(m.bodies))
	for _, body := range m.bodies {
		bodies.sized(body)
	}
	out.section(sectionCode, bodies)
	if len(m.data) > 0 {
		var data code
		data.op(1, 0)
		data.i32(m.dataAt)
		data.op(wasmEnd)
		data.sized(m.data)
		out.section(sectionData, data)
	}
	return out
}

// custom appends a custom section.
func (c *code) custom(name string, content []byte) {
	var body code
	body.sized([]byte(name))
	body.op(content...)
	c.section(sectionCustom, body)
}
