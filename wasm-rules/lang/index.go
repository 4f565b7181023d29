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
// that all fields leave over are found with one & a field, however many rules there are;
// only those are asked what else their conditions say.
type index struct {
	fields   []*classifier
	function int // puts a record's values into their classes
}

// A classifier puts the values of a field into classes, numbered from 0.
type classifier struct {
	field *field
	kind  kind // of its values: text, int, double or bool
	rules int  // how many ask it
	// What begins the classes from classNamed on, sorted: the texts that they are, the
	// least ints or doubles.
	texts   []string
	ints    []int64
	doubles []float64
	// address is where the class of a record's value is, an i32.
	address int
	known   map[*node]*classSet // what trueOf has told
}

// The first classes. A bool has no more of them.
const (
	classAbsent = iota
	classOther  // a text that nothing names, an int below all that begin a class, no number, false
	classNamed  // the first text or number, true
)

const (
	// leastRules is how many rules of a slot must ask a field for a table, and leastAll how
	// many of all slots together, for to look a value up takes as long as to ask two or three.
	leastRules = 2
	leastAll   = 4
	// maxClauseNodes bounds what is tried for each class of a field.
	maxClauseNodes = 64
	// maxClasses and maxNumbers bound the classes of a field; with numbers a value is
	// compared one after another.
	maxClasses = 512
	maxNumbers = 32
	// maxTables bounds the bytes of all tables, those of texts included: each instance
	// has them, and they should stay in a processor's cache.
	maxTables = 64 << 10
)

// A table has the candidates of a slot that each class of a field leaves over, as
// words of bits.
type table struct {
	of    *classifier
	words int
	rows  []uint64 // words for each class
	at    int      // from the record
}

func newTable(of *classifier, words int) table {
	return table{of: of, words: words, rows: make([]uint64, of.count()*words)}
}

func (k *classifier) count() int {
	switch k.kind {
	case kindText:
		return classNamed + len(k.texts)
	case kindInt:
		return classNamed + len(k.ints)
	case kindDouble:
		return classNamed + len(k.doubles)
	}
	return classNamed + 1
}

// A clause is a part of a rule's condition that asks one field. It may be a part of an
// audience, which is told once for all rules where tables do not tell all of it.
type clause struct {
	*node
	field    *node
	audience *node // the outermost, nil for none
}

