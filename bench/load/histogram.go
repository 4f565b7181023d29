// SPDX-License-Identifier: Apache-2.0

package load

import (
	"math"
	"math/bits"
	"time"
)

// A Histogram counts durations with a fault of 1.6 percent at most, from a
// nanosecond to half a day. The zero value is empty.
type Histogram struct {
	counts [48 * subBuckets]uint64
	total  uint64
	most   time.Duration
}

// subBuckets are the parts of each doubling.
const (
	subBits    = 5
	subBuckets = 1 << subBits
)

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.most = max(h.most, d)
}

// Count is how many were added.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest of them.
func (h *Histogram) Max() time.Duration { return h.most }

// Quantile returns the duration that a share of all stay within, 0 for none at
// all. The share is 0 to 1.
func (h *Histogram) Quantile(share float64) time.Duration {
	rank := uint64(math.Ceil(share * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return min(middleOf(i), h.most)
		}
	}
	return h.most
}

func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < subBuckets {
		return int(n)
	}
	double := bits.Len64(n) - subBits - 1
	return min(double*subBuckets+int(n>>double), len(Histogram{}.counts)-1)
}

// middleOf is the middle of what a bucket counts.
func middleOf(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	double := bucket/subBuckets - 1
	low := uint64(bucket%subBuckets+subBuckets) << double
	return time.Duration(low + 1<<double/2)
}
