// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/nearside/nearside/edge/nearest"
)

// functions are those an expression may call, and operators.
var functions = map[string]bool{
	"_&&_": true, "_||_": true, "!_": true, "_?_:_": true, "_==_": true, "_!=_": true, "_<_": true, "_<=_": true,
	"_>_": true, "_>=_": true, "@in": true, "_+_": true, "_-_": true, "_*_": true, "_/_": true, "_%_": true, "-_": true,
	"_[_]": true, "@not_strictly_false": true,
	"size": true, "startsWith": true, "endsWith": true, "contains": true, fnLowerASCII: true,
	"timestamp": true, "duration": true, "int": true, "double": true, fnHash: true, fnDistance: true,
	"getFullYear": true, "getMonth": true, "getDate": true, "getDayOfMonth": true, "getDayOfWeek": true,
	"getDayOfYear": true, "getHours": true, "getMinutes": true, "getSeconds": true, "getMilliseconds": true,
}

// instead says what to write for what CEL has and the language has not.
var instead = map[string]string{
	"matches":     "use startsWith, endsWith, contains or ==",
	"filter":      "ask with exists(x, ...) whether there is one",
	"map":         "ask with exists(x, ...) or all(x, ...) about each",
	"exists_one":  "use exists(x, ...)",
	"existsOne":   "use exists(x, ...)",
	"has":         "leave it out: a condition on what is not there does not hold",
	"type":        "a field's type is known; leave it out",
	"dyn":         "a field's type is known; leave it out",
	"string":      "compare the value itself",
	"bytes":       "compare the text itself",
	"uint":        "use int(...)",
	"bool":        "use the condition itself",
	"upperAscii":  "use lowerAscii()",
	"lower":       "use lowerAscii()",
	"toLowerCase": "use lowerAscii()",
	"length":      "use size(x)",
	"len":         "use size(x)",
	"now":         "write now without brackets",
	"any":         "use exists(x, ...)",
	"includes":    `use contains("...") of a text, "..." in x of a list`,
	"has_key":     `use "key" in x`,
	"audience":    `use inAudience("name")`,
	"date":        `use timestamp("2026-12-24T18:00:00+01:00")`,
	"random":      `use hash("salt"), which is the same for a visitor each time`,
}

// names refuses what can be told before types are known: names that mean
// nothing, functions and forms that are not in the language. vars are the
// variables of exists and all around e.
func (c *checker) names(e ast.Expr, vars []string) {
	switch e.Kind() {
	case ast.LiteralKind:
		c.literal(e)
	case ast.IdentKind, ast.SelectKind:
		c.path(e, vars)
	case ast.CallKind:
		c.call(e, vars)
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			c.names(element, vars)
		}
	case ast.ComprehensionKind:
		c.comprehension(e, vars)
	case ast.MapKind:
		c.blame(e, codeUnsupported, "a map cannot be written", "write conditions joined by || or ? :")
	default:
		c.blame(e, codeUnsupported, "this is not in the language", "")
	}
}

func (c *checker) literal(e ast.Expr) {
	switch e.AsLiteral().(type) {
	case types.Bool, types.Int, types.Double, types.String:
	case types.Uint:
		c.blame(e, codeUnsupported, "there are no unsigned numbers", "write the number without u")
	case types.Bytes:
		c.blame(e, codeUnsupported, "there are no bytes", "write the text without b")
	case types.Null:
		c.blame(e, codeUnsupported, "there is no null", instead["has"])
	}
}

// path checks a name of one word or more, or the member of something else.
func (c *checker) path(e ast.Expr, vars []string) {
	name, root := dotted(e)
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		c.blame(e, codeUnsupported, "has() is not in the language", instead["has"])
		return
	}
	if root == nil {
		c.names(e.AsSelect().Operand(), vars)
		return
	}
	head, _, _ := strings.Cut(name, ".")
	if slices.Contains(vars, head) {
		return
	}
	for known := name; ; {
		if _, ok := c.fields[known]; ok {
			return
		}
		at := strings.LastIndexByte(known, '.')
		if at < 0 || strings.HasPrefix(name, "@") {
			break
		}
		known = known[:at]
	}
	switch audience, isAudience := strings.CutPrefix(name, audienceVar); {
	case isAudience:
		if _, ok := c.audiences[audience]; !ok {
			c.blame(e, codeUnknownName, fmt.Sprintf("there is no audience %q", audience), nearest.Hint(audience, slices.Sorted(maps.Keys(c.audiences))))
		}
	case name == "visitor.id":
		c.blame(e, codeUnsupported, "visitor.id cannot be read", "write "+uses[fnHash])
	case name == "counts":
		c.blame(e, codeUnsupported, "counts cannot be read", "write "+uses[fnCount])
	case name != visitorVar && name != countsVar:
		c.blame(root, codeUnknownName, fmt.Sprintf("there is no field %s", name), c.fieldHint(name))
	}
}

