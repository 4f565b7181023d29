// SPDX-License-Identifier: Apache-2.0

package bytecode

import "slices"

// foreign are modules that use what rules may not: parts of WebAssembly that no
// snapshot puts back, that differ between machines, or that nothing here knows.
func foreign() []hostileCase {
	instruction := func(name, says string, ops ...byte) hostileCase {
		return hostileCase{name, one(":", ops...).bytes(), CodeOpcode, "code section, byte 35, function 0: " + says}
	}
	imported := func(module, name, typ string) []byte {
		return draft{memory: onePage, imports: []draftImport{{module, name, typ}}}.bytes()
	}
	importing := func(descriptor ...byte) []byte {
		return draft{memory: onePage, raw: map[byte][]byte{
			sectionType: oneType, 2: slices.Concat([]byte("\x01\x03env\x01x"), descriptor),
		}}.bytes()
	}
	tabled := func(elements ...byte) []byte {
		return draft{memory: onePage, table: []byte{1, 0x70, 0, 1}, elements: elements}.bytes()
	}
	const table = "only active ones of function numbers (0) are allowed"
	return []hostileCase{
		instruction("memory.init", "instruction 0xfc 8 is not allowed (memory.init)", opMore, 8, 0, 0),
		instruction("data.drop", "instruction 0xfc 9 is not allowed (data.drop)", opMore, 9, 0),
		instruction("table.init", "instruction 0xfc 12 is not allowed (table.init)", opMore, 12, 0, 0),
		instruction("elem.drop", "instruction 0xfc 13 is not allowed (elem.drop)", opMore, 13, 0),
		instruction("table.copy", "instruction 0xfc 14 is not allowed (table.copy)", opMore, 14, 0, 0),
		instruction("table.grow", "instruction 0xfc 15 is not allowed (table.grow)", opMore, 15, 0),
		instruction("table.size", "instruction 0xfc 16 is not allowed (table.size)", opMore, 16, 0),
		instruction("table.fill", "instruction 0xfc 17 is not allowed (table.fill)", opMore, 17, 0),
		instruction("a bulk instruction to come", "instruction 0xfc 18 is not allowed (an instruction of no known feature)", opMore, 18),
		instruction("a bulk instruction of a large number", "instruction 0xfc 4294967295 is not allowed (an instruction of no known feature)",
			slices.Concat([]byte{opMore}, huge)...),
		instruction("table.get", "instruction 0x25 is not allowed (reading or writing tables)", 0x25, 0),
		instruction("table.set", "instruction 0x26 is not allowed (reading or writing tables)", 0x26, 0),
		instruction("SIMD", "instruction 0xfd is not allowed (SIMD)", 0xfd, 0, 0, 0),
		instruction("threads", "instruction 0xfe is not allowed (threads)", 0xfe, 0, 2, 0),
		instruction("try", "instruction 0x06 is not allowed (exception handling)", 0x06, 0x40),
		instruction("try_table", "instruction 0x1f is not allowed (exception handling)", 0x1f, 0x40, 0),
		instruction("return_call", "instruction 0x12 is not allowed (tail calls)", 0x12, 0),
		instruction("ref.null", "instruction 0xd0 is not allowed (reference types)", 0xd0, 0x70),
		instruction("ref.func", "instruction 0xd2 is not allowed (reference types)", 0xd2, 0),
		instruction("a select with a type", "instruction 0x1c is not allowed (reference types)", 0x1c, 1, 0x7f),
		instruction("garbage collection", "instruction 0xfb is not allowed (garbage collection)", 0xfb, 0),
		instruction("an unknown instruction", "instruction 0xff is not allowed (no known feature)", 0xff),

		{"an import of another module", imported("env", "abort", "iiii:"), CodeImport,
			`import section, byte 21: import "abort" of "env" is not offered; a rule imports nothing but functions of wasi_snapshot_preview1`},
		{"an unknown import of WASI", imported("wasi_snapshot_preview1", "fd_open", "i:i"), CodeImport,
			`import section, byte 19: import "fd_open" of "wasi_snapshot_preview1" is not offered; a rule imports nothing but functions of wasi_snapshot_preview1`},
		{"an import of WASI with another type", imported("wasi_snapshot_preview1", "proc_exit", "l:"), CodeImport,
			`import section, byte 18: import "proc_exit" is declared as (i64) -> (), it is (i32) -> ()`},
		{"an imported table", importing(byte(Table), 0x70, 0, 1), CodeImport, `import section, byte 17: import "x" of "env" is no function`},
		{"an imported memory", importing(byte(Memory), 0, 1), CodeImport, `import section, byte 17: import "x" of "env" is no function`},
		{"an imported global", importing(byte(Global), byte(I32), 1), CodeImport, `import section, byte 17: import "x" of "env" is no function`},

		{"a start function", with(8, 0), CodeStart, "start section, byte 15: a start function is not allowed; export it as _initialize"},
		{"a passive data segment", with(sectionData, 1, 1, 0), CodeSegment, "data section, byte 16: a data segment of kind 1; only active ones (0) are allowed"},
		{"a passive element segment", tabled(1, 1, 0, 0), CodeSegment, "element section, byte 22: an element segment of kind 1; " + table},
		{"an element segment of expressions", tabled(1, 4, opI32Const, 0, opEnd, 0), CodeSegment, "element section, byte 22: an element segment of kind 4; " + table},
		{"a shared memory", with(sectionMemory, 1, 3, 1, 1), CodeFeature, "memory section, byte 11: a memory of kind 3: shared and 64-bit ones are not allowed"},
		{"a 64-bit memory", with(sectionMemory, 1, 4, 1), CodeFeature, "memory section, byte 11: a memory of kind 4: shared and 64-bit ones are not allowed"},
		{"two memories", with(sectionMemory, 2, 0, 1, 0, 1), CodeFeature, "memory section, byte 10: 2 memories, at most 1"},
		{"two tables", draft{memory: onePage, table: []byte{2, 0x70, 0, 1, 0x70, 0, 1}}.bytes(), CodeFeature, "table section, byte 10: 2 tables, at most 1"},
		{"a table of external references", draft{memory: onePage, table: []byte{1, 0x6f, 0, 1}}.bytes(), CodeFeature,
			"table section, byte 11: a table of type 0x6f, only functions (0x70) are allowed"},
		{"a type that is no function", with(sectionType, 1, 0x5f, 0, 0), CodeFeature, "type section, byte 11: a type of form 0x5f, only functions (0x60) are allowed"},
		{"a vector type", with(sectionType, 1, 0x60, 1, 0x7b, 0), CodeFeature, "type section, byte 13: type 0x7b, only i32, i64, f32 and f64 are allowed"},
		{"nothing but unknown types", with(sectionType, 1, 0x60, 4, 0x7b, 0x7b, 0x7b, 0x7b, 0), CodeFeature,
			"type section, byte 13: type 0x7b, only i32, i64, f32 and f64 are allowed"},
		{"a local that is a reference", draft{memory: onePage, funcs: []draftFunc{{typ: ":", locals: []byte{1, 1, 0x70}}}}.bytes(), CodeFeature,
			"code section, byte 29, function 0: type 0x70, only i32, i64, f32 and f64 are allowed"},
		{"a global that is a reference", with(sectionGlobal, 1, 0x70, 0, 0xd0, 0x70, opEnd), CodeFeature, "global section, byte 16: type 0x70, only i32, i64, f32 and f64 are allowed"},
		{"exception tags", slices.Concat(one(":").bytes(), []byte{13, 1, 0}), CodeSection, "section 13 at byte 36 is unknown or not allowed"},
		{"an exported tag", draft{memory: onePage, exports: []draftExport{{"x", 4, 0}}}.bytes(), CodeFeature, `export section, byte 16: export "x" is of kind 4`},
	}
}

