// SPDX-License-Identifier: Apache-2.0

package lang

// A question is whether a condition can be true, or false.
type question struct {
	node *node
	want bool
}

// never reports whether a condition is want for no visit, as far as one can see
// without a visit. Parts that stand in many places are looked at once.
func (b *builder) never(n *node, want bool) bool {
	q := question{n, want}
	known, ok := b.nevers[q]
	if !ok {
		known = b.findNever(n, want)
		b.nevers[q] = known
	}
	return known
}

func (b *builder) findNever(n *node, want bool) bool {
	switch n.op {
	case opError:
		return true
	case opConst:
		return (n.num == 1) != want
	case opNot:
		return b.never(n.args[0], !want)
	case opGuard:
		return b.never(n.args[0], want)
	case opCond:
		return (b.never(n.args[0], true) || b.never(n.args[1], want)) && (b.never(n.args[0], false) || b.never(n.args[2], want))
	case opAny:
		return want && b.never(n.args[1], true)
	case opAnd, opOr:
		all := (n.op == opAnd) == want // all parts must be want
		for _, part := range n.args {
			if b.never(part, want) == all {
				return all
			}
		}
		return !all
	}
	return false
}

// only returns a condition that is want just where n is, and perhaps reads less:
// whether it is the other or neither does not matter.
func (b *builder) only(n *node, want bool) *node {
	q := question{n, want}
	known, ok := b.onlys[q]
	if !ok {
		known = b.findOnly(n, want)
		b.onlys[q] = known
	}
	return known
}

func (b *builder) findOnly(n *node, want bool) *node {
	if b.never(n, want) {
		return b.bool(!want)
	}
	switch n.op {
	case opNot:
		return b.not(b.only(n.args[0], !want))
	case opAnd, opOr:
		if n.audience {
			return n
		}
		changed := false
		parts := make([]*node, len(n.args))
		for i, part := range n.args {
			parts[i] = b.only(part, want)
			changed = changed || parts[i] != part
		}
		if changed {
			return b.join(n.op, parts)
		}
	}
	return n
}
