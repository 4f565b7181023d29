// SPDX-License-Identifier: Apache-2.0

package bytecode

import "strings"

// Instructions that the verifier or the rewriter knows by name.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opI32Load      = 0x28
	opF32Load      = 0x2a
	opF64Load      = 0x2b
	opI32Store     = 0x36
	opI64Store     = 0x37
	opF32Store     = 0x38
	opF64Store     = 0x39
	opI64Store8    = 0x3c
	opI64Store32   = 0x3e
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32Eqz       = 0x45
	opI32LtS       = 0x48
	opI32LtU       = 0x49
	opI32GtU       = 0x4b
	opI64LtS       = 0x53
	opI64LtU       = 0x54
	opF32Eq        = 0x5b
	opF64Eq        = 0x61
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI64Or        = 0x84
	opI64Shl       = 0x86
	opI64ShrU      = 0x88
	opI64Rotl      = 0x89
	opF32Copysign  = 0x98
	opF64Copysign  = 0xa6
	opI64ExtendU   = 0xad
	opF32ConvertS  = 0xb2 // the first of four conversions from integers
	opF64ConvertS  = 0xb7 // the same
	opI32ReadF32   = 0xbc // i32.reinterpret_f32
	opI64ReadF64   = 0xbd
	opF32ReadI32   = 0xbe
	opF64ReadI64   = 0xbf
	opMore         = 0xfc // a second number says which

	moreMemoryCopy = 10
	moreMemoryFill = 11
)

// An immediate is what follows an instruction's byte.
type immediate byte

const (
	immNone   immediate = iota
	immBlock            // a block's type
	immIndex            // one index or label
	immTable            // labels and one more
	immCall             // a type and a table
	immMemory           // alignment and offset
	immPage             // a memory, which is 0
	immI32
	immI64
	immF32
	immF64
)

// An operation is an instruction that modules may use.
type operation struct {
	name string
	imm  immediate
	// takes and gives are its operands and results, where they are always the
	// same.
	funcType
	align byte // log2 of the bytes a load or store touches
	cost  int  // fuel
}

