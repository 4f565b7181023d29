// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"

	"github.com/nearside/nearside/edge"
)

// Functions are compiled in less than proportion if they are neither many nor
// long: rules are told in groups.
const (
	groupRules  = 12
	groupBytes  = 3 << 10
	groupBlocks = 400
	// passedOver is how many rules are passed over at once where none is left over.
	passedOver = 6
)

// The answer of a slot: bits of the candidates that hold, then their scores.
const (
	answerBits  = 32
	answerScore = 8
)

// emit writes the module's functions.
func (c *compiler) emit() {
	m := newModule(c.builder, c.all.reads())
	c.m = m
	c.indexRules()
	c.memos()
	at := memosAt + align8(len(m.memos))
	for i, k := range c.index.fields {
		k.address = at + 4*i
	}
	at += align8(4 * len(c.index.fields))
	for i := range c.plans {
		c.plans[i].answer = at
		at += answerBits + answerScore*c.candidates(i)
	}
	m.dataAt = at + answerBits // what is no slot has an answer without candidates
	for i := range c.plans {
		c.bound(&c.plans[i])
	}
	if len(c.errs) > 0 {
		return
	}
	for i := range c.plans {
		if c.slot(&c.plans[i]); c.long() {
			return
		}
	}
	for _, memo := range c.ordered {
		if c.tell(memo); c.long() {
			return
		}
	}
	c.classify()
}

// long reports whether there is no use in writing more, because the code is too
// large, which it notes, or refused already.
func (c *compiler) long() bool {
	if n := c.m.size; n > edge.MaxModuleBytes {
		c.bad(edge.RuleError{Slot: c.plans[0].name}, fault{code: codeTooLarge,
			message: fmt.Sprintf("all rules together are %d bytes of code and more, at most %d", n, edge.MaxModuleBytes)})
		return true
	}
	return len(c.errs) >= maxFaults
}

func (c *compiler) candidates(slot int) (n int) {
	for i := range c.plans[slot].rules {
		n += len(c.plans[slot].rules[i].show)
	}
	return n
}

// memos gives conditions that others share their functions.
func (c *compiler) memos() {
	var conditions, scores []*node
	for i := range c.plans {
		for j := range c.plans[i].rules {
			if p := &c.plans[i].rules[j]; !p.never() {
				conditions = append(conditions, p.rest...)
				scores = append(scores, p.score)
			}
		}
	}
	c.ordered = shareable(conditions, scores)
	for i, memo := range c.ordered {
		memo.address = memosAt + i
		memo.function = c.m.declare("", "\x7f")
		c.m.memos[memo.node] = memo
	}
}

// tell writes the function of a shared condition.
func (c *compiler) tell(memo *memo) {
	e := c.m.define(memo.function, 0, func(e *emitter) {
		e.telling = memo.node
		answer := e.local(typeI32)
		e.i32(0)
		e.access(i32Load8, 0, memo.address)
		e.tee(answer)
		e.op(wasmIf, typeNone)
		e.get(answer)
		e.op(wasmReturn, wasmEnd)
		e.i32(memoNeither)
		e.set(answer)
		done := e.block()
		for _, want := range []bool{true, false} {
			if want && !memo.isTrue || !want && !memo.isFalse {
				continue
			}
			other := e.block()
			e.jump(memo.node, want, other)
			e.i32(memoOf(want))
			e.set(answer)
			e.br(done)
			e.end()
		}
		e.end()
		e.i32(0)
		e.get(answer)
		e.access(i32Store8, 0, memo.address)
		e.get(answer)
	})
	if e.full() {
		c.bad(c.first(memo.node), tooLarge)
	}
}

// first returns the first rule that a condition is part of.
func (c *compiler) first(n *node) edge.RuleError {
	seen := make(map[*node]bool)
	var within func(in *node) bool
	within = func(in *node) bool {
		if seen[in] {
			return false
		}
		seen[in] = true
		return in == n || slices.ContainsFunc(in.args, within)
	}
	for i := range c.plans {
		for j := range c.plans[i].rules {
			if r := &c.plans[i].rules[j]; within(r.when) || within(r.score) {
				return edge.RuleError{Slot: c.plans[i].name, Rule: r.name}
			}
		}
	}
	return edge.RuleError{Slot: c.plans[0].name}
}

// bound refuses a slot whose rules cost too much.
func (c *compiler) bound(s *slotPlan) {
	costs := newCosting(worst, c.m.memos)
	total := 0
	told := make(map[*node]bool)
	for i := range s.rules {
		p := &s.rules[i]
		total += costs.cost(p.when) + costs.cost(p.score) + 200*len(p.show)
		total += c.memoCost(costs, told, p.when) + c.memoCost(costs, told, p.score)
		if total > maxSlotCost {
			c.bad(edge.RuleError{Slot: s.name, Rule: p.name}, fault{code: codeTooLarge,
				message: fmt.Sprintf("with this rule the slot's rules may take %d steps and more, at most %d", total, maxSlotCost),
				hint:    "contains() of long texts and loops inside each other take most"})
			return
		}
	}
}

// slot writes the functions of a slot's rules.
func (c *compiler) slot(s *slotPlan) {
	written := make(map[int]bool) // words of the answer
	for i := 0; i < len(s.rules); {
		function := c.m.declare("", "")
		s.groups = append(s.groups, function)
		i = c.group(s, i, function, written)
	}
}

// memoCost returns the cost of the shared conditions below a node that are not in
// told yet, and puts them there.
func (c *compiler) memoCost(costs *costing, told map[*node]bool, n *node) int {
	if told[n] {
		return 0
	}
	told[n] = true
	total := 0
	if c.m.memos[n] != nil {
		total = 2 * costs.alone(n)
	}
	for _, arg := range n.args {
		total += c.memoCost(costs, told, arg)
	}
	return total
}

