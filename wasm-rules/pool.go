// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// A pool holds a rule's instances, each in a seat. A call takes a seat, makes an
// instance if there is none in it, and leaves it as the snapshot says. It is
// safe for concurrent use.
//
// The seats are an array because a sync.Pool would drop instances without
// closing them. It only remembers which seat this processor used last, so that
// processors do not fight for the first one.
type pool struct {
	template *template
	seats    []seat
	near     sync.Pool // of *seat, which stays in seats

	alive atomic.Int64 // instances that are not closed
	mu    sync.Mutex
	spare seat // what calls count that found no free seat; always empty
}

// A seat has room for one instance. Whoever made it busy owns it; counts are
// read by others.
type seat struct {
	busy     atomic.Bool
	instance *instance
	history  history
	trips    uint32 // of the breaker when history began
	counts   counts
	_        [64]byte // no processor writes where another reads
}

// counts are what a seat's calls came to. Only the seat's owner adds.
type counts struct {
	calls, fuel atomic.Uint64
	maxFuel     atomic.Int64
	faults      [faults]atomic.Uint64
}

func newPool(t *template, first *instance, instances int) *pool {
	p := &pool{template: t, seats: make([]seat, instances)}
	p.seats[0].instance = first
	p.alive.Add(1)
	return p
}

// take returns a seat with an instance that is as the snapshot says. The caller
// gives it back, also when there is an error.
func (p *pool) take(ctx context.Context) (*seat, error) {
	s := p.seat()
	if s.instance != nil {
		return s, nil
	}
	in, err := p.template.restart(ctx)
	if err != nil {
		return s, fmt.Errorf("%w: %w", errBroken, err)
	}
	p.alive.Add(1)
	s.instance = in
	return s, nil
}

// seat returns a seat that is the caller's alone.
func (p *pool) seat() *seat {
	if s, ok := p.near.Get().(*seat); ok && s.busy.CompareAndSwap(false, true) {
		return s
	}
	for i := range p.seats {
		s := &p.seats[i]
		if !s.busy.Load() && s.busy.CompareAndSwap(false, true) {
			return s
		}
	}
	return &seat{}
}

// give takes a seat back and closes its instance if that is not to be used
// again. It returns the seat's history after a call that was a fault or not.
func (p *pool) give(s *seat, fault bool, trips uint32) history {
	if in := s.instance; in != nil && !in.restore(p.template.snapshot) {
		p.vacate(s)
	}
	if !s.busy.Load() {
		return p.fold(s, fault, trips)
	}
	h := s.record(fault, trips)
	s.busy.Store(false)
	p.near.Put(s)
	return h
}

// fold closes a seat that is in no array and adds it to what such seats count.
func (p *pool) fold(s *seat, fault bool, trips uint32) history {
	p.vacate(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare.counts.add(&s.counts)
	return p.spare.record(fault, trips)
}

// record notes a call in the history.
func (s *seat) record(fault bool, trips uint32) history {
	if s.trips != trips {
		s.trips, s.history = trips, 0
	}
	s.history = s.history.then(fault)
	return s.history
}

// vacate closes the instance in a seat of the caller's.
func (p *pool) vacate(s *seat) {
	if s.instance != nil {
		s.instance.close()
		s.instance = nil
		p.alive.Add(-1)
	}
}

func (c *counts) add(o *counts) {
	c.calls.Add(o.calls.Load())
	c.fuel.Add(o.fuel.Load())
	c.maxFuel.Store(max(c.maxFuel.Load(), o.maxFuel.Load()))
	for i := range c.faults {
		c.faults[i].Add(o.faults[i].Load())
	}
}

// total adds up what all calls so far came to.
func (p *pool) total() *counts {
	var c counts
	for i := range p.seats {
		c.add(&p.seats[i].counts)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.add(&p.spare.counts)
	return &c
}

// close releases the instances and the code. Nothing may call the rule any
// more.
func (p *pool) close() {
	for i := range p.seats {
		p.vacate(&p.seats[i])
	}
	_ = p.template.code.Close(context.Background())
}
