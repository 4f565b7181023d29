// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/parser"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// The reference interpreter. It walks the checked expression as cel-go gives it,
// knows nothing of the compiler and is slow: it says what an expression means,
// for people (explain) and for the tests that hold the compiler to it.

// An outcome is what an expression gives: a value, or why there is none. A value
// is a bool, int64, float64, string, time.Time, time.Duration, edge.Item,
// []any (a list) or map[string]any.
type outcome struct {
	value any
	why   []edge.UnknownField // not empty: there is no value
}

func known(value any) outcome { return outcome{value: value} }

func (o outcome) known() bool { return len(o.why) == 0 }

// is reports whether o is known to be the truth value b.
func (o outcome) is(b bool) bool { return o.known() && o.value == any(b) }

// unknown is the outcome of an operation on operands of which some have no
// value: all their reasons, each once.
func unknown(operands ...outcome) outcome {
	var out outcome
	for _, o := range operands {
		for _, w := range o.why {
			if !slices.Contains(out.why, w) {
				out.why = append(out.why, w)
			}
		}
	}
	return out
}

// The causes of edge.UnknownField.
const (
	causeRefused   = "refused"
	causeAbsent    = "absent"
	causeWarmingUp = "warming-up"
	causeError     = "error"
)

// Surroundings are what expressions are evaluated in: one visit under one
// consent.
type surroundings struct {
	*document
	// values gives a field's value by its wire name, the unknown Value when it is
	// absent.
	values  func(name string) edge.Value
	granted consent.Purposes

	// told are the audiences that have been evaluated and opened those whose parts
	// have been explained: audiences that use each other could double the work at
	// each step.
	told   map[string]outcome
	opened map[string]bool
}

// An evaluation is one expression in its surroundings. Bound are the variables
// of the exists and all around the part that is being evaluated.
type evaluation struct {
	*surroundings
	checked *ast.AST
	bound   map[string]outcome
}

// evaluate says what an expression gives.
func (s *surroundings) evaluate(checked *ast.AST) outcome {
	e := evaluation{surroundings: s, checked: checked}
	return e.eval(checked.Expr())
}

func (e *evaluation) eval(x ast.Expr) outcome {
	switch x.Kind() {
	case ast.LiteralKind:
		return known(literal(x.AsLiteral()))
	case ast.IdentKind:
		return e.variable(x.AsIdent())
	case ast.SelectKind:
		return e.member(x)
	case ast.ListKind:
		return e.list(x.AsList().Elements())
	case ast.ComprehensionKind:
		return e.comprehension(x.AsComprehension())
	case ast.CallKind:
		return e.call(x)
	}
	return e.fault(x)
}

func literal(v ref.Val) any {
	switch v := v.(type) {
	case types.Bool:
		return bool(v)
	case types.Int:
		return int64(v)
	case types.Double:
		return float64(v)
	case types.String:
		return string(v)
	case types.Timestamp:
		return v.Time
	case types.Duration:
		return v.Duration
	}
	return nil
}

// fault is the outcome of an operation that CEL answers with an error.
func (e *evaluation) fault(x ast.Expr) outcome {
	return outcome{why: []edge.UnknownField{{Field: e.text(x), Cause: causeError}}}
}

// missing is the outcome of a look into a map or list for what it does not have.
func (e *evaluation) missing(x ast.Expr) outcome {
	return outcome{why: []edge.UnknownField{{Field: e.text(x), Cause: causeAbsent}}}
}

// text is an expression as one would write it.
func (e *evaluation) text(x ast.Expr) string {
	text, err := parser.Unparse(x, e.checked.SourceInfo())
	if err != nil {
		return "?"
	}
	return text
}

