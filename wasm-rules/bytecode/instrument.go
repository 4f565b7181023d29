// SPDX-License-Identifier: Apache-2.0

package bytecode

// frameSlots is how many parameters, locals and operands make one more unit of
// depth.
const frameSlots = 8

// weight is what a call of a function takes of the depth.
func weight(f *function, params int) int32 {
	return int32(1 + (params+len(f.locals)+f.operands)/frameSlots)
}

// The locals that the rewriter adds to a function that needs them.
type scratch int

const (
	scratchAddress scratch = iota
	scratchLength
	scratchI32
	scratchI64
	scratchF32
	scratchF64
	scratchCount
)

var scratchTypes = [scratchCount]ValueType{I32, I32, I32, I64, F32, F64}

// A bodyWriter writes one function.
type bodyWriter struct {
	*rewriter
	code
	given   uint32               // parameters and locals of the module's
	added   []ValueType          // locals of ours
	scratch [scratchCount]uint32 // index + 1 of each that was added
	before  instruction          // the one before
}

// body returns a function as the code section holds it: locals, instructions.
func (w *rewriter) body(f *function, instructions []byte) []byte {
	typ := w.types[f.typ]
	b := &bodyWriter{rewriter: w, given: uint32(len(typ.params) + len(f.locals))}
	charges := regions(decode(instructions))
	units := int32(0)
	if f.calls {
		units = weight(f, len(typ.params))
		b.enter(units, typ.results)
	}
	b.charge(charges[0].cost)
	charges = charges[1:]
	nesting, d := uint32(0), decode(instructions)
	for i := 0; d.left() > 0; i++ {
		in := d.next()
		switch in.op {
		case opBlock, opLoop, opIf:
			nesting++
		case opEnd:
			nesting--
		}
		switch {
		case units > 0 && d.left() == 0:
			b.leave(units)
		case units > 0 && in.op == opReturn:
			b.on(opBr, nesting)
		default:
			b.instruction(&in)
		}
		for len(charges) > 0 && charges[0].after == i {
			b.charge(charges[0].cost)
			charges = charges[1:]
		}
		b.before = in
	}
	return append(b.locals(f.locals), b.code...)
}

// locals writes the groups of the module's locals and ours.
func (b *bodyWriter) locals(own string) (c code) {
	types := []byte(own)
	for _, t := range b.added {
		types = append(types, byte(t))
	}
	groups := uint32(0)
	for i := 0; i < len(types); {
		n := i
		for n < len(types) && types[n] == types[i] {
			n++
		}
		c.u32(uint32(n - i))
		c.op(types[i])
		groups++
		i = n
	}
	var all code
	all.u32(groups)
	return append(all, c...)
}

// local returns the index of a local of ours.
func (b *bodyWriter) local(s scratch) uint32 {
	if b.scratch[s] == 0 {
		b.added = append(b.added, scratchTypes[s])
		b.scratch[s] = b.given + uint32(len(b.added))
	}
	return b.scratch[s] - 1
}

func (b *bodyWriter) get(s scratch) { b.on(opLocalGet, b.local(s)) }
func (b *bodyWriter) set(s scratch) { b.on(opLocalSet, b.local(s)) }
func (b *bodyWriter) tee(s scratch) { b.on(opLocalTee, b.local(s)) }

// enter takes units of depth and opens a block around the body: a branch to the
// function's label ends there, and so do returns, and then leave gives the units
// back.
func (b *bodyWriter) enter(units int32, results string) {
	b.on(opGlobalGet, b.depth)
	b.i32(units)
	b.op(opI32Sub)
	b.tee(scratchI32)
	b.on(opGlobalSet, b.depth)
	b.get(scratchI32)
	b.i32(0)
	b.op(opI32LtS, opIf, blockOfNothing&0x7f, opUnreachable, opEnd)
	b.op(opBlock)
	switch len(results) {
	case 0:
		b.signed(blockOfNothing)
	case 1:
		b.op(results[0])
	default:
		b.signed(int64(b.typeNumber(funcType{"", results})))
	}
}

func (b *bodyWriter) leave(units int32) {
	b.op(opEnd)
	b.on(opGlobalGet, b.depth)
	b.i32(units)
	b.op(opI32Add)
	b.on(opGlobalSet, b.depth)
	b.op(opEnd)
}

// charge takes a fixed amount of fuel.
func (b *bodyWriter) charge(cost int) {
	if cost == 0 {
		return
	}
	b.on(opGlobalGet, b.fuel)
	b.i64(int64(cost))
	b.pay()
}

// pay takes the fuel on the stack from what is beneath it, which is all there
// is, and traps if there was not enough.
func (b *bodyWriter) pay() {
	b.op(opI64Sub)
	b.tee(scratchI64)
	b.on(opGlobalSet, b.fuel)
	b.get(scratchI64)
	b.i64(0)
	b.op(opI64LtS, opIf, blockOfNothing&0x7f, opUnreachable, opEnd)
}

