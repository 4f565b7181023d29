// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// subset refuses what is well typed in CEL and not in the language. loops is how
// many loops over fields are around e.
func (c *checker) subset(e ast.Expr, loops int) {
	if t := c.ast.GetType(e.ID()); t.Kind() == types.TypeKind {
		c.blame(e, codeUnsupported, "a type is not a value here", instead["type"])
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		c.subset(e.AsSelect().Operand(), loops)
	case ast.CallKind:
		call := e.AsCall()
		before := len(c.faults)
		c.operation(e, call)
		if len(c.faults) > before {
			return
		}
		if call.IsMemberFunction() {
			c.subset(call.Target(), loops)
		}
		for _, arg := range call.Args() {
			c.subset(arg, loops)
		}
	case ast.ListKind:
		c.list(e, loops)
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		if loop.IterRange().Kind() != ast.ListKind {
			if loops++; loops > 1 {
				c.blame(e, codeUnsupported, "exists or all inside another over a field",
					`ask with "in" or about one list at a time`)
				return
			}
		}
		c.subset(loop.IterRange(), loops)
		c.subset(loopBody(loop), loops)
	}
}

func (c *checker) kind(e ast.Expr) types.Kind { return c.ast.GetType(e.ID()).Kind() }

// simple reports whether values of a kind can be compared and listed.
func simple(k types.Kind) bool {
	switch k {
	case types.BoolKind, types.IntKind, types.DoubleKind, types.StringKind, types.TimestampKind, types.DurationKind:
		return true
	}
	return false
}

func (c *checker) list(e ast.Expr, loops int) {
	t := c.ast.GetType(e.ID())
	if k := t.Parameters()[0].Kind(); !simple(k) && len(e.AsList().Elements()) > 0 {
		hint := "write only numbers without a point, only numbers with one, or only texts"
		if k == types.ListKind || k == types.StructKind {
			hint = "write a list of texts or numbers"
		}
		c.blame(e, codeType, "a list's elements must be of one simple type", hint)
		return
	}
	for _, element := range e.AsList().Elements() {
		c.subset(element, loops)
	}
}

// operation checks the types that an operator or function is used with.
func (c *checker) operation(e ast.Expr, call ast.CallExpr) {
	args := call.Args()
	switch name := call.FunctionName(); name {
	case "_==_", "_!=_":
		if !simple(c.kind(args[0])) {
			c.blame(e, codeUnsupported, cel.FormatCELType(c.ast.GetType(args[0].ID()))+" cannot be compared",
				`use "..." in x, x.exists(...), x.all(...) or size(x)`)
		}
	case "_<_", "_<=_", "_>_", "_>=_":
		if c.kind(args[0]) == types.BoolKind {
			c.blame(e, codeUnsupported, "conditions have no order", "use && || or !")
		}
	case "_+_":
		switch c.kind(e) {
		case types.StringKind:
			c.blame(e, codeUnsupported, "texts cannot be joined", "compare the parts, or use startsWith and endsWith")
		case types.ListKind:
			c.blame(e, codeUnsupported, "lists cannot be joined", "ask about each: ... in a || ... in b")
		}
	case "_?_:_":
		if !simple(c.kind(e)) && c.kind(e) != types.ListKind {
			c.blame(e, codeUnsupported, "? : cannot choose between such values", "choose between conditions, numbers, texts or lists")
		}
	case "@in":
		if k := c.kind(args[0]); !simple(k) {
			c.blame(e, codeUnsupported, "only texts, numbers and times can be looked for", "use exists(x, ...)")
		}
	case "timestamp":
		c.timestamp(e, args[0])
	case "duration":
		c.duration(e, args[0])
	case "int", "double":
		if c.kind(args[0]) == types.StringKind {
			c.blame(e, codeUnsupported, name+"() of a text is not in the language", "compare the text itself")
		}
	}
}

// timestamp checks timestamp("..."): times have whole milliseconds.
func (c *checker) timestamp(e, arg ast.Expr) {
	s, ok := text(arg)
	if !ok {
		c.blame(e, codeUnsupported, "timestamp takes a text in quotes", `write timestamp("2026-12-24T18:00:00Z"); now is the time of the visit`)
		return
	}
	t, ok := types.String(s).ConvertToType(types.TimestampType).(types.Timestamp)
	if !ok {
		c.blame(arg, codeType, "this is not a time", `write it as "2026-12-24T18:00:00Z" or "2026-12-24T18:00:00+01:00"`)
	} else if t.Nanosecond()%int(time.Millisecond) != 0 {
		c.blame(arg, codeUnsupported, "times have whole milliseconds", "write at most three digits after the point")
	}
}

// duration checks duration("..."): durations have whole milliseconds.
func (c *checker) duration(e, arg ast.Expr) {
	s, ok := text(arg)
	if !ok {
		c.blame(e, codeUnsupported, "duration takes a text in quotes", `write duration("36h")`)
		return
	}
	d, ok := types.String(s).ConvertToType(types.DurationType).(types.Duration)
	if !ok {
		c.blame(arg, codeType, "this is not a duration", `write it as "36h", "90m" or "1h30m"; a day is "24h"`)
	} else if d.Duration%time.Millisecond != 0 {
		c.blame(arg, codeUnsupported, "durations have whole milliseconds", "")
	}
}
