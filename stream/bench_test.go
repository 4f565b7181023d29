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

// BenchmarkPublishWithRecords measures what decision records cost: rounds of a
// closed loop in which each producer publishes one event of about 512 bytes, as
// a page view does, in turn without a record and with one of 1 KB.
func BenchmarkPublishWithRecords(b *testing.B) {
	for _, producers := range []int{512, 64, 1} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			s := open(b, Options{Dir: b.TempDir()})
			var took, cpu [2]time.Duration
			round, calls := 0, 20_000
			if producers == 1 {
				calls = 500
			}
			publishRound(b, s, producers, calls, 0, false) // warm up
			for b.Loop() {
				for i := range took {
					round++
					t0, c0 := time.Now(), cpuTime(b)
					publishRound(b, s, producers, calls, round, i == 1)
					took[i] += time.Since(t0)
					cpu[i] += cpuTime(b) - c0
				}
			}
			n := float64(calls) * float64(b.N)
			st := s.Stats()
			b.ReportMetric(n/took[0].Seconds(), "events/s")
			b.ReportMetric(n/took[1].Seconds(), "events/s-with-records")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
			b.ReportMetric(float64(cpu[0].Nanoseconds())/1000/n, "cpu-µs/event")
			b.ReportMetric(float64(cpu[1].Nanoseconds())/1000/n, "cpu-µs/event-with-record")
			b.ReportMetric(100*float64(st.RecordsDropped)/n, "%-dropped")
			b.ReportMetric(n/float64(max(1, st.RecordFrames)), "records/frame")
		})
	}
}

// publishRound has producers publish an event each until all calls are made.
func publishRound(b *testing.B, s *Stream, producers, calls, round int, records bool) {
	body := fmt.Appendf(nil, `"%0450d"`, 0)
	record := edge.StoredRecord{Site: "shop", At: time.Now(), Visitor: [16]byte{1}, Bytes: make([]byte, 1024)}.Record()
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := p; i < calls; i += producers {
				id := fmt.Sprintf("%d-%d", round, i)
				if records {
					s.Record(&record)
				}
				if err := s.Publish([]edge.Event{edge.StoredEvent{Site: "shop", ID: id, Name: "page_view", JSON: body}.Event()}, wait); err != nil {
					b.Error(err, s.Ready())
					return
				}
			}
		})
	}
	wg.Wait()
}
