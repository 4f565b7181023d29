// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// A guest is a running module that a pool keeps.
type guest interface {
	comparable
	// ready makes it ready for the next call, and reports whether that may be
	// its.
	ready() bool
	close()
}

// A pool holds a rule's instances, each in a seat. A call takes a seat, makes an
// instance if there is none in it, and leaves one that is ready for the next. It
// is safe for concurrent use.
//
// The seats are an array because a sync.Pool would drop instances without
// closing them. It only remembers which seat this processor used last, so that
// processors do not fight for the first one.
type pool[G guest] struct {
	spawn func(ctx context.Context) (G, error)
	seats []seat[G]
	near  sync.Pool // of *seat[G], which stays in seats

	alive atomic.Int64 // instances that are not closed
	mu    sync.Mutex
	spare seat[G] // what calls count that found no free seat; always empty
}

// A seat has room for one instance. Whoever made it busy owns it; counts are
// read by others.
type seat[G guest] struct {
	busy     atomic.Bool
	instance G // the zero G is none
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

// newPool returns a pool of first and of what spawn makes beside it.
func newPool[G guest](spawn func(context.Context) (G, error), first G, instances int) *pool[G] {
	p := &pool[G]{spawn: spawn, seats: make([]seat[G], instances)}
	p.seats[0].instance = first
	p.alive.Add(1)
	return p
}

// take returns a seat with an instance that is ready. The caller gives it back,
// also when there is an error.
func (p *pool[G]) take(ctx context.Context) (*seat[G], error) {
	s := p.seat()
	if s.taken() {
		return s, nil
	}
	in, err := p.spawn(ctx)
	if err != nil {
		return s, fmt.Errorf("%w: %w", errBroken, err)
	}
	p.alive.Add(1)
	s.instance = in
	return s, nil
}

// seat returns a seat that is the caller's alone.
func (p *pool[G]) seat() *seat[G] {
	if s, ok := p.near.Get().(*seat[G]); ok && s.busy.CompareAndSwap(false, true) {
		return s
	}
	for i := range p.seats {
		s := &p.seats[i]
		if !s.busy.Load() && s.busy.CompareAndSwap(false, true) {
			return s
		}
	}
	return &seat[G]{}
}

// taken reports whether there is an instance in the seat.
func (s *seat[G]) taken() bool {
	var none G
	return s.instance != none
}

// give takes a seat back and closes its instance if that is not to be used
// again. It returns the seat's history after a call that was a fault or not.
func (p *pool[G]) give(s *seat[G], fault bool, trips uint32) history {
	if s.taken() && !s.instance.ready() {
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
func (p *pool[G]) fold(s *seat[G], fault bool, trips uint32) history {
	p.vacate(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare.counts.add(&s.counts)
	return p.spare.record(fault, trips)
}

// record notes a call in the history.
func (s *seat[G]) record(fault bool, trips uint32) history {
	if s.trips != trips {
		s.trips, s.history = trips, 0
	}
	s.history = s.history.then(fault)
	return s.history
}

// vacate closes the instance in a seat of the caller's.
func (p *pool[G]) vacate(s *seat[G]) {
	if s.taken() {
		s.instance.close()
		var none G
		s.instance = none
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
func (p *pool[G]) total() *counts {
	var c counts
	for i := range p.seats {
		c.add(&p.seats[i].counts)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.add(&p.spare.counts)
	return &c
}

// close releases the instances. Nothing may call the rule any more.
func (p *pool[G]) close() {
	for i := range p.seats {
		p.vacate(&p.seats[i])
	}
}
