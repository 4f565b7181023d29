// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/nearside/nearside/edge"
)

// errOther reports an engine that does not say what cel-go says.
var errOther = errors.New("another answer than cel-go's")

// A contest is a rule set in every engine, and visits in the form in which
// each of them takes one.
type contest struct {
	ours    *ourRules
	celGo   *celPeer
	expr    *exprPeer
	opa     *opaPeer
	views   []*edge.View // of what ours reads
	all     []*edge.View // of everything
	answers []outcome
	decide  bool // between candidates, by score
}

func newContest(b *testing.B, set *ruleSet, visitors []visitor, decide bool) *contest {
	b.Helper()
	inSlot := rulesPerSlot
	if decide {
		inSlot = perSlot
	}
	c := &contest{ours: newOurRules(b, set, inSlot), celGo: newCELPeer(b, set), decide: decide}
	c.views, c.all = viewsOf(visitors, c.ours.mask(b)), viewsOf(visitors, everything())
	a := c.celGo.activation()
	for _, view := range c.all {
		var o outcome
		a.begin(view)
		c.askCEL(a, &o)
		c.answers = append(c.answers, o)
	}
	return c
}

// withPeers adds the engines that know nothing of absence.
func (c *contest) withPeers(b *testing.B, set *ruleSet) *contest {
	b.Helper()
	c.expr, c.opa = newExprPeer(b, set), newOPAPeer(b, set, c.decide)
	return c
}

func (c *contest) askCEL(a *activation, o *outcome) {
	if c.decide {
		c.celGo.decides(a, o)
		return
	}
	c.celGo.holds(a, o)
}

// rotate makes a contender that asks about one visit after the other.
func (c *contest) rotate(name string, ask func(i int, o *outcome) error) contender {
	at, used := 0, len(c.ours.slots)
	var o outcome
	return contender{name: name, call: func() error {
		i := at % len(c.views)
		at++
		clear(o.held[:used])
		if err := ask(i, &o); err != nil {
			return err
		}
		if want := &c.answers[i]; !slices.Equal(o.held[:used], want.held[:used]) || o.winners != want.winners {
			return fmt.Errorf("visit %d: %w", i, errOther)
		}
		return nil
	}}
}

// anew is ours and the peers from a visit to the answer: what each of them makes
// of the visit is part of it.
func (c *contest) anew() []contender {
	a, env := c.celGo.activation(), &exprEnv{}
	all := []contender{
		c.rotate("ours", func(i int, o *outcome) error {
			if c.decide {
				return c.ours.decides(c.views[i], o)
			}
			return c.ours.holdsAnew(c.views[i], o)
		}),
		c.rotate("cel-go", func(i int, o *outcome) error {
			a.begin(c.all[i])
			c.askCEL(a, o)
			return nil
		}),
	}
	if c.expr == nil {
		return all
	}
	return append(all, c.rotate("expr", func(i int, o *outcome) error {
		env.fill(c.all[i])
		return c.askExpr(env, o)
	}))
}

func (c *contest) askExpr(env *exprEnv, o *outcome) error {
	if c.decide {
		return c.expr.decides(env, o)
	}
	return c.expr.holds(env, o)
}

// opaRaw is OPA from the plain objects that an input is given as.
func (c *contest) opaRaw(b *testing.B) contender {
	b.Helper()
	var inputs []rego.EvalOption
	for _, view := range c.all {
		inputs = append(inputs, rego.EvalInput(opaInput(b, view)))
	}
	return c.rotate("opa-raw-input", func(i int, o *outcome) error { return c.askOPA(inputs[i], o) })
}

func (c *contest) askOPA(input rego.EvalOption, o *outcome) error {
	if c.decide {
		return c.opa.decides(input, o)
	}
	return c.opa.holds(input, o)
}

// prepared is ours and the peers with everything at hand that can be made of a
// visit beforehand: the record is encoded, every value boxed, the input parsed.
func (c *contest) prepared(b *testing.B) []contender {
	b.Helper()
	var activations []*activation
	var envs []*exprEnv
	var inputs []rego.EvalOption
	for _, view := range c.all {
		a, env := c.celGo.activation(), &exprEnv{}
		a.begin(view)
		for _, f := range edge.Fields() {
			a.ResolveName(f.Name)
		}
		env.fill(view)
		input, err := ast.InterfaceToValue(opaInput(b, view))
		if err != nil {
			b.Fatal(err)
		}
		activations, envs, inputs = append(activations, a), append(envs, env), append(inputs, rego.EvalParsedInput(input))
	}
	return []contender{
		c.rotate("ours", func(i int, o *outcome) error { return c.ours.holds(c.views[i], o) }),
		c.rotate("cel-go", func(i int, o *outcome) error {
			clear(activations[i].audiences)
			c.askCEL(activations[i], o)
			return nil
		}),
		c.rotate("expr", func(i int, o *outcome) error { return c.askExpr(envs[i], o) }),
		c.rotate("opa-parsed-input", func(i int, o *outcome) error { return c.askOPA(inputs[i], o) }),
	}
}

// BenchmarkRules is a rule set on one visit after the other, beside the same rules
// in cel-go, expr and OPA: from the visit to the answer, the evaluation alone, and
// on visits on which much is refused or absent.
func BenchmarkRules(b *testing.B) {
	const target, alone = "≤ 1 µs, cel-go ≥ 20×", "cel-go ≥ 40×"
	benchmarkRuleSet(b, newPlainRuleSet(ruleSeed, 50), "50 plain rules", target, alone)
	for _, n := range []int{1, 50, 200, 1000} {
		set, what := newRuleSet(ruleSeed, n), fmt.Sprintf("%d rules", n)
		if n == 50 {
			benchmarkRuleSet(b, set, what, target, alone)
		} else {
			benchmarkRuleSet(b, set, what, "", "")
		}
	}
}

func benchmarkRuleSet(b *testing.B, set *ruleSet, what, target, alone string) {
	b.Helper()
	b.Run(strings.ReplaceAll(what, " ", "-"), func(b *testing.B) {
		c := newContest(b, set, fullVisits(visitSeed, rotating), false).withPeers(b, set)
		b.Run("end-to-end", func(b *testing.B) {
			compare(b, what+", end to end", target, append(c.anew(), c.opaRaw(b))...)
		})
		b.Run("evaluation", func(b *testing.B) {
			compare(b, what+", evaluation alone", alone, c.prepared(b)...)
		})
		b.Run("refused", func(b *testing.B) {
			part := newContest(b, set, partVisits(visitSeed, rotating), false)
			compare(b, what+", much refused, end to end", "", part.anew()...)
		})
	})
}
