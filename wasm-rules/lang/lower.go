// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// A lowerer turns checked expressions into nodes. Constants and shared parts of
// all of a document's expressions meet in one builder.
type lowerer struct {
	*builder
	lang      *language
	sources   map[string]*expression // audiences
	audiences map[string]*node       // those lowered so far
	ast       *ast.AST               // of the expression that is being lowered
	vars      []variable
}

// A variable is what a name stands for inside exists and all.
type variable struct {
	name  string
	value *node
}

func newLowerer(d *document) *lowerer {
	return &lowerer{builder: newBuilder(), lang: d.lang, sources: d.audiences, audiences: make(map[string]*node)}
}

// lower returns the node of an expression. ok is false for one that becomes too
// large.
func (l *lowerer) lower(e *expression) (n *node, ok bool) {
	around, vars := l.ast, l.vars
	l.ast, l.vars, l.left = e.ast, nil, maxNodes
	n = l.expr(e.ast.Expr())
	l.ast, l.vars = around, vars
	return n, l.left > 0
}

// audience returns the node of an audience. Its own size was looked at when it
// was checked by itself.
func (l *lowerer) audience(name string) *node {
	if n := l.audiences[name]; n != nil {
		return n
	}
	left := l.left
	n, ok := l.lower(l.sources[name])
	l.left = left
	if !ok {
		l.left = 0
	}
	n.audience = !n.isConst() && n.op != opError
	l.audiences[name] = n
	return n
}

func (l *lowerer) expr(e ast.Expr) *node {
	if l.left <= 0 {
		return l.unknown(l.kindOf(e))
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return l.literal(e)
	case ast.IdentKind:
		return l.ident(e.AsIdent())
	case ast.SelectKind:
		return l.member(e.AsSelect())
	case ast.ListKind:
		return l.list(e)
	case ast.ComprehensionKind:
		return l.loop(e)
	case ast.CallKind:
		return l.call(e)
	}
	return l.unknown(l.kindOf(e)) // check lets nothing else through
}

// kindOf returns the kind of an expression's value.
func (l *lowerer) kindOf(e ast.Expr) kind {
	t := l.ast.GetType(e.ID())
	switch t.Kind() {
	case types.IntKind:
		return kindInt
	case types.DoubleKind:
		return kindDouble
	case types.StringKind:
		return kindText
	case types.TimestampKind:
		return kindTime
	case types.DurationKind:
		return kindDuration
	case types.MapKind:
		return kindMap
	case types.StructKind:
		return kindItem
	case types.ListKind:
		if t.Parameters()[0].Kind() == types.StructKind {
			return kindItems
		}
		return kindTexts
	}
	return kindBool
}

func (l *lowerer) literal(e ast.Expr) *node {
	switch v := e.AsLiteral().(type) {
	case types.Bool:
		return l.bool(bool(v))
	case types.Int:
		return l.int(int64(v))
	case types.Double:
		return l.double(float64(v))
	case types.String:
		return l.text(string(v))
	}
	return l.unknown(kindBool)
}

func (l *lowerer) ident(name string) *node {
	name = strings.TrimPrefix(name, ".")
	for i := len(l.vars) - 1; i >= 0; i-- {
		if l.vars[i].name == name {
			return l.vars[i].value
		}
	}
	if audience, ok := strings.CutPrefix(name, audienceVar); ok {
		return l.audience(audience)
	}
	f := l.lang.fields[name]
	return l.make(node{op: opField, kind: kindOf(f.typ), field: f})
}

// itemMembers are the places of an item's members in its record.
var itemMembers = map[string]struct {
	kind   kind
	offset int64
}{itemID: {kindText, 0}, itemQuantity: {kindInt, 8}, itemPrice: {kindDouble, 16}}

// member returns a member of an item or, as in CEL, a key of a map.
func (l *lowerer) member(s ast.SelectExpr) *node {
	operand := l.expr(s.Operand())
	if operand.kind == kindMap {
		return l.get(operand, l.text(s.FieldName()))
	}
	m := itemMembers[s.FieldName()]
	if operand.op == opError {
		return l.unknown(m.kind)
	}
	return l.make(node{op: opMember, kind: m.kind, args: []*node{operand}, num: m.offset})
}

