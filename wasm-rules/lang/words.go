// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// A phrase says what a kind of condition says of its field, and what its opposite
// says.
type phrase struct{ yes, no string }

var phrases = map[string]phrase{
	sayIs:         {"is", "is not"},
	sayIsNot:      {"is not", "is"},
	sayOneOf:      {"is one of", "is none of"},
	sayAtLeast:    {"is at least", "is not at least"},
	sayMoreThan:   {"is more than", "is not more than"},
	sayAtMost:     {"is at most", "is not at most"},
	sayLessThan:   {"is less than", "is not less than"},
	sayStartsWith: {"starts with", "does not start with"},
	sayEndsWith:   {"ends with", "does not end with"},
	sayContains:   {"contains", "does not contain"},
	sayHas:        {"has", "does not have"},
	sayTrue:       {"is true", "is not true"},
}

// timePhrases take the place of phrases where times are compared.
var timePhrases = map[string]phrase{
	sayAtLeast:  {"is not before", "is before"},
	sayMoreThan: {"is after", "is not after"},
	sayAtMost:   {"is not after", "is after"},
	sayLessThan: {"is before", "is not before"},
}

func (p phrase) say(no bool) string {
	if no {
		return p.no
	}
	return p.yes
}

// words says a condition, or its opposite, in English.
func (e *evaluation) words(x ast.Expr, no bool) string {
	switch x.Kind() {
	case ast.ComprehensionKind:
		return e.wordsOfEach(x.AsComprehension(), no)
	case ast.LiteralKind:
		if x.AsLiteral().Value() == !no {
			return "always"
		}
		return "never"
	case ast.IdentKind:
		if name, ok := strings.CutPrefix(x.AsIdent(), audienceVar); ok {
			return phrase{"the visitor is in", "the visitor is not in"}.say(no) + " the audience " + name
		}
	case ast.CallKind:
		c := x.AsCall()
		switch c.FunctionName() {
		case operators.LogicalAnd:
			return negated(no, e.joined(chain(x, operators.LogicalAnd), " and ", operators.LogicalOr))
		case operators.LogicalOr:
			return negated(no, e.joined(chain(x, operators.LogicalOr), " or ", operators.LogicalAnd))
		case operators.LogicalNot:
			return e.words(c.Args()[0], !no)
		case operators.Conditional:
			return negated(no, "if "+e.words(c.Args()[0], false)+" then "+e.words(c.Args()[1], false)+", else "+e.words(c.Args()[2], false))
		}
	}
	return e.wordsOfLeaf(x, no)
}

func negated(no bool, words string) string {
	if no {
		return "not (" + words + ")"
	}
	return words
}

// joined says the operands of && or ||; those joined by the other operator go in
// brackets.
func (e *evaluation) joined(list []ast.Expr, by, other string) string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = e.words(x, false)
		if x.Kind() != ast.CallKind {
			continue
		}
		if name := x.AsCall().FunctionName(); name == other || name == operators.Conditional {
			out[i] = "(" + out[i] + ")"
		}
	}
	return strings.Join(out, by)
}

func (e *evaluation) wordsOfLeaf(x ast.Expr, no bool) string {
	l := e.leaf(x)
	said, ok := phrases[l.op]
	if t, isTime := timePhrases[l.op]; l.time && isTime {
		said, ok = t, true
	}
	if ok {
		return strings.TrimSpace(l.field + " " + said.say(no) + " " + list(l.values))
	}
	if x.Kind() == ast.CallKind {
		if said := e.wordsOfOperands(x.AsCall(), no); said != "" {
			return said
		}
	}
	return e.text(x) + " " + phrases[sayTrue].say(no)
}

// wordsOfOperands says a comparison of which no operand is a constant.
func (e *evaluation) wordsOfOperands(c ast.CallExpr, no bool) string {
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	as, ok := comparisons[c.FunctionName()]
	if !ok || len(args) != 2 {
		return ""
	}
	if c.FunctionName() == operators.In && args[1].Kind() != ast.ListKind {
		return e.text(args[1]) + " " + phrases[sayHas].say(no) + " " + e.text(args[0])
	}
	return e.text(args[0]) + " " + phrases[as.op].say(no) + " " + e.text(args[1])
}

// wordsOfEach says exists, whose step is an or, and all, whose step is an and.
func (e *evaluation) wordsOfEach(c ast.ComprehensionExpr, no bool) string {
	step := c.LoopStep().AsCall()
	each := phrase{"at least one ", "no "}
	if step.FunctionName() == operators.LogicalAnd {
		each = phrase{"every ", "not every "}
	}
	return each.say(no) + c.IterVar() + " of " + e.text(c.IterRange()) + ": " + e.words(step.Args()[1], false)
}

// list joins values; nothing of an empty text could be seen.
func list(values []string) string {
	out := slices.Clone(values)
	for i := range out {
		if out[i] == "" {
			out[i] = `""`
		}
	}
	return strings.Join(out, ", ")
}
