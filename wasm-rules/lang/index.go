// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cmp"
	"math"
	"slices"
)

// An index tells many rules at once. Most conditions are parts joined by && of which each
// asks one field, and many rules ask the same few fields. So the values of a field are put
// into classes that no rule tells apart: absent; each text that some rule names, and every
// other; the numbers between two that something is compared with. A visit's value is
// looked up once, and for each class a slot has the candidates that it leaves over. Those
// that all fields leave over are found with one && a field, however many rules there are;
// only those are asked what else their conditions say.
type index struct {
	fields   []*classes
	function int // puts a record's values into their classes
}

// A classes is how the values of a field are put into classes, numbered from 0.
type classes struct {
	field *field
	kind  kind     // of its values: text, int or bool
	rules int      // how many ask it
	texts []string // of the classes from classNamed on, sorted
	cuts  []int64  // their least numbers, sorted
	// address is where the class of a record's value is, an i32.
	address int
}

// The first classes. A bool has no more of them.
const (
	classAbsent = iota
	classOther  // a text that nothing names, a number below all cuts, false
	classNamed  // the first text or cut, true
)

const (
	// leastRules is how many rules of a slot must ask a field for a table, and leastAll how
	// many of all slots together, for to look a value up takes as long as to ask two or three.
	leastRules = 2
	leastAll   = 4
	// maxClauseNodes bounds what is tried for each class of a field.
	maxClauseNodes = 64
	// maxClasses and maxCuts bound the classes of a field; with cuts a number is
	// compared one after another.
	maxClasses = 512
	maxCuts    = 32
	// maxTables bounds the bytes of all tables: each instance has them, and they
	// should stay in a processor's cache.
	maxTables = 64 << 10
)

// A table has the candidates of a slot that each class of a field leaves over, as
// words of bits.
type table struct {
	of    *classes
	words int
	rows  []uint64 // words for each class
	at    int      // from the record
}

func newTable(of *classes, words int) table {
	return table{of: of, words: words, rows: make([]uint64, of.count()*words)}
}

func (k *classes) count() int {
	switch k.kind {
	case kindText:
		return classNamed + len(k.texts)
	case kindInt:
		return classNamed + len(k.cuts)
	}
	return classNamed + 1
}

// A clause is a part of a rule's condition that asks one field.
type clause struct {
	*node
	field *node
}

// split returns the parts of a condition that an index can tell, and the others.
func split(when *node) (clauses []clause, others []*node) {
	if f := oneField(when); f != nil {
		return []clause{{when, f}}, nil
	}
	if when.op != opAnd {
		return nil, []*node{when}
	}
	for _, n := range when.args {
		inside, rest := split(n)
		if n.audience && len(rest) > 0 { // it is told once for all rules
			inside, rest = nil, []*node{n}
		}
		clauses, others = append(clauses, inside...), append(others, rest...)
	}
	return clauses, others
}

// oneField returns the one field that a condition asks, nil if it asks what an index
// cannot tell.
func oneField(n *node) (f *node) {
	left := maxClauseNodes
	if !asksOnly(n, &f, &left) {
		return nil
	}
	return f
}

// asksOnly reports whether a condition asks no other field than f, which is set by the
// first that it asks, in at most left nodes.
func asksOnly(n *node, f **node, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	switch n.op {
	case opNot, opAnd, opOr:
		return !slices.ContainsFunc(n.args, func(arg *node) bool { return !asksOnly(arg, f, left) })
	case opField:
		return n.kind == kindBool && isField(n, f)
	case opEqual, opOneOf:
		x := n.args[0]
		return (x.kind == kindText || x.kind == kindInt) && isField(x, f) && !slices.ContainsFunc(n.args[1:], isVariable)
	case opLess, opAtMost:
		x, y := n.args[0], n.args[1]
		return x.kind == kindInt && (isField(x, f) && y.isConst() || isField(y, f) && x.isConst())
	}
	return false
}

func isVariable(n *node) bool { return !n.isConst() }

// isField reports whether a node is the field f, which it becomes if there is none.
func isField(n *node, f **node) bool {
	if n.op != opField || *f != nil && *f != n {
		return false
	}
	*f = n
	return true
}

// add notes the values that a part tells apart.
func (k *classes) add(n *node) {
	switch n.op {
	case opNot, opAnd, opOr:
		for _, arg := range n.args {
			k.add(arg)
		}
	case opEqual, opOneOf:
		for _, constant := range n.args[1:] {
			if constant.kind == kindText {
				k.texts = append(k.texts, constant.text)
			} else {
				k.cut(constant.num)
				k.cutAbove(constant.num)
			}
		}
	case opLess: // field < y begins another class at y, x < field above x
		if n.args[1].isConst() {
			k.cut(n.args[1].num)
		} else {
			k.cutAbove(n.args[0].num)
		}
	case opAtMost:
		if n.args[1].isConst() {
			k.cutAbove(n.args[1].num)
		} else {
			k.cut(n.args[0].num)
		}
	}
}

