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
	c.memos()
	at := memosAt + align8(len(m.memos))
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
				conditions = append(conditions, p.when)
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

// group writes a function that tells some of a slot's rules, from number i on,
// and returns the number of the first that it does not. written are the words of
// the answer that hold something already.
func (c *compiler) group(s *slotPlan, i, function int, written map[int]bool) int {
	first := i
	bits := make(map[int]int) // locals by word of the answer
	c.m.define(function, 0, func(e *emitter) {
		for ; i < len(s.rules) && i-first < groupRules && len(e.code) < groupBytes && e.blocks < groupBlocks; i++ {
			e.begin()
			c.rule(e, s, &s.rules[i], bits)
			if e.full() {
				c.bad(edge.RuleError{Slot: s.name, Rule: s.rules[i].name}, tooLarge)
			}
		}
		for word := range edge.MaxCandidates/64 + 1 {
			local, ok := bits[word]
			if !ok {
				continue
			}
			at := s.answer + 8*word
			e.i32(0)
			e.get(local)
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

// rule tells one rule: a bit and a score for each candidate that holds.
func (c *compiler) rule(e *emitter, s *slotPlan, p *rulePlan, bits map[int]int) {
	for n := range p.show { // also where nothing holds, so that the word is written
		if _, ok := bits[(p.first+n)/64]; !ok {
			local := e.local(typeI64)
			bits[(p.first+n)/64] = local
			e.i64(0)
			e.set(local)
		}
	}
	if p.never() {
		return
	}
	skip := e.block()
	e.jump(p.when, true, skip)
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
		c.hold(e, s, p.first+n, bits)
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
func (c *compiler) hold(e *emitter, s *slotPlan, candidate int, bits map[int]int) {
	local := bits[candidate/64]
	e.get(local)
	e.i64(1 << (candidate % 64))
	e.op(i64Or)
	e.set(local)
	e.i32(0)
}
