// SPDX-License-Identifier: Apache-2.0

package bytecode

import "encoding/binary"

// A code is a piece of a module that is being written.
type code []byte

// op appends instructions without immediates, or any other bytes.
func (c *code) op(ops ...byte) { *c = append(*c, ops...) }

// on appends an instruction and the index it is about.
func (c *code) on(op byte, index uint32) {
	c.op(op)
	c.u32(index)
}

// access appends a load or store at an offset; align is log2.
func (c *code) access(op byte, align, offset uint32) {
	c.on(op, align)
	c.u32(offset)
}

func (c *code) i32(n int32) {
	c.op(opI32Const)
	c.signed(int64(n))
}

func (c *code) i64(n int64) {
	c.op(opI64Const)
	c.signed(n)
}

// u32 appends an unsigned LEB128 number.
func (c *code) u32(n uint32) { *c = binary.AppendUvarint(*c, uint64(n)) }

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
	c.u32(uint32(len(b)))
	c.op(b...)
}

// section appends a section.
func (c *code) section(id byte, content []byte) {
	c.op(id)
	c.sized(content)
}

// constant appends an initialiser.
func (c *code) constant(k constant) {
	c.op(k.op)
	if k.bits != nil {
		c.op(k.bits...)
	} else {
		c.signed(k.value)
	}
	c.op(opEnd)
}
