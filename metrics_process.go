// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"runtime/metrics"
)

// writeProcessMetrics writes what the process itself holds. Reading it does not
// stop the program, as runtime.ReadMemStats does.
func writeProcessMetrics(w io.Writer) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	for i, g := range []struct{ name, help string }{
		{"nearside_heap_bytes", "objects on the heap, dead ones that were not yet swept included"},
		{"nearside_memory_bytes", "memory that the runtime holds; what is mapped from files, such as place databases, is not in it"},
		{"nearside_goroutines", "goroutines"},
	} {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			gauge(w, g.name, g.help, samples[i].Value.Uint64())
		}
	}
}