// instruction writes one of the module's own.
func (b *bodyWriter) instruction(in *instruction) {
	switch {
	case in.op >= opI32Store && in.op <= opI64Store32:
		b.store(in)
	case in.op == opMore && in.sub >= moreMemoryCopy:
		b.bulk()
	case in.op == opMemoryGrow:
		b.grow()
	case in.op == opI32ReadF32, in.op == opF32Copysign:
		b.observe(scratchF32)
	case in.op == opI64ReadF64, in.op == opF64Copysign:
		b.observe(scratchF64)
	}
	b.plain(in)
}

// plain writes an instruction as it is, with its numbers in their shortest form.
func (b *bodyWriter) plain(in *instruction) {
	b.op(in.op)
	switch in.imm {
	case immBlock, immI32, immI64:
		b.signed(in.value)
	case immIndex:
		b.u32(in.index)
	case immTable:
		b.u32(uint32(len(in.labels)))
		for _, l := range in.labels {
			b.u32(l)
		}
		b.u32(in.index)
	case immCall:
		b.u32(in.index)
		b.op(0)
	case immMemory:
		b.u32(in.align)
		b.u32(in.index)
	case immPage:
		b.op(0)
	case immF32, immF64:
		b.op(in.bits...)
	}
	if in.op != opMore {
		return
	}
	b.op(in.sub)
	switch in.sub {
	case moreMemoryCopy:
		b.op(0, 0)
	case moreMemoryFill:
		b.op(0)
	}
}

// store marks the chunk in which a store begins. The address and the value stay
// on the stack.
func (b *bodyWriter) store(in *instruction) {
	value := scratchI32
	switch ValueType(in.params[1]) {
	case I64:
		value = scratchI64
	case F32:
		value = scratchF32
	case F64:
		value = scratchF64
	}
	b.set(value)
	b.tee(scratchAddress)
	b.on(opGlobalGet, b.dirty)
	b.i64(1)
	b.get(scratchAddress)
	if in.index != 0 {
		// An address past 4 GiB wraps, and marks a chunk that is not written:
		// the store traps.
		b.i32(int32(in.index))
		b.op(opI32Add)
	}
	b.chunk()
	b.op(opI64Shl, opI64Or)
	b.on(opGlobalSet, b.dirty)
	b.get(value)
	if in.op == opF32Store || in.op == opF64Store {
		b.observe(value)
	}
}

// chunk turns the address on the stack into the number of its chunk, an i64.
func (b *bodyWriter) chunk() {
	b.i32(int32(b.shift))
	b.op(opI32ShrU, opI64ExtendU)
}

// bulk charges for the length of a memory.copy or memory.fill, and marks what it
// writes. Its three operands stay on the stack.
func (b *bodyWriter) bulk() {
	b.set(scratchLength)
	b.set(scratchI32)
	b.tee(scratchAddress)

	b.on(opGlobalGet, b.fuel)
	b.get(scratchLength)
	b.i32(5) // 32 bytes for one unit
	b.op(opI32ShrU, opI64ExtendU)
	b.pay()

	// The chunks from the first to the last, which wrap around as their bits
	// do: rotl((2 << (last - first)) - 1, first), where more than 63 are all.
	b.on(opGlobalGet, b.dirty)
	b.i64(2)
	b.get(scratchAddress)
	b.get(scratchLength)
	b.op(opI32Add)
	b.chunk()
	b.get(scratchAddress)
	b.chunk()
	b.op(opI64Sub)
	b.tee(scratchI64)
	b.i64(63)
	b.get(scratchI64)
	b.i64(63)
	b.op(opI64LtU, opSelect, opI64Shl)
	b.i64(1)
	b.op(opI64Sub)
	b.get(scratchAddress)
	b.chunk()
	b.op(opI64Rotl, opI64Or)
	b.on(opGlobalSet, b.dirty)

	b.get(scratchI32)
	b.get(scratchLength)
}

// grow charges for the pages that memory.grow clears, at the price of a
// memory.fill. More than there may be are refused by the instruction itself, for
// the price of that many.
func (b *bodyWriter) grow() {
	most := int32(b.memoryMax)
	b.tee(scratchLength)
	b.on(opGlobalGet, b.fuel)
	b.get(scratchLength)
	b.i32(most)
	b.get(scratchLength)
	b.i32(most)
	b.op(opI32LtU, opSelect, opI64ExtendU)
	b.i64(PageBytes / 32)
	b.op(opI64Mul)
	b.pay()
}

// observe makes every NaN on the stack the same one, before its bits can be
// seen: processors differ in the sign and the payload of those that arithmetic
// makes. What was read, stated or converted just before came from no arithmetic.
func (b *bodyWriter) observe(value scratch) {
	switch op := b.before.op; {
	case op == opF32Load, op == opF64Load, op == opF32Const, op == opF64Const, op == opF32ReadI32, op == opF64ReadI64,
		op >= opF32ConvertS && op < opF32ConvertS+4, op >= opF64ConvertS && op < opF64ConvertS+4:
		return
	}
	b.tee(value)
	if value == scratchF32 {
		b.op(opF32Const, 0, 0, 0xc0, 0x7f)
	} else {
		b.op(opF64Const, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f)
	}
	b.get(value)
	b.get(value)
	if value == scratchF32 {
		b.op(opF32Eq, opSelect)
	} else {
		b.op(opF64Eq, opSelect)
	}
}
