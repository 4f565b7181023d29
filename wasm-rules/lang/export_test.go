// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A Language is a document's language for tests outside the package, which use
// the rule host's package too.
type Language struct{ *document }

// NewLanguage returns the language of a document, which must be right.
func NewLanguage(doc *edge.ReleaseDocument) (*Language, error) {
	d, err := checkDocument(doc)
	if err != nil {
		return nil, err
	}
	return &Language{d}, nil
}

// Env is what cel-go evaluates the language in.
func (l *Language) Env() *cel.Env { return l.lang.env }

// An Expression has been checked.
type Expression struct{ *expression }

// AST is the expression as cel-go has checked it.
func (e Expression) AST() *ast.AST { return e.ast }

// Check checks an expression of a type.
func (l *Language) Check(source string, want *cel.Type) (Expression, error) {
	e, faults := l.lang.check(source, want)
	for _, f := range faults {
		return Expression{}, f.at(edge.RuleError{Slot: "test", Rule: "test", Member: "when"})
	}
	return Expression{e}, nil
}

// Interpret evaluates an expression with the reference interpreter: a value, or
// why there is none.
func (l *Language) Interpret(e Expression, values func(string) edge.Value, granted consent.Purposes) (any, []edge.UnknownField) {
	o := l.surroundings(values, granted).evaluate(e.ast)
	return o.value, o.why
}

// Describe says what became of a condition.
func (l *Language) Describe(e Expression, values func(string) edge.Value, granted consent.Purposes) edge.Condition {
	in := evaluation{surroundings: l.surroundings(values, granted), checked: e.ast}
	return in.condition(e.ast.Expr())
}

func (l *Language) surroundings(values func(string) edge.Value, granted consent.Purposes) *surroundings {
	return &surroundings{document: l.document, values: values, granted: granted}
}

// Explain says what became of a candidate.
func (l *Language) Explain(slot, candidate int, values func(string) edge.Value, granted consent.Purposes) (*edge.Condition, error) {
	return l.surroundings(values, granted).explain(slot, candidate, false)
}

// ExplainKept says what became of a candidate that was kept.
func (l *Language) ExplainKept(slot, candidate int, values func(string) edge.Value, granted consent.Purposes) (*edge.Condition, error) {
	return l.surroundings(values, granted).explain(slot, candidate, true)
}

// Audience is an audience's condition.
func (l *Language) Audience(name string) Expression { return Expression{l.audiences[name]} }

// Names of the variables that functions stand for.
const (
	VisitorVar  = visitorVar
	CountsVar   = countsVar
	AudienceVar = audienceVar
)

// Functions are those the language has, operators among them.
var Functions = functions

// EncodeVisit writes a record of fields by wire name.
func EncodeVisit(values map[string]edge.Value, own []edge.OwnField) []byte {
	return encodeVisit(values, own, edge.BuiltinFields)
}

// Indexed says of how many rules of a document tables tell all there is to say, and of how
// many they tell some.
func Indexed(doc *edge.ReleaseDocument) (all, some int) {
	d, err := checkDocument(doc)
	if err != nil {
		panic(err)
	}
	c := &compiler{document: d, lowerer: newLowerer(d), all: newInput()}
	c.lower(doc.Audiences)
	c.indexRules()
	for i := range c.plans {
		for j := range c.plans[i].rules {
			switch p := &c.plans[i].rules[j]; {
			case p.isTold():
				all++
			case p.indexed:
				some++
			}
		}
	}
	return all, some
}
