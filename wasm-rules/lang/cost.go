// SPDX-License-Identifier: Apache-2.0

package lang

// Costs are in instructions, about; a call of a helper counts for ten.

// A scale is what a cost is worked out for: how long lists, the texts in them and
// other texts are.
type scale struct{ entries, entry, text int }

var (
	// usual is what visits are like; it decides what is worth sharing.
	usual = scale{entries: 4, entry: 8, text: 16}
	// worst is the most that a visit can hold: no bound of edge's is above these,
	// and a whole record has room for less of all.
	worst = scale{entries: 64, entry: 256, text: 2048}
)

// maxSlotCost bounds what one slot's rules may cost at worst: milliseconds, for a
// visit that is made to be slow.
const maxSlotCost = 8_000_000

// A shared condition is told by a function of its own where that saves enough: to
// ask it costs asking, and many of those who could ask are decided before.
const (
	asking       = 15
	worthSharing = 200
)

// pays reports whether a condition that stands in several places, and costs that
// much, is worth a memo.
func pays(uses, cost int) bool { return (uses-1)*cost-uses*asking >= worthSharing }

// A costing works out costs at one scale.
type costing struct {
	scale
	known map[*node]int
	memos map[*node]*memo
}

func newCosting(s scale, memos map[*node]*memo) *costing {
	return &costing{s, make(map[*node]int), memos}
}

// cost returns the cost of telling a node. What has a memo costs a look at it.
func (c *costing) cost(n *node) int {
	if c.memos[n] != nil {
		return asking
	}
	return c.alone(n)
}

// alone is cost without the node's own memo.
func (c *costing) alone(n *node) int {
	if known, ok := c.known[n]; ok {
		return known
	}
	total := 0
	for _, arg := range n.args {
		total = min(total+c.cost(arg), 1<<40)
	}
	switch n.op {
	case opConst:
		total = 1
	case opCond: // which of the two it is takes both
		total += c.cost(n.args[0]) + 2
	case opAny:
		total = c.cost(n.args[0]) + c.entries*(c.cost(n.args[1])+8)
	case opHas:
		total += c.entries * (8 + c.compare(c.entry, n.args[1]))
	default:
		total += c.own(n)
	}
	c.known[n] = total
	return total
}

// own is the cost of a node but for its operands and loops.
func (c *costing) own(n *node) int {
	switch n.op {
	case opEqual:
		if n.args[0].kind == kindText {
			return c.compare(c.length(n.args[0]), n.args[1])
		}
	case opLess, opAtMost:
		if n.args[0].kind == kindText {
			return 10 + 10*min(c.length(n.args[0]), c.length(n.args[1]))
		}
	case opOneOf:
		return c.oneOf(n.args[0], n.args[1:])
	case opPrefix, opSuffix:
		return 6 + c.compare(c.length(n.args[0]), n.args[1])
	case opInside:
		x := c.length(n.args[0])
		return 20 + x*(3+min(c.length(n.args[1]), x/4)*3)
	case opSize:
		if n.args[0].kind == kindText {
			return 10 + 8*c.length(n.args[0])
		}
	case opGet:
		cost := 10 + c.entries*16
		if key := n.args[1]; !inline(key) { // no record has a map full of the longest keys
			cost += c.entries * c.compare(c.entry, key) / 8
		}
		return cost
	case opMul, opPart:
		return 16
	case opHash:
		return 100 + 5*min(c.text, 64)
	case opKm:
		return 250
	}
	return 4
}

// oneOf is the cost of comparing a value with constants. Short texts and numbers
// are compared in place.
func (c *costing) oneOf(x *node, constants []*node) int {
	total := 8
	for _, constant := range constants {
		switch {
		case folds(x):
			total += 30 + 5*len(constant.text)
		case len(constant.text) > 8:
			total += c.compare(len(constant.text), constant)
		default:
			total += 3
		}
	}
	return total
}

// length is how many bytes a text has.
func (c *costing) length(n *node) int {
	switch {
	case n.isConst():
		return len(n.text)
	case n.open:
		return c.entry
	}
	return c.text
}

// compare is the cost of comparing a text of some bytes with another.
func (c *costing) compare(x int, y *node) int {
	if inline(y) {
		return 6 + len(y.text)/8*4
	}
	return 20 + 3*min(x, c.length(y))
}
