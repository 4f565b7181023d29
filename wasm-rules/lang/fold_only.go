// SPDX-License-Identifier: Apache-2.0

package lang

// never reports whether a condition is want for no visit, as far as one can see
// without a visit.
func never(n *node, want bool) bool {
	switch n.op {
	case opError:
		return true
	case opConst:
		return (n.num == 1) != want
	case opNot:
		return never(n.args[0], !want)
	case opGuard:
		return never(n.args[0], want)
	case opCond:
		return (never(n.args[0], true) || never(n.args[1], want)) && (never(n.args[0], false) || never(n.args[2], want))
	case opAny:
		return want && never(n.args[1], true)
	case opAnd, opOr:
		all := (n.op == opAnd) == want // all parts must be want
		for _, part := range n.args {
			if never(part, want) == all {
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
	if never(n, want) {
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
