// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// spareHeap is how much garbage may gather in a small heap before it is
	// collected. Collecting takes a core for tens of milliseconds, and answers
	// wait meanwhile: in a heap of 60 MB it would happen every other second.
	spareHeap = 256 << 20
	// leastPercent is Go's own setting, and that of a heap above spareHeap.
	leastPercent = 100
)

// collectSeldom has garbage collected when there is spareHeap of it, or as much as
// what is in use if that is more, until ctx ends. GOMEMLIMIT counts all the same.
// It returns at once.
func collectSeldom(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	was := leastPercent
	var look func()
	look = func() {
		if ctx.Err() != nil {
			return
		}
		metrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); 10*max(was-percent, percent-was) > was {
			debug.SetGCPercent(percent)
			was = percent
		}
		afterCollection(look)
	}
	look()
}

// afterCollection calls f once garbage has been collected the next time: a heap that
// grew meanwhile must not keep the share of a smaller one.
func afterCollection(f func()) {
	runtime.AddCleanup(new([64]byte), func(f func()) { f() }, f)
}

// garbagePercent returns how much garbage may gather beside live bytes, in percent
// of them.
func garbagePercent(live uint64) int {
	const least = 4 << 20 // a Go program's smallest heap
	return int(max(leastPercent, 100*spareHeap/max(live, least)))
}
