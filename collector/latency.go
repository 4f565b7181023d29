// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math"
	"strconv"
	"sync/atomic"
	"time"
)

// latencyBounds are the upper ends of a histogram's buckets. A decision takes
// some ten microseconds, an answer that waits for the disk some milliseconds, and
// what is held to a target is its 99th percentile: 5 and 10 ms. A quantile read
// from buckets is off by half a bucket at most.
var latencyBounds = [...]time.Duration{
	10 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 7 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// A latency is a histogram of durations. The zero value is empty. Observing takes
// no lock and allocates nothing; it is safe for concurrent use.
type latency struct {
	counts [len(latencyBounds) + 1]atomic.Uint64 // the last is beyond all bounds
	nanos  atomic.Uint64                         // of all together
}

// observe counts a duration; one below zero, after a step of the clock, as zero.
func (l *latency) observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.nanos.Add(uint64(d))
}

// appendText appends the histogram as Prometheus reads one, with a label.
func (l *latency) appendText(b []byte, name, label, value string) []byte {
	total := uint64(0)
	for i := range l.counts {
		total += l.counts[i].Load()
		bound := math.Inf(1)
		if i < len(latencyBounds) {
			bound = latencyBounds[i].Seconds()
		}
		b = append(append(b, name...), "_bucket{"...)
		b = append(append(append(append(b, label...), `="`...), value...), `",le="`...)
		if math.IsInf(bound, 1) {
			b = append(b, "+Inf"...)
		} else {
			b = strconv.AppendFloat(b, bound, 'g', -1, 64)
		}
		b = append(b, `"} `...)
		b = append(strconv.AppendUint(b, total, 10), '\n')
	}
	for _, whole := range []struct {
		suffix string
		value  float64
	}{{"_sum", time.Duration(l.nanos.Load()).Seconds()}, {"_count", float64(total)}} {
		b = append(append(append(b, name...), whole.suffix...), '{')
		b = append(append(append(append(b, label...), `="`...), value...), `"} `...)
		b = append(strconv.AppendFloat(b, whole.value, 'g', -1, 64), '\n')
	}
	return b
}

// Who asks for what, in metrics: an answer with slots waits for its events shorter
// than one without.
const (
	asksEvents = iota // a beacon of events alone
	asksSlots         // a beacon that asks for slots
	asksServer        // a site's server that asks for decisions
	asksCount
)

var asksNames = [asksCount]string{"events", "slots", "server"}

// asks returns which of them a beacon with a number of slots is.
func asks(slots int) int {
	if slots > 0 {
		return asksSlots
	}
	return asksEvents
}

// since is how long ago the last byte of a request had been read. The wait for a
// processor before that is the load generator's to measure.
func since(read time.Time) time.Duration {
	if read.IsZero() {
		return 0 // not from a listener
	}
	return time.Since(read)
}
