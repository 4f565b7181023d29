// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// A rule is a loaded module. It implements edge.Rule.
type rule struct {
	manifest *edge.Manifest
	template *template
	loaded   time.Time
	pool     *pool[*instance]
	breaker  breaker
	refused  atomic.Uint64 // calls while quarantined
}

// Manifest implements edge.Rule.
func (r *rule) Manifest() *edge.Manifest { return r.manifest }

// Choose implements edge.Rule. Its errors wrap edge.ErrBudget, ErrTrap or
// ErrNonsense, are ErrGrown or ErrQuarantined, or tell that no instance could be
// made. It allocates nothing but what the module says in words.
func (r *rule) Choose(view *edge.View, slot int) (edge.Answer, error) {
	role, err := r.role(slot)
	if err != nil {
		return edge.Answer{}, err
	}
	permit := r.breaker.allows()
	if permit == refused {
		r.refused.Add(1)
		return edge.Answer{}, ErrQuarantined
	}
	record := view.Record(encodeRecord)
	s, err := r.pool.take(context.Background())
	var answer edge.Answer
	if err == nil {
		answer, err = s.instance.choose(context.Background(), record, slot, len(role.Variants), r.template.budget)
	}
	s.counts.called(answer.Fuel, err)
	history := r.pool.give(s, err != nil, r.breaker.trips.Load())
	switch {
	case permit == onTrial:
		r.breaker.tried(err != nil)
	case err != nil && history.faulty():
		r.breaker.trip()
	}
	// The pool is closed once the rule is unreachable, never while it answers.
	runtime.KeepAlive(r)
	return answer, err
}

// role returns the role of a number.
func (r *rule) role(slot int) (*edge.ManifestSlot, error) {
	if slot < 0 || slot >= len(r.manifest.Slots) {
		return nil, fmt.Errorf("%s has no slot number %d", r.manifest.ID(), slot)
	}
	return &r.manifest.Slots[slot], nil
}

// called notes one call.
func (c *counts) called(fuel int64, err error) {
	c.calls.Add(1)
	c.fuel.Add(uint64(fuel))
	if fuel > c.maxFuel.Load() {
		c.maxFuel.Store(fuel)
	}
	if err != nil {
		c.faults[faultOf(err)].Add(1)
	}
}
