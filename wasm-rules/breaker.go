// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// ErrQuarantined reports a module that is out for repeated faults: it was not
// called.
var ErrQuarantined = fmt.Errorf("module is quarantined: %w", edge.ErrNotRun)

// The rule of the breaker: a module with tripFaults faults among the latest 64
// calls of one of its instances is out for firstSpell; then one call tries it.
// If that one is good the module serves again, else it is out for twice as
// long, at most longestSpell. Being tripped again within relapse of coming back
// doubles the spell as well.
const (
	tripFaults   = 8
	firstSpell   = 10 * time.Second
	longestSpell = 10 * time.Minute
	relapse      = 10 * time.Minute
	// trialTime is when another call may try if the one that did never came
	// back.
	trialTime = time.Second
)

// A history says of the latest 64 calls which ones were faults; the latest is
// bit 0.
type history uint64

func (h history) then(fault bool) history {
	h <<= 1
	if fault {
		h |= 1
	}
	return h
}

func (h history) faulty() bool { return bits.OnesCount64(uint64(h)) >= tripFaults }

// A breaker keeps a faulty module from being called. It is safe for concurrent
// use, and one load of a value that hardly ever changes while the module serves.
type breaker struct {
	// until is when the next call may try the module, in nanoseconds since the
	// Unix epoch; 0 while it serves.
	until atomic.Int64
	// trips counts quarantines, those that a trial made longer included. A
	// history from before the latest one is over.
	trips atomic.Uint32
	now   func() time.Time

	mu    sync.Mutex
	spell time.Duration // of the latest quarantine
	back  time.Time     // when it ended
}

// A permit is what allows returned.
type permit int

const (
	refused permit = iota
	granted
	onTrial // the call must be reported with tried
)

// allows reports whether the module may be called.
func (b *breaker) allows() permit {
	until := b.until.Load()
	if until == 0 {
		return granted
	}
	now := b.now()
	if now.UnixNano() < until || !b.until.CompareAndSwap(until, now.Add(trialTime).UnixNano()) {
		return refused
	}
	return onTrial
}

// tried says what became of a trial.
func (b *breaker) tried(fault bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fault {
		b.out(2 * b.spell)
		return
	}
	b.back = b.now()
	b.until.Store(0)
}

// trip takes the module out. It does nothing to one that is out already.
func (b *breaker) trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.Load() != 0:
	case b.spell > 0 && b.now().Sub(b.back) < relapse:
		b.out(2 * b.spell)
	default:
		b.out(firstSpell)
	}
}

func (b *breaker) out(spell time.Duration) {
	b.spell = min(spell, longestSpell)
	b.trips.Add(1)
	b.until.Store(b.now().Add(b.spell).UnixNano())
}

// quarantinedUntil returns when the module may be tried again, or the zero time
// while it serves.
func (b *breaker) quarantinedUntil() time.Time {
	if until := b.until.Load(); until != 0 {
		return time.Unix(0, until)
	}
	return time.Time{}
}
