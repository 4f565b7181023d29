// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/binary"
	"math"
)

// Instructions of WebAssembly that compiled rules use.
const (
	wasmUnreachable = 0x00
	wasmBlock       = 0x02
	wasmLoop        = 0x03
	wasmIf          = 0x04
	wasmElse        = 0x05
	wasmEnd         = 0x0b
	wasmBr          = 0x0c
	wasmBrIf        = 0x0d
	wasmTable       = 0x0e
	wasmReturn      = 0x0f
	wasmCall        = 0x10
	wasmDrop        = 0x1a
	wasmSelect      = 0x1b
	wasmGet         = 0x20
	wasmSet         = 0x21
	wasmTee         = 0x22

	i32Load    = 0x28
	i64Load    = 0x29
	f64Load    = 0x2b
	i32Load8   = 0x2d // unsigned, as the other narrow loads here
	i32Load16  = 0x2f
	i64Load8   = 0x31
	i64Load16  = 0x33
	i64Load32  = 0x35
	i32Store   = 0x36
	i64Store   = 0x37
	i32Store8  = 0x3a
	i32Const   = 0x41
	i64Const   = 0x42
	f64Const   = 0x44
	i32Eqz     = 0x45
	i32Eq      = 0x46
	i32Ne      = 0x47
	i32LtS     = 0x48
	i32LtU     = 0x49
	i32GtU     = 0x4b
	i32LeS     = 0x4c
	i32GeU     = 0x4f
	i64Eqz     = 0x50
	i64Eq      = 0x51
	i64Ne      = 0x52
	i64LtS     = 0x53
	i64LtU     = 0x54
	i64GtU     = 0x56
	i64LeS     = 0x57
	i64LeU     = 0x58
	i64GeU     = 0x5a
	f64Eq      = 0x61
	f64Lt      = 0x63
	f64Gt      = 0x64
	f64Le      = 0x65
	i32Add     = 0x6a
	i32Sub     = 0x6b
	i32Mul     = 0x6c
	i32RemU    = 0x70
	i32And     = 0x71
	i32Or      = 0x72
	i32Xor     = 0x73
	i32Shl     = 0x74
	i32ShrU    = 0x76
	i64Ctz     = 0x7a
	i64Add     = 0x7c
	i64Sub     = 0x7d
	i64Mul     = 0x7e
	i64DivS    = 0x7f
	i64DivU    = 0x80
	i64RemS    = 0x81
	i64RemU    = 0x82
	i64And     = 0x83
	i64Or      = 0x84
	i64Xor     = 0x85
	i64Shl     = 0x86
	i64ShrU    = 0x88
	f64Abs     = 0x99
	f64Neg     = 0x9a
	f64Sqrt    = 0x9f
	f64Add     = 0xa0
	f64Sub     = 0xa1
	f64Mul     = 0xa2
	f64Div     = 0xa3
	f64Min     = 0xa4
	i32Wrap    = 0xa7
	i64Trunc   = 0xb0 // of f64, signed
	i64ExtendU = 0xad
	f64Convert = 0xb9 // of i64, signed

	moreOps    = 0xfc
	memoryFill = 11
)

// Types of values, and the type of a block without one.
const (
	typeI32  = 0x7f
	typeI64  = 0x7e
	typeF64  = 0x7c
	typeNone = 0x40
)

// A code is a piece of a module that is being written.
type code []byte

func (c *code) op(ops ...byte) { *c = append(*c, ops...) }

// on appends an instruction and the number it is about.
func (c *code) on(op byte, n int) {
	c.op(op)
	c.u32(n)
}

// access appends a load or store; align is log2.
func (c *code) access(op byte, align, offset int) {
	c.on(op, align)
	c.u32(offset)
}

func (c *code) i32(n int) {
	c.op(i32Const)
	c.signed(int64(int32(n)))
}

func (c *code) i64(n int64) {
	c.op(i64Const)
	c.signed(n)
}

func (c *code) f64(v float64) {
	c.op(f64Const)
	*c = binary.LittleEndian.AppendUint64(*c, math.Float64bits(v))
}

// u32 appends an unsigned LEB128 number.
func (c *code) u32(n int) { *c = binary.AppendUvarint(*c, uint64(uint32(n))) }

// signed appends a signed LEB128 number.
func (c *code) signed(n int64) {
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			c.op(b)
			return
		}
		c.op(b | 0x80)
	}
}

// sized appends bytes after their number.
func (c *code) sized(b []byte) {
	c.u32(len(b))
	c.op(b...)
}

// section appends a section.
func (c *code) section(id byte, content []byte) {
	c.op(id)
	c.sized(content)
}
