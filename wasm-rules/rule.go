// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/nearside/nearside/edge"
)

// A rule is a loaded module. It implements edge.Rule.
type rule struct {
	manifest *edge.Manifest
	pool     *pool
}

// Manifest implements edge.Rule.
func (r *rule) Manifest() *edge.Manifest { return r.manifest }

// Choose implements edge.Rule. Its errors wrap ErrTrap or ErrNonsense, or tell
// that no instance could be made. It allocates nothing but what the module
// says in words.
func (r *rule) Choose(view *edge.View, slot int) (edge.Answer, error) {
	if slot < 0 || slot >= len(r.manifest.Slots) {
		return edge.Answer{}, fmt.Errorf("%s has no slot number %d", r.manifest.ID(), slot)
	}
	record := view.Record(encodeRecord)
	in, err := r.pool.take()
	if err != nil {
		return edge.Answer{}, err
	}
	answer, err := in.answer(context.Background(), record, slot, len(r.manifest.Slots[slot].Variants))
	r.pool.put(in, err)
	// The pool is closed once the rule is unreachable, never while it answers.
	runtime.KeepAlive(r)
	return answer, err
}

// A pool holds a rule's idle instances: a fixed array, because a sync.Pool
// would drop instances without closing them. It is safe for concurrent use.
type pool struct {
	recipe   *recipe
	snapshot *snapshot
	idle     []idleSlot
	// made counts the instances ever made; only tests read it.
	made atomic.Int64
}

// An idleSlot holds an idle instance or nil, on a cache line of its own.
type idleSlot struct {
	atomic.Pointer[instance]
	_ [56]byte
}

// newPool makes a rule's first instance and keeps what it is then as the state
// in which every call begins.
func newPool(p *recipe, instances int) (*pool, error) {
	first, err := p.start(context.Background())
	if err != nil {
		return nil, err
	}
	pool := &pool{recipe: p, snapshot: first.snapshot(), idle: make([]idleSlot, instances)}
	pool.made.Add(1)
	pool.idle[0].Store(first)
	return pool, nil
}

// take returns an instance that is as the snapshot says, a new one when none is
// idle.
func (p *pool) take() (*instance, error) {
	for i := range p.idle {
		slot := &p.idle[i]
		if slot.Load() == nil {
			continue
		}
		if in := slot.Swap(nil); in != nil {
			return in, nil
		}
	}
	in, err := p.recipe.start(context.Background())
	if err != nil {
		return nil, err
	}
	p.made.Add(1)
	if !in.is(p.snapshot) {
		in.close()
		return nil, errors.New("the module does not start the same way twice")
	}
	return in, nil
}

// put takes an instance back after a call that gave err. It closes one that
// trapped, that cannot be put back to the snapshot, or that there is no room
// for.
func (p *pool) put(in *instance, err error) {
	if errors.Is(err, ErrTrap) || !in.restore(p.snapshot) {
		in.close()
		return
	}
	for i := range p.idle {
		if p.idle[i].CompareAndSwap(nil, in) {
			return
		}
	}
	in.close()
}

// close releases the instances and the compiled code. Nothing may call the rule
// any more.
func (p *pool) close() {
	for i := range p.idle {
		if in := p.idle[i].Swap(nil); in != nil {
			in.close()
		}
	}
	_ = p.recipe.compiled.Close(context.Background())
}
