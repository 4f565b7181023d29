// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// A generator writes a valid module from choices: each is a byte of choices, and
// 0 when none is left. Choosing 0 everywhere ends what is open.
type generator struct {
	choices []byte
	// bits says whether the bits of floating-point numbers may be looked at,
	// which is where a rewritten module may differ from a plain one.
	bits bool

	draft
	byResult map[ValueType][]byte // instructions by what they give
	stores   []byte
	function int // the one being written
	locals   string
	counters int // the first local that counts a loop
	loops    int // that are open
	labels   []string
	code
}

// The functions a program may have. Each calls only those after it.
var generatedTypes = []string{"ild:l", "f:id", "l:i", ":d", "di:", "ii:f", "i:lid"}

// blockTypes are types of blocks that give several values or take some.
var blockTypes = []string{":il", ":dfi"}

const (
	generatedLocals   = "iilldfdf"
	generatedCounters = 4
)

// generate writes a program whose function is exported as "f".
func generate(choices []byte, bits bool) []byte {
	g := &generator{choices: choices, bits: bits, byResult: map[ValueType][]byte{}}
	for op, o := range operations {
		switch reads := strings.Contains(o.name, "reinterpret") && o.results[0] >= byte(I64) || strings.Contains(o.name, "copysign"); {
		case o.imm == immMemory && o.results == "" && (bits || o.params[1] >= byte(I64)):
			g.stores = append(g.stores, byte(op))
		case op >= opI32Eqz && o.results != "" && (bits || !reads):
			g.byResult[ValueType(o.results[0])] = append(g.byResult[ValueType(o.results[0])], byte(op))
		}
	}
	g.draft = draft{
		types:  slices.Concat(blockTypes, generatedTypes),
		memory: []byte{1, 1, byte(1 + g.pick(3)), 5}, table: []byte{1, 0x70, 0, byte(len(generatedTypes))},
		globals: slices.Concat([]byte{2, byte(I64), 1, opI64Const, 5, opEnd, byte(F64), 1, opF64Const}, make([]byte, 8), []byte{opEnd}),
		exports: []draftExport{{"memory", Memory, 0}},
		data:    slices.Concat([]byte{1, 0, opI32Const, 0, opEnd, 64}, slices.Repeat([]byte{0xff, 0x80, 3, 0x7f}, 16)),
	}
	g.elements = []byte{1, 0, opI32Const, 0, opEnd, byte(len(generatedTypes))}
	for i, letters := range generatedTypes {
		g.elements = append(g.elements, byte(i))
		g.funcs = append(g.funcs, g.body(i, letters))
	}
	g.funcs[0].name = "f"
	return g.draft.bytes()
}

func (g *generator) pick(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	b := g.choices[0]
	g.choices = g.choices[1:]
	return int(b) % n
}

func (g *generator) body(i int, letters string) draftFunc {
	typ := signature(letters)
	own := signature(generatedLocals + ":").params
	locals := code{byte(len(own) + 1), generatedCounters, byte(I32)}
	for _, t := range []byte(own) {
		locals.op(1, t)
	}
	g.function, g.code, g.labels = i, nil, []string{typ.results}
	g.locals = typ.params + strings.Repeat("\x7f", generatedCounters) + own
	g.counters = len(typ.params)
	g.statements(6)
	g.values(typ.results, 4)
	return draftFunc{typ: letters, locals: locals, code: g.code}
}

// values pushes one value of each type.
func (g *generator) values(types string, depth int) {
	for _, t := range []byte(types) {
		g.value(ValueType(t), depth)
	}
}

// value pushes a value of a type.
func (g *generator) value(t ValueType, depth int) {
	choice := g.pick(12)
	if depth == 0 {
		choice %= 2
	}
	switch choice {
	default:
		g.constant(t)
	case 1:
		g.on(opLocalGet, g.local(t))
	case 2, 3, 4:
		g.operation(t, depth)
	case 5:
		g.load(t, depth)
	case 6:
		g.call(string([]byte{byte(t)}), t, depth)
	case 7:
		g.value(I32, depth-1)
		g.op(opIf, byte(t))
		g.inside(string([]byte{byte(t)}), func() {
			g.statements(1)
			g.value(t, depth-1)
			g.op(opElse)
			g.value(t, depth-1)
		})
	case 8:
		g.op(opBlock, byte(t))
		g.inside(string([]byte{byte(t)}), func() {
			g.statements(2)
			g.value(t, depth-1)
			if g.pick(2) == 1 {
				g.leave()
				return
			}
			g.value(I32, depth-1)
			g.on(opBrIf, 0)
		})
	case 9:
		g.value(t, depth-1)
		g.value(t, depth-1)
		g.value(I32, depth-1)
		g.op(opSelect)
	case 10:
		g.value(t, depth-1)
		g.on(opLocalTee, g.local(t))
	case 11:
		switch t {
		case I64:
			g.on(opGlobalGet, 0)
		case F64:
			g.on(opGlobalGet, 1)
		case I32:
			g.op(0x3f, 0)
		default:
			g.constant(t)
		}
	}
}