// variable is a variable of exists or all, or else a field. The checker puts a
// dot before a field that such a variable would hide.
func (e *evaluation) variable(name string) outcome {
	if o, ok := e.bound[name]; ok {
		return o
	}
	name = strings.TrimPrefix(name, ".")
	if audience, ok := strings.CutPrefix(name, audienceVar); ok {
		return e.inAudience(audience)
	}
	return e.fieldValue(name)
}

func (s *surroundings) inAudience(name string) outcome {
	o, ok := s.told[name]
	if !ok {
		o = s.evaluate(s.audiences[name].ast)
		if s.told == nil {
			s.told = make(map[string]outcome)
		}
		s.told[name] = o
	}
	return o
}

// fieldValue is the value of a field by its variable.
func (s *surroundings) fieldValue(variable string) outcome {
	f := s.lang.fields[variable]
	if !s.granted.Has(f.purpose) {
		return outcome{why: []edge.UnknownField{{Field: f.name, Cause: causeRefused, Purpose: f.purpose.String()}}}
	}
	v := s.values(f.name)
	if !v.Known() {
		return outcome{why: []edge.UnknownField{{Field: f.name, Cause: causeAbsent}}}
	}
	return known(native(&v))
}

// native is a field's value as expressions see it.
func native(v *edge.Value) any {
	switch v.Type {
	case edge.TypeInt:
		return v.Int
	case edge.TypeBool:
		return v.Int != 0
	case edge.TypeTime:
		return time.UnixMilli(v.Int).UTC()
	case edge.TypeFloat:
		return v.Float
	case edge.TypeString:
		return v.Str
	case edge.TypeList:
		return anys(v.List)
	case edge.TypeItems:
		return anys(v.Items)
	case edge.TypeMap:
		m := make(map[string]any, len(v.Map))
		for _, entry := range v.Map {
			m[entry.Key] = entry.Value
		}
		return m
	}
	return nil
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, x := range list {
		out[i] = x
	}
	return out
}

// member is x.name of an item or of a map.
func (e *evaluation) member(x ast.Expr) outcome {
	sel := x.AsSelect()
	operand := e.eval(sel.Operand())
	if !operand.known() {
		return operand
	}
	switch v := operand.value.(type) {
	case edge.Item:
		switch sel.FieldName() {
		case "id":
			return known(v.ID)
		case "quantity":
			return known(v.Quantity)
		case "price":
			return known(v.Price)
		}
	case map[string]any:
		if value, ok := v[sel.FieldName()]; ok {
			return known(value)
		}
		return e.missing(x)
	}
	return e.fault(x)
}

func (e *evaluation) list(elements []ast.Expr) outcome {
	values := make([]any, len(elements))
	outcomes := make([]outcome, len(elements))
	for i, x := range elements {
		outcomes[i] = e.eval(x)
		values[i] = outcomes[i].value
	}
	if missing := unknown(outcomes...); !missing.known() {
		return missing
	}
	return known(values)
}

// comprehension is what exists and all are written out to: an accumulator that
// begins with a value and takes a step for each element while a condition is not
// false.
func (e *evaluation) comprehension(c ast.ComprehensionExpr) outcome {
	over := e.eval(c.IterRange())
	if !over.known() {
		return over
	}
	inner := *e
	inner.bound = maps.Clone(e.bound)
	if inner.bound == nil {
		inner.bound = make(map[string]outcome)
	}
	inner.bound[c.AccuVar()] = e.eval(c.AccuInit())
	for _, element := range elements(over.value) {
		inner.bound[c.IterVar()] = known(element)
		if inner.eval(c.LoopCondition()).is(false) {
			break
		}
		inner.bound[c.AccuVar()] = inner.eval(c.LoopStep())
	}
	delete(inner.bound, c.IterVar())
	return inner.eval(c.Result())
}

// elements are what a comprehension goes through: a list's elements, a map's
// keys.
func elements(v any) []any {
	if m, ok := v.(map[string]any); ok {
		return anys(slices.Sorted(maps.Keys(m)))
	}
	list, _ := v.([]any)
	return list
}
