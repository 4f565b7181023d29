// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// BenchmarkErase erases a person who did 200 things among a million events of
// 500 bytes, and finds nothing afterwards.
func BenchmarkErase(b *testing.B) {
	const events, group = 1_000_000, 100
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		s := open(b, Options{Dir: dir, Window: time.Microsecond})
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				batch := make([]edge.Event, group)
				for g := w; g < events/group; g += 4 {
					for i := range batch {
						n := g*group + i
						key := edge.PersonKey{byte(n), byte(n >> 8), 1}
						if n%(events/200) == 0 {
							key = ann.Key
						}
						json := fmt.Appendf(nil, `{"id":"e%d","name":"page_view","site":"shop","visitor":{"id":"%x"},"page":{"url":"https://shop.example/hats/%d"},"room":"%s"}`, n, key, n*7919%10007, strings.Repeat("x", 350))
						batch[i] = edgetest.Event(edgetest.EventSpec{Site: "shop", ID: fmt.Sprint("e", n), Name: "page_view", Visitor: key, At: time.Now().Add(-time.Minute), JSON: json})
					}
					if err := s.Publish(batch, time.Minute); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		s.calm = 0
		if _, err := s.Forget(b.Context(), ann); err != nil {
			b.Fatal(err)
		}
		size := s.Stats().LogBytes
		runtime.GC()
		written := writtenBytes()
		b.StartTimer()
		if err := s.EraseWaiting(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		st := s.Stats()
		b.ReportMetric(float64(writtenBytes()-written)/1e6, "MB-written")
		b.ReportMetric(float64(size)/1e6, "MB-log")
		b.ReportMetric(float64(m.HeapSys)/1e6, "MB-heap")
		b.ReportMetric(float64(st.Rewritten), "messages")
		began := time.Now()
		found, err := s.Find(b.Context(), edge.Traces{Person: ann})
		b.ReportMetric(time.Since(began).Seconds(), "s-to-search")
		for _, f := range found {
			if err != nil || f.Found > 0 || st.ErasedEvents != 200 {
				b.Errorf("%+v, %v; %d events erased", f, err, st.ErasedEvents)
			}
		}
		closeStream(b, s)
		b.StartTimer()
	}
}

// writtenBytes is what the process has handed to the system, 0 where that does not
// say.
func writtenBytes() (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	return 0
}