func (g *generator) constant(t ValueType) {
	n := []int64{0, 1, -1, 2, 77, math.MinInt32, math.MaxInt64, 1 << 40}[g.pick(8)]
	floats := []float64{0, 1, -1, 1.5, math.Inf(1), math.NaN(), -1e300, 1e-9}
	switch t {
	case I32:
		g.i32(int32(n))
	case I64:
		g.i64(n)
	case F32:
		g.op(binary.LittleEndian.AppendUint32([]byte{opF32Const}, math.Float32bits(float32(floats[g.pick(8)])))...)
	case F64:
		g.op(binary.LittleEndian.AppendUint64([]byte{opF64Const}, math.Float64bits(floats[g.pick(8)]))...)
	}
}

// local chooses a local of a type that counts no loop.
func (g *generator) local(t ValueType) uint32 {
	var all []uint32
	for i := range len(g.locals) {
		if ValueType(g.locals[i]) == t && (i < g.counters || i >= g.counters+generatedCounters) {
			all = append(all, uint32(i))
		}
	}
	return all[g.pick(len(all))]
}

func (g *generator) operation(t ValueType, depth int) {
	if t >= I64 && g.pick(16) == 1 {
		sub := g.pick(4) + 4*int(I32-t)
		g.values(moreOperations[sub].params, depth-1)
		g.op(opMore, byte(sub))
		return
	}
	all := g.byResult[t]
	op := all[g.pick(len(all))]
	o := &operations[op]
	// What may trap ends most runs early, so it is chosen seldom.
	if o.cost >= 8 && !strings.Contains(o.name, "f") || strings.Contains(o.name, "trunc_f") {
		if g.pick(8) != 1 {
			g.constant(t)
			return
		}
	}
	g.values(o.params, depth-1)
	g.op(op)
}

// address pushes an address that is inside the memory, or mostly.
func (g *generator) address(depth int) (offset uint32) {
	g.value(I32, depth)
	if g.pick(32) != 1 {
		g.i32(0x7fff)
		g.op(0x71)
	}
	return []uint32{0, 1, 1021, 30000, 5}[g.pick(5)]
}

func (g *generator) load(t ValueType, depth int) {
	op := map[ValueType][]byte{I32: {opI32Load, 0x2c, 0x2f}, I64: {0x29, 0x31, 0x34}, F32: {opF32Load}, F64: {opF64Load}}[t]
	offset := g.address(depth - 1)
	g.access(op[g.pick(len(op))], 0, offset)
}

// call calls a function that gives what is wanted, or pushes a constant of t.
func (g *generator) call(results string, t ValueType, depth int) {
	for i := g.function + 1; i < len(generatedTypes); i++ {
		typ := signature(generatedTypes[i])
		if typ.results != results {
			continue
		}
		g.values(typ.params, depth-1)
		if g.pick(2) == 0 {
			g.on(opCall, uint32(i))
			return
		}
		g.i32(int32(i))
		g.on(opCallIndirect, uint32(slices.Index(g.types, generatedTypes[i])))
		g.op(0)
		return
	}
	if t != anyType {
		g.constant(t)
	}
}

// inside writes a block's content and its end.
func (g *generator) inside(label string, write func()) {
	g.labels = append(g.labels, label)
	write()
	g.op(opEnd)
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *generator) statements(most int) {
	for n := g.pick(most + 1); n > 0; n-- {
		g.statement()
	}
}

const emptyBlock = blockOfNothing & 0x7f

