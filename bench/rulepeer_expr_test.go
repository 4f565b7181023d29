// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/nearside/nearside/edge"
)

// An exprEnv is a visit as expr reads it fastest: a flat map whose values' types
// it knows when it compiles, read by one instruction a name. A struct is read by
// reflection and takes half as long again.
type exprEnv struct {
	names                       map[string]any
	interests, counters, counts map[string]float64
	cart                        []exprItem
	list                        edge.Value
}

type exprItem struct {
	ID       string  `expr:"id"`
	Quantity int     `expr:"quantity"`
	Price    float64 `expr:"price"`
}

// exprFields are the fields that conditions ask about, as expr calls them.
var exprFields = func() (out []edge.Field) {
	for _, f := range edge.Fields() {
		if fieldOf(f.Name) >= 0 {
			f.Name = exprName(f.Name)
			out = append(out, f)
		}
	}
	return out
}()

// exprName is a name without the dot that would make it a member.
func exprName(name string) string { return strings.ReplaceAll(name, ".", "_") }

// exprText writes a leaf with flat names.
var exprText = func() func(l leaf) string {
	var pairs []string
	for _, f := range edge.Fields() {
		if strings.Contains(f.Name, ".") {
			pairs = append(pairs, f.Name, exprName(f.Name))
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(l leaf) string { return replacer.Replace(l.expr) }
}()

// fill makes the environment that of another visit, in the same map.
func (e *exprEnv) fill(v *edge.View) {
	if e.names == nil {
		e.names = make(map[string]any)
	}
	for i := range exprFields {
		f := &exprFields[i]
		value := kept(v, f.Number, &e.list)
		switch f.Type {
		case edge.TypeInt, edge.TypeTime:
			e.names[f.Name] = int(value.Int)
		case edge.TypeFloat:
			e.names[f.Name] = value.Float
		case edge.TypeBool:
			e.names[f.Name] = value.Int != 0
		case edge.TypeString:
			e.names[f.Name] = value.Str
		case edge.TypeList:
			e.names[f.Name] = value.List
		case edge.TypeItems:
			e.cart = e.cart[:0]
			for _, i := range value.Items {
				e.cart = append(e.cart, exprItem{i.ID, int(i.Quantity), i.Price})
			}
			e.names[f.Name] = e.cart
		case edge.TypeMap:
			e.names[f.Name] = e.filled(f.Number, value.Map)
		}
	}
}

// filled is a map field's map, used again.
func (e *exprEnv) filled(n edge.FieldNumber, entries []edge.Entry) map[string]float64 {
	m := &e.interests
	switch n {
	case edge.FieldCounters:
		m = &e.counters
	case edge.FieldCounts:
		m = &e.counts
	}
	if *m == nil {
		*m = make(map[string]float64)
	}
	clear(*m)
	for _, entry := range entries {
		(*m)[entry.Key] = entry.Value
	}
	return *m
}

// An exprPeer is a rule set in expr: one program a rule, one machine for all.
type exprPeer struct {
	whens, scores, audiences []*vm.Program
	names                    []string // of the audiences
	machine                  vm.VM
}

func newExprPeer(t testing.TB, set *ruleSet) *exprPeer {
	t.Helper()
	whens, scores, audiences := set.texts(inExpr)
	p := &exprPeer{
		whens:     exprPrograms(t, set, whens, expr.AsBool()),
		scores:    exprPrograms(t, set, scores, expr.AsInt()),
		audiences: exprPrograms(t, set, audiences, expr.AsBool()),
	}
	for _, a := range set.audiences {
		p.names = append(p.names, inExpr.audience(a.name))
	}
	return p
}

// exprPrograms compiles texts. Functions get their arguments as expr's fast calls
// do, without reflection.
func exprPrograms(t testing.TB, set *ruleSet, texts []string, as expr.Option) []*vm.Program {
	t.Helper()
	var sample exprEnv
	sample.fill(edge.NewView(&edge.Visit{}, edge.Mask{}, 0))
	for _, a := range set.audiences {
		sample.names[inExpr.audience(a.name)] = false
	}
	options := []expr.Option{
		expr.Env(sample.names), as,
		expr.Function("distanceKm", func(p ...any) (any, error) {
			return kilometres(p[0].(float64), p[1].(float64), p[2].(float64), p[3].(float64)), nil
		}, new(func(a, b, c, d float64) float64)),
		expr.Function("hash", func(p ...any) (any, error) {
			return edge.Bucket(p[0].(string), p[1].(string)), nil
		}, new(func(salt, id string) int)),
	}
	var out []*vm.Program
	for _, text := range texts {
		program, err := expr.Compile(text, options...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, program)
	}
	return out
}

// begin evaluates the audiences, before the rules: expr keeps no value from one
// program to the next.
func (p *exprPeer) begin(e *exprEnv) error {
	for i, program := range p.audiences {
		v, err := p.machine.Run(program, e.names)
		if err != nil {
			return err
		}
		e.names[p.names[i]] = v
	}
	return nil
}

// holds evaluates every condition.
func (p *exprPeer) holds(e *exprEnv, o *outcome) error {
	if err := p.begin(e); err != nil {
		return err
	}
	for i, program := range p.whens {
		v, err := p.machine.Run(program, e.names)
		if err != nil {
			return err
		}
		if v.(bool) {
			o.hold(i)
		}
	}
	return nil
}

// decides evaluates the conditions and the scores of those that hold.
func (p *exprPeer) decides(e *exprEnv, o *outcome) error {
	if err := p.begin(e); err != nil {
		return err
	}
	var best [slots]int64
	o.winners = nobody
	for i, program := range p.whens {
		v, err := p.machine.Run(program, e.names)
		if err != nil {
			return err
		}
		if !v.(bool) {
			continue
		}
		if v, err = p.machine.Run(p.scores[i], e.names); err != nil {
			return err
		}
		o.compete(&best, i, int64(v.(int)))
	}
	return nil
}
