// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/nearside/nearside/edge"
)

// The kinds of conditions, as edge.Condition lists them.
const (
	sayAnd        = "and"
	sayOr         = "or"
	sayNot        = "not"
	sayAudience   = "audience"
	sayIs         = "is"
	sayIsNot      = "is-not"
	sayOneOf      = "one-of"
	sayAtLeast    = "at-least"
	sayMoreThan   = "more-than"
	sayAtMost     = "at-most"
	sayLessThan   = "less-than"
	sayStartsWith = "starts-with"
	sayEndsWith   = "ends-with"
	sayContains   = "contains"
	sayHas        = "has"
	sayTrue       = "true"
	sayShare      = "share"
	sayOther      = "other"
)

// comparisons are the operators that compare two operands, and what they are when
// the operands change places.
var comparisons = map[string]struct{ op, mirrored string }{
	operators.Equals:        {sayIs, sayIs},
	operators.NotEquals:     {sayIsNot, sayIsNot},
	operators.Less:          {sayLessThan, sayMoreThan},
	operators.LessEquals:    {sayAtMost, sayAtLeast},
	operators.Greater:       {sayMoreThan, sayLessThan},
	operators.GreaterEquals: {sayAtLeast, sayAtMost},
	operators.In:            {sayOneOf, sayHas},
	"startsWith":            {op: sayStartsWith},
	"endsWith":              {op: sayEndsWith},
	"contains":              {op: sayContains},
}

// condition says what became of an expression of type bool.
func (e *evaluation) condition(x ast.Expr) edge.Condition {
	c := e.shape(x)
	c.Text = e.text(x)
	c.Words = e.words(x, false)
	c.conclude(e.outcome(x, c.Op, c.Parts))
	return c.Condition
}

// outcome is what a condition gives, told from its parts where it has some: to
// evaluate all that is in it again at each of its brackets would take long.
func (e *evaluation) outcome(x ast.Expr, op string, parts []edge.Condition) outcome {
	switch op {
	case sayAnd, sayOr:
		by := op == sayOr
		all := known(!by)
		for _, part := range parts {
			all = decided(by, all, outcomeOf(part))
		}
		return all
	case sayNot:
		part := outcomeOf(parts[0])
		if part.known() {
			return known(part.is(false))
		}
		return part
	}
	return e.eval(x)
}

// A shaped condition is one whose verdict is still to be told.
type shaped struct{ edge.Condition }

func (c *shaped) conclude(o outcome) {
	switch {
	case !o.known():
		c.Verdict, c.Unknown = edge.VerdictUnknown, o.why
	case o.is(true):
		c.Verdict = edge.VerdictHeld
	default:
		c.Verdict = edge.VerdictFailed
	}
}

// shape fills in all but text, words and verdict.
func (e *evaluation) shape(x ast.Expr) shaped {
	var c shaped
	if x.Kind() == ast.CallKind {
		call := x.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd:
			c.Op, c.Parts = sayAnd, e.conditions(chain(x, operators.LogicalAnd))
			return c
		case operators.LogicalOr:
			c.Op, c.Parts = sayOr, e.conditions(chain(x, operators.LogicalOr))
			return c
		case operators.LogicalNot:
			c.Op, c.Parts = sayNot, e.conditions(call.Args())
			return c
		}
	}
	if name, ok := strings.CutPrefix(identifier(x), audienceVar); ok {
		c.Op, c.Values, c.Parts = sayAudience, []string{name}, e.audienceParts(name)
		return c
	}
	l := e.leaf(x)
	c.Op, c.Field, c.Values = l.op, l.field, l.values
	if l.about != nil {
		c.Saw = e.saw(l.about)
	}
	return c
}

// audienceParts is the condition of an audience where it is met first; whoever
// meets it again has seen it.
func (s *surroundings) audienceParts(name string) []edge.Condition {
	if s.opened[name] {
		return nil
	}
	if s.opened == nil {
		s.opened = make(map[string]bool)
	}
	s.opened[name] = true
	inner := evaluation{surroundings: s, checked: s.audiences[name].ast}
	return inner.conditions([]ast.Expr{inner.checked.Expr()})
}

