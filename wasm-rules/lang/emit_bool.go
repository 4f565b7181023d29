// SPDX-License-Identifier: Apache-2.0

package lang

// jump goes on if a condition is want, and to l otherwise.
func (e *emitter) jump(n *node, want bool, l label) {
	if e.full() {
		return
	}
	if memo := e.memo(n); memo != nil {
		e.on(wasmCall, memo.function)
		e.i32(memoOf(want))
		e.op(i32Ne)
		e.brIf(l)
		return
	}
	switch n.op {
	case opConst:
		if (n.num == 1) != want {
			e.br(l)
		}
	case opError:
		e.br(l)
	case opNot:
		e.jump(n.args[0], !want, l)
	case opAnd, opOr:
		parts := e.m.cheapFirst(n.args)
		if (n.op == opAnd) == want {
			for _, part := range parts {
				e.jump(part, want, l)
			}
			return
		}
		last := len(parts) - 1
		found := e.block()
		for _, part := range parts[:last] {
			e.reach(part, want, found)
		}
		e.jump(parts[last], want, l)
		e.end()
	case opCond:
		e.choice(n, want, l)
	case opGuard:
		for _, other := range n.args[1:] {
			e.check(other, l)
		}
		e.jump(n.args[0], want, l)
	case opAny, opHas:
		e.any(n, want, l)
	default:
		if f := impliedField(e.m.builder, n, want); f != nil {
			e.known.add(e.m.read(f).place)
		}
		if want {
			e.far(n, l)
		}
		e.test(n, l)
		if want {
			e.op(i32Eqz)
		}
		e.brIf(l)
	}
}

// reach goes to l if a condition is want, and on otherwise.
func (e *emitter) reach(n *node, want bool, l label) {
	if e.full() {
		return
	}
	memo := e.memo(n)
	switch {
	case memo != nil:
		e.on(wasmCall, memo.function)
		e.i32(memoOf(want))
		e.op(i32Eq)
		e.brIf(l)
		return
	case n.op == opNot:
		e.reach(n.args[0], !want, l)
		return
	case (n.op == opAnd || n.op == opOr) && (n.op == opAnd) != want:
		for _, part := range e.m.cheapFirst(n.args) {
			e.reach(part, want, l)
		}
		return
	case isAtom(n):
		if f := impliedField(e.m.builder, n, want); f != nil {
			before := e.known
			e.known.add(e.m.read(f).place)
			e.test(n, 0) // nothing in it can be unknown
			if !want {
				e.op(i32Eqz)
			}
			e.brIf(l)
			e.known = before
			return
		}
	}
	on := e.block()
	e.jump(n, want, on)
	e.br(l)
	e.end()
}

// choice is jump for c ? yes : no.
func (e *emitter) choice(n *node, want bool, l label) {
	done := e.block()
	other := e.block()
	e.jump(n.args[0], true, other)
	e.jump(n.args[1], want, l)
	e.br(done)
	e.end()
	e.jump(n.args[0], false, l)
	e.jump(n.args[2], want, l)
	e.end()
}

// check goes on if a value is known, and to l otherwise.
func (e *emitter) check(n *node, l label) {
	switch {
	case n.kind == kindBool:
		known := e.block()
		e.reach(n, true, known)
		e.jump(n, false, l)
		e.end()
	case n.op == opField && n.kind != kindTime:
		e.need(n.field, l)
	default:
		e.value(n, l)
		e.op(wasmDrop)
	}
}

// isAtom reports whether test knows a condition.
func isAtom(n *node) bool {
	switch n.op {
	case opField, opEqual, opLess, opAtMost, opOneOf, opPrefix, opSuffix, opInside:
		return true
	}
	return false
}

// impliedField returns the one field of a condition that says the opposite of
// want about the slot of an absent field, which is 0: such a condition needs no
// look at presence. It is nil for any other.
func impliedField(b *builder, n *node, want bool) *field {
	if !isAtom(n) && n.op != opHas && n.op != opAny {
		return nil
	}
	if n.op == opHas || n.op == opAny {
		if want && n.args[0].op == opField && (n.op == opAny || n.args[1].isConst()) {
			return n.args[0].field
		}
		return nil
	}
	if n.op == opField {
		if want {
			return n.field
		}
		return nil
	}
	var f *field
	args := make([]*node, len(n.args))
	for i, arg := range n.args {
		switch zero, of := atZero(b, arg); {
		case zero == nil || of != nil && f != nil:
			return nil
		case of != nil:
			args[i], f = zero, of
		default:
			args[i] = zero
		}
	}
	if f == nil {
		return nil
	}
	if answer := refold(b, n.op, args); answer == nil || !answer.isConst() || (answer.num == 1) == want {
		return nil
	}
	return f
}

// atZero returns what a value is where its one field's slot is 0, and the field.
func atZero(b *builder, n *node) (zero *node, of *field) {
	switch n.op {
	case opConst:
		return n, nil
	case opField:
		switch n.kind {
		case kindInt:
			return b.int(0), n.field
		case kindDouble:
			return b.double(0), n.field
		case kindText:
			return b.text(""), n.field
		}
	case opLower, opSize, opDouble:
		if n.args[0].op != opField {
			return nil, nil
		}
		switch {
		case n.op == opLower:
			return b.text(""), n.args[0].field
		case n.op == opSize:
			return b.int(0), n.args[0].field
		}
		return b.double(0), n.args[0].field
	}
	return nil, nil
}

// refold applies an atom to other values.
func refold(b *builder, o op, args []*node) *node {
	switch o {
	case opEqual:
		return b.equal(args[0], args[1])
	case opLess, opAtMost:
		return b.order(o, args[0], args[1])
	case opOneOf:
		return b.oneOf(args[0], args[1:])
	case opPrefix, opSuffix, opInside:
		return b.match(o, args[0], args[1])
	}
	return nil
}

// memo returns the memo of a condition that others share, or nil where it has
// none or this is the function that fills it.
func (e *emitter) memo(n *node) *memo {
	if n == e.telling {
		return nil
	}
	return e.m.memos[n]
}

// What a memo holds; 0 is nothing yet, and memoNeither is neither or what nobody
// asks for.
const (
	memoTrue    = 1
	memoFalse   = 2
	memoNeither = 3
)

func memoOf(want bool) int {
	if want {
		return memoTrue
	}
	return memoFalse
}