// A wordPlan is a word of a slot's answer as a function tells it.
type wordPlan struct {
	// bits and left are locals: what holds so far, and the candidates that the slot's
	// tables leave over, if it has any.
	bits, left int
}

// group writes a function that tells some of a slot's rules, from number i on,
// and returns the number of the first that it does not. written are the words of
// the answer that hold something already.
func (c *compiler) group(s *slotPlan, i, function int, written map[int]bool) int {
	words := make(map[int]wordPlan)
	c.m.define(function, 0, func(e *emitter) {
		behind := 0 // the number of the rule behind those that are passed over together
		for n := 0; i < len(s.rules) && n < groupRules && len(e.code) < groupBytes && e.blocks < groupBlocks; i++ {
			if i == behind && i > 0 {
				e.end()
				behind = 0
			}
			p := &s.rules[i]
			for at := p.first; at < p.first+len(p.show); at++ { // also where nothing holds, so that the word is written
				if _, ok := words[at/64]; !ok {
					words[at/64] = c.word(e, s, at/64, written[at/64])
				}
			}
			if p.never() || p.isTold() {
				continue
			}
			if behind == 0 {
				behind = c.passOver(e, s, i, words[p.first/64])
			}
			n++
			e.begin()
			c.rule(e, s, p, words)
			if e.full() {
				c.bad(edge.RuleError{Slot: s.name, Rule: p.name}, tooLarge)
			}
		}
		if behind > 0 {
			e.end()
		}
		for word := range edge.MaxCandidates/64 + 1 {
			plan, ok := words[word]
			if !ok {
				continue
			}
			at := s.answer + 8*word
			e.i32(0)
			e.get(plan.bits)
			if written[word] {
				e.i32(0)
				e.access(i64Load, 3, at)
				e.op(i64Or)
			}
			e.access(i64Store, 3, at)
			written[word] = true
		}
	})
	return i
}

// word begins a word of a slot's answer: with the candidates of which nothing is left to be
// told, unless the word has them already.
func (c *compiler) word(e *emitter, s *slotPlan, word int, isWritten bool) (plan wordPlan) {
	plan.bits = e.local(typeI64)
	if len(s.tables) == 0 {
		e.i64(0)
		e.set(plan.bits)
		return plan
	}
	plan.left = e.local(typeI64)
	for i := range s.tables {
		if s.tables[i].push(e, word); i > 0 {
			e.op(i64And)
		}
	}
	e.set(plan.left)
	told := int64(0)
	for i := range s.rules {
		if p := &s.rules[i]; !isWritten && p.first/64 == word && p.isTold() {
			told |= 1 << (p.first % 64)
		}
	}
	e.get(plan.left)
	e.i64(told)
	e.op(i64And)
	e.set(plan.bits)
	return plan
}

// passOver opens a block around the next rules that goes past all of them if the slot's
// tables leave none of them over, and returns the number of the rule behind them; 0 if
// there are too few for that.
func (c *compiler) passOver(e *emitter, s *slotPlan, i int, plan wordPlan) (behind int) {
	word, ask, candidates := s.rules[i].first/64, 0, int64(0)
	for ; i < len(s.rules) && ask < passedOver; i++ {
		p := &s.rules[i]
		if p.first/64 != word || (p.first+len(p.show)-1)/64 != word {
			break // another word begins, which must not be passed over
		}
		if p.never() || p.isTold() {
			continue
		}
		if !p.indexed {
			break
		}
		ask++
		candidates |= 1 << (p.first % 64)
	}
	if ask < 2 {
		return 0
	}
	past := e.block()
	e.get(plan.left)
	e.i64(candidates)
	e.op(i64And, i64Eqz)
	e.brIf(past)
	return i
}

// rule tells one rule: a bit and a score for each candidate that holds.
func (c *compiler) rule(e *emitter, s *slotPlan, p *rulePlan, words map[int]wordPlan) {
	skip := e.block()
	if p.indexed {
		e.get(words[p.first/64].left)
		e.i64(1 << (p.first % 64))
		e.op(i64And, i64Eqz)
		e.brIf(skip)
	}
	for _, part := range e.m.cheapFirst(p.rest) {
		e.jump(part, true, skip)
	}
	var used []int
	bucket := 0
	if p.share != nil {
		bucket = e.local(typeI64)
		used = append(used, bucket)
		e.value(p.share, skip)
		e.set(bucket)
	}
	score := 0
	if !p.score.isConst() {
		score = e.local(typeI64)
		used = append(used, score)
		known := e.open(wasmBlock, typeI64)
		unknown := e.block()
		e.value(p.score, unknown)
		e.br(known)
		e.end()
		e.i64(0)
		e.end()
		e.set(score)
	}
	for n, show := range p.show {
		if show.from >= show.until {
			continue
		}
		if !show.all() {
			e.get(bucket)
			e.i64(int64(show.from))
			e.op(i64Sub)
			e.i64(int64(show.until - show.from))
			e.op(i64LtU, wasmIf, typeNone)
		}
		c.hold(e, p.first+n, words)
		if p.score.isConst() {
			e.i64(p.score.num)
		} else {
			e.get(score)
		}
		e.access(i64Store, 3, s.answer+answerBits+answerScore*(p.first+n))
		if !show.all() {
			e.op(wasmEnd)
		}
	}
	e.end()
	e.release(used...)
}

// hold notes that a candidate holds and pushes the address that its score's place
// is counted from.
func (c *compiler) hold(e *emitter, candidate int, words map[int]wordPlan) {
	bits := words[candidate/64].bits
	e.get(bits)
	e.i64(1 << (candidate % 64))
	e.op(i64Or)
	e.set(bits)
	e.i32(0)
}
