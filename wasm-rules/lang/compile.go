// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// manifestSection is ABI.md's.
const manifestSection = "near.manifest"

// Limits of one rule or shared condition. They leave room below those that the
// verifier has for functions.
const (
	maxRuleBytes   = 48 << 10
	maxRuleBlocks  = 3000
	maxRuleNesting = 400
)

// Compile checks a release's audiences and rules without code and compiles them
// to one module, as ABI.md has it. The same document gives the same bytes. It is
// nil where there are no rules without code. The error joins an *edge.RuleError
// for each fault.
func Compile(doc *edge.ReleaseDocument) (wasm []byte, err error) {
	d, err := checkDocument(doc)
	if err != nil || len(d.slots) == 0 {
		return nil, err
	}
	c := &compiler{document: d, lowerer: newLowerer(d), all: newInput()}
	c.lower(doc.Audiences)
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	c.emit()
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return c.pack(doc)
}

// A compiler compiles one document.
type compiler struct {
	*document
	*lowerer
	plans []slotPlan
	all   *input // what all slots read
	m     *module
	// index is what all slots' tables have in common.
	index index
	// ordered are the module's memos in the order of their addresses.
	ordered []*memo
	errs    []error
}

// A slotPlan is a slot as it is compiled.
type slotPlan struct {
	*slot
	rules  []rulePlan
	inputs *input
	tables []table
	groups []int // functions that tell the rules, in order
	answer int   // address of the slot's answer
}

// A rulePlan is a rule as it is compiled.
type rulePlan struct {
	*rule
	first int   // its first candidate's number
	when  *node // roll-out included
	share *node // the bucket that chooses among its variants; nil for one variant
	score *node
	reads *input
	// clauses are the parts of when that tables may tell, and rest what they do not tell.
	// indexed means that they tell some of it.
	clauses []clause
	rest    []*node
	indexed bool
}

func (c *compiler) bad(where edge.RuleError, f fault) { c.errs = append(c.errs, f.at(where)) }

// lower turns all expressions into nodes and says what they read.
func (c *compiler) lower(audiences []edge.Audience) {
	for _, a := range audiences { // first, so that rules find them whole
		if c.lowerer.audience(a.Name); c.left <= 0 {
			c.bad(edge.RuleError{Audience: a.Name, Member: memberWhen}, tooLarge)
			c.left = maxNodes
		}
		if c.full(edge.RuleError{Audience: a.Name, Member: memberWhen}) {
			return
		}
	}
	visitor := c.ident(visitorVar)
	for i := range c.slots {
		s := slotPlan{slot: &c.slots[i], inputs: newInput()}
		n := 0
		for j := range s.slot.rules {
			p := c.plan(s.name, &s.slot.rules[j], visitor)
			if c.full(edge.RuleError{Slot: s.name, Rule: p.name}) {
				return
			}
			p.first = n
			n += len(p.show)
			for _, in := range []*input{p.reads, s.inputs, c.all} {
				p.read(in)
			}
			s.rules = append(s.rules, p)
		}
		c.plans = append(c.plans, s)
	}
}

// full reports whether there is no use in going on: all expressions together are
// too large, which it notes, or too many by themselves.
func (c *compiler) full(where edge.RuleError) bool {
	if c.made > maxAllNodes {
		c.bad(where, fault{code: codeTooLarge, message: "up to here all rules together become too large when they are compiled",
			hint: "write lists and ? : inside each other shorter, or use fewer rules"})
		return true
	}
	return len(c.errs) >= maxFaults
}

// tooLarge is the fault of what was written short and becomes long.
var tooLarge = fault{code: codeTooLarge, message: "this becomes too large when it is compiled",
	hint: "write lists and ? : inside each other shorter, or split it into several rules"}

