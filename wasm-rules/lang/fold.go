// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cmp"
	"slices"
	"strings"
)

// not returns !a.
func (b *builder) not(a *node) *node {
	switch a.op {
	case opConst:
		return b.bool(a.num == 0)
	case opNot:
		return a.args[0]
	}
	return b.apply(opNot, kindBool, a)
}

// and returns a && b && ..., or true. What is never known can still be false, so
// it stays.
func (b *builder) and(args ...*node) *node { return b.join(opAnd, args) }

// or returns a || b || ..., or false.
func (b *builder) or(args ...*node) *node { return b.join(opOr, args) }

func (b *builder) join(o op, args []*node) *node {
	var parts []*node
	seen := make(map[*node]bool)
	decided := false
	var add func(n *node)
	add = func(n *node) {
		switch {
		case n.op == o && !n.audience:
			for _, arg := range n.args {
				add(arg)
			}
		case n.isConst():
			decided = decided || n.isFalse() == (o == opAnd)
		case !seen[n]:
			seen[n] = true
			parts = append(parts, n)
		}
	}
	for _, n := range args {
		add(n)
	}
	switch {
	case decided:
		return b.bool(o == opOr)
	case len(parts) == 0:
		return b.bool(o == opAnd)
	case len(parts) == 1:
		return parts[0]
	}
	return b.make(node{op: o, kind: kindBool, args: parts})
}

// cond returns c ? yes : no, of two values of one kind.
func (b *builder) cond(c, yes, no *node) *node {
	switch {
	case c.isTrue():
		return yes
	case c.isFalse():
		return no
	case c.op == opError:
		return b.unknown(yes.kind)
	case c.op == opNot:
		return b.cond(c.args[0], no, yes)
	case yes == no:
		return b.guard(yes, c)
	case yes.isTrue() && no.isFalse():
		return c
	case yes.isFalse() && no.isTrue():
		return b.not(c)
	}
	return b.make(node{op: opCond, kind: yes.kind, args: []*node{c, yes, no}})
}

// guard returns value, unknown if one of others is.
func (b *builder) guard(value *node, others ...*node) *node {
	args := []*node{value}
	if value.op == opGuard {
		args = slices.Clone(value.args)
	}
	for _, n := range others {
		switch {
		case n.op == opError:
			return b.unknown(value.kind)
		case n.isConst() || slices.Contains(args[1:], n):
		case n.op == opLower:
			return b.guard(b.guard(value, n.args...), without(others, n)...)
		case n.op == opList:
			return b.guard(b.guard(value, n.args...), without(others, n)...)
		default:
			args = append(args, n)
		}
	}
	if len(args) == 1 || value.op == opError {
		return value
	}
	return b.make(node{op: opGuard, kind: value.kind, args: args})
}

func without(nodes []*node, n *node) []*node {
	return slices.DeleteFunc(slices.Clone(nodes), func(other *node) bool { return other == n })
}

// choose hands a list that a condition chooses on as a condition's choice of
// what f makes of each list, so that no other node meets such a list.
func (b *builder) choose(list *node, f func(list *node) *node) *node {
	switch list.op {
	case opCond:
		return b.cond(list.args[0], b.choose(list.args[1], f), b.choose(list.args[2], f))
	case opGuard:
		return b.guard(b.choose(list.args[0], f), list.args[1:]...)
	}
	return f(list)
}

// equal returns x == y, of one kind.
func (b *builder) equal(x, y *node) *node {
	if x.isConst() && !y.isConst() {
		x, y = y, x
	}
	switch {
	case x.kind == kindBool:
		return b.sameBool(x, y)
	case x.isConst() && y.isConst():
		if x.kind == kindDouble {
			return b.bool(x.double() == y.double())
		}
		return b.bool(x == y)
	case x.op == opLower && y.isConst() && lowerASCII(y.text) != y.text:
		return b.guard(b.bool(false), x)
	}
	return b.apply(opEqual, kindBool, x, y)
}

func (b *builder) sameBool(x, y *node) *node {
	switch {
	case y.isTrue():
		return x
	case y.isFalse():
		return b.not(x)
	case x.op == opError || y.op == opError:
		return b.unknown(kindBool)
	}
	return b.cond(x, y, b.not(y))
}

// less returns x < y, and atMost x <= y, of one kind.
func (b *builder) less(x, y *node) *node   { return b.order(opLess, x, y) }
func (b *builder) atMost(x, y *node) *node { return b.order(opAtMost, x, y) }

func (b *builder) order(o op, x, y *node) *node {
	if !x.isConst() || !y.isConst() {
		return b.apply(o, kindBool, x, y)
	}
	switch x.kind {
	case kindDouble:
		return b.bool(x.double() < y.double() || o == opAtMost && x.double() == y.double())
	case kindText:
		return b.bool(x.text < y.text || o == opAtMost && x.text == y.text)
	}
	return b.bool(x.num < y.num || o == opAtMost && x.num == y.num)
}

// among returns x in list.
func (b *builder) among(x, list *node) *node {
	return b.choose(list, func(list *node) *node {
		if list.op != opList {
			return b.has(list, x)
		}
		constant := !slices.ContainsFunc(list.args, func(n *node) bool { return !n.isConst() })
		if constant && x.kind != kindDouble && x.kind != kindBool {
			return b.oneOf(x, list.args)
		}
		var each []*node
		for _, element := range list.args {
			each = append(each, b.equal(x, element))
		}
		return b.guard(b.guard(b.or(each...), x), list.args...)
	})
}

// oneOf returns whether x is one of some constants.
func (b *builder) oneOf(x *node, constants []*node) *node {
	if x.op == opError {
		return b.unknown(kindBool)
	}
	if x.isConst() {
		return b.bool(slices.Contains(constants, x))
	}
	sorted := slices.Clone(constants)
	slices.SortFunc(sorted, func(x, y *node) int {
		return cmp.Or(cmp.Compare(len(x.text), len(y.text)), strings.Compare(x.text, y.text), cmp.Compare(x.num, y.num))
	})
	sorted = slices.Compact(sorted)
	if x.op == opLower {
		sorted = slices.DeleteFunc(sorted, func(n *node) bool { return lowerASCII(n.text) != n.text })
	}
	switch len(sorted) {
	case 0:
		return b.guard(b.bool(false), x)
	case 1:
		return b.equal(x, sorted[0])
	}
	return b.make(node{op: opOneOf, kind: kindBool, args: append([]*node{x}, sorted...)})
}

// has returns whether a field's list holds a text, or its map a key.
func (b *builder) has(list, x *node) *node { return b.apply(opHas, kindBool, list, x) }

// any returns whether a condition holds for one element of a list or key of a
// map; body makes the condition on an element.
func (b *builder) any(list *node, body func(element *node) *node) *node {
	return b.choose(list, func(list *node) *node {
		if list.op == opError {
			return b.unknown(kindBool)
		}
		if list.op == opList {
			var each []*node
			for _, element := range list.args {
				each = append(each, body(element))
			}
			return b.guard(b.or(each...), list.args...)
		}
		element := kindText
		if list.kind == kindItems {
			element = kindItem
		}
		x := b.make(node{op: opVar, kind: element})
		condition := body(x)
		switch {
		case condition.isTrue():
			return b.less(b.int(0), b.size(list))
		case condition.isFalse():
			return b.guard(b.bool(false), list)
		case condition.op == opEqual && condition.args[0] == x && condition.args[1].isConst():
			return b.has(list, condition.args[1])
		}
		return b.make(node{op: opAny, kind: kindBool, args: []*node{list, condition}})
	})
}