func (g *generator) statement() {
	choice := g.pick(16)
	if len(g.labels) > 6 {
		choice %= 4
	}
	switch choice {
	default:
		g.op(opNop)
	case 1:
		t := ValueType(g.locals[g.pick(len(g.locals))])
		g.value(t, 3)
		g.on(opLocalSet, g.local(t))
	case 2:
		g.value(I64, 2)
		g.on(opGlobalSet, 0)
		g.value(F64, 2)
		g.on(opGlobalSet, 1)
	case 3, 4:
		op := g.stores[g.pick(len(g.stores))]
		offset := g.address(2)
		g.value(ValueType(operations[op].params[1]), 3)
		g.access(op, 0, offset)
	case 5:
		g.value(I32, 2)
		g.op(opIf, emptyBlock)
		g.inside("", func() {
			g.statements(4)
			if g.pick(2) == 1 {
				g.op(opElse)
				g.statements(4)
			}
		})
	case 6:
		g.op(opBlock, emptyBlock)
		g.inside("", func() { g.statements(4) })
	case 7:
		g.loop()
	case 8:
		label := g.pick(len(g.labels))
		types := g.labels[len(g.labels)-1-label]
		g.values(types, 2)
		g.value(I32, 2)
		g.on(opBrIf, uint32(label))
		g.op(slices.Repeat([]byte{opDrop}, len(types))...)
	case 9:
		typ := signature(generatedTypes[g.pick(len(generatedTypes))])
		before := len(g.code)
		if g.call(typ.results, anyType, 2); len(g.code) > before {
			g.op(slices.Repeat([]byte{opDrop}, len(typ.results))...)
		}
	case 10:
		g.cases()
	case 11:
		g.value(I32, 2)
		g.op(opIf, emptyBlock)
		g.inside("", func() {
			if g.pick(8) == 1 {
				g.op(opUnreachable)
			}
			g.leave()
		})
	case 12:
		g.bulk()
	case 13:
		g.i32(int32(g.pick(2)))
		g.op(opMemoryGrow, 0, opDrop)
	case 14:
		i := g.pick(len(blockTypes))
		results := signature(blockTypes[i]).results
		g.op(opBlock, byte(i))
		g.inside(results, func() {
			g.statements(3)
			g.values(results, 2)
		})
		g.op(slices.Repeat([]byte{opDrop}, len(results))...)
	}
}

// leave branches out, or returns, and then writes code that is never reached,
// where the stack holds whatever an instruction wants.
func (g *generator) leave() {
	label := g.pick(len(g.labels))
	g.values(g.labels[len(g.labels)-1-label], 2)
	if label == len(g.labels)-1 && g.pick(2) == 1 {
		g.op(opReturn)
	} else {
		g.on(opBr, uint32(label))
	}
	switch g.pick(6) {
	case 1:
		g.access(g.stores[g.pick(len(g.stores))], 0, 3)
	case 2:
		g.op(opMemoryGrow, 0, opDrop)
	case 3:
		g.op(opMore, moreMemoryFill, 0)
	case 4:
		g.op(opF64Copysign, opI64ReadF64, opDrop)
	case 5:
		g.op(opBlock, emptyBlock, opEnd, opSelect, opDrop)
	}
	g.op(opUnreachable)
}

// loop repeats statements a few times; a branch to it goes on counting.
func (g *generator) loop() {
	if g.loops == generatedCounters {
		g.op(opNop)
		return
	}
	counter := uint32(g.counters + g.loops)
	g.loops++
	g.i32(int32(1 + g.pick(4)))
	g.on(opLocalSet, counter)
	g.op(opBlock, emptyBlock, opLoop, emptyBlock)
	g.labels = append(g.labels, "")
	g.inside("", func() {
		g.on(opLocalGet, counter)
		g.op(opI32Eqz, opBrIf, 1)
		g.on(opLocalGet, counter)
		g.i32(1)
		g.op(opI32Sub)
		g.on(opLocalSet, counter)
		g.statements(4)
		g.on(opBr, 0)
	})
	g.op(opEnd)
	g.labels = g.labels[:len(g.labels)-1]
	g.loops--
}

// cases is a switch as compilers write it.
func (g *generator) cases() {
	g.op(opBlock, emptyBlock, opBlock, emptyBlock, opBlock, emptyBlock)
	g.labels = append(g.labels, "", "", "")
	g.value(I32, 2)
	g.op(opBrTable, 3, 0, 1, 2, byte(g.pick(3)))
	for range 2 {
		g.op(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
		g.statements(4)
		if g.pick(2) == 1 {
			g.on(opBr, uint32(g.pick(1)))
		}
	}
	g.op(opEnd)
	g.labels = g.labels[:len(g.labels)-1]
}

func (g *generator) bulk() {
	g.address(2)
	sub, memories := byte(moreMemoryFill), []byte{0}
	if g.pick(2) == 1 {
		sub, memories = moreMemoryCopy, []byte{0, 0}
		g.address(2)
	} else {
		g.value(I32, 2)
	}
	g.value(I32, 1)
	g.i32(0x3fff)
	g.op(0x71, opMore, sub)
	g.op(memories...)
}
