// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"strconv"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// A lifting takes the constants out of an expression: each becomes a field of the
// visit that has its value. What is left cannot be told when it is compiled.
type lifting struct {
	factory ast.ExprFactory
	own     []edge.OwnField
	values  []edge.Value
}

// lift returns source without constants, with the fields that it has instead. A
// constant that no field can have stays.
func lift(t testing.TB, l *lang.Language, source string) (string, *lifting) {
	t.Helper()
	env, err := l.Env().Extend(cel.ClearMacros())
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := env.Parse(source)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", source, issues.Err())
	}
	out := &lifting{factory: ast.NewExprFactory()}
	root := parsed.NativeRep().Expr()
	out.walk(root)
	text, err := parser.Unparse(root, ast.NewSourceInfo(nil))
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return text, out
}

func (l *lifting) walk(e ast.Expr) {
	switch e.Kind() {
	case ast.LiteralKind:
		if v := literalValue(e); v.Known() {
			e.SetKindCase(l.field(e.ID(), v))
		}
	case ast.SelectKind:
		l.walk(e.AsSelect().Operand())
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			l.walk(x)
		}
	case ast.CallKind:
		call := e.AsCall()
		if span, ok := timeCall(call); ok {
			switch at, isTime := span.(time.Time); {
			case isTime:
				e.SetKindCase(l.field(e.ID(), edge.Value{Type: edge.TypeTime, Int: at.UnixMilli()}))
			default:
				d, _ := span.(time.Duration)
				until := l.field(e.ID(), edge.Value{Type: edge.TypeTime, Int: d.Milliseconds()})
				from := l.field(e.ID(), edge.Value{Type: edge.TypeTime})
				e.SetKindCase(l.factory.NewCall(e.ID(), operators.Subtract, until, from))
			}
			return
		}
		if name := call.FunctionName(); name == "timestamp" || name == "duration" {
			return
		}
		if call.IsMemberFunction() {
			l.walk(call.Target())
		}
		for _, x := range call.Args() {
			l.walk(x)
		}
	}
}

// timeCall is the value of timestamp("...") and duration("...").
func timeCall(c ast.CallExpr) (any, bool) {
	if len(c.Args()) != 1 || c.IsMemberFunction() || c.Args()[0].Kind() != ast.LiteralKind {
		return nil, false
	}
	s, ok := c.Args()[0].AsLiteral().(types.String)
	if !ok {
		return nil, false
	}
	switch c.FunctionName() {
	case "timestamp":
		t, err := time.Parse(time.RFC3339, string(s))
		return t, err == nil
	case "duration":
		d, err := time.ParseDuration(string(s))
		return d, err == nil
	}
	return nil, false
}

func literalValue(e ast.Expr) edge.Value {
	switch v := e.AsLiteral().(type) {
	case types.Bool:
		out := edge.Value{Type: edge.TypeBool}
		if v {
			out.Int = 1
		}
		return out
	case types.Int:
		return edge.Value{Type: edge.TypeInt, Int: int64(v)}
	case types.Double:
		return edge.Value{Type: edge.TypeFloat, Float: float64(v)}
	case types.String:
		return edge.Value{Type: edge.TypeString, Str: string(v)}
	}
	return edge.Value{}
}

func (l *lifting) field(id int64, v edge.Value) ast.Expr {
	name := "c" + strconv.Itoa(len(l.own))
	l.own = append(l.own, edge.OwnField{Name: "lifted." + name, Type: v.Type.String(), Purpose: "context"})
	l.values = append(l.values, v)
	return l.factory.NewSelect(id, l.factory.NewIdent(id, "lifted"), name)
}

func TestLift(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields})
	got, lifted := lift(t, l, `shop.tier == "a" && [1, 2].exists(x, x > 3) || now - timestamp("2026-01-01T00:00:00Z") > duration("1h")`)
	want := `shop.tier == lifted.c0 && [lifted.c1, lifted.c2].exists(x, x > lifted.c3) || now - lifted.c4 > lifted.c5 - lifted.c6`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v := lifted.values; len(v) != 7 || v[5].Int != 3600e3 || v[6].Int != 0 || v[1].Int != 1 || v[0].Str != "a" {
		t.Errorf("got %+v", lifted.values)
	}
}
