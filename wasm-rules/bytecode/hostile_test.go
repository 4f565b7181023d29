// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A hostileCase is a module that must be refused: with this code, and with this
// sentence.
type hostileCase struct {
	name string
	wasm []byte
	code string
	says string
}

// huge is 4294967295 as a number of a module.
var huge = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}

// repeat returns instructions n times.
func repeat(n int, instructions ...byte) []byte { return bytes.Repeat(instructions, n) }

// with adds a section to the smallest module, or replaces it.
func with(id byte, content ...byte) []byte {
	return draft{memory: onePage, raw: map[byte][]byte{id: content}}.bytes()
}

// oneType is a type section with () -> ().
var oneType = []byte{1, 0x60, 0, 0}

// claims are modules whose numbers promise what is not there: about 20 bytes
// that make a trusting reader ask for hundreds of gigabytes.
func claims() []hostileCase {
	body := func(content ...byte) []byte {
		return draft{memory: onePage, raw: map[byte][]byte{
			sectionType: oneType, sectionFunction: {1, 0}, sectionCode: append([]byte{1, byte(len(content))}, content...),
		}}.bytes()
	}
	element := func(content ...byte) []byte {
		return draft{memory: onePage, table: []byte{1, 0x70, 0, 1}, elements: content}.bytes()
	}
	return []hostileCase{
		{"4294967295 types", with(sectionType, huge...), "types", "type section, byte 10: 4294967295 types, at most 1024"},
		{"4294967295 imports", with(2, huge...), "imports", "import section, byte 10: 4294967295 imports, at most 64"},
		{"4294967295 functions", with(sectionFunction, huge...), "functions", "function section, byte 10: 4294967295 functions, at most 8192"},
		{"4294967295 tables", with(sectionTable, huge...), CodeFeature, "table section, byte 10: 4294967295 tables, at most 1"},
		{"4294967295 memories", with(sectionMemory, huge...), CodeFeature, "memory section, byte 10: 4294967295 memories, at most 1"},
		{"4294967295 globals", with(sectionGlobal, huge...), "globals", "global section, byte 15: 4294967295 globals, at most 256"},
		{"4294967295 exports", with(sectionExport, huge...), "exports", "export section, byte 15: 4294967295 exports, at most 256"},
		{"4294967295 element segments", element(huge...), "element-segments", "element section, byte 21: 4294967295 element segments, at most 64"},
		{"4294967295 elements", element(append([]byte{1, 0, opI32Const, 0, opEnd}, huge...)...), CodeCount,
			"element section, byte 26: 4294967295 elements promised where 0 bytes are left"},
		{"4294967295 function bodies", with(sectionCode, huge...), "functions", "code section, byte 15: 4294967295 functions, at most 8192"},
		{"4294967295 data segments", with(sectionData, huge...), "segments", "data section, byte 15: 4294967295 data segments, at most 4096"},
		{"a data segment of 4 GB", with(sectionData, append([]byte{1, 0, opI32Const, 0, opEnd}, huge...)...), CodeTruncated,
			"data section, byte 25: a data segment of 4294967295 bytes where 0 are left"},
		{"a function body of 4 GB", draft{memory: onePage, raw: map[byte][]byte{
			sectionType: oneType, sectionFunction: {1, 0}, sectionCode: append([]byte{1}, huge...),
		}}.bytes(), "body", "code section, byte 26, function 0: 4294967295 bytes in one function, at most 65536"},
		{"a section of 4 GB", append(slices.Clone(header), append([]byte{sectionType}, huge...)...), CodeTruncated,
			"type section, byte 8: a section of 4294967295 bytes where 0 are left"},
		{"a custom section's name of 4 GB", slices.Concat(header, []byte{sectionCustom, 5}, huge), CodeTruncated,
			"custom section, byte 15: a name of 4294967295 bytes where 0 are left"},
		{"4294967295 locals", body(1, 0xff, 0xff, 0xff, 0xff, 0x0f, byte(I32), opEnd), "locals",
			"code section, byte 28, function 0: 4294967295 locals in one function, at most 128"},
		{"100000000 locals", body(1, 0x80, 0xc2, 0xd7, 0x2f, byte(I64), opEnd), "locals",
			"code section, byte 28, function 0: 100000000 locals in one function, at most 128"},
		{"locals that add up", body(2, 100, byte(I32), 29, byte(I64), opEnd), "locals",
			"code section, byte 30, function 0: 129 locals in one function, at most 128"},
		{"locals that add up past 32 bits", body(2, 1, byte(I32), 0xff, 0xff, 0xff, 0xff, 0x0f, byte(I64), opEnd), "locals",
			"code section, byte 30, function 0: 4294967296 locals in one function, at most 128"},
		{"4294967295 groups of locals", body(huge...), CodeCount,
			"code section, byte 27, function 0: 4294967295 groups of locals promised where 0 bytes are left"},
		{"a br_table of 4294967295 labels", body(append([]byte{0, opI32Const, 0, opBrTable}, huge...)...), CodeCount,
			"code section, byte 31, function 0: 4294967295 labels promised where 0 bytes are left"},
		{"more functions than bytes", with(sectionFunction, 100, 0), CodeCount,
			"function section, byte 10: 100 functions promised where 1 bytes are left"},
		{"a type of 4294967295 parameters", with(sectionType, append([]byte{1, 0x60}, huge...)...), "params",
			"type section, byte 12: 4294967295 parameters, at most 16"},
	}
}