func (e *evaluation) conditions(list []ast.Expr) []edge.Condition {
	out := make([]edge.Condition, len(list))
	for i, x := range list {
		out[i] = e.condition(x)
	}
	return out
}

// chain is the operands of a && b && c, whatever the parser nested them in.
func chain(x ast.Expr, operator string) []ast.Expr {
	if x.Kind() != ast.CallKind || x.AsCall().FunctionName() != operator {
		return []ast.Expr{x}
	}
	args := x.AsCall().Args()
	return append(chain(args[0], operator), chain(args[1], operator)...)
}

// A leaf is a condition without parts. About is the operand that is no constant,
// nil where that is not one.
type leaf struct {
	op, field string
	values    []string
	time      bool // what it compares are times
	about     ast.Expr
}

func (e *evaluation) leaf(x ast.Expr) leaf {
	switch x.Kind() {
	case ast.LiteralKind:
		if x.AsLiteral().Value() == true {
			return leaf{op: sayTrue}
		}
	case ast.IdentKind, ast.SelectKind:
		return leaf{op: sayTrue, field: e.text(x), about: x}
	case ast.CallKind:
		return e.callLeaf(x.AsCall())
	}
	return leaf{op: sayOther}
}

func (e *evaluation) callLeaf(c ast.CallExpr) leaf {
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	name := c.FunctionName()
	as, ok := comparisons[name]
	if !ok || len(args) != 2 {
		return leaf{op: sayOther}
	}
	about, with, op := args[0], args[1], as.op
	if constant(about) {
		about, with, op = with, about, as.mirrored
	}
	if op == "" || constant(about) || !constant(with) {
		return leaf{op: sayOther}
	}
	value := e.eval(with)
	if !value.known() {
		return leaf{op: sayOther}
	}
	_, isTime := value.value.(time.Time)
	return leaf{op: op, field: e.text(about), values: values(value.value), time: isTime, about: about}
}

// constant reports whether an expression is the same for every visit.
func constant(x ast.Expr) bool {
	constant := true
	ast.PostOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) {
		constant = constant && x.Kind() != ast.IdentKind && x.Kind() != ast.ComprehensionKind
	}))
	return constant
}

// drawn reports whether an expression reads the visitor's id.
func drawn(x ast.Expr) bool {
	drawn := false
	ast.PostOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) { drawn = drawn || identifier(x) == visitorVar }))
	return drawn
}

// values writes a constant, or each element of a list, as people read it.
func values(v any) []string {
	if list, ok := v.([]any); ok {
		out := make([]string, 0, len(list))
		for _, x := range list {
			out = append(out, values(x)...)
		}
		return out
	}
	switch v := v.(type) {
	case string:
		return []string{v}
	case float64:
		return []string{strconv.FormatFloat(v, 'g', -1, 64)}
	case time.Time:
		return []string{v.UTC().Format(time.RFC3339Nano)}
	}
	return []string{fmt.Sprint(v)}
}

// saw is what an operand was, as JSON; empty when it is unknown or no JSON says
// it, and where it is drawn from the visitor's id: a page's scripts would know the
// visitor again by a few buckets.
func (e *evaluation) saw(x ast.Expr) string {
	o := e.eval(x)
	if !o.known() || drawn(x) {
		return ""
	}
	if f := e.lang.fields[strings.TrimPrefix(identifier(x), ".")]; f != nil && f.typ != edge.TypeTime {
		v := e.values(f.name)
		return string(v.AppendJSON(nil))
	}
	v := edge.Value{}
	switch value := o.value.(type) {
	case bool:
		v = edge.Value{Type: edge.TypeBool, Int: int64(truth(value))}
	case int64:
		v = edge.Value{Type: edge.TypeInt, Int: value}
	case float64:
		v = edge.Value{Type: edge.TypeFloat, Float: value}
	case []any:
		return ""
	default:
		v = edge.Value{Type: edge.TypeString, Str: strings.Join(values(value), "")}
	}
	return string(v.AppendJSON(nil))
}

func identifier(x ast.Expr) string {
	if x.Kind() == ast.IdentKind {
		return x.AsIdent()
	}
	return ""
}

