// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// A flight is a request whose events are on their way to the disk.
type flight struct {
	conn *plainConn
	x    *exchange
}

// A batch is the flights of one loop whose events share their fate.
type batch struct {
	server  *Server
	pending edge.Pending

	mu      sync.Mutex
	flights []flight
	over    bool
	spare   *flightMemory // gets the memory of the flights back
}

// A flightMemory keeps the memory of the flights of one batch that is over for the next
// one. It is safe for concurrent use.
type flightMemory struct{ atomic.Pointer[[]flight] }

func (m *flightMemory) take() []flight {
	if kept := m.Swap(nil); kept != nil {
		return *kept
	}
	return make([]flight, 0, loopEvents)
}

func (m *flightMemory) give(flights []flight) {
	clear(flights)
	flights = flights[:0]
	m.Store(&flights)
}

// join lets a request be answered when its events' fate is known.
func (l *loop) join(p edge.Pending, f flight) {
	if l.batch != nil && l.batch.pending == p && l.batch.add(f) {
		return
	}
	flights := l.spare.take()
	l.batch = &batch{server: l.way.fast, pending: p, flights: append(flights, f), spare: &l.spare}
	go l.batch.run()
}

// add reports whether the batch was not over yet.
func (b *batch) add(f flight) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.flights = append(b.flights, f)
	}
	return !b.over
}

// run answers all flights: when the fate of their events is known, or each when it has
// waited as long as it may.
func (b *batch) run() {
	timer := time.NewTimer(b.shortest())
	defer timer.Stop()
	for {
		select {
		case <-b.pending.Done():
			flights := b.finish()
			b.conclude(flights, b.pending.Err() == nil)
			b.spare.give(flights)
			return
		case <-timer.C:
		}
		late, next := b.late(time.Now())
		if len(late) > 0 {
			b.pending.GiveUp(len(late))
			b.conclude(late, false)
		}
		timer.Reset(next)
	}
}

// finish returns the flights that are left.
func (b *batch) finish() []flight {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	flights := b.flights
	b.flights = nil
	return flights
}

// shortest is how long the most impatient flight waits.
func (b *batch) shortest() time.Duration {
	return min(b.server.options.PublishWait, b.server.options.PublishPatience)
}

// late returns the flights that have waited as long as they may, which are the batch's
// no more, and how long it is until there may be others.
func (b *batch) late(now time.Time) (late []flight, next time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next = b.shortest() // one that comes now may be the next
	b.flights = slices.DeleteFunc(b.flights, func(f flight) bool {
		left := b.server.patience(f.x) - now.Sub(f.x.read)
		if left <= 0 {
			late = append(late, f)
			return true
		}
		next = min(next, left)
		return false
	})
	return late, next
}

// conclude answers flights.
func (b *batch) conclude(flights []flight, kept bool) {
	for i, f := range flights {
		f.conn.conclude(f.x, b.server.concludeSafely(f.x, kept))
		if i%loopTurn == loopTurn-1 {
			runtime.Gosched()
		}
	}
}
