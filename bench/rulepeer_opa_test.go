// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/nearside/nearside/edge"
)

// An opaPeer is a rule set as one Rego module with one prepared query, which is
// partially evaluated: that makes it faster, at the cost of a longer preparation.
type opaPeer struct{ query rego.PreparedEvalQuery }

func newOPAPeer(t testing.TB, set *ruleSet, scores bool) *opaPeer {
	t.Helper()
	return &opaPeer{prepareRego(t, set.rego(scores), rego.WithPartialEval())}
}

func prepareRego(t testing.TB, module string, options ...rego.PrepareOption) rego.PreparedEvalQuery {
	t.Helper()
	number := func(n int) []types.Type {
		out := make([]types.Type, n)
		for i := range out {
			out[i] = types.N
		}
		return out
	}
	query, err := rego.New(
		rego.Query("data.rules.held"),
		rego.Module("rules.rego", module),
		rego.FunctionDyn(&rego.Function{Name: "distanceKm", Decl: types.NewFunction(number(4), types.N)}, func(_ rego.BuiltinContext, terms []*ast.Term) (*ast.Term, error) {
			var at [4]float64
			for i := range at {
				var ok bool
				if at[i], ok = terms[i].Value.(ast.Number).Float64(); !ok {
					return nil, fmt.Errorf("%v is no number", terms[i])
				}
			}
			return ast.FloatNumberTerm(kilometres(at[0], at[1], at[2], at[3])), nil
		}),
		rego.Function2(&rego.Function{Name: "hash", Decl: types.NewFunction([]types.Type{types.S, types.S}, types.N)}, func(_ rego.BuiltinContext, salt, id *ast.Term) (*ast.Term, error) {
			return ast.InternedTerm(edge.Bucket(string(salt.Value.(ast.String)), string(id.Value.(ast.String)))), nil
		}),
	).PrepareForEval(context.Background(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return query
}

// opaInput is a visit as a program would hand it to OPA: nested objects.
func opaInput(t testing.TB, v *edge.View) map[string]any {
	t.Helper()
	input := make(map[string]any)
	for _, f := range edge.Fields() {
		value := v.Value(f.Number)
		if !value.Known() {
			continue
		}
		var plain any
		if err := json.Unmarshal(value.AppendJSON(nil), &plain); err != nil {
			t.Fatal(err)
		}
		at, name := input, f.Name
		if group, member, ok := strings.Cut(f.Name, "."); ok {
			if at[group] == nil {
				at[group] = make(map[string]any)
			}
			at, name = at[group].(map[string]any), member
		}
		at[name] = plain
	}
	return input
}

// ask evaluates the query and returns what it is worth.
func (p *opaPeer) ask(input rego.EvalOption) (any, error) {
	results, err := p.query.Eval(context.Background(), input)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("%d results", len(results))
	}
	return results[0].Expressions[0].Value, nil
}

// holds reads the numbers of the rules that hold.
func (p *opaPeer) holds(input rego.EvalOption, o *outcome) error {
	value, err := p.ask(input)
	if err != nil {
		return err
	}
	for _, v := range value.([]any) {
		n, err := v.(json.Number).Int64()
		if err != nil {
			return err
		}
		o.hold(int(n))
	}
	return nil
}

// decides reads the scores of the rules that hold. They come in no order.
func (p *opaPeer) decides(input rego.EvalOption, o *outcome) error {
	value, err := p.ask(input)
	if err != nil {
		return err
	}
	var held [crowded]struct {
		yes   bool
		score int64
	}
	for key, v := range value.(map[string]any) {
		i, err := strconv.Atoi(key)
		if err != nil {
			return err
		}
		if held[i].score, err = v.(json.Number).Int64(); err != nil {
			return err
		}
		held[i].yes = true
	}
	var best [slots]int64
	o.winners = nobody
	for i, h := range held {
		if h.yes {
			o.compete(&best, i, h.score)
		}
	}
	return nil
}