// operationRows are the instructions of consecutive bytes from first, named by
// names. Fuel follows what instructions take on common processors; those that
// compile to nothing of their own are free, which a region's count makes up for.
// A load or a store costs what it takes where the memory is too large for the
// nearest caches, and each load waits for the one before: no other instruction
// can be made so much slower by whoever writes the module.
var operationRows = []struct {
	first     byte
	imm       immediate
	signature string
	align     byte
	cost      int
	names     string
}{
	{opUnreachable, immNone, "", 0, 0, "unreachable nop"},
	{opBlock, immBlock, "", 0, 0, "block loop"},
	{opIf, immBlock, "", 0, 2, "if"},
	{opElse, immNone, "", 0, 0, "else"},
	{opEnd, immNone, "", 0, 0, "end"},
	{opBr, immIndex, "", 0, 1, "br"},
	{opBrIf, immIndex, "", 0, 2, "br_if"},
	{opBrTable, immTable, "", 0, 8, "br_table"},
	{opReturn, immNone, "", 0, 1, "return"},
	{opCall, immIndex, "", 0, 10, "call"},
	{opCallIndirect, immCall, "", 0, 14, "call_indirect"},
	{opDrop, immNone, "", 0, 0, "drop"},
	{opSelect, immNone, "", 0, 1, "select"},
	{opLocalGet, immIndex, "", 0, 0, "local.get"},
	{opLocalSet, immIndex, "", 0, 1, "local.set local.tee global.get global.set"},

	{opI32Load, immMemory, "i:i", 2, 8, "i32.load"},
	{0x29, immMemory, "i:l", 3, 8, "i64.load"},
	{opF32Load, immMemory, "i:f", 2, 8, "f32.load"},
	{opF64Load, immMemory, "i:d", 3, 8, "f64.load"},
	{0x2c, immMemory, "i:i", 0, 8, "i32.load8_s i32.load8_u"},
	{0x2e, immMemory, "i:i", 1, 8, "i32.load16_s i32.load16_u"},
	{0x30, immMemory, "i:l", 0, 8, "i64.load8_s i64.load8_u"},
	{0x32, immMemory, "i:l", 1, 8, "i64.load16_s i64.load16_u"},
	{0x34, immMemory, "i:l", 2, 8, "i64.load32_s i64.load32_u"},
	{opI32Store, immMemory, "ii:", 2, 8, "i32.store"},
	{opI64Store, immMemory, "il:", 3, 8, "i64.store"},
	{opF32Store, immMemory, "if:", 2, 8, "f32.store"},
	{opF64Store, immMemory, "id:", 3, 8, "f64.store"},
	{0x3a, immMemory, "ii:", 0, 8, "i32.store8"},
	{0x3b, immMemory, "ii:", 1, 8, "i32.store16"},
	{opI64Store8, immMemory, "il:", 0, 8, "i64.store8"},
	{0x3d, immMemory, "il:", 1, 8, "i64.store16"},
	{opI64Store32, immMemory, "il:", 2, 8, "i64.store32"},
	{0x3f, immPage, ":i", 0, 1, "memory.size"},
	{opMemoryGrow, immPage, "i:i", 0, 2000, "memory.grow"},

	{opI32Const, immI32, ":i", 0, 0, "i32.const"},
	{opI64Const, immI64, ":l", 0, 0, "i64.const"},
	{opF32Const, immF32, ":f", 0, 0, "f32.const"},
	{opF64Const, immF64, ":d", 0, 0, "f64.const"},

	{opI32Eqz, immNone, "i:i", 0, 1, "i32.eqz"},
	{0x46, immNone, "ii:i", 0, 1, "i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u"},
	{0x50, immNone, "l:i", 0, 1, "i64.eqz"},
	{0x51, immNone, "ll:i", 0, 1, "i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u"},
	{opF32Eq, immNone, "ff:i", 0, 2, "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"},
	{opF64Eq, immNone, "dd:i", 0, 2, "f64.eq f64.ne f64.lt f64.gt f64.le f64.ge"},

	{0x67, immNone, "i:i", 0, 1, "i32.clz i32.ctz i32.popcnt"},
	{opI32Add, immNone, "ii:i", 0, 1, "i32.add i32.sub"},
	{0x6c, immNone, "ii:i", 0, 2, "i32.mul"},
	{0x6d, immNone, "ii:i", 0, 8, "i32.div_s i32.div_u i32.rem_s i32.rem_u"},
	{0x71, immNone, "ii:i", 0, 1, "i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr"},
	{0x79, immNone, "l:l", 0, 1, "i64.clz i64.ctz i64.popcnt"},
	{opI64Add, immNone, "ll:l", 0, 1, "i64.add i64.sub"},
	{opI64Mul, immNone, "ll:l", 0, 2, "i64.mul"},
	{0x7f, immNone, "ll:l", 0, 12, "i64.div_s i64.div_u i64.rem_s i64.rem_u"},
	{0x83, immNone, "ll:l", 0, 1, "i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr"},

	{0x8b, immNone, "f:f", 0, 2, "f32.abs f32.neg"},
	{0x8d, immNone, "f:f", 0, 4, "f32.ceil f32.floor f32.trunc f32.nearest"},
	{0x91, immNone, "f:f", 0, 10, "f32.sqrt"},
	{0x92, immNone, "ff:f", 0, 2, "f32.add f32.sub f32.mul"},
	{0x95, immNone, "ff:f", 0, 8, "f32.div"},
	{0x96, immNone, "ff:f", 0, 4, "f32.min f32.max f32.copysign"},
	{0x99, immNone, "d:d", 0, 2, "f64.abs f64.neg"},
	{0x9b, immNone, "d:d", 0, 4, "f64.ceil f64.floor f64.trunc f64.nearest"},
	{0x9f, immNone, "d:d", 0, 12, "f64.sqrt"},
	{0xa0, immNone, "dd:d", 0, 2, "f64.add f64.sub f64.mul"},
	{0xa3, immNone, "dd:d", 0, 8, "f64.div"},
	{0xa4, immNone, "dd:d", 0, 4, "f64.min f64.max f64.copysign"},

	{0xa7, immNone, "l:i", 0, 1, "i32.wrap_i64"},
	{0xa8, immNone, "f:i", 0, 4, "i32.trunc_f32_s i32.trunc_f32_u"},
	{0xaa, immNone, "d:i", 0, 4, "i32.trunc_f64_s i32.trunc_f64_u"},
	{0xac, immNone, "i:l", 0, 1, "i64.extend_i32_s i64.extend_i32_u"},
	{0xae, immNone, "f:l", 0, 4, "i64.trunc_f32_s i64.trunc_f32_u"},
	{0xb0, immNone, "d:l", 0, 4, "i64.trunc_f64_s i64.trunc_f64_u"},
	{opF32ConvertS, immNone, "i:f", 0, 2, "f32.convert_i32_s f32.convert_i32_u"},
	{0xb4, immNone, "l:f", 0, 3, "f32.convert_i64_s f32.convert_i64_u"},
	{0xb6, immNone, "d:f", 0, 2, "f32.demote_f64"},
	{opF64ConvertS, immNone, "i:d", 0, 2, "f64.convert_i32_s f64.convert_i32_u"},
	{0xb9, immNone, "l:d", 0, 3, "f64.convert_i64_s f64.convert_i64_u"},
	{0xbb, immNone, "f:d", 0, 2, "f64.promote_f32"},
	{opI32ReadF32, immNone, "f:i", 0, 2, "i32.reinterpret_f32"},
	{opI64ReadF64, immNone, "d:l", 0, 2, "i64.reinterpret_f64"},
	{opF32ReadI32, immNone, "i:f", 0, 1, "f32.reinterpret_i32"},
	{opF64ReadI64, immNone, "l:d", 0, 1, "f64.reinterpret_i64"},
	{0xc0, immNone, "i:i", 0, 1, "i32.extend8_s i32.extend16_s"},
	{0xc2, immNone, "l:l", 0, 1, "i64.extend8_s i64.extend16_s i64.extend32_s"},
}