// fieldHint says what is mostly meant by a name that is no field's.
func (c *checker) fieldHint(name string) string {
	if _, ok := c.audiences[name]; ok {
		return fmt.Sprintf("write inAudience(%q)", name)
	}
	switch lower := strings.ToLower(name); lower {
	case "true", "yes", "on":
		return "write true"
	case "false", "no", "off":
		return "write false"
	default:
		var last []string
		for _, field := range c.language.names {
			if strings.HasSuffix(field, "."+lower) {
				last = append(last, field)
			}
		}
		if len(last) > 0 && len(last) <= 3 {
			return "did you mean " + strings.Join(last, " or ") + "?"
		}
	}
	if near := nearest.Hint(name, c.language.names); near != "" || strings.Contains(name, ".") {
		return near
	}
	return fmt.Sprintf("a text stands in quotes: %q", name)
}

// dotted returns the name that e spells and its first word's expression, or nil
// if e is a member of something that is no name.
func dotted(e ast.Expr) (name string, root ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(e.AsIdent(), "."), e
	case ast.SelectKind:
		s := e.AsSelect()
		if name, root = dotted(s.Operand()); root != nil {
			return name + "." + s.FieldName(), root
		}
	}
	return "", nil
}

func (c *checker) call(e ast.Expr, vars []string) {
	call := e.AsCall()
	name := call.FunctionName()
	if !functions[name] {
		c.refuseCall(e, name)
		return
	}
	if strings.HasPrefix(name, "get") && len(call.Args()) > 0 {
		c.blame(e, codeUnsupported, name+" in a time zone is not in the language", "time.hour and time.weekday are local to the visitor; "+name+"() is in UTC")
		return
	}
	if call.IsMemberFunction() {
		c.names(call.Target(), vars)
	}
	for _, arg := range call.Args() {
		c.names(arg, vars)
	}
}

func (c *checker) refuseCall(e ast.Expr, name string) {
	if use := uses[name]; use != "" {
		c.blame(e, codeShape, name+" is not called so", "write "+use)
		return
	}
	if hint := instead[name]; hint != "" {
		c.blame(e, codeUnsupported, name+" is not in the language", hint)
		return
	}
	var known []string
	for f := range functions {
		if isWord(f) {
			known = append(known, f)
		}
	}
	known = append(known, "exists", "all")
	for f := range uses {
		known = append(known, f)
	}
	slices.Sort(known)
	c.blame(e, codeUnknownName, "there is no function "+name, nearest.Hint(name, known))
}

func (c *checker) comprehension(e ast.Expr, vars []string) {
	macro, ok := c.ast.SourceInfo().GetMacroCall(e.ID())
	if !ok || macro.Kind() != ast.CallKind {
		c.blame(e, codeUnsupported, "this is not in the language", "")
		return
	}
	name := macro.AsCall().FunctionName()
	if name != "exists" && name != "all" {
		c.blame(e, codeUnsupported, name+" is not in the language", instead[name])
		return
	}
	loop := e.AsComprehension()
	if c.heads[loop.IterVar()] {
		c.blame(e, codeShape, loop.IterVar()+" is the name of a field", "call the variable something else, as in exists(x, ...)")
		return
	}
	c.names(loop.IterRange(), vars)
	c.names(loopBody(loop), append(vars[:len(vars):len(vars)], loop.IterVar()))
}

// loopBody returns what exists or all ask about each element.
func loopBody(loop ast.ComprehensionExpr) ast.Expr { return loop.LoopStep().AsCall().Args()[1] }
