// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/nearside/nearside/edge"
)

// The codes of an edge.RuleError.
const (
	codeSyntax      = "syntax"
	codeType        = "type"
	codeUnsupported = "unsupported"
	codeUnknownName = "unknown-name"
	codeTooLarge    = "too-large"
	codeShape       = "shape"
)

// An expression is a condition or a score that has been parsed and checked: its
// types are right and it holds nothing but what the language has.
//
// In ast, a field is an identifier with the field's variable name, whatever its
// number of words; functions of the language are expanded as macros says, and
// SourceInfo().MacroCalls() has them as they were written.
type expression struct {
	source string
	ast    *ast.AST
}

// A fault is a RuleError of which the place is not known yet.
type fault struct {
	line, column        int
	code, message, hint string
}

// at returns the RuleError of a fault in a member of a rule, or of an audience.
func (f fault) at(where edge.RuleError) *edge.RuleError {
	where.Line, where.Column = f.line, f.column
	where.Code, where.Message, where.Hint = f.code, f.message, f.hint
	return &where
}

// condition parses and checks an expression that must be of type bool.
func (l *language) condition(source string) (*expression, []fault) {
	return l.check(source, cel.BoolType)
}

// score parses and checks an expression that must be of type int.
func (l *language) score(source string) (*expression, []fault) {
	return l.check(source, cel.IntType)
}

func (l *language) check(source string, want *cel.Type) (*expression, []fault) {
	if n := len(source); n > edge.MaxExpressionBytes {
		return nil, []fault{{code: codeTooLarge, message: fmt.Sprintf("%d bytes, at most %d", n, edge.MaxExpressionBytes),
			hint: "move a part into an audience"}}
	}
	parsed, issues := l.env.Parse(source)
	if issues.Err() != nil {
		return nil, syntaxFaults(issues, source)
	}
	c := &checker{language: l, ast: parsed.NativeRep()}
	c.names(c.ast.Expr(), nil)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	checked, issues := l.env.Check(parsed)
	if issues.Err() != nil {
		return nil, c.typeFaults(issues)
	}
	c.ast = checked.NativeRep()
	c.subset(c.ast.Expr(), 0)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	if got := checked.OutputType(); !got.IsExactType(want) {
		c.blame(c.ast.Expr(), codeType, fmt.Sprintf("this is of type %s, want %s", cel.FormatCELType(got), cel.FormatCELType(want)),
			wantHint(want, got))
		return nil, c.faults
	}
	return &expression{source, c.ast}, nil
}

func wantHint(want, got *cel.Type) string {
	switch {
	case want.Kind() == types.IntKind && got.Kind() == types.DoubleKind:
		return "write int(...) around it"
	case want.Kind() == types.IntKind && got.Kind() == types.BoolKind:
		return "write ... ? 1 : 0"
	case want.Kind() == types.BoolKind:
		return "compare it with something, as in visitor.visits >= 3"
	}
	return ""
}

// A checker looks at one expression and collects its faults.
type checker struct {
	*language
	ast    *ast.AST
	faults []fault
}

func (c *checker) blame(e ast.Expr, code, message, hint string) {
	if len(c.faults) >= maxErrors {
		return
	}
	where := c.ast.SourceInfo().GetStartLocation(e.ID())
	column := where.Column() - nameBytes(c.ast, e.ID(), e)
	c.faults = append(c.faults, fault{max(0, where.Line()), max(0, column+1), code, message, hint})
}

// nameBytes returns how far before the place of a call its function's name
// begins: cel-go's place is the bracket.
func nameBytes(a *ast.AST, id int64, e ast.Expr) int {
	if macro, ok := a.SourceInfo().GetMacroCall(id); ok {
		e = macro
	}
	if e == nil || e.Kind() != ast.CallKind {
		return 0
	}
	if name := e.AsCall().FunctionName(); isWord(name) {
		return len(name)
	}
	return 0
}

// isWord reports whether a function is called by its name and is no operator.
func isWord(name string) bool {
	return name != "" && (name[0]|0x20) >= 'a' && (name[0]|0x20) <= 'z'
}

// typeFaults returns what the type checker says, in the words of the language.
func (c *checker) typeFaults(issues *cel.Issues) []fault {
	var faults []fault
	for _, e := range issues.Errors() {
		if len(faults) == maxErrors {
			break
		}
		f := fault{line: max(0, e.Location.Line()), code: codeType}
		name := ""
		f.message, f.hint, name = typeMessage(e.Message)
		f.column = max(0, e.Location.Column()+1-len(name))
		if call, ok := c.ast.SourceInfo().GetMacroCall(e.ExprID); ok && call.Kind() == ast.CallKind {
			name := call.AsCall().FunctionName()
			if use := uses[name]; use != "" {
				f.column = max(0, e.Location.Column()+1-len(name))
				f.message, f.hint = name+" does not take this", "write "+use
			}
		}
		faults = append(faults, f)
	}
	return faults
}

// typeMessage translates a message of the type checker. word is the function the
// message is about, if it is called by its name.
func typeMessage(message string) (text, hint, word string) {
	rest, found := strings.CutPrefix(message, "found no matching overload for '")
	if !found {
		message, _, _ = strings.Cut(message, " (in container")
		if of, ok := strings.CutSuffix(message, " does not support field selection"); ok {
			return "a value of " + of + " has no members", "write size(x) for its length", ""
		}
		return message, "", ""
	}
	name, args, _ := strings.Cut(rest, "' applied to '")
	args = strings.TrimSuffix(args, "'")
	symbol := strings.Trim(strings.TrimPrefix(name, "@"), "_")
	switch symbol {
	case "?_:":
		symbol = "? :"
	case "[_]":
		symbol = "[ ]"
	}
	text = fmt.Sprintf("%s cannot be used with %s", symbol, args)
	inner := strings.Trim(args, "()")
	switch inner {
	case "double, int":
		hint = "write the number with a point, as in 3.0"
	case "int, double":
		hint = "write double(...) around the first, or the number without a point"
	case "string, int", "string, double":
		hint = "put the second in quotes"
	case "int, string", "double, string":
		hint = "write the second as a number, without quotes"
	case "timestamp, string", "timestamp, int":
		hint = `write timestamp("2026-12-24T18:00:00+01:00")`
	case "string, string", "list(string), string":
		if isWord(name) && functions[name] {
			hint = "write x." + name + "(y)"
		}
	}
	switch {
	case name == "contains" && args == "list(string).(string)":
		hint = `write "..." in x`
	case uses[name] != "":
		hint = "write " + uses[name]
	}
	if symbol == "in" && strings.HasPrefix(inner, "string, string") {
		hint = "write x == y or y.contains(x)"
	}
	if isWord(name) {
		word = name
	}
	return text, hint, word
}
