// SPDX-License-Identifier: Apache-2.0

package lang

// strides are the bytes of an element of a list or map in a record.
var strides = map[kind]int{kindTexts: 8, kindItems: 24, kindMap: 16}

// any is jump for a condition on the elements of a field's list or map. It is
// true if it is true for one; false if it is false for all.
func (e *emitter) any(n *node, want bool, l label) {
	list := n.args[0]
	if f := impliedField(e.m.builder, n, want); f != nil {
		e.known.add(e.m.read(f).place)
	}
	body := func(want bool, l label) { e.jump(n.args[1], want, l) }
	reach := func(l label) { e.reach(n.args[1], true, l) }
	var used []int
	if n.op == opHas {
		test := e.element(n.args[1], l, &used)
		body = func(want bool, l label) {
			test()
			e.brIf(l)
		}
		reach = func(l label) {
			test()
			e.brIf(l)
		}
	}
	at, end := e.local(typeI32), e.local(typeI32)
	e.bounds(list, at, end, l)
	around := e.at
	e.at = at
	out := e.block()
	top := e.open(wasmLoop, typeNone)
	e.get(at)
	e.get(end)
	e.op(i32GeU)
	if want {
		e.brIf(l)
		reach(out)
	} else {
		e.brIf(out)
		body(false, l)
	}
	e.get(at)
	e.i32(strides[list.kind])
	e.op(i32Add)
	e.set(at)
	e.br(top)
	e.end()
	e.end()
	e.at = around
	e.release(at, end)
	e.release(used...)
}

// element returns what pushes whether the element is a text. The text is told
// once, before the loop.
func (e *emitter) element(needle *node, l label, used *[]int) func() {
	text := e.local(typeI64)
	*used = append(*used, text)
	if inline(needle) {
		return func() {
			e.get(e.at)
			e.load(i64Load, 0)
			e.set(text)
			e.sameAs(text, needle.text)
		}
	}
	e.value(needle, l)
	e.set(text)
	return func() {
		e.get(e.at)
		e.load(i64Load, 0)
		e.get(text)
		e.call(helpEqual)
	}
}

// bounds sets where a list begins and ends, from the record.
func (e *emitter) bounds(list *node, at, end int, l label) {
	ref := e.local(typeI64)
	e.value(list, l)
	e.tee(ref)
	e.op(i32Wrap)
	e.tee(at)
	e.get(ref)
	e.i64(32)
	e.op(i64ShrU, i32Wrap)
	e.i32(strides[list.kind])
	e.op(i32Mul, i32Add)
	e.set(end)
	e.release(ref)
}
