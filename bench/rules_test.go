// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/nearside/nearside/edge"
)

const (
	ruleSeed, visitSeed = 1, 2
	// rotating is how many visits take turns: so many that a processor cannot
	// learn how each one's branches go.
	rotating = 512
)

// everything is a mask of all built-in fields.
func everything() edge.Mask {
	var m edge.Mask
	for _, f := range edge.Fields() {
		m = m.With(f.Number)
	}
	return m
}

// viewsOf are visits as rules see them that read the fields of a mask.
func viewsOf(visitors []visitor, mask edge.Mask) []*edge.View {
	var out []*edge.View
	for i := range visitors {
		out = append(out, edge.NewView(&visitors[i].visit, mask, visitors[i].granted))
	}
	return out
}

// TestRulesAgree asks all engines about visits on which every field is present,
// and those that know what absence is about visits on which much is refused.
func TestRulesAgree(t *testing.T) {
	sets := map[string]*ruleSet{"50 plain rules": newPlainRuleSet(ruleSeed, 50)}
	for _, n := range []int{1, 50, 200, 1000} {
		sets[fmt.Sprintf("%d rules", n)] = newRuleSet(ruleSeed, n)
	}
	for what, set := range sets {
		t.Run("all engines agree on "+what+" where everything is known", func(t *testing.T) {
			ours, celGo, exprLang, opa := newOurRules(t, set, rulesPerSlot), newCELPeer(t, set), newExprPeer(t, set), newOPAPeer(t, set, false)
			visitors := fullVisits(visitSeed, rotating)
			all := viewsOf(visitors, everything())
			a, env := celGo.activation(), &exprEnv{}
			for i, view := range viewsOf(visitors, ours.mask(t)) {
				want := celSays(t, celGo, a, all[i])
				var got outcome
				set.same(t, "ours", want, &got, ours.holdsAnew(view, &got))
				got = outcome{}
				env.fill(all[i])
				set.same(t, "expr", want, &got, exprLang.holds(env, &got))
				got = outcome{}
				set.same(t, "OPA", want, &got, opa.holds(rego.EvalInput(opaInput(t, all[i])), &got))
			}
		})
		t.Run("ours and cel-go agree on "+what+" where much is refused", func(t *testing.T) {
			ours, celGo := newOurRules(t, set, rulesPerSlot), newCELPeer(t, set)
			visitors := partVisits(visitSeed, rotating)
			all := viewsOf(visitors, everything())
			a := celGo.activation()
			for i, view := range viewsOf(visitors, ours.mask(t)) {
				want := celSays(t, celGo, a, all[i])
				var got outcome
				set.same(t, "ours", want, &got, ours.holdsAnew(view, &got))
			}
		})
	}
}

// celSays is what cel-go says of a visit.
func celSays(t *testing.T, p *celPeer, a *activation, view *edge.View) outcome {
	t.Helper()
	var o outcome
	a.begin(view)
	p.holds(a, &o)
	return o
}

// same fails the test where an engine says something else than cel-go.
func (set *ruleSet) same(t *testing.T, engine string, want outcome, got *outcome, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", engine, err)
	}
	for i, r := range set.rules {
		if want.holds(i) != got.holds(i) {
			t.Fatalf("%s says that rule %d holds: %t, cel-go %t: %s", engine, i, got.holds(i), want.holds(i), inCEL.text(r.when))
		}
	}
}

// TestRuleDecisionsAgree lets all engines choose, by condition and score, among
// the ten candidates of each of three slots.
func TestRuleDecisionsAgree(t *testing.T) {
	set := newRuleSet(ruleSeed, crowded).withScores(ruleSeed)
	ours, celGo, exprLang, opa := newOurRules(t, set, perSlot), newCELPeer(t, set), newExprPeer(t, set), newOPAPeer(t, set, true)
	check := func(t *testing.T, engine string, want, got outcome, err error) {
		t.Helper()
		if err != nil || got.winners != want.winners {
			t.Fatalf("%s chooses %v, cel-go %v; %v", engine, got.winners, want.winners, err)
		}
	}
	for name, visitors := range map[string][]visitor{"everything is known": fullVisits(visitSeed, rotating), "much is refused": partVisits(visitSeed, rotating)} {
		t.Run("winners are the same where "+name, func(t *testing.T) {
			all := viewsOf(visitors, everything())
			a, env := celGo.activation(), &exprEnv{}
			for i, view := range viewsOf(visitors, ours.mask(t)) {
				var want, got outcome
				a.begin(all[i])
				celGo.decides(a, &want)
				err := ours.decides(view, &got)
				check(t, "ours", want, got, err)
				if name != "everything is known" {
					continue
				}
				env.fill(all[i])
				err = exprLang.decides(env, &got)
				check(t, "expr", want, got, err)
				err = opa.decides(rego.EvalInput(opaInput(t, all[i])), &got)
				check(t, "OPA", want, got, err)
			}
		})
	}
}
