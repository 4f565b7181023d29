// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime/debug"
	"testing"
	"testing/synctest"
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

func TestGarbageCollectionFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go collectSeldom(ctx)
		synctest.Wait()
		if now := debug.SetGCPercent(100); now <= 100 {
			t.Errorf("the percentage is %d", now)
		}
	})
}
