// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/nearside/nearside/edge"
)

// A ruleSet is a release's rules without code, compiled and loaded. It implements
// edge.RuleSet.
type ruleSet struct {
	*ruleCode
	loaded time.Time
	pool   *pool[*ruleInstance]
}

// Slots implements edge.RuleSet.
func (r *ruleSet) Slots() []edge.RuleSetSlot { return r.program.Slots() }

// Reads implements edge.RuleSet.
func (r *ruleSet) Reads() []string { return r.program.Reads() }

// Counts implements edge.RuleSet.
func (r *ruleSet) Counts() []edge.EventWindow { return r.program.Counts() }

// Decide implements edge.RuleSet. Its errors wrap ErrTrap or ErrNonsense, or tell
// that no instance could be made or that a slot is none of the set's. None is the
// visitor's doing, so there is no quarantine: an instance that failed is closed.
func (r *ruleSet) Decide(view *edge.View, slots []int, held []edge.Held) error {
	record := view.Record(encodeRecord)
	s, err := r.pool.take(context.Background())
	if err == nil {
		err = s.instance.decide(record, slots, held)
	}
	s.counts.called(0, err)
	r.pool.give(s, err != nil, 0)
	// The pool is closed once the set is unreachable, never while it answers.
	runtime.KeepAlive(r)
	return err
}

// Explain implements edge.RuleSet. It reads the values back from the record, so
// that it knows what Decide knew and no more: what did not fit into the record is
// absent here too.
func (r *ruleSet) Explain(view *edge.View, slot, candidate int, isKept bool) (*edge.Condition, error) {
	values, err := DecodeRecord(view.Record(encodeRecord), r.own)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	value := func(name string) edge.Value {
		if n, ok := r.numbers[name]; ok {
			return values[n]
		}
		return edge.Value{}
	}
	return r.program.Explain(slot, candidate, isKept, value, view.Granted())
}

// compiledName stands for compiled rules where modules are told apart by
// name@version: they are new in every release.
const compiledName = "rules"

func (r *ruleSet) status() ModuleStatus {
	c := r.pool.total()
	s := ModuleStatus{
		Site: r.site, Module: compiledName, Hash: r.hash, Rewritten: r.hash, Loaded: r.loaded,
		Calls: c.calls.Load(), Instances: r.pool.alive.Load(),
	}
	s.MemoryBytes = s.Instances * int64(r.memory)
	for i := range s.Faults {
		s.Faults[i] = c.faults[i].Load()
	}
	return s
}