// sizes of modules that a compiler takes minutes for.
func tooLarge() []hostileCase {
	many := func(n int, f draftFunc) draft {
		d := draft{memory: onePage}
		for range n {
			d.funcs = append(d.funcs, f)
		}
		return d
	}
	nested := func(n int, open ...byte) []byte {
		return slices.Concat(repeat(n, open...), repeat(n, opEnd))
	}
	branchTable := func(n int) []byte {
		return write(func(c *code) {
			c.i32(0)
			c.on(opBrTable, uint32(n))
			c.op(make([]byte, n+1)...)
		})
	}
	export := func(n int) (exports []draftExport) {
		for i := range n {
			exports = append(exports, draftExport{"e" + strings.Repeat("x", i), Memory, 0})
		}
		return exports
	}
	const empty = blockOfNothing & 0x7f
	ifs := []byte{opI32Const, 0, opIf, empty, opEnd}
	loops := []byte{opLoop, empty, opEnd}
	params := func(n int) string { return strings.Repeat("i", n) + ":" }
	wide := draftFunc{typ: ":", locals: []byte{1, 128, 1, byte(I32)}, code: repeat(1300, ifs...)}
	return []hostileCase{
		{"5 MB of one function", one(":", repeat(5<<20, opNop)...).bytes(), "size", "5242922 bytes, at most 524288"},
		{"70 KB of one function", one(":", repeat(70<<10, opNop)...).bytes(), "body",
			"code section, byte 35, function 0: 71682 bytes in one function, at most 65536"},
		{"50000 nested ifs", one(":", nested(50_000, opI32Const, 0, opIf, empty)...).bytes(), "body",
			"code section, byte 35, function 0: 250002 bytes in one function, at most 65536"},
		{"10000 nested ifs", one(":", nested(10_000, opI32Const, 0, opIf, empty)...).bytes(), "nesting",
			"code section, byte 2089, function 0: 513 blocks nested in each other, at most 512"},
		{"10000 nested blocks", one(":", nested(10_000, opBlock, empty)...).bytes(), "nesting",
			"code section, byte 1063, function 0: 513 blocks nested in each other, at most 512"},
		{"10000 nested loops", one(":", nested(10_000, opLoop, empty)...).bytes(), "nesting",
			"code section, byte 1063, function 0: 513 blocks nested in each other, at most 512"},
		{"13000 ifs in a row", one(":", repeat(13_000, ifs...)...).bytes(), "blocks",
			"code section, byte 10276, function 0: 4097 blocks in one function, at most 4096"},
		{"5000 loops in a row", one(":", repeat(5000, loops...)...).bytes(), "blocks",
			"code section, byte 4132, function 0: 4099 blocks in one function, at most 4096"},
		{"20000 br_ifs in a row", one(":", repeat(10_000, opI32Const, 0, opBrIf, 0)...).bytes(), "blocks",
			"code section, byte 35, function 0: 10001 blocks in one function, at most 4096"},
		{"ifs among a thousand locals", draft{memory: onePage, funcs: []draftFunc{{typ: ":", locals: []byte{1, 0xe8, 0x07, byte(I32)}, code: ifs}}}.bytes(),
			"locals", "code section, byte 28, function 0: 1000 locals in one function, at most 128"},
		{"functions of many ifs and many locals", many(6, wide).bytes(), "complexity",
			"code section, byte 13047, function 2: 2325294 units of blocks × (locals + parameters + 8 + blocks/16), at most 2000000"},
		{"a br_table of 5000 labels", one(":", branchTable(5000)...).bytes(), "branches",
			"code section, byte 39, function 0: 5004 bytes in the br_tables of one function, at most 4096"},
		{"three br_tables of 2000 labels", one(":", repeat(3, slices.Concat([]byte{opBlock, empty}, branchTable(2000), []byte{opEnd})...)...).bytes(), "branches",
			"code section, byte 4059, function 0: 6012 bytes in the br_tables of one function, at most 4096"},
		{"functions of many blocks and no locals", many(20, draftFunc{typ: ":", code: repeat(4000, opBlock, empty, opEnd)}).bytes(), "complexity",
			"code section, byte 12051, function 1: 2064516 units of blocks × (locals + parameters + 8 + blocks/16), at most 2000000"},
		{"8193 functions", many(8193, draftFunc{typ: ":"}).bytes(), "functions", "function section, byte 17: 8193 functions, at most 8192"},
		{"600000 functions", many(600_000, draftFunc{typ: ":"}).bytes(), "size", "2400033 bytes, at most 524288"},
		{"257 exports", draft{memory: onePage, exports: export(257)}.bytes(), "exports", "export section, byte 17: 257 exports, at most 256"},
		{"a function of a thousand parameters", one(params(1000)).bytes(), "params", "type section, byte 13: 1000 parameters, at most 16"},
		{"five results", one(":iiiii").bytes(), "results", "type section, byte 13: 5 results, at most 4"},
		{"300 operands at once", one(":", slices.Concat(repeat(300, opI32Const, 0), repeat(300, opDrop))...).bytes(), "operands",
			"code section, byte 549, function 0: 257 values on the stack of one function, at most 256"},
		{"a memory of 60000 pages", with(sectionMemory, 1, 0, 0xe0, 0xd4, 0x03), "memory", "memory section, byte 12: 60000 memory pages, at most 64"},
		{"a table of 2^27 entries", draft{memory: onePage, table: []byte{1, 0x70, 0, 0x80, 0x80, 0x80, 0x40}}.bytes(), "table",
			"table section, byte 13: 134217728 table entries, at most 16384"},
		{"more elements than a table may have", draft{memory: onePage, table: []byte{1, 0x70, 0, 1}, funcs: []draftFunc{{typ: ":"}},
			elements: slices.Concat([]byte{1, 0, opI32Const, 0, opEnd, 0x81, 0x80, 1}, make([]byte, 16385))}.bytes(), "elements",
			"element section, byte 38: 16385 elements, at most 16384"},
		{"65 custom sections", slices.Concat(one(":").bytes(), repeat(65, 0, 1, 0)), "customs", "custom section, byte 230: 65 custom sections, at most 64"},
	}
}