func (c *compiler) plan(slot string, r *rule, visitor *node) rulePlan {
	p := rulePlan{rule: r, when: c.bool(true), score: c.int(0), reads: newInput()}
	where := edge.RuleError{Slot: slot, Rule: r.name}
	take := func(member string, e *expression, n **node) {
		if e == nil {
			return
		}
		ok := false
		if *n, ok = c.lowerer.lower(e); !ok {
			where.Member = member
			c.bad(where, tooLarge)
		}
	}
	take(memberWhen, r.when, &p.when)
	take(memberScore, r.score, &p.score)
	c.left = maxNodes
	if p.score.op == opError {
		p.score = c.int(0)
	}
	if r.rollout < edge.Buckets {
		bucket := c.hash(edge.RolloutSalt(slot, r.name), visitor)
		p.when = c.and(p.when, c.less(bucket, c.int(int64(r.rollout))))
	}
	p.when = c.only(p.when, true)
	if len(r.show) > 1 {
		p.share = c.hash(edge.ShowSalt(slot, r.name), visitor)
	}
	return p
}

// all reports whether a variant is for every bucket.
func (s show) all() bool { return s.from == 0 && s.until == edge.Buckets }

// never reports whether the rule holds for nobody, whatever the visit.
func (p *rulePlan) never() bool { return p.when.isFalse() }

// isTold reports whether a slot's tables say all there is to say of the rule, whose score
// is what memory begins with.
func (p *rulePlan) isTold() bool {
	return p.indexed && len(p.rest) == 0 && len(p.show) == 1 && p.show[0].all() && p.score.isConst() && p.score.num == 0
}

// read notes what the rule reads.
func (p *rulePlan) read(in *input) {
	if p.never() {
		return
	}
	in.add(p.when)
	in.add(p.score)
	if p.share != nil {
		in.add(p.share)
	}
}

// pack adds what the module says of itself.
func (c *compiler) pack(doc *edge.ReleaseDocument) ([]byte, error) {
	text := programText{Reads: make([]string, 0), Counts: c.all.windows(), Source: sourceOf(doc)}
	manifest := edge.Manifest{ABI: 1, Name: "rules", Version: "1.0.0", Needs: 0}
	for _, f := range c.all.reads() {
		text.Reads = append(text.Reads, f.name)
	}
	manifest.Reads = text.Reads
	for i := range c.plans {
		p := &c.plans[i]
		s := edge.RuleSetSlot{Name: p.name, Inputs: p.inputs.spellings()}
		m := edge.ManifestSlot{Name: p.name}
		for j := range p.rules {
			r := &p.rules[j]
			for _, show := range r.show {
				s.Candidates = append(s.Candidates, edge.RuleSetCandidate{Rule: r.name, Variant: show.variant, Reads: r.reads.names()})
				if !slices.Contains(m.Variants, show.variant) {
					m.Variants = append(m.Variants, show.variant)
				}
			}
		}
		text.Slots = append(text.Slots, s)
		manifest.Slots = append(manifest.Slots, m)
	}
	if n := len(text.Counts); n > edge.MaxEventWindows {
		return nil, &edge.RuleError{Code: codeTooLarge, Slot: c.plans[0].name,
			Message: fmt.Sprintf("the release's rules count %d events and windows, at most %d", n, edge.MaxEventWindows),
			Hint:    "use the same windows in several rules"}
	}
	module := code(c.m.encode(c.exports()))
	for _, section := range []struct {
		name string
		v    any
	}{{manifestSection, manifest}, {RulesSection, text}} {
		content, err := json.Marshal(section.v)
		if err != nil {
			return nil, fmt.Errorf("compiled rules: %s: %w", section.name, err)
		}
		module.custom(section.name, content)
	}
	limits := bytecode.Standard()
	if len(module) > limits.Bytes {
		limits = bytecode.Large()
	}
	if _, err := bytecode.Verify(module, limits); err != nil {
		return nil, &edge.RuleError{Slot: c.plans[0].name, Code: codeTooLarge, Message: fmt.Sprintf("all rules together: %v", err), Hint: tooLarge.hint}
	}
	return module, nil
}