// split returns the parts of a condition that an index can tell, and the others.
func split(when *node) (clauses []clause, others []*node) {
	if f := oneField(when); f != nil {
		return []clause{{node: when, field: f}}, nil
	}
	if when.op != opAnd {
		return nil, []*node{when}
	}
	for _, n := range when.args {
		inside, rest := split(n)
		if n.audience && len(rest) > 0 {
			inside, rest = nil, []*node{n}
		}
		for i := range inside {
			if n.audience {
				inside[i].audience = n
			}
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
		return isField(n.args[0], f) && isValue(n.args[0].kind) && !slices.ContainsFunc(n.args[1:], isVariable)
	case opLess, opAtMost:
		x, y := n.args[0], n.args[1]
		return isValue(x.kind) && x.kind != kindText && (isField(x, f) && !isVariable(y) || isField(y, f) && !isVariable(x))
	}
	return false
}

func isValue(k kind) bool { return k == kindText || k == kindInt || k == kindDouble }

// isVariable reports whether a node is no constant that values are compared with; what is
// no number is not.
func isVariable(n *node) bool {
	return !n.isConst() || n.kind == kindDouble && n.double() != n.double()
}

// isField reports whether a node is the field f, which it becomes if there is none.
func isField(n *node, f **node) bool {
	if n.op != opField || *f != nil && *f != n {
		return false
	}
	*f = n
	return true
}

// add notes the values that a part tells apart.
func (k *classifier) add(n *node) {
	switch n.op {
	case opNot, opAnd, opOr:
		for _, arg := range n.args {
			k.add(arg)
		}
	case opEqual, opOneOf:
		for _, constant := range n.args[1:] {
			k.from(constant)
			k.above(constant)
		}
	case opLess: // field < y begins another class at y, x < field above x
		if n.args[1].isConst() {
			k.from(n.args[1])
		} else {
			k.above(n.args[0])
		}
	case opAtMost:
		if n.args[1].isConst() {
			k.above(n.args[1])
		} else {
			k.from(n.args[0])
		}
	}
}

// from begins a class with a constant.
func (k *classifier) from(constant *node) {
	switch k.kind {
	case kindText:
		k.texts = append(k.texts, constant.text)
	case kindInt:
		k.ints = append(k.ints, constant.num)
	case kindDouble:
		k.doubles = append(k.doubles, constant.double())
	}
}

// above begins a class with what comes next after a number.
func (k *classifier) above(constant *node) {
	switch {
	case k.kind == kindInt && constant.num < math.MaxInt64:
		k.ints = append(k.ints, constant.num+1)
	case k.kind == kindDouble:
		k.doubles = append(k.doubles, math.Nextafter(constant.double(), math.Inf(1)))
	}
}

// settle puts what was added in order, and reports whether there are not too many classes.
func (k *classifier) settle() bool {
	if k.kind == kindDouble { // what is no number is not below others
		k.doubles = append(k.doubles, math.Inf(-1))
	}
	slices.Sort(k.texts)
	slices.Sort(k.ints)
	slices.Sort(k.doubles)
	k.texts, k.ints, k.doubles = slices.Compact(k.texts), slices.Compact(k.ints), slices.Compact(k.doubles)
	return k.count() <= maxClasses && len(k.ints)+len(k.doubles) <= maxNumbers
}

// A classSet has a bit for each class.
type classSet [maxClasses / 64]uint64

func (s *classSet) has(class int) bool { return s[class>>6]&(1<<(class&63)) != 0 }
func (s *classSet) add(class int)      { s[class>>6] |= 1 << (class & 63) }

// trueOf returns the classes of whose values a part is true. Of absent ones it is neither
// true nor false. What stands in several rules is asked once.
func (k *classifier) trueOf(n *node) *classSet {
	if known := k.known[n]; known != nil {
		return known
	}
	s := &classSet{}
	switch n.op {
	case opNot, opAnd, opOr:
		for class := classOther; class < k.count(); class++ {
			if k.join(n, class) {
				s.add(class)
			}
		}
	case opField:
		s.add(classNamed)
	case opEqual, opOneOf:
		for _, constant := range n.args[1:] {
			if class, ok := k.find(constant); ok {
				s.add(class)
			}
		}
	default:
		for class := classOther; class < k.count(); class++ {
			if k.isLess(n, class) {
				s.add(class)
			}
		}
	}
	if k.known == nil {
		k.known = make(map[*node]*classSet)
	}
	k.known[n] = s
	return s
}

// join tells !, && or || of a class's values.
func (k *classifier) join(n *node, class int) bool {
	is := func(part *node) bool { return k.trueOf(part).has(class) }
	isNot := func(part *node) bool { return !is(part) }
	switch n.op {
	case opNot:
		return isNot(n.args[0])
	case opOr:
		return slices.ContainsFunc(n.args, is)
	}
	return !slices.ContainsFunc(n.args, isNot)
}

// find returns the class that has a constant and nothing else, if a rule asks for it.
func (k *classifier) find(constant *node) (class int, ok bool) {
	switch k.kind {
	case kindText:
		class, ok = slices.BinarySearch(k.texts, constant.text)
	case kindInt:
		class, ok = slices.BinarySearch(k.ints, constant.num)
	default:
		class, ok = slices.BinarySearch(k.doubles, constant.double())
	}
	return class + classNamed, ok
}

// isLess tells < or <= of a class's values, which are all alike in this.
func (k *classifier) isLess(n *node, class int) bool {
	x, y := n.args[0], n.args[1]
	if k.kind == kindDouble {
		if class < classNamed {
			return false // no number
		}
		of := func(n *node) float64 {
			if n.isConst() {
				return n.double()
			}
			return k.doubles[class-classNamed]
		}
		return of(x) < of(y) || n.op == opAtMost && of(x) == of(y)
	}
	of := func(n *node) int64 {
		switch {
		case n.isConst():
			return n.num
		case class < classNamed:
			return math.MinInt64
		}
		return k.ints[class-classNamed]
	}
	return of(x) < of(y) || n.op == opAtMost && of(x) == of(y)
}

// A use is how many rules of a slot ask a field.
type use struct {
	slot  int
	of    *classifier
	rules int
}

// indexRules works out what an index tells of the rules, and what is left of their conditions.
func (c *compiler) indexRules() {
	fields := make(map[*node]*classifier)
	var uses []use
	for i := range c.plans {
		uses = append(uses, c.uses(i, fields)...)
	}
	// What most rules ask for comes first.
	slices.SortStableFunc(uses, func(x, y use) int { return cmp.Compare(y.rules, x.rules) })
	used := make(map[*classifier]bool)
	left := maxTables
	for _, u := range uses {
		if u.rules < leastRules || u.of.rules < leastAll || !u.of.settle() {
			continue
		}
		s := &c.plans[u.slot]
		t := newTable(u.of, (c.candidates(u.slot)+63)/64)
		bytes := 8 * len(t.rows)
		if !used[u.of] {
			bytes += placeBytes * placesFor(len(u.of.texts))
		}
		if bytes > left {
			continue
		}
		left -= bytes
		if s.tables = append(s.tables, t); !used[u.of] {
			used[u.of] = true
			c.index.fields = append(c.index.fields, u.of)
		}
	}
	for i := range c.plans {
		c.fill(&c.plans[i])
	}
}

// uses returns which fields a slot's rules ask for in parts of their own, and notes what
// they tell apart.
func (c *compiler) uses(slot int, fields map[*node]*classifier) (uses []use) {
	for j := range c.plans[slot].rules {
		p := &c.plans[slot].rules[j]
		if p.clauses, p.rest = split(p.when); p.never() {
			continue
		}
		for at, q := range p.clauses {
			k := fields[q.field]
			if k == nil {
				k = &classifier{field: q.field.field, kind: q.field.kind}
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

// fill fills a slot's tables and says what is left of its rules' conditions.
func (c *compiler) fill(s *slotPlan) {
	for j := range s.rules {
		p := &s.rules[j]
		for _, q := range p.clauses {
			if slices.ContainsFunc(s.tables, func(t table) bool { return t.of.field == q.field.field }) {
				p.indexed = true
				continue
			}
			n := q.node
			if q.audience != nil {
				n = q.audience
			}
			if !slices.Contains(p.rest, n) {
				p.rest = append(p.rest, n)
			}
		}
		if !p.indexed {
			p.rest = []*node{p.when}
		}
		for i := range s.tables {
			s.tables[i].fill(p)
		}
	}
}

// fill sets the bits of a rule's candidates in the rows of the classes that leave them
// over.
func (t *table) fill(p *rulePlan) {
	var asks []*classSet
	for _, q := range p.clauses {
		if q.field.field == t.of.field {
			asks = append(asks, t.of.trueOf(q.node))
		}
	}
	for class := range t.of.count() {
		if slices.ContainsFunc(asks, func(s *classSet) bool { return !s.has(class) }) {
			continue
		}
		for at := p.first; at < p.first+len(p.show); at++ {
			t.rows[class*t.words+at/64] |= 1 << (at % 64)
		}
	}
}