// forged are modules with an index that is not there, most of which would be
// there once the rewriter has added what it needs. The first one fills up its
// own fuel.
func forged() []hostileCase {
	f := func(typ string, f func(c *code)) []byte { return one(typ, write(f)...).bytes() }
	fuel := func(c *code) {
		c.i64(1 << 40)
		c.on(opGlobalSet, 0)
	}
	withGlobal := one(":", write(func(c *code) {
		c.i64(1 << 40)
		c.on(opGlobalSet, 1)
	})...)
	withGlobal.globals = []byte{1, byte(I64), 1, opI64Const, 0, opEnd}
	constant := one(":", write(func(c *code) {
		c.i64(1)
		c.on(opGlobalSet, 0)
	})...)
	constant.globals = []byte{1, byte(I64), 0, opI64Const, 0, opEnd}
	tabled := one(":", opI32Const, 0, opCallIndirect, 1, 0)
	tabled.table = []byte{1, 0x70, 0, 1}
	otherTable := one(":", opI32Const, 0, opCallIndirect, 0, 1)
	otherTable.table = []byte{1, 0x70, 0, 1}
	elements := one(":")
	elements.table, elements.elements = []byte{1, 0x70, 0, 1}, []byte{1, 0, opI32Const, 0, opEnd, 1, 1}
	export := func(kind Kind, index uint32) []byte {
		d := one(":")
		d.exports = []draftExport{{"x", kind, index}}
		return d.bytes()
	}
	const empty = blockOfNothing & 0x7f
	return []hostileCase{
		{"fuel by its number", f(":", fuel), CodeIndex, "code section, byte 42, function 0: global.set 0, there are 0 globals"},
		{"fuel by its number, after the module's own globals", withGlobal.bytes(), CodeIndex,
			"code section, byte 50, function 0: global.set 1, there are 1 globals"},
		{"fuel by another name", export(Global, 0), CodeIndex, `export section, byte 26: export "x" is number 0 of 0`},
		{"depth read by its number", f(":i", func(c *code) { c.on(opGlobalGet, 1) }), CodeIndex,
			"code section, byte 36, function 0: global.get 1, there are 0 globals"},
		{"a constant that is set", constant.bytes(), CodeType, "code section, byte 45, function 0: global.set of 0, which is constant"},
		{"a local that is not declared", f(":i", func(c *code) { c.on(opLocalGet, 0) }), CodeIndex,
			"code section, byte 36, function 0: local.get 0, there are 0 locals"},
		{"a local after the last", f("ii:", func(c *code) {
			c.i32(1)
			c.on(opLocalSet, 2)
		}), CodeIndex, "code section, byte 39, function 0: local.set 2, there are 2 locals"},
		{"a branch past the function", f(":", func(c *code) { c.on(opBr, 1) }), CodeIndex,
			"code section, byte 35, function 0: br to label 1, 1 are open"},
		{"a branch past the function, from inside", f(":", func(c *code) {
			c.op(opBlock, empty)
			c.i32(0)
			c.on(opBrIf, 2)
			c.op(opEnd)
		}), CodeIndex, "code section, byte 39, function 0: br_if to label 2, 2 are open"},
		{"a branch past a function that calls", f(":", func(c *code) {
			c.on(opCall, 0)
			c.on(opBr, 1)
		}), CodeIndex, "code section, byte 37, function 0: br to label 1, 1 are open"},
		{"a br_table past the function", f(":", func(c *code) {
			c.i32(0)
			c.op(opBrTable, 1, 1, 0)
		}), CodeIndex, "code section, byte 37, function 0: br_table to label 1, 1 are open"},
		{"a br_table past the function otherwise", f(":", func(c *code) {
			c.i32(0)
			c.op(opBrTable, 1, 0, 1)
		}), CodeIndex, "code section, byte 37, function 0: br_table to label 1, 1 are open"},
		{"a function that is not there", f(":", func(c *code) { c.on(opCall, 1) }), CodeIndex,
			"code section, byte 35, function 0: call of function 1, there are 1"},
		{"an element that is not there", elements.bytes(), CodeIndex, "element section, byte 44: function 1, there are 1"},
		{"an export that is not there", export(Function, 1), CodeIndex, `export section, byte 26: export "x" is number 1 of 1`},
		{"an exported memory that is not there", export(Memory, 1), CodeIndex, `export section, byte 26: export "x" is number 1 of 1`},
		{"an exported table that is not there", export(Table, 0), CodeIndex, `export section, byte 26: export "x" is number 0 of 0`},
		{"a type that is not there", with(sectionFunction, 1, 0), CodeIndex, "function section, byte 11: type 0, there are 0"},
		{"a block of a type that is not there", f(":", func(c *code) { c.op(opBlock, 1, opEnd) }), CodeIndex,
			"code section, byte 35, function 0: block of type 1, there are 1"},
		{"an indirect call of a type that is not there", tabled.bytes(), CodeIndex,
			"code section, byte 43, function 0: call_indirect of type 1, there are 1"},
		{"an indirect call without a table", f(":", func(c *code) { c.op(opI32Const, 0, opCallIndirect, 0, 0) }), CodeIndex,
			"code section, byte 37, function 0: call_indirect, and the module has no table"},
		{"an indirect call of a second table", otherTable.bytes(), CodeIndex,
			"code section, byte 45, function 0: table 1, there is only table 0"},
		{"a second memory", f(":i", func(c *code) { c.op(0x3f, 1) }), CodeIndex,
			"code section, byte 37, function 0: memory 1, there is only memory 0"},
		{"an export with fuel's name", draft{memory: onePage, exports: []draftExport{{ExportFuel, Memory, 0}}}.bytes(), CodeReserved,
			`export section, byte 16: export "near.fuel": names that begin with "near." are the host's`},
		{"an export with a global's name", draft{memory: onePage, exports: []draftExport{{"near.g0", Memory, 0}}}.bytes(), CodeReserved,
			`export section, byte 16: export "near.g0": names that begin with "near." are the host's`},
	}
}

// TestHostileModulesAreRefused refuses each with its own code and sentence, and
// without taking memory for what is not there.
func TestHostileModulesAreRefused(t *testing.T) {
	for family, cases := range map[string][]hostileCase{
		"claim": claims(), "size": tooLarge(), "index": forged(), "feature": foreign(), "shape": malformed(), "type": mistyped(),
	} {
		t.Run(family, func(t *testing.T) {
			for _, tt := range cases {
				t.Run(tt.name, func(t *testing.T) { checkRefused(t, tt) })
			}
		})
	}
}

func checkRefused(t *testing.T, tt hostileCase) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Verify(tt.wasm, Standard())
	runtime.ReadMemStats(&after)
	var e *Error
	if !errors.As(err, &e) || m != nil {
		t.Fatalf("got %v, %v, want code %q", m, err, tt.code)
	}
	if e.Code != tt.code || err.Error() != tt.says {
		t.Errorf("got %s: %s\nwant %s: %s", e.Code, err, tt.code, tt.says)
	}
	// What is held for a byte that is there: a function is the most, and slices
	// double.
	if took, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+200*len(tt.wasm)); took > most {
		t.Errorf("refusing %d bytes allocated %d, at most %d", len(tt.wasm), took, most)
	}
}
