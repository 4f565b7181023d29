// SPDX-License-Identifier: Apache-2.0

package bytecode

// An instruction is one that has been read.
type instruction struct {
	op  byte
	sub byte // after opMore
	at  int  // its first byte
	*operation
	// index is a label, a local, a global, a function, a type, or the offset of
	// a load or store. Of a br_table it is the label that is taken when no other
	// is.
	index uint32
	align uint32 // of a load or store, as log2
	value int64  // an integer constant, or a block's type
	bits  []byte // a floating-point constant
	// labels of a br_table, valid until the next instruction is read
	labels []uint32
}

// A decoder reads instructions one by one.
type decoder struct {
	*reader
	labels []uint32 // reused
}

// decode reads instructions that have been verified.
func decode(instructions []byte) *decoder {
	return &decoder{reader: &reader{b: instructions, end: len(instructions)}}
}

// next reads an instruction, refuses one that is not allowed, and checks what
// can be checked without its surroundings.
func (d *decoder) next() (in instruction) {
	in.at = d.at
	in.op = d.byte()
	in.operation = &operations[in.op]
	if in.op == opMore {
		return d.more(in)
	}
	if in.name == "" {
		d.fail(in.at, CodeOpcode, "instruction 0x%02x is not allowed (%s)", in.op, refused(in.op))
		return in
	}
	switch in.imm {
	case immBlock:
		in.value = d.signed(33)
	case immIndex:
		in.index = d.u32()
	case immTable:
		d.branchLabels(&in)
	case immCall:
		in.index = d.u32()
		d.zero("table")
	case immMemory:
		d.memoryArgument(&in)
	case immPage:
		d.zero("memory")
	case immI32:
		in.value = d.signed(32)
	case immI64:
		in.value = d.signed(64)
	case immF32:
		in.bits = d.take(4, "a constant")
	case immF64:
		in.bits = d.take(8, "a constant")
	}
	return in
}

func (d *decoder) more(in instruction) instruction {
	sub := d.u32()
	if sub >= uint32(len(moreOperations)) || moreOperations[sub].name == "" {
		d.fail(in.at, CodeOpcode, "instruction 0x%02x %d is not allowed (%s)", in.op, sub, refusedMore(sub))
		return in
	}
	in.sub, in.operation = byte(sub), &moreOperations[sub]
	switch in.sub {
	case moreMemoryCopy:
		d.zero("memory")
		d.zero("memory")
	case moreMemoryFill:
		d.zero("memory")
	}
	return in
}

// branchLabels reads the labels of a br_table. The list is at most as long as the
// bytes that are left.
func (d *decoder) branchLabels(in *instruction) {
	at := d.at
	n := d.fits(at, d.u32(), "labels")
	d.labels = d.labels[:0]
	for range n {
		d.labels = append(d.labels, d.u32())
	}
	in.labels, in.index = d.labels, d.u32()
}

func (d *decoder) memoryArgument(in *instruction) {
	at := d.at
	in.align = d.u32()
	if in.align > uint32(in.operation.align) {
		d.fail(at, CodeType, "%s with an alignment of 2^%d, more than it touches", in.name, in.align)
	}
	in.index = d.u32()
}

// zero reads the number of the only table or memory.
func (d *decoder) zero(what string) {
	at := d.at
	if n := d.u32(); n != 0 {
		d.fail(at, CodeIndex, "%s %d, there is only %s 0", what, n, what)
	}
}
