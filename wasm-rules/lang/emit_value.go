// SPDX-License-Identifier: Apache-2.0

package lang

import "math"

// test pushes 1 if a condition that isAtom is true and 0 if it is false. It goes
// to l if it is neither.
func (e *emitter) test(n *node, l label) {
	switch n.op {
	case opField:
		e.need(n.field, l)
		e.slot(n.field, i32Load)
	case opEqual:
		switch n.args[0].kind {
		case kindText:
			e.equalText(n.args[0], n.args[1], l)
		case kindDouble:
			e.pair(n, l, f64Eq)
		default:
			e.pair(n, l, i64Eq)
		}
	case opLess, opAtMost:
		e.order(n, l)
	case opOneOf:
		e.oneOf(n, l)
	default:
		e.match(n.op, n.args[0], n.args[1], l)
	}
}

// pair pushes both operands and applies an instruction.
func (e *emitter) pair(n *node, l label, op byte) {
	e.value(n.args[0], l)
	e.value(n.args[1], l)
	e.op(op)
}

func (e *emitter) order(n *node, l label) {
	less := n.op == opLess
	switch n.args[0].kind {
	case kindDouble:
		e.pair(n, l, pick(less, f64Lt, f64Le))
	case kindText:
		e.value(n.args[0], l)
		e.value(n.args[1], l)
		e.call(helpCompare)
		e.i32(0)
		e.op(pick(less, i32LtS, i32LeS))
	default:
		e.pair(n, l, pick(less, i64LtS, i64LeS))
	}
}

func pick(first bool, a, b byte) byte {
	if first {
		return a
	}
	return b
}

// value pushes a value that is no condition. It goes to l if it is unknown.
func (e *emitter) value(n *node, l label) {
	if e.full() {
		return
	}
	switch n.op {
	case opConst:
		e.constant(n)
	case opError:
		e.br(l)
	case opField:
		e.fieldValue(n, l)
	case opVar:
		e.get(e.at)
		if n.kind == kindText {
			e.load(i64Load, 0)
		}
	case opMember:
		e.value(n.args[0], l)
		e.load(pick(n.kind == kindDouble, f64Load, i64Load), int(n.num))
	case opCond:
		e.choose(n, l)
	case opGuard:
		for _, other := range n.args[1:] {
			e.check(other, l)
		}
		e.value(n.args[0], l)
	case opLower:
		e.value(n.args[0], l)
		e.i64(foldBit)
		e.op(i64Or)
	case opSize:
		e.value(n.args[0], l)
		if n.args[0].kind == kindText {
			e.call(helpSize)
			return
		}
		e.i64(32)
		e.op(i64ShrU)
	case opGet:
		e.mapValue(n, l)
	case opAt:
		e.index(n, l)
	case opHash:
		e.i32(int(int32(saltState(n.text))))
		e.value(n.args[0], l)
		e.call(helpHash)
	case opKm:
		e.km(n, l)
	case opPart:
		e.part(n, l)
	default:
		e.arithmetic(n, l)
	}
}

func (e *emitter) constant(n *node) {
	switch n.kind {
	case kindDouble:
		e.f64(n.double())
	case kindText:
		e.i64(e.m.constant(n.text))
	default:
		e.i64(n.num)
	}
}

func (e *emitter) fieldValue(n *node, l label) {
	e.need(n.field, l)
	if n.kind == kindDouble {
		e.slot(n.field, f64Load)
		return
	}
	e.slot(n.field, i64Load)
	if n.kind == kindTime {
		e.within(kindTime, l)
	}
}

// within goes to l if the i64 on the stack is out of its kind's range.
func (e *emitter) within(k kind, l label) {
	least, most := int64(minTimeMillis), int64(maxTimeMillis)
	if k == kindDuration {
		least, most = -maxDurationMillis, maxDurationMillis
	}
	value := e.local(typeI64)
	e.tee(value)
	e.i64(least)
	e.op(i64Sub)
	e.i64(most - least)
	e.op(i64GtU)
	e.brIf(l)
	e.get(value)
	e.release(value)
}

// choose pushes c ? yes : no.
func (e *emitter) choose(n *node, l label) {
	typ := byte(typeI64)
	if n.kind == kindDouble {
		typ = typeF64
	}
	done := e.open(wasmBlock, typ)
	other := e.block()
	e.jump(n.args[0], true, other)
	e.value(n.args[1], l)
	e.br(done)
	e.end()
	e.jump(n.args[0], false, l)
	e.value(n.args[2], l)
	e.end()
}

func (e *emitter) mapValue(n *node, l label) {
	address := e.local(typeI32)
	if inline(n.args[1]) {
		e.find(n.args[0], n.args[1].text, address, l)
		e.get(address)
		e.load(f64Load, 8)
		e.release(address)
		return
	}
	e.value(n.args[0], l)
	e.value(n.args[1], l)
	e.call(helpGet)
	e.tee(address)
	e.op(i32Eqz)
	e.brIf(l)
	e.get(address)
	e.load(f64Load, 0)
	e.release(address)
}

// find sets at to the address of a map's entry with a key. It goes to l if there
// is none.
func (e *emitter) find(entries *node, key string, at int, l label) {
	end, text := e.local(typeI32), e.local(typeI64)
	e.bounds(entries, at, end, l)
	found := e.block()
	top := e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(end)
	e.op(i32GeU)
	e.brIf(l)
	e.get(at)
	e.load(i64Load, 0)
	e.set(text)
	e.sameAs(text, key)
	e.brIf(found)
	e.step(at, strides[kindMap])
	e.br(top)
	e.end()
	e.end()
	e.release(end, text)
}

func (e *emitter) index(n *node, l label) {
	list, i := e.local(typeI64), e.local(typeI64)
	e.value(n.args[0], l)
	e.value(n.args[1], l)
	e.set(i)
	e.set(list)
	e.get(i)
	e.length(list)
	e.op(i64GeU) // a negative index is a large one
	e.brIf(l)
	e.get(list)
	e.op(i32Wrap)
	e.get(i)
	e.op(i32Wrap)
	e.i32(strides[n.args[0].kind])
	e.op(i32Mul, i32Add)
	if n.kind == kindText {
		e.load(i64Load, 0)
	}
	e.release(list, i)
}

// far goes to l if a condition says that a place is nearer than it can be, as far
// north or south as it is: that spares most visits the distance.
func (e *emitter) far(n *node, l label) {
	if n.op != opLess && n.op != opAtMost || n.args[0].op != opKm || !n.args[1].isConst() {
		return
	}
	lat, from := n.args[0].args[0], n.args[0].args[2]
	if !from.isConst() {
		return
	}
	// The margin is a thousand times what distanceKm may be wrong by.
	const margin = 1e-6
	e.value(lat, l)
	e.f64(from.double())
	e.op(f64Sub, f64Abs)
	e.f64(n.args[1].double()/(earthKm*math.Pi/180)*(1+margin) + margin)
	e.op(f64Gt)
	e.brIf(l)
}

func (e *emitter) km(n *node, l label) {
	km := e.local(typeF64)
	for _, arg := range n.args {
		e.value(arg, l)
	}
	e.call(helpKm)
	e.tee(km)
	e.f64(0)
	e.op(f64Lt)
	e.brIf(l)
	e.get(km)
	e.release(km)
}