func (k *classes) cut(at int64) { k.cuts = append(k.cuts, at) }

func (k *classes) cutAbove(n int64) {
	if n < math.MaxInt64 {
		k.cut(n + 1)
	}
}

// settle puts what was added in order, and reports whether there are not too many.
func (k *classes) settle() bool {
	slices.Sort(k.texts)
	slices.Sort(k.cuts)
	k.texts, k.cuts = slices.Compact(k.texts), slices.Compact(k.cuts)
	return k.count() <= maxClasses && len(k.cuts) <= maxCuts
}

// tell reports whether a part is true of the values of a class. Of an absent field it is
// neither true nor false.
func (k *classes) tell(n *node, class int) bool {
	switch n.op {
	case opNot:
		return !k.tell(n.args[0], class)
	case opAnd:
		return !slices.ContainsFunc(n.args, func(arg *node) bool { return !k.tell(arg, class) })
	case opOr:
		return slices.ContainsFunc(n.args, func(arg *node) bool { return k.tell(arg, class) })
	case opField:
		return class == classNamed
	case opEqual, opOneOf:
		if n.args[0].kind == kindText {
			return class >= classNamed && slices.ContainsFunc(n.args[1:], func(c *node) bool { return c.text == k.texts[class-classNamed] })
		}
		return slices.ContainsFunc(n.args[1:], func(c *node) bool { return c.num == k.least(class) })
	}
	x, y := k.number(n.args[0], class), k.number(n.args[1], class)
	return x < y || n.op == opAtMost && x == y
}

func (k *classes) number(n *node, class int) int64 {
	if n.isConst() {
		return n.num
	}
	return k.least(class)
}

// least is the least number of a class.
func (k *classes) least(class int) int64 {
	if class < classNamed {
		return math.MinInt64
	}
	return k.cuts[class-classNamed]
}

// A use is how many rules of a slot ask a field.
type use struct {
	slot  int
	of    *classes
	rules int
}

// index works out what an index tells of the rules, and what is left of their conditions.
func (c *compiler) index() {
	fields := make(map[*node]*classes)
	var uses []use
	for i := range c.plans {
		uses = append(uses, c.uses(i, fields)...)
	}
	// What most rules ask for comes first.
	slices.SortStableFunc(uses, func(x, y use) int { return cmp.Compare(y.rules, x.rules) })
	settled := make(map[*classes]bool)
	left := maxTables
	for _, u := range uses {
		s := &c.plans[u.slot]
		words := (c.candidates(u.slot) + 63) / 64
		if u.rules < leastRules || u.of.rules < leastAll || !u.of.settle() || 8*words*u.of.count() > left {
			continue
		}
		left -= 8 * words * u.of.count()
		if s.tables = append(s.tables, newTable(u.of, words)); !settled[u.of] {
			settled[u.of] = true
			c.indexed.fields = append(c.indexed.fields, u.of)
		}
	}
	for i := range c.plans {
		c.fill(&c.plans[i])
	}
}

// uses returns which fields a slot's rules ask for in parts of their own, and notes what
// they tell apart.
func (c *compiler) uses(slot int, fields map[*node]*classes) (uses []use) {
	for j := range c.plans[slot].rules {
		p := &c.plans[slot].rules[j]
		if p.clauses, p.others = split(p.when); p.never() {
			continue
		}
		for at, q := range p.clauses {
			k := fields[q.field]
			if k == nil {
				k = &classes{field: q.field.field, kind: q.field.kind}
				fields[q.field] = k
			}
			k.add(q.node)
			if slices.ContainsFunc(p.clauses[:at], q.sameField) {
				continue
			}
			n := slices.IndexFunc(uses, func(u use) bool { return u.of == k })
			if n < 0 {
				n = len(uses)
				uses = append(uses, use{slot: slot, of: k})
			}
			uses[n].rules++
			k.rules++
		}
	}
	return uses
}

func (q clause) sameField(other clause) bool { return q.field == other.field }

// fill fills a slot's tables.
func (c *compiler) fill(s *slotPlan) {
	for j := range s.rules {
		p := &s.rules[j]
		rest := slices.Clone(p.others)
		for _, q := range p.clauses {
			if !slices.ContainsFunc(s.tables, func(t table) bool { return t.of.field == q.field.field }) {
				rest = append(rest, q.node)
			}
		}
		p.indexed = len(rest) < len(p.others)+len(p.clauses)
		p.rest = c.and(rest...)
		for i := range s.tables {
			s.tables[i].fill(p)
		}
	}
}

// fill sets the bits of a rule's candidates in the rows of the classes that leave them
// over.
func (t *table) fill(p *rulePlan) {
	for class := range t.of.count() {
		if slices.ContainsFunc(p.clauses, func(q clause) bool {
			return q.field.field == t.of.field && (class == classAbsent || !t.of.tell(q.node, class))
		}) {
			continue
		}
		for n := range p.show {
			at := p.first + n
			t.rows[class*t.words+at/64] |= 1 << (at % 64)
		}
	}
}
