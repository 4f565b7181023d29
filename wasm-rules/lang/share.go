// SPDX-License-Identifier: Apache-2.0

package lang

// A memo is a condition that several others share. A function tells it once for
// each record and keeps the answer in a byte.
type memo struct {
	node     *node
	function int
	address  int
	// isTrue and isFalse say whether anybody asks for it to be true, or false;
	// nobody is told what nobody asks for.
	isTrue, isFalse bool
}

// A sharing finds what is worth a memo.
type sharing struct {
	uses  map[*node]int
	order []*node // in which nodes were met: the order of memos
	asked map[*node][2]bool
}

// shareable returns the memos of some conditions and scores, without functions
// and addresses.
func shareable(conditions, scores []*node) []*memo {
	s := &sharing{uses: make(map[*node]int), asked: make(map[*node][2]bool)}
	for _, n := range conditions {
		s.use(n)
	}
	for _, n := range scores {
		s.use(n)
	}
	var memos []*memo
	costs := newCosting(usual, nil)
	for _, n := range s.order {
		if n.kind == kindBool && !n.open && pays(s.uses[n], costs.cost(n)) {
			memos = append(memos, &memo{node: n})
		}
	}
	for _, n := range conditions {
		s.ask(n, true)
	}
	for _, n := range scores {
		s.askInside(n)
	}
	for _, m := range memos {
		m.isFalse, m.isTrue = s.asked[m.node][0], s.asked[m.node][1]
	}
	return memos
}

// use counts a place where a node stands. What is below it stands there once,
// however often the node itself does.
func (s *sharing) use(n *node) {
	s.uses[n]++
	if s.uses[n] > 1 {
		return
	}
	for i, arg := range n.args {
		s.use(arg)
		if n.op == opCond && i == 0 {
			s.use(arg) // for yes and for no
		}
	}
	s.order = append(s.order, n)
}

// ask notes that a condition is asked to be want.
func (s *sharing) ask(n *node, want bool) {
	asked := s.asked[n]
	i := 0
	if want {
		i = 1
	}
	if asked[i] {
		return
	}
	asked[i] = true
	s.asked[n] = asked
	switch n.op {
	case opNot:
		s.ask(n.args[0], !want)
	case opAnd, opOr:
		for _, part := range n.args {
			s.ask(part, want)
		}
	case opAny:
		s.ask(n.args[1], want)
	case opCond:
		s.both(n.args[0])
		s.ask(n.args[1], want)
		s.ask(n.args[2], want)
	case opGuard:
		s.ask(n.args[0], want)
		for _, other := range n.args[1:] {
			s.askInside(other)
		}
	default:
		for _, arg := range n.args {
			s.askInside(arg)
		}
	}
}

func (s *sharing) both(n *node) {
	s.ask(n, true)
	s.ask(n, false)
}

// askInside notes what a value asks of the conditions in it.
func (s *sharing) askInside(n *node) {
	if n.kind == kindBool {
		s.both(n)
		return
	}
	if asked := s.asked[n]; asked[0] {
		return
	}
	s.asked[n] = [2]bool{true, true}
	for _, arg := range n.args {
		s.askInside(arg)
	}
}
