// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// A document is what a release document says without code, checked.
type document struct {
	lang      *language
	own       []edge.OwnField
	audiences map[string]*expression
	slots     []slot // those that have rules without code
}

// A slot is a slot's rules without code, in the order of its candidates.
type slot struct {
	name  string
	rules []rule
}

// A rule is a rule without code.
type rule struct {
	name  string
	when  *expression // nil always holds
	score *expression // nil is 0
	// rollout is how many buckets of RolloutSalt it is for; edge.Buckets is all.
	rollout int
	show    []show
}

// A show is one variant of a rule: a candidate. It is for the buckets [from,
// until) of ShowSalt.
type show struct {
	variant     string
	from, until int
}

// checkDocument parses and checks all of a document's audiences and rules. The
// error joins an *edge.RuleError for each fault.
func checkDocument(doc *edge.ReleaseDocument) (*document, error) {
	l, err := newLanguage(doc.Fields, doc.Audiences)
	if err != nil {
		return nil, err
	}
	d := &documentChecker{
		document: document{lang: l, own: doc.Fields, audiences: make(map[string]*expression)},
		checked:  make(map[string]*expression),
	}
	for i := range doc.Audiences {
		a := &doc.Audiences[i]
		where := edge.RuleError{Audience: a.Name}
		if d.audiences[a.Name] != nil {
			d.bad(where, fault{code: codeShape, message: "there are two audiences of this name"})
			continue
		}
		where.Member = memberWhen
		d.audiences[a.Name] = d.take(where, a.When)
	}
	d.circles(doc.Audiences)
	for i := range doc.Slots {
		if spec := &doc.Slots[i]; len(spec.Candidates()) > 0 {
			d.slots = append(d.slots, d.slot(spec))
		}
	}
	if err := errors.Join(d.errs...); err != nil {
		return nil, err
	}
	return &d.document, nil
}

// The members of a rule that a RuleError names.
const (
	memberWhen  = "when"
	memberScore = "score"
	memberShow  = "show"
)

// maxFaults is how many faults of a document are told, about: nobody reads more,
// and some take long to find.
const maxFaults = 100

// maxSourceBytes bounds all expressions of a document: to parse them takes
// seconds, and some 100 MB.
const maxSourceBytes = 1 << 20

type documentChecker struct {
	document
	errs  []error
	bytes int // of the expressions that were parsed
	// checked are the expressions that were right, by type and source: scores and
	// conditions repeat, and parsing is what takes most of the time.
	checked map[string]*expression
}

func (d *documentChecker) bad(where edge.RuleError, f fault) { d.errs = append(d.errs, f.at(where)) }

// take checks an expression and notes its faults.
func (d *documentChecker) take(where edge.RuleError, source string) *expression {
	check, key := d.lang.condition, "bool "+source
	if where.Member == memberScore {
		check, key = d.lang.score, "int "+source
	}
	if e := d.checked[key]; e != nil {
		return e
	}
	if len(d.errs) >= maxFaults || d.bytes > maxSourceBytes {
		return nil
	}
	if d.bytes += len(source); d.bytes > maxSourceBytes {
		d.bad(where, fault{code: codeTooLarge, message: fmt.Sprintf("up to here all different expressions together have more than %d bytes", maxSourceBytes),
			hint: "move what several rules say into audiences"})
		return nil
	}
	e, faults := check(source)
	for _, f := range faults {
		d.bad(where, f)
	}
	if e != nil {
		d.checked[key] = e
	}
	return e
}

func (d *documentChecker) slot(spec *edge.SlotSpec) slot {
	s := slot{name: spec.Name}
	if n := len(spec.Candidates()); n > edge.MaxCandidates {
		d.bad(edge.RuleError{Slot: spec.Name}, fault{code: codeTooLarge,
			message: fmt.Sprintf("the slot's rules show %d variants, at most %d", n, edge.MaxCandidates)})
	}
	for i := range spec.Ladder {
		for j := range spec.Ladder[i].Rules {
			if r := &spec.Ladder[i].Rules[j]; r.Name != "" && len(r.Show) > 0 {
				s.rules = append(s.rules, d.rule(spec.Name, r))
			}
		}
	}
	return s
}

func (d *documentChecker) rule(slot string, spec *edge.RuleSpec) rule {
	r := rule{name: spec.Name, rollout: spec.Rollout}
	where := edge.RuleError{Slot: slot, Rule: spec.Name}
	if spec.Rollout < 0 || spec.Rollout > edge.Buckets {
		d.bad(where, fault{code: codeShape, message: fmt.Sprintf("rollout %d, want 0 to %d", spec.Rollout, edge.Buckets)})
	}
	if r.rollout == 0 {
		r.rollout = edge.Buckets
	}
	if strings.TrimSpace(spec.When) != "" {
		where.Member = memberWhen
		r.when = d.take(where, spec.When)
	}
	if strings.TrimSpace(spec.Score) != "" {
		where.Member = memberScore
		r.score = d.take(where, spec.Score)
	}
	total := 0
	for i := range spec.Show {
		w := spec.Show[i].Weight
		total += w
		if w < 0 || w > maxWeight {
			where.Member = memberShow
			d.bad(where, fault{code: codeShape, message: fmt.Sprintf("weight %d of %s, want 0 to %d", w, spec.Show[i].Variant, maxWeight)})
			return r
		}
		from, until := spec.Buckets(i)
		r.show = append(r.show, show{spec.Show[i].Variant, from, until})
	}
	if len(spec.Show) > 1 && total == 0 {
		where.Member = memberShow
		d.bad(where, fault{code: codeShape, message: "all weights are 0", hint: "give each variant a weight, as in 50 and 50"})
	}
	return r
}

// maxWeight keeps sums of weights times edge.Buckets far from an overflow.
const maxWeight = 1_000_000

// maxAudienceDepth is how many audiences may be told by way of each other.
const maxAudienceDepth = 16

// circles refuses audiences that are told by way of themselves, or of too many
// others in a row.
func (d *documentChecker) circles(audiences []edge.Audience) {
	const circle = maxAudienceDepth + 1
	depth := make(map[string]int) // a circle while it is being told
	var visit func(name string) int
	visit = func(name string) int {
		if n := depth[name]; n > 0 {
			return n
		}
		depth[name] = circle
		most := 0
		if e := d.audiences[name]; e != nil {
			for _, other := range e.audiences() {
				most = max(most, visit(other))
			}
		}
		depth[name] = min(most+1, circle)
		return depth[name]
	}
	for _, a := range audiences {
		if visit(a.Name) == circle {
			d.bad(edge.RuleError{Audience: a.Name, Member: memberWhen}, fault{code: codeShape,
				message: fmt.Sprintf("the audience is told by way of itself, or of more than %d others in a row", maxAudienceDepth-1),
				hint:    "take one of its inAudience(...) out"})
		}
	}
}

// audiences are the names of the audiences that an expression names, sorted.
func (e *expression) audiences() []string {
	var names []string
	for _, reference := range e.ast.ReferenceMap() {
		if name, ok := strings.CutPrefix(reference.Name, audienceVar); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
