// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"runtime"

	"github.com/nearside/nearside/edge"
)

// Rehearsal returns a loader of the host's rules for calls that serve no
// visitor, such as a decision's replay: they count nowhere, so they cannot
// quarantine a module, and a module that is out answers. Each call makes an
// instance of its own, which takes tens of microseconds.
func (h *Host) Rehearsal() edge.RuleLoader { return rehearsal{h} }

type rehearsal struct{ host *Host }

// Load implements edge.RuleLoader.
func (l rehearsal) Load(site string, ref edge.ModuleRef, bind map[string]int) (edge.Rule, error) {
	r, err := l.host.load(site, ref, bind)
	if err != nil {
		return nil, err
	}
	return rehearsedRule{r}, nil
}

// LoadRules implements edge.RuleLoader.
func (l rehearsal) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	set, err := l.host.loadRules(site, c, bind)
	if err != nil {
		return nil, err
	}
	return rehearsedSet{set}, nil
}

// A rehearsedRule answers as its rule does, beside the pool and the breaker.
type rehearsedRule struct{ *rule }

// Choose implements edge.Rule.
func (r rehearsedRule) Choose(view *edge.View, slot int) (edge.Answer, error) {
	role, err := r.role(slot)
	if err != nil {
		return edge.Answer{}, err
	}
	ctx := context.Background()
	in, err := r.template.restart(ctx)
	if err != nil {
		return edge.Answer{}, fmt.Errorf("%w: %w", errBroken, err)
	}
	defer in.close()
	answer, err := in.choose(ctx, view.Record(encodeRecord), slot, len(role.Variants), r.template.budget)
	runtime.KeepAlive(r.rule)
	return answer, err
}

// A rehearsedSet answers as its rules do, beside the pool.
type rehearsedSet struct{ *ruleSet }

// Decide implements edge.RuleSet.
func (r rehearsedSet) Decide(view *edge.View, slots []int, held []edge.Held) error {
	in, err := r.open(context.Background())
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	defer in.close()
	err = in.decide(view.Record(encodeRecord), slots, held)
	runtime.KeepAlive(r.ruleSet)
	return err
}