// malformed are bytes that are no module, or not quite.
func malformed() []hostileCase {
	memory := []byte{sectionMemory, 3, 1, 0, 1}
	module := func(sections ...[]byte) []byte { return slices.Concat(header, slices.Concat(sections...)) }
	global := func(initial ...byte) []byte {
		return with(sectionGlobal, slices.Concat([]byte{1, byte(I32), 0}, initial)...)
	}
	return []hostileCase{
		{"nothing", nil, CodeHeader, `this is not a WebAssembly 1.0 module: it does not begin with "\x00asm\x01\x00\x00\x00"`},
		{"text", []byte("(module)"), CodeHeader, `this is not a WebAssembly 1.0 module: it does not begin with "\x00asm\x01\x00\x00\x00"`},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), CodeHeader, `this is not a WebAssembly 1.0 module: it does not begin with "\x00asm\x01\x00\x00\x00"`},
		{"no memory", header, CodeSection, "the module has no memory"},
		{"a section that is cut off", module([]byte{sectionType, 5, 0}), CodeTruncated, "type section, byte 8: a section of 5 bytes where 1 are left"},
		{"a section without a size", module([]byte{sectionType}), CodeTruncated, "type section, byte 9: the bytes end in the middle"},
		{"a section that is not read to its end", module([]byte{sectionMemory, 4, 1, 0, 1, 0}), CodeSection, "memory section, byte 13: 1 bytes are left over"},
		{"a section that ends in a part", module([]byte{sectionMemory, 2, 1, 0}), CodeTruncated, "memory section, byte 12: the bytes end in the middle"},
		{"a section twice", module(memory, memory), CodeSection, "memory section, byte 13: the section is repeated or out of order"},
		{"sections out of order", module(memory, []byte{sectionType, 1, 0}), CodeSection, "type section, byte 13: the section is repeated or out of order"},
		{"data counted after the code", module(memory, []byte{sectionCode, 1, 0}, []byte{sectionDataCount, 1, 0}), CodeSection,
			"data count section, byte 16: the section is repeated or out of order"},
		{"data counted wrong", with(sectionDataCount, 1), CodeSection, "the module announces 1 data segments and has 0"},
		{"functions without code", draft{memory: onePage, raw: map[byte][]byte{sectionType: oneType, sectionFunction: {1, 0}}}.bytes(), CodeSection,
			"the module declares 1 functions and has the code of 0"},
		{"code without functions", with(sectionCode, 1, 2, 0, opEnd), CodeSection, "code section, byte 15: the code of 1 functions, 0 are declared"},
		{"a number of six bytes", with(sectionType, 0x80, 0x80, 0x80, 0x80, 0x80, 0), CodeNumber, "type section, byte 10: a number that does not fit 32 bits"},
		{"a number of 35 bits", with(sectionType, 0xff, 0xff, 0xff, 0xff, 0x7f), CodeNumber, "type section, byte 10: a number that does not fit 32 bits"},
		{"a constant of 33 bits", one(":i", opI32Const, 0xff, 0xff, 0xff, 0xff, 0x0f).bytes(), CodeNumber,
			"code section, byte 37, function 0: a number that does not fit 32 bits"},
		{"a constant of 65 bits", one(":l", append([]byte{opI64Const}, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2)...).bytes(), CodeNumber,
			"code section, byte 37, function 0: a number that does not fit 64 bits"},
		{"a constant that is cut off", global(0x44, 0, 0), CodeTruncated, "global section, byte 19: a constant of 8 bytes where 2 are left"},
		{"a name that is not UTF-8", with(sectionExport, 1, 1, 0xff, byte(Memory), 0), CodeName, "export section, byte 16: a name that is not UTF-8"},
		{"an export twice", draft{memory: onePage, exports: []draftExport{{"x", Memory, 0}, {"x", Memory, 0}}}.bytes(), CodeName,
			`export section, byte 20: a second export "x"`},
		{"a second manifest", slices.Concat(one(":").bytes(), []byte("\x00\x06\x05near."), []byte("\x00\x06\x05near.")), CodeName,
			`custom section, byte 46: a second custom section "near."`},
		{"a custom section without a name", slices.Concat(header, []byte{sectionCustom, 0}), CodeTruncated, "custom section, byte 10: the bytes end in the middle"},
		{"a global that begins with a call", global(opCall, 0, opEnd), CodeConstant, "global section, byte 18: an initialiser that is not a constant"},
		{"a global that begins with another", global(opGlobalGet, 0, opEnd), CodeConstant, "global section, byte 18: an initialiser that is not a constant"},
		{"a global of another type", global(opI64Const, 0, opEnd), CodeConstant, "global section, byte 18: an initialiser of type i64, want i32"},
		{"a global that begins with a sum", global(opI32Const, 0, opI32Const, 0, opI32Add, opEnd), CodeConstant,
			"global section, byte 20: an initialiser that is more than one constant"},
		{"a global that is neither constant nor mutable", with(sectionGlobal, 1, byte(I32), 2, opI32Const, 0, opEnd), CodeFeature,
			"global section, byte 17: a global of kind 2, neither constant (0) nor mutable (1)"},
		{"a memory that shrinks", with(sectionMemory, 1, 1, 2, 1), CodeFeature, "memory section, byte 13: a memory of at least 2 and at most 1"},
		{"data past the memory", with(sectionData, 1, 0, opI32Const, 0xff, 0xff, 3, opEnd, 2, 0, 0), CodeSegment,
			"data section, byte 22: 2 bytes of data at 65535, past the memory's first size of 65536"},
		{"data at a negative address", with(sectionData, 1, 0, opI32Const, 0x7f, opEnd, 1, 0), CodeSegment,
			"data section, byte 20: 1 bytes of data at 4294967295, past the memory's first size of 65536"},
		{"data without a memory", draft{data: []byte{1, 0, opI32Const, 0, opEnd, 0}}.bytes(), CodeIndex, "data section, byte 11: a data segment without a memory"},
		{"elements without a table", draft{memory: onePage, elements: []byte{1, 0, opI32Const, 0, opEnd, 0}}.bytes(), CodeIndex,
			"element section, byte 20: an element segment without a table"},
		{"elements past the table", draft{memory: onePage, table: []byte{1, 0x70, 0, 1}, funcs: []draftFunc{{typ: ":"}},
			elements: []byte{1, 0, opI32Const, 1, opEnd, 1, 0}}.bytes(), CodeSegment, "element section, byte 36: 1 elements at 1, past the table's end of 1"},
	}
}

