// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"testing"
)

// A site's usual headers stay: with one place each, some thirty pairs of five
// hundred would push each other out again and again.
func TestCacheHoldsWhatIsUsual(t *testing.T) {
	const usual = cacheEntries / 8
	c := newCache[int]()
	missed := usual
	for round := 0; round < 8 && missed > 0; round++ {
		missed = 0
		for i := range usual {
			key := fmt.Appendf(nil, "Mozilla/5.0 (%d)", i)
			got, ok := c.find(key)
			if !ok {
				missed++
				c.keep(key, i)
			} else if got != i {
				t.Fatalf("key %d has the value of %d", i, got)
			}
		}
	}
	if missed > usual/100 {
		t.Errorf("%d of %d usual keys are still worked out each time", missed, usual)
	}
}

func TestCacheAllocs(t *testing.T) {
	c := newCache[int]()
	key := []byte("Mozilla/5.0 (X11)")
	c.keep(key, 1)
	if n := testing.AllocsPerRun(100, func() { c.find(key) }); n != 0 {
		t.Errorf("%.1f allocations to find a key, want 0", n)
	}
}
