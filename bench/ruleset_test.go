// SPDX-License-Identifier: Apache-2.0

package bench

// A ruleSet is what one site's marketers wrote: conditions with and without a
// name, and scores. Every engine gets the same one in its own spelling.
type ruleSet struct {
	audiences []audience
	rules     []rule
}

type audience struct {
	name string
	when condition
}

// A rule's score is 0 without one.
type rule struct {
	when  condition
	score score
}

// A score is base, what is gained where conditions hold, and less the later in
// the week it is.
type score struct {
	base, perWeekday int
	bonuses          []bonus
}

type bonus struct {
	when   condition
	points int
}

// A condition is a leaf, an audience, or other conditions joined.
type condition struct {
	op       string // leaf, audience, and, or, not
	parts    []condition
	leaf     leaf
	audience string
}

func and(parts ...condition) condition { return condition{op: "and", parts: parts} }
func or(parts ...condition) condition  { return condition{op: "or", parts: parts} }

func not(part condition) condition {
	if part.leaf.equality {
		return asks(part.leaf.opposite())
	}
	return condition{op: "not", parts: []condition{part}}
}

func asks(l leaf) condition { return condition{op: "leaf", leaf: l} }

// newRuleSet makes n rules, the same ones for the same seed. The first asks four
// plain questions. Most others ask two to four that must all hold, some are longer
// and nested, one in seven asks for an audience; of a visit's rules about one in
// twelve holds.
func newRuleSet(seed uint64, n int) *ruleSet {
	d := newDice(seed)
	set := &ruleSet{rules: []rule{{when: and(
		asks(equals("geo.country", "FR")), asks(equals("device.type", "phone")), asks(number("visitor.visits", ">", 3)), asks(begins("page.path", "/fr/hats")),
	)}}}
	if n > 1 {
		set.audiences = audiences
	}
	for len(set.rules) < n {
		w := &ruleWriter{dice: d, asked: make(map[string]bool)}
		set.rules = append(set.rules, rule{when: w.condition()})
	}
	return set
}

// newPlainRuleSet makes n rules that ask about single texts and numbers and about
// the page's tags: no history, no distance, no share, nothing worked out.
func newPlainRuleSet(seed uint64, n int) *ruleSet {
	d := newDice(seed)
	set := &ruleSet{}
	for len(set.rules) < n {
		w := &ruleWriter{dice: d, asked: make(map[string]bool)}
		for _, about := range []string{"title", "place", "now", "absence", "interests", "counters", "counts", "recent", "bought", "cart", "bucket"} {
			w.asked[about] = true
		}
		set.rules = append(set.rules, rule{when: w.joined(1 + w.IntN(4))})
	}
	return set
}

// audiences are those of a shop.
var audiences = []audience{
	{"loyal", and(asks(number("visitor.visits", ">", 5)), asks(counted("purchase", 30, 1)))},
	{"lapsed", and(asks(everywhere("visitor.returning", "visitor.returning")), asks(number("visitor.days_since", ">=", 28)))},
	{"browsers", and(asks(counted("view_item", 7, 4)), not(asks(size("cart", 1))))},
	{"locals", or(asks(near(48.8566, 2.3522, 30)), asks(near(45.7640, 4.8357, 30)))},
	{"mobile", or(asks(equals("device.type", "phone")), asks(number("viewport", "<", 700)))},
	{"campaigners", or(asks(oneOf("utm.medium", []string{"cpc", "display"})), asks(equals("source.channel", "ads")))},
	{"collectors", and(asks(entry("interests", "hats", 3)), not(asks(member("bought", "bought", "sku-1"))))},
	{"newcomers", and(asks(number("visitor.visits", "==", 1)), not(asks(equals("source.channel", "mail"))))},
}

// withScores gives each rule a score, as candidates of a slot have that compete;
// each slot's last rule always holds.
func (set *ruleSet) withScores(seed uint64) *ruleSet {
	d := newDice(seed)
	for i := range set.rules {
		r := &set.rules[i]
		r.score = score{base: 10 + d.IntN(60), perWeekday: 1 + d.IntN(3)}
		w := &ruleWriter{dice: d, asked: make(map[string]bool)}
		for range 2 + d.IntN(2) {
			r.score.bonuses = append(r.score.bonuses, bonus{w.plain(), 5 * (1 + d.IntN(6))})
		}
		if i%perSlot == perSlot-1 {
			r.when = asks(everywhere("page.path != \"\"", "page.path"))
		}
	}
	return set
}

// A ruleWriter writes one rule, in which nothing is asked about twice.
type ruleWriter struct {
	dice
	asked map[string]bool
}

// condition makes the rule's condition.
func (w *ruleWriter) condition() condition {
	var c condition
	switch p := w.IntN(100); {
	case p < 15:
		c = w.joined(1 + w.IntN(2))
	case p < 65:
		c = w.joined(2 + w.IntN(3))
	case p < 82:
		c = and(or(w.question(), w.question()), w.question(), w.question())
	case p < 95:
		c = and(w.question(), or(w.question(), and(w.question(), w.question())), not(w.plain()))
	default:
		c = and(w.joined(3), or(w.joined(2), w.joined(2), w.question()), w.question())
	}
	if w.chance(14) {
		c = and(condition{op: "audience", audience: audiences[w.IntN(len(audiences))].name}, c)
	}
	return c
}

// joined is n questions that must all hold.
func (w *ruleWriter) joined(n int) condition {
	var parts []condition
	for range n {
		parts = append(parts, w.question())
	}
	if n == 1 {
		return parts[0]
	}
	return and(parts...)
}

// question is a leaf, sometimes its opposite. What is asked of a map's key is
// never turned round: without the key CEL's answer is neither.
func (w *ruleWriter) question() condition {
	if w.chance(10) {
		return not(w.plain())
	}
	return asks(w.leaf())
}

// plain is a leaf that asks for no key.
func (w *ruleWriter) plain() condition {
	for {
		if l := w.leaf(); !l.keyed {
			return asks(l)
		}
	}
}

// leaf picks one of the questions by weight.
func (w *ruleWriter) leaf() leaf {
	total := 0
	for i := range questions {
		total += questions[i].weight
	}
	for {
		at := w.IntN(total)
		for i := range questions {
			q := &questions[i]
			if at -= q.weight; at >= 0 {
				continue
			}
			if !w.asked[q.about] {
				w.asked[q.about] = true
				return q.ask(w.dice)
			}
			break
		}
	}
}
