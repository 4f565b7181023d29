// SPDX-License-Identifier: Apache-2.0

package lang

// exports writes the functions that the host calls and returns them.
func (c *compiler) exports() []export {
	write := func(name, params, results string, body func(e *emitter)) export {
		n := c.m.declare(params, results)
		c.m.define(n, len(params), body)
		return export{name, n}
	}
	return []export{
		write("near_in", "", "\x7f", func(e *emitter) { e.i32(recordAt) }),
		write("near_bind", "\x7f\x7f", "", c.bind),
		write("near_visit", "", "", c.visit),
		write("near_decide_all", "\x7f", "\x7f", c.decideAll),
	}
}

// bind keeps an own field's number, plus one: 0 is a field that is not bound.
func (c *compiler) bind(e *emitter) {
	ours := e.block()
	e.get(0)
	e.i32(c.m.own)
	e.op(i32GeU)
	e.brIf(ours)
	e.get(0)
	e.i32(2)
	e.op(i32Shl)
	e.get(1)
	e.i32(1)
	e.op(i32Add)
	e.access(i32Store, 2, bindAt)
	e.end()
}

// visit reads the head of a new record: where slots begin, which fields are
// present. It forgets what shared conditions were, and puts values into their classes.
func (c *compiler) visit(e *emitter) {
	builtin, total, base := e.local(typeI32), e.local(typeI32), e.local(typeI32)
	e.i32(0)
	e.access(i32Load16, 1, recordAt+8)
	e.tee(builtin)
	e.i32(0)
	e.access(i32Load16, 1, recordAt+10)
	e.op(i32Add)
	e.set(total)
	e.i32(0)
	e.get(total)
	e.i32(63)
	e.op(i32Add)
	e.i32(6)
	e.op(i32ShrU)
	e.i32(3)
	e.op(i32Shl)
	e.i32(recordHead)
	e.op(i32Add)
	e.tee(base)
	e.access(i32Store, 2, stateBase)
	// Bits from the number of built-in fields on are own fields'.
	e.i32(0)
	e.i32(0)
	e.access(i64Load, 3, recordAt+recordHead)
	e.i64(1)
	e.get(builtin)
	e.op(i64ExtendU, i64Shl)
	e.i64(1)
	e.op(i64Sub)
	e.i64(-1)
	e.get(builtin)
	e.i32(64)
	e.op(i32LtU, wasmSelect, i64And)
	e.access(i64Store, 3, statePresence)
	for word := 0; word*64 < c.m.own; word++ {
		c.own(e, word, total, base)
	}
	c.forget(e)
	if len(c.index.fields) > 0 {
		e.on(wasmCall, c.index.function)
	}
}

const recordHead = 16 // bytes before the presence words

// own notes for up to 64 own fields where they are and whether they are present.
func (c *compiler) own(e *emitter, word, total, base int) {
	n, k, at, present := e.local(typeI32), e.local(typeI32), e.local(typeI32), e.local(typeI64)
	e.i64(0)
	e.set(present)
	e.i32(word * 64)
	e.set(k)
	top := e.open(wasmLoop, typeNone)
	e.i32(zeroAt - recordAt)
	e.set(at)
	absent := e.block()
	e.get(k)
	e.i32(2)
	e.op(i32Shl)
	e.access(i32Load, 2, bindAt)
	e.i32(1)
	e.op(i32Sub)
	e.tee(n)
	e.get(total)
	e.op(i32GeU)
	e.brIf(absent)
	e.missing(n)
	e.brIf(absent)
	e.get(present)
	e.i64(1)
	e.get(k)
	e.op(i64ExtendU, i64Shl, i64Or)
	e.set(present)
	e.get(n)
	e.i32(3)
	e.op(i32Shl)
	e.get(base)
	e.op(i32Add)
	e.set(at)
	e.end()
	e.get(k)
	e.i32(2)
	e.op(i32Shl)
	e.get(at)
	e.access(i32Store, 2, ownAt)
	e.get(k)
	e.i32(1)
	e.op(i32Add)
	e.tee(k)
	e.i32(min(c.m.own, word*64+64))
	e.op(i32LtU)
	e.brIf(top)
	e.end()
	e.i32(0)
	e.get(present)
	e.access(i64Store, 3, stateOwn+8*word)
	e.release(n, k, at, present)
}

// missing pushes whether the record's presence words lack the field of a number.
func (e *emitter) missing(number int) {
	e.get(number)
	e.i32(6)
	e.op(i32ShrU)
	e.i32(3)
	e.op(i32Shl)
	e.access(i64Load, 3, recordAt+recordHead)
	e.get(number)
	e.op(i64ExtendU, i64ShrU)
	e.i64(1)
	e.op(i64And, i64Eqz)
}

// forget clears the memos.
func (c *compiler) forget(e *emitter) {
	const few = 16
	words := align8(len(c.ordered)) / 8
	if words > few {
		e.i32(memosAt)
		e.i32(0)
		e.i32(8 * words)
		e.op(moreOps, memoryFill, 0)
		return
	}
	for i := range words {
		e.i32(0)
		e.i64(0)
		e.access(i64Store, 3, memosAt+8*i)
	}
}

// decideAll tells all rules of a slot and returns where the answer is.
func (c *compiler) decideAll(e *emitter) {
	other := e.block()
	labels := make([]label, len(c.plans))
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i] = e.block()
	}
	e.get(0)
	e.op(wasmTable)
	e.u32(len(labels))
	for _, l := range labels {
		e.u32(len(e.labels) - int(l))
	}
	e.u32(len(e.labels) - int(other))
	for i := range c.plans {
		e.end()
		for _, function := range c.plans[i].groups {
			e.on(wasmCall, function)
		}
		e.i32(c.plans[i].answer)
		e.op(wasmReturn)
	}
	e.end()
	e.i32(c.m.dataAt - answerBits)
}