// A share is the part of visitors that a candidate is for: those whose bucket for
// the salt is in [from, until).
type share struct {
	salt        string
	from, until int
	// of says which visitors they are: %s stands for the share.
	of string
}

// share says whether the visitor is in one.
func (s *surroundings) share(h share) edge.Condition {
	percent := strconv.FormatFloat(float64(h.until-h.from)*100/edge.Buckets, 'f', -1, 64)
	var c shaped
	c.Op, c.Values, c.Words = sayShare, []string{percent}, fmt.Sprintf(h.of, percent+" %")
	c.Text = fmt.Sprintf("hash(%q) < %d", h.salt, h.until)
	if h.from > 0 {
		c.Text = fmt.Sprintf("hash(%q) >= %d && ", h.salt, h.from) + c.Text
	}
	id := s.fieldValue(visitorVar)
	if id.known() {
		bucket := edge.Bucket(h.salt, str(id.value))
		id = known(bucket >= h.from && bucket < h.until)
	}
	c.conclude(id)
	return c.Condition
}

// explain says what became of a slot's candidate: of its rule's condition and of
// its shares of the visitors. It holds when all of them do.
func (s *surroundings) explain(slot, candidate int, isKept bool) (*edge.Condition, error) {
	if slot < 0 || slot >= len(s.slots) || candidate < 0 {
		return nil, fmt.Errorf("explain: no candidate %d of slot %d", candidate, slot)
	}
	of := &s.slots[slot]
	for i := range of.rules {
		r := &of.rules[i]
		if candidate < len(r.show) {
			c := s.explainShow(of.name, r, candidate, isKept)
			return &c, nil
		}
		candidate -= len(r.show)
	}
	return nil, fmt.Errorf("explain: slot %s has no such candidate", of.name)
}

func (s *surroundings) explainShow(slot string, r *rule, show int, isKept bool) edge.Condition {
	var parts []edge.Condition
	if r.when != nil {
		e := evaluation{surroundings: s, checked: r.when.ast}
		c := e.condition(r.when.ast.Expr())
		c.Text = strings.TrimSpace(r.when.source)
		parts = append(parts, c)
	}
	if r.rollout < edge.Buckets {
		parts = append(parts, s.share(share{edge.RolloutSalt(slot, r.name), 0, r.rollout, "among the %s of visitors chosen for this rule"}))
	}
	if len(r.show) > 1 {
		of := r.show[show]
		part := s.share(share{edge.ShowSalt(slot, r.name), of.from, of.until, "among the %s of them that are shown " + strings.ReplaceAll(of.variant, "%", "%%")})
		if isKept { // whatever the weights say now
			words := "shown " + of.variant + " before, which stays"
			part = edge.Condition{Text: words, Words: words, Op: sayOther, Verdict: edge.VerdictHeld}
		}
		parts = append(parts, part)
	}
	switch len(parts) {
	case 0:
		return edge.Condition{Text: "true", Words: "always", Op: sayTrue, Verdict: edge.VerdictHeld}
	case 1:
		return parts[0]
	}
	return all(parts)
}

// all is the condition that all parts hold.
func all(parts []edge.Condition) edge.Condition {
	c := shaped{edge.Condition{Op: sayAnd, Parts: parts}}
	texts, words := make([]string, len(parts)), make([]string, len(parts))
	verdict := known(true)
	for i, part := range parts {
		texts[i], words[i] = bracket(part.Op, part.Text), part.Words
		if part.Op == sayOr {
			words[i] = "(" + part.Words + ")"
		}
		verdict = decided(false, verdict, outcomeOf(part))
	}
	c.Text, c.Words = strings.Join(texts, " && "), strings.Join(words, " and ")
	c.conclude(verdict)
	return c.Condition
}

// bracket puts a text in brackets that && would tear apart.
func bracket(op, text string) string {
	if op == sayOr || op == sayOther && strings.Contains(text, "?") {
		return "(" + text + ")"
	}
	return text
}

func outcomeOf(c edge.Condition) outcome {
	if c.Verdict == edge.VerdictUnknown {
		return outcome{why: slices.Clone(c.Unknown)}
	}
	return known(c.Verdict == edge.VerdictHeld)
}
