// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// BenchmarkPublish measures a closed loop: each producer publishes 3 events of
// about 512 bytes and waits for the disk.
func BenchmarkPublish(b *testing.B) {
	for _, producers := range []int{512, 64, 1} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			benchmarkPublish(b, producers)
		})
	}
}

func benchmarkPublish(b *testing.B, producers int) {
	s := open(b, Options{Dir: b.TempDir()})
	body := fmt.Appendf(nil, `"%0450d"`, 0)
	var mu sync.Mutex
	var all []time.Duration
	var producer atomic.Uint64
	b.ReportAllocs()
	b.SetParallelism(max(1, producers/runtime.GOMAXPROCS(0)))
	if producers == 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	b.ResetTimer()
	cpu := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		events := make([]edge.Event, 3)
		id := binary.LittleEndian.AppendUint64(nil, producer.Add(1))
		var times []time.Duration
		for n := uint64(0); pb.Next(); n += 3 {
			for i := range events {
				id = binary.LittleEndian.AppendUint64(id[:8], n+uint64(i))
				events[i] = edge.StoredEvent{Site: "shop", ID: string(id), Name: "page_view", At: time.Unix(1795305600, 0), JSON: body}.Event()
			}
			t0 := time.Now()
			if err := s.Publish(events, wait); err != nil {
				b.Error(err)
			}
			times = append(times, time.Since(t0))
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, times...)
	})
	cpu = cpuTime(b) - cpu
	slices.Sort(all)
	st := s.Stats()
	b.ReportMetric(float64(st.Stored)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(st.Stored), "cpu-µs/event")
	b.ReportMetric(float64(st.Stored)/float64(st.Groups), "events/group")
}

// cpuTime returns what the process has used so far, all threads together.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
