// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"runtime"
	"sync"
	"time"
)

// What a host holds if nothing else is said.
const (
	largeModules = 16
	memoryBytes  = 2 << 30
)

// A quota is so much of something, which rules take and give back. It is safe
// for concurrent use.
type quota struct {
	mu   sync.Mutex
	free int64
}

// take reports whether there was room for n, which is taken then.
func (q *quota) take(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n > q.free {
		return false
	}
	q.free -= n
	return true
}

// claim is take for a rule that is loaded. What the rules of a former release
// had is given back once the collector has found them, so it is run when there
// is no room.
func (q *quota) claim(n int64) bool {
	for range 3 {
		if q.take(n) {
			return true
		}
		runtime.GC()
		time.Sleep(time.Millisecond) // what gives back runs beside this
	}
	return q.take(n)
}

// give makes room for n again.
func (q *quota) give(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += n
}