// moreRows are the instructions that begin with opMore.
var moreRows = []struct {
	first     byte
	signature string
	cost      int
	names     string
}{
	{0, "f:i", 4, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u"},
	{2, "d:i", 4, "i32.trunc_sat_f64_s i32.trunc_sat_f64_u"},
	{4, "f:l", 4, "i64.trunc_sat_f32_s i64.trunc_sat_f32_u"},
	{6, "d:l", 4, "i64.trunc_sat_f64_s i64.trunc_sat_f64_u"},
	{moreMemoryCopy, "iii:", 40, "memory.copy memory.fill"},
}

var operations, moreOperations = tabulate()

func tabulate() (one [256]operation, more [18]operation) {
	for _, row := range operationRows {
		for i, name := range strings.Fields(row.names) {
			one[int(row.first)+i] = operation{name, row.imm, signature(row.signature), row.align, row.cost}
		}
	}
	for _, row := range moreRows {
		for i, name := range strings.Fields(row.names) {
			more[int(row.first)+i] = operation{name, immNone, signature(row.signature), 0, row.cost}
		}
	}
	return one, more
}

// refused names what a byte that begins no allowed instruction belongs to.
func refused(op byte) string {
	switch {
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		return "exception handling"
	case op == 0x12, op == 0x13:
		return "tail calls"
	case op == 0x14, op == 0x15, op == 0x1c, op >= 0xd0 && op <= 0xd6:
		return "reference types"
	case op == 0x25, op == 0x26:
		return "reading or writing tables"
	case op == 0xfb:
		return "garbage collection"
	case op == 0xfd:
		return "SIMD"
	case op == 0xfe:
		return "threads"
	}
	return "no known feature"
}

// refusedMore names instructions that begin with opMore and are not allowed.
func refusedMore(sub uint32) string {
	names := [...]string{8: "memory.init", 9: "data.drop", 12: "table.init", 13: "elem.drop",
		14: "table.copy", 15: "table.grow", 16: "table.size", 17: "table.fill"}
	if sub < uint32(len(names)) && names[sub] != "" {
		return names[sub]
	}
	return "an instruction of no known feature"
}
