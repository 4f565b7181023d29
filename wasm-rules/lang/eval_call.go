// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/nearside/nearside/edge"
)

// call is an operator or a function. Those in the first group look at their
// operands one by one; all others need the value of each.
func (e *evaluation) call(x ast.Expr) outcome {
	if key, ok := countKey(x); ok {
		return e.count(e.text(x), key)
	}
	c := x.AsCall()
	args := c.Args()
	switch c.FunctionName() {
	case operators.LogicalAnd:
		return decided(false, e.eval(args[0]), e.eval(args[1]))
	case operators.LogicalOr:
		return decided(true, e.eval(args[0]), e.eval(args[1]))
	case operators.NotStrictlyFalse:
		return known(!e.eval(args[0]).is(false))
	case operators.Conditional:
		switch test := e.eval(args[0]); {
		case !test.known():
			return test
		case test.is(true):
			return e.eval(args[1])
		}
		return e.eval(args[2])
	}
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	operands := e.list(args)
	if !operands.known() {
		return operands
	}
	v, _ := operands.value.([]any)
	if value := apply(c.FunctionName(), v); value != nil {
		return known(value)
	}
	if c.FunctionName() == operators.Index {
		return e.missing(x)
	}
	return e.fault(x)
}

// countKey returns the key in the field counts that a call of count stands for.
func countKey(x ast.Expr) (string, bool) {
	if x.Kind() != ast.CallKind || x.AsCall().FunctionName() != "int" {
		return "", false
	}
	index := x.AsCall().Args()[0]
	if index.Kind() != ast.CallKind || index.AsCall().FunctionName() != operators.Index {
		return "", false
	}
	args := index.AsCall().Args()
	if identifier(args[0]) != countsVar {
		return "", false
	}
	return text(args[1])
}

// count is count("event", "7d"). While the window is not filled the field has no
// number for it.
func (e *evaluation) count(call, key string) outcome {
	counts := e.fieldValue(countsVar)
	if !counts.known() {
		why := counts.why[0]
		why.Field = call
		return outcome{why: []edge.UnknownField{why}}
	}
	n := at(counts.value, key)
	if n == nil {
		return outcome{why: []edge.UnknownField{{Field: call, Cause: causeWarmingUp}}}
	}
	return known(toInt(n))
}

// decided is a && b for by false and a || b for by true: one operand may decide
// alone, whatever the other is.
func decided(by bool, a, b outcome) outcome {
	if a.is(by) || b.is(by) {
		return known(by)
	}
	if a.known() && b.known() {
		return known(!by)
	}
	return unknown(a, b)
}

// str and num are values that the type check has seen to.
func str(v any) string  { s, _ := v.(string); return s }
func num(v any) float64 { f, _ := v.(float64); return f }

// apply applies an operator or function of CEL to values; nil is an error.
func apply(name string, v []any) any {
	switch name {
	case operators.LogicalNot:
		return v[0] == any(false)
	case operators.Equals:
		return equal(v[0], v[1])
	case operators.NotEquals:
		return !equal(v[0], v[1])
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return ordered(name, v[0], v[1])
	case operators.In:
		return slices.ContainsFunc(elements(v[1]), func(x any) bool { return equal(x, v[0]) })
	case operators.Index:
		return at(v[0], v[1])
	case operators.Negate:
		return negate(v[0])
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
		return arithmetic(name, v[0], v[1])
	case "size":
		return size(v[0])
	case "startsWith":
		return strings.HasPrefix(str(v[0]), str(v[1]))
	case "endsWith":
		return strings.HasSuffix(str(v[0]), str(v[1]))
	case "contains":
		return strings.Contains(str(v[0]), str(v[1]))
	case fnLowerASCII:
		return strings.Map(lowerRune, str(v[0]))
	case "int", "double", "timestamp", "duration", "bool":
		return convert(name, v[0])
	case fnHash:
		return int64(edge.Bucket(str(v[0]), str(v[1])))
	case fnDistance:
		if km, ok := distanceKm(num(v[0]), num(v[1]), num(v[2]), num(v[3])); ok {
			return km
		}
		return nil
	}
	return getPart(name, v[0])
}

// equal compares as CEL's == does: numbers by value, NaN with nothing.
func equal(a, b any) bool {
	if a, ok := a.([]any); ok {
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	}
	c, ok := compare(a, b)
	return ok && c == 0
}

// ordered is a < b and its kin; all are false where one is NaN.
func ordered(operator string, a, b any) bool {
	c, ok := compare(a, b)
	switch operator {
	case operators.Less:
		return ok && c < 0
	case operators.LessEquals:
		return ok && c <= 0
	case operators.Greater:
		return ok && c > 0
	}
	return ok && c >= 0
}

// compare orders two values of a kind; an integer beside a double is compared as
// the double nearest to it.
func compare(a, b any) (int, bool) {
	switch a := a.(type) {
	case bool:
		if b, ok := b.(bool); ok {
			return truth(a) - truth(b), true
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Compare(b), true
		}
	case time.Duration:
		if b, ok := b.(time.Duration); ok {
			return order(a, b), true
		}
	case int64:
		switch b := b.(type) {
		case int64:
			return order(a, b), true
		case float64:
			return order(float64(a), b), !math.IsNaN(b)
		}
	case float64:
		switch b := b.(type) {
		case int64:
			return order(a, float64(b)), !math.IsNaN(a)
		case float64:
			return order(a, b), !math.IsNaN(a) && !math.IsNaN(b)
		}
	}
	return 0, false
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func order[T int64 | float64 | time.Duration](a, b T) int { return truth(a > b) - truth(a < b) }

// at is list[i] and map[key].
func at(v, key any) any {
	switch v := v.(type) {
	case []any:
		if i, ok := key.(int64); ok && i >= 0 && i < int64(len(v)) {
			return v[i]
		}
	case map[string]any:
		return v[str(key)]
	}
	return nil
}

// size counts a string's characters, a list's elements, a map's entries.
func size(v any) any {
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v))
	case []any:
		return int64(len(v))
	case map[string]any:
		return int64(len(v))
	}
	return nil
}

func lowerRune(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r - 'A' + 'a'
	}
	return r
}

func negate(v any) any {
	if f, ok := v.(float64); ok {
		return -f
	}
	return arithmetic(operators.Subtract, int64(0), v)
}

// arithmetic calculates; what does not fit the result's type is an error.
func arithmetic(operator string, a, b any) any {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return integers(operator, a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return doubles(operator, a, b)
		}
	case time.Time, time.Duration:
		return times(operator, a, b)
	}
	return nil
}

// integers calculates without bounds and then looks whether the result fits.
func integers(operator string, a, b int64) any {
	x, y, z := big.NewInt(a), big.NewInt(b), new(big.Int)
	switch operator {
	case operators.Add:
		z.Add(x, y)
	case operators.Subtract:
		z.Sub(x, y)
	case operators.Multiply:
		z.Mul(x, y)
	default:
		if b == 0 || a == math.MinInt64 && b == -1 {
			return nil // CEL counts the overflow as one of % too
		}
		if operator == operators.Divide {
			z.Quo(x, y)
		} else {
			z.Rem(x, y)
		}
	}
	if !z.IsInt64() {
		return nil
	}
	return z.Int64()
}

func doubles(operator string, a, b float64) any {
	switch operator {
	case operators.Add:
		return a + b
	case operators.Subtract:
		return a - b
	case operators.Multiply:
		return a * b
	case operators.Divide:
		return a / b
	}
	return nil
}
