// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"maps"
	"slices"
	"testing"

	"cel.dev/cel-go/common/ast"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// How much TestDifferential tries.
const (
	trials         = 60
	slotsPerTrial  = 3
	rulesPerSlot   = 8 // and as many twins
	visitsPerTrial = 12
)

// TestDifferential lets the compiled module, the interpreter and cel-go decide
// random visits by random rules under random consent.
func TestDifferential(t *testing.T) {
	runtime := newRuntime(t)
	seen := newCoverage()
	for seed := range uint64(trials) {
		r := newRand(seed)
		x := newTrial(t, runtime, randomDocument(r, slotsPerTrial, rulesPerSlot))
		seen.expressions(x)
		for range visitsPerTrial {
			x.visit(newVisitor(r), seen.condition)
		}
		x.machine.close()
	}
	seen.check(t)
}

// traps are what has gone wrong once, and what looks as if it could.
var traps = []string{
	`2 < (lang.startsWith("Z") ? 0 : 1) || visitor.visits == (visitor.returning ? 1 : 0)`,
	`duration("2h") < (shop.tier.startsWith("Z") ? duration("0s") : duration("1ms"))`,
	`(visitor.returning ? 0.0 : 1.0) < geo.lat`,
	`inAudience("any") == visitor.returning`, `inAudience("any") == true`, `!inAudience("any") && inAudience("any")`,
	`visitor.visits == visitor.visits`, `visitor.visits != visitor.visits`, `geo.lat / geo.lat == geo.lat / geo.lat`,
	`!(geo.lat / 0.0 < 0.0 / 0.0)`, `visitor.visits / visitor.visits == 1`, `visitor.visits % -1 == 0`, `-visitor.visits < 0`,
	`visitor.visits * visitor.visits >= 0`, `0.0 == -0.0 && geo.lat == -geo.lat`, `visitor.visits < geo.lat || visitor.visits >= geo.lat`,
	`recent.all(x, false)`, `recent.exists(x, true)`, `recent.all(x, x == lang)`, `cart.exists(i, i.price > geo.lat || i.id == lang)`,
	`recent.exists(x, x in page.tags)`, `cart.all(i, i.id in recent)`,
}

var anyAudience = []edge.Audience{{Name: "any", When: "visitor.returning || shop.member"}}

func TestTraps(t *testing.T) {
	doc := twins(traps)
	doc.Audiences = anyAudience
	for i := range doc.Slots[0].Ladder[0].Rules {
		doc.Slots[0].Ladder[0].Rules[i].Score = `(visitor.returning ? 1 : 0) + (shop.member ? 0 : 1) * 10 + (inAudience("any") ? 100 : 0)`
	}
	x := newTrial(t, newRuntime(t), doc)
	r := newRand(9)
	for range 300 {
		x.visit(newVisitor(r), func(*contender, any, *edge.Condition) {})
	}
}

// FuzzDifferential is TestDifferential on one document of its own.
func FuzzDifferential(f *testing.F) {
	f.Add(uint64(1), uint8(2))
	f.Add(uint64(1<<40), uint8(1))
	runtime := newRuntime(f)
	f.Fuzz(func(t *testing.T, seed uint64, rules uint8) {
		r := newRand(seed)
		x := newTrial(t, runtime, randomDocument(r, 1, 1+int(rules%16)))
		defer x.machine.close()
		for range 4 {
			x.visit(newVisitor(r), func(*contender, any, *edge.Condition) {})
		}
	})
}

// A coverage counts what the random rules came to.
type coverage struct {
	dropped   int                    // rules that would take too long
	functions map[string]int         // expressions by function, with its overload
	outcomes  map[any]int            // of conditions
	ops       map[string]map[any]int // verdicts by kind of condition
	causes    map[string]int
}

func newCoverage() *coverage {
	return &coverage{functions: make(map[string]int), outcomes: make(map[any]int), ops: make(map[string]map[any]int), causes: make(map[string]int)}
}

func (c *coverage) expressions(x *trial) {
	c.dropped += x.dropped
	for _, contenders := range x.slots {
		for i := range contenders {
			for _, e := range []lang.Expression{contenders[i].when, contenders[i].score} {
				used := make(map[string]bool)
				ast.PostOrderVisit(e.AST().Expr(), ast.NewExprVisitor(func(n ast.Expr) {
					if n.Kind() == ast.CallKind {
						used[n.AsCall().FunctionName()] = true
						for _, overload := range e.AST().GetOverloadIDs(n.ID()) {
							used[n.AsCall().FunctionName()+" "+overload] = true
						}
					}
				}))
				for name := range used {
					c.functions[name]++
				}
			}
		}
	}
}

func (c *coverage) condition(_ *contender, truth any, told *edge.Condition) {
	c.outcomes[truth]++
	c.tell(told)
}

func (c *coverage) tell(told *edge.Condition) {
	if c.ops[told.Op] == nil {
		c.ops[told.Op] = make(map[any]int)
	}
	c.ops[told.Op][told.Verdict]++
	for _, u := range told.Unknown {
		c.causes[u.Cause]++
	}
	for i := range told.Parts {
		c.tell(&told.Parts[i])
	}
}

// check fails when the writer no longer writes all of the language, or its
// visits no longer come to all outcomes.
func (c *coverage) check(t *testing.T) {
	t.Helper()
	for name := range lang.Functions {
		if c.functions[name] < 10 {
			t.Errorf("%s is in %d expressions, want 10 and more", name, c.functions[name])
		}
	}
	total := 0
	for _, n := range c.outcomes {
		total += n
	}
	for _, outcome := range []any{true, false, neither{}} {
		if n := c.outcomes[outcome]; n*6 < total {
			t.Errorf("%d of %d conditions are %v, want a sixth and more", n, total, outcome)
		}
	}
	for op, verdicts := range c.ops {
		for _, verdict := range []string{edge.VerdictHeld, edge.VerdictFailed, edge.VerdictUnknown} {
			if n := verdicts[verdict]; n < 10 && op != "true" {
				t.Errorf("%d conditions of kind %s are %s, want 10 and more", n, op, verdict)
			}
		}
	}
	for _, cause := range []string{"refused", "absent", "warming-up", "error"} {
		if c.causes[cause] < 30 {
			t.Errorf("%d conditions are unknown by %s, want 30 and more", c.causes[cause], cause)
		}
	}
	if rules := trials * slotsPerTrial * rulesPerSlot * 2; c.dropped*10 > rules {
		t.Errorf("%d of %d rules would take too long, want a tenth and less", c.dropped, rules)
	}
	t.Logf("%d conditions: %v, by kind %v, unknown by %v", total, c.outcomes, c.ops, c.causes)
	for _, name := range slices.Sorted(maps.Keys(c.functions)) {
		t.Logf("%-40s in %d expressions", name, c.functions[name])
	}
}
