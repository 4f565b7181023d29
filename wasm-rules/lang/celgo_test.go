// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// neither is the answer to an expression that has no value.
type neither struct{}

// A celProgram is an expression as cel-go itself evaluates it.
type celProgram struct{ program cel.Program }

func newCELProgram(t testing.TB, l *lang.Language, e lang.Expression) celProgram {
	t.Helper()
	checked := ast.Copy(e.AST())
	program, err := l.Env().PlanProgram(checked, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		t.Fatalf("cel-go: %v", err)
	}
	return celProgram{program}
}

// eval returns a bool, int64, float64, string, time.Time or time.Duration, or
// neither.
func (p celProgram) eval(vars cel.PartialActivation) any {
	value, _, err := p.program.Eval(vars)
	if err != nil || types.IsUnknownOrError(value) {
		return neither{}
	}
	return value.Value()
}

// celVars gives cel-go what the visitor's rules see. What they do not see is
// unknown to it. Audiences are in the order in which they use each other.
func celVars(t testing.TB, l *lang.Language, v *visitor, audiences []edge.Audience, programs map[string]celProgram) cel.PartialActivation {
	t.Helper()
	known := make(map[string]any)
	var unknown []*cel.AttributePatternType
	for n, f := range v.fields {
		name := f.name
		switch edge.FieldNumber(n) {
		case edge.FieldVisitorID:
			name = lang.VisitorVar
		case edge.FieldCounts:
			name = lang.CountsVar
		}
		if seen := v.sees(n); seen.Known() {
			known[name] = celValue(&seen)
		} else {
			unknown = append(unknown, cel.AttributePattern(name))
		}
	}
	for _, a := range audiences {
		vars, err := cel.PartialVars(known, unknown...)
		if err != nil {
			t.Fatal(err)
		}
		switch got := programs[a.Name].eval(vars).(type) {
		case bool:
			known[lang.AudienceVar+a.Name] = got
		default:
			unknown = append(unknown, cel.AttributePattern(lang.AudienceVar+a.Name))
		}
	}
	vars, err := cel.PartialVars(known, unknown...)
	if err != nil {
		t.Fatal(err)
	}
	return vars
}

func celValue(v *edge.Value) any {
	switch v.Type {
	case edge.TypeInt:
		return v.Int
	case edge.TypeFloat:
		return v.Float
	case edge.TypeBool:
		return v.Int != 0
	case edge.TypeTime:
		return time.UnixMilli(v.Int).UTC()
	case edge.TypeString:
		return v.Str
	case edge.TypeList:
		return append([]string{}, v.List...)
	case edge.TypeItems:
		items := []map[string]any{}
		for _, i := range v.Items {
			items = append(items, map[string]any{"id": i.ID, "quantity": i.Quantity, "price": i.Price})
		}
		return items
	}
	m := make(map[string]float64)
	for _, e := range v.Map {
		m[e.Key] = e.Value
	}
	return m
}