func (l *lowerer) list(e ast.Expr) *node {
	elements := e.AsList().Elements()
	args := make([]*node, len(elements))
	for i, element := range elements {
		args[i] = l.expr(element)
	}
	return l.make(node{op: opList, kind: kindTexts, args: args})
}

// loop returns exists or all; all x are so if no x is not.
func (l *lowerer) loop(e ast.Expr) *node {
	loop := e.AsComprehension()
	all := loop.AccuInit().AsLiteral() == types.True
	list := l.expr(loop.IterRange())
	n := l.any(list, func(element *node) *node {
		l.vars = append(l.vars, variable{loop.IterVar(), element})
		body := l.expr(loopBody(loop))
		l.vars = l.vars[:len(l.vars)-1]
		if all {
			return l.not(body)
		}
		return body
	})
	if all {
		return l.not(n)
	}
	return n
}

func (l *lowerer) call(e ast.Expr) *node {
	call := e.AsCall()
	var args []*node
	if call.IsMemberFunction() {
		args = append(args, l.expr(call.Target()))
	}
	for _, arg := range call.Args() {
		args = append(args, l.expr(arg))
	}
	switch name := call.FunctionName(); name {
	case "!_":
		return l.not(args[0])
	case "_&&_":
		return l.and(args...)
	case "_||_":
		return l.or(args...)
	case "_?_:_":
		return l.cond(args[0], args[1], args[2])
	case "@in":
		return l.among(args[0], args[1])
	case "_[_]":
		if args[0].kind == kindMap {
			return l.get(args[0], args[1])
		}
		return l.at(args[0], args[1], l.kindOf(e))
	case "-_":
		return l.negate(args[0])
	case "size":
		return l.size(args[0])
	case "int":
		return l.toInt(args[0])
	case "double":
		return l.toDouble(args[0])
	case fnLowerASCII:
		return l.builder.lower(args[0])
	case fnHash:
		return l.hash(args[0].text, args[1])
	case fnDistance:
		return l.km(args...)
	default:
		return l.named(name, args)
	}
}

// arithmetics and matches are the functions that differ by their op alone.
var (
	arithmetics = map[string]op{"_+_": opAdd, "_-_": opSub, "_*_": opMul, "_/_": opDiv, "_%_": opMod}
	matches     = map[string]op{"startsWith": opPrefix, "endsWith": opSuffix, "contains": opInside}
)

// named returns the operators and functions that come in families.
func (l *lowerer) named(name string, args []*node) *node {
	switch name {
	case "_==_":
		return l.equal(args[0], args[1])
	case "_!=_":
		return l.not(l.equal(args[0], args[1]))
	case "_<_", "_<=_", "_>_", "_>=_":
		return l.compare(name, args[0], args[1])
	case "_+_", "_-_", "_*_", "_/_", "_%_":
		return l.arithmetic(arithmetics[name], args[0], args[1])
	case "startsWith", "endsWith", "contains":
		return l.match(matches[name], args[0], args[1])
	case "timestamp":
		t, _ := time.Parse(time.RFC3339, args[0].text)
		return l.number(kindTime, t.UnixMilli())
	case "duration":
		d, _ := time.ParseDuration(args[0].text)
		return l.number(kindDuration, d.Milliseconds())
	}
	return l.part(parts[name], args[0])
}

// compare returns x < y and the like. An int beside a double becomes one, which
// is how CEL compares them.
func (l *lowerer) compare(name string, x, y *node) *node {
	if x.kind != y.kind {
		x, y = l.toDouble(x), l.toDouble(y)
	}
	switch name {
	case "_<_":
		return l.less(x, y)
	case "_<=_":
		return l.atMost(x, y)
	case "_>_":
		return l.less(y, x)
	}
	return l.atMost(y, x)
}
