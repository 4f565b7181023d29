// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// spareHeap is how much garbage may gather in a small heap before it is
	// collected. Collecting takes a core for tens of milliseconds, and answers
	// wait meanwhile: in a heap of 60 MB it would happen every other second.
	spareHeap = 256 << 20
	// heapEvery is how often the heap is looked at.
	heapEvery = 5 * time.Second
	// leastPercent is Go's own setting, and that of a heap above spareHeap.
	leastPercent = 100
)

// collectSeldom has garbage collected when there is spareHeap of it, or as much as
// what is in use if that is more, until ctx ends. GOMEMLIMIT counts all the same.
func collectSeldom(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(heapEvery)
	defer tick.Stop()
	for was := leastPercent; ; {
		metrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); 10*max(was-percent, percent-was) > was {
			debug.SetGCPercent(percent)
			was = percent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// garbagePercent returns how much garbage may gather beside live bytes, in percent
// of them.
func garbagePercent(live uint64) int {
	const least = 4 << 20 // a Go program's smallest heap
	return int(max(leastPercent, 100*spareHeap/max(live, least)))
}