// mistyped are functions whose operands do not fit.
func mistyped() []hostileCase {
	refuse := func(name, typ, says string, ops ...byte) hostileCase {
		return hostileCase{name, one(typ, ops...).bytes(), CodeType, "code section, byte " + says}
	}
	const empty = blockOfNothing & 0x7f
	return []hostileCase{
		refuse("an operand that is missing", ":i", "38, function 0: i32.add needs an operand that is not there", opI32Const, 0, opI32Add),
		refuse("an operand of another type", ":i", "40, function 0: i32.add needs an i32 and finds an i64", opI32Const, 0, opI64Const, 0, opI32Add),
		refuse("a result that is missing", ":i", "36, function 0: end needs an operand that is not there"),
		refuse("a result of another type", ":i", "38, function 0: end needs an i32 and finds an i64", opI64Const, 0),
		refuse("a result too many", ":", "37, function 0: the block ends with 1 operands too many", opI32Const, 0),
		refuse("an operand from outside a block", ":", "39, function 0: drop needs an operand that is not there", opI32Const, 0, opBlock, empty, opDrop, opEnd),
		refuse("a block without its result", ":", "37, function 0: end needs an operand that is not there", opBlock, byte(I32), opEnd, opDrop),
		refuse("else without if", ":", "35, function 0: else without an if", opElse),
		refuse("if without else that gives a value", ":", "41, function 0: an if without else takes () and gives (i32)",
			opI32Const, 0, opIf, byte(I32), opI32Const, 0, opEnd, opDrop),
		refuse("a branch without its value", ":", "37, function 0: br needs an operand that is not there", opBlock, byte(I32), opBr, 0, opEnd, opDrop),
		refuse("br_table to labels of two kinds", ":", "41, function 0: br_table to labels that take () and (i32)",
			opBlock, byte(I32), opI32Const, 0, opI32Const, 0, opBrTable, 1, 0, 1, opEnd, opDrop),
		refuse("br_table to labels of two types", ":", "43, function 0: br_table needs an i64 and finds an i32",
			opBlock, byte(I64), opBlock, byte(I32), opI32Const, 0, opI32Const, 0, opBrTable, 1, 1, 0, opEnd, opDrop, opI64Const, 0, opEnd, opDrop),
		refuse("select of two types", ":", "41, function 0: select needs an i32 and finds an i64",
			opI64Const, 0, opI32Const, 0, opI32Const, 0, opSelect, opDrop),
		refuse("a load aligned to more than it reads", ":i", "39, function 0: i32.load with an alignment of 2^3, more than it touches",
			opI32Const, 0, opI32Load, 3, 0),
		refuse("a wrong operand where none can be", ":", "38, function 0: i64.eqz needs an i64 and finds an i32",
			opUnreachable, opI32Const, 0, 0x50, opDrop),
		{"a block of no type", one(":", opBlock, 0x7b, opEnd).bytes(), CodeFeature, "code section, byte 35, function 0: block of type -5, which is none"},
		{"bytes after the end", one(":", opEnd).bytes(), CodeSection, "code section, byte 36, function 0: 1 bytes after the function's end"},
		{"a function without an end", draft{memory: onePage, raw: map[byte][]byte{
			sectionType: oneType, sectionFunction: {1, 0}, sectionCode: {1, 2, 0, opNop},
		}}.bytes(), CodeTruncated, "code section, byte 29, function 0: the bytes end in the middle"},
	}
}
