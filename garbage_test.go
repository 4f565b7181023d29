// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestGarbageMayTakeTheSpareHeap(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 6400}, {4 << 20, 6400}, {64 << 20, 400}, {100 << 20, 256}, {256 << 20, 100}, {300 << 20, 100}, {64 << 30, 100},
	} {
		if got := garbagePercent(tt.live); got != tt.want {
			t.Errorf("%d bytes in use: %d %%, want %d", tt.live, got, tt.want)
		}
	}
}

// A heap that grows while a small one's share is in force is collected with its own
// soon: it does not become the many times larger heap that share would allow.
func TestGarbageCollectionFollowsTheHeap(t *testing.T) {
	const alone = "NEARSIDE_TEST_ALONE" // without what other tests have left in the heap
	if os.Getenv(alone) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), alone+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	before := debug.SetGCPercent(leastPercent)
	defer debug.SetGCPercent(before)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runtime.GC()
	collectSeldom(ctx)
	small := debug.SetGCPercent(leastPercent)
	debug.SetGCPercent(small)
	live := make([][]byte, 0, 60)
	for range 60 {
		live = append(live, make([]byte, 1<<20))
	}
	var most uint64
	now := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for range 1500 { // 1.5 GB of garbage
		garbage = make([]byte, 1<<20)
		metrics.Read(now)
		most = max(most, now[0].Value.Uint64())
	}
	runtime.KeepAlive(live)
	if grown := debug.SetGCPercent(leastPercent); grown >= small {
		t.Errorf("the share was %d %% and is %d %%", small, grown)
	}
	if most > 700<<20 {
		t.Errorf("the heap grew to %d MB beside 60 in use", most>>20)
	}
}

var garbage []byte
