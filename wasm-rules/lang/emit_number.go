// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math"
	"time"
)

// arithmetic pushes the result of an operator on numbers, times and durations.
func (e *emitter) arithmetic(n *node, l label) {
	for _, arg := range n.args {
		e.value(arg, l)
	}
	switch {
	case n.op == opDouble:
		e.op(f64Convert)
	case n.op == opInt:
		e.toInt(n.args[0].kind, l)
	case n.kind == kindDouble:
		e.op(map[op]byte{opAdd: f64Add, opSub: f64Sub, opMul: f64Mul, opDiv: f64Div, opNeg: f64Neg}[n.op])
	case n.kind == kindInt:
		e.intArithmetic(n, l)
	case n.args[1].kind == kindTime:
		e.span(l)
	default:
		e.op(pick(n.op == opAdd, i64Add, i64Sub))
		e.within(n.kind, l)
	}
}

// intArithmetic applies an operator to the ints on the stack. An overflow and a
// division by 0 go to l.
func (e *emitter) intArithmetic(n *node, l label) {
	if least, most, ok := safeOperands(n); ok {
		e.withBounds(n, least, most, l)
		return
	}
	if n.op == opMul {
		e.call(helpMultiply)
		e.brIf(l)
		return
	}
	if n.op == opNeg {
		x := e.local(typeI64)
		e.tee(x)
		e.i64(math.MinInt64)
		e.op(i64Eq)
		e.brIf(l)
		e.i64(0)
		e.get(x)
		e.op(i64Sub)
		e.release(x)
		return
	}
	x, y := e.local(typeI64), e.local(typeI64)
	e.set(y)
	e.set(x)
	if n.op == opAdd || n.op == opSub {
		e.sum(n.op, x, y, l)
	} else {
		e.quotient(n, x, y, l)
	}
	e.release(x, y)
}

// safeOperands returns which first operands of an operator with a constant give
// no overflow.
func safeOperands(n *node) (least, most int64, ok bool) {
	if len(n.args) < 2 || !n.args[1].isConst() {
		return 0, 0, false
	}
	c := n.args[1].num
	switch {
	case n.op == opMul && c > 0:
		return math.MinInt64 / c, math.MaxInt64 / c, true
	case n.op == opMul && c < -1:
		return math.MaxInt64 / c, math.MinInt64 / c, true
	case n.op == opAdd && c >= 0:
		return math.MinInt64, math.MaxInt64 - c, true
	case n.op == opAdd:
		return math.MinInt64 - c, math.MaxInt64, true
	case n.op == opSub && c >= 0:
		return math.MinInt64 + c, math.MaxInt64, true
	case n.op == opSub:
		return math.MinInt64, math.MaxInt64 + c, true
	}
	return 0, 0, false
}

// withBounds applies an operator to an operand and a constant on the stack; an
// operand out of bounds goes to l.
func (e *emitter) withBounds(n *node, least, most int64, l label) {
	x := e.local(typeI64)
	e.op(wasmDrop)
	e.tee(x)
	e.i64(least)
	e.op(i64Sub)
	e.i64(most - least)
	e.op(i64GtU)
	e.brIf(l)
	e.get(x)
	e.i64(n.args[1].num)
	e.op(map[op]byte{opMul: i64Mul, opAdd: i64Add, opSub: i64Sub}[n.op])
	e.release(x)
}

func (e *emitter) sum(o op, x, y int, l label) {
	v := e.local(typeI64)
	e.get(x)
	e.get(y)
	e.op(pick(o == opAdd, i64Add, i64Sub))
	e.set(v)
	// It has overflown if the operands (of a difference: x and -y) have one
	// sign and the result has the other.
	e.get(x)
	e.get(v)
	e.op(i64Xor)
	e.get(y)
	if o == opAdd {
		e.get(v)
	} else {
		e.get(x)
	}
	e.op(i64Xor, i64And)
	e.i64(0)
	e.op(i64LtS)
	e.brIf(l)
	e.get(v)
	e.release(v)
}

func (e *emitter) quotient(n *node, x, y int, l label) {
	divisor := n.args[1]
	if !divisor.isConst() {
		e.get(y)
		e.op(i64Eqz)
		e.brIf(l)
	}
	if !divisor.isConst() || divisor.num == -1 {
		e.get(x)
		e.i64(math.MinInt64)
		e.op(i64Eq)
		e.get(y)
		e.i64(-1)
		e.op(i64Eq, i32And)
		e.brIf(l)
	}
	e.get(x)
	e.get(y)
	e.op(pick(n.op == opDiv, i64DivS, i64RemS))
}

// toInt converts what is on the stack.
func (e *emitter) toInt(from kind, l label) {
	switch from {
	case kindTime:
		e.seconds()
	case kindDuration:
		e.i64(int64(time.Millisecond))
		e.op(i64Mul)
	default:
		v := e.local(typeF64)
		e.tee(v)
		e.f64(math.MinInt64)
		e.op(f64Gt)
		e.get(v)
		e.f64(math.MaxInt64)
		e.op(f64Lt, i32And, i32Eqz)
		e.brIf(l)
		e.get(v)
		e.op(i64Trunc)
		e.release(v)
	}
}
