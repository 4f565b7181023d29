// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// TestMain is also the program that compiles modules apart and the one whose
// memory is measured.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case wasmrules.CompileCommand:
			os.Exit(wasmrules.CompileMain(os.Args[2:]))
		case holdCommand:
			os.Exit(holdMain(os.Args[2:], os.Stdout, os.Stderr))
		}
	}
	code := m.Run()
	results.print(os.Stdout)
	os.Exit(code)
}

// A contender is one way to do what is measured.
type contender struct {
	name string
	// call does it once and fails if the result is not the right one.
	call func() error
	// rest, if set, is run before each turn, which is then one call, by the clock
	// on the wall. Other turns are many calls, by what this thread used of its
	// processor: what else the machine does then counts less.
	rest func() error
}

const (
	turnsAtLeast = 9
	turnTime     = 20 * time.Millisecond // of one contender, unless a call takes longer
)

// compare runs the contenders by turns and notes how many times as long as the
// first each of the others takes. target says what the first is held to.
func compare(b *testing.B, what, target string, all ...contender) {
	b.Helper()
	calls := make([]int, len(all))
	for i, c := range all {
		calls[i] = enoughCalls(b, c)
	}
	times := make([][]float64, len(all)) // nanoseconds a call, by turn
	for b.Loop() {
		for first := range turnsAtLeast {
			for step := range all {
				i := (first + step) % len(all) // nobody is always first
				times[i] = append(times[i], turn(b, all[i], calls[i]))
			}
		}
	}
	r := row{what: what, target: target, turns: len(times[0])}
	for i, c := range all {
		one := side{name: c.name, nanos: median(times[i])}
		for t, nanos := range times[i] {
			one.ratios = append(one.ratios, nanos/times[0][t])
		}
		slices.Sort(one.ratios)
		if c.rest == nil {
			one.counted = true
			one.allocs, one.bytes = allocations(b, c, calls[i])
		}
		r.sides = append(r.sides, one)
		if i > 0 {
			b.ReportMetric(median(one.ratios), "x-"+c.name)
		}
	}
	b.ReportMetric(r.sides[0].nanos, "ns/op")
	b.ReportMetric(r.sides[0].allocs, "allocs/op")
	b.ReportMetric(r.sides[0].bytes, "B/op")
	results.add(r)
}

// turn returns the nanoseconds of one of n calls.
func turn(b *testing.B, c contender, n int) float64 {
	b.Helper()
	clock := threadTime
	if c.rest != nil {
		clock = wallTime
		if err := c.rest(); err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
	}
	runtime.GC() // what another one left behind
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := clock()
	for range n {
		if err := c.call(); err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
	}
	return float64((clock() - start).Nanoseconds()) / float64(n)
}

var began = time.Now()

func wallTime() time.Duration { return time.Since(began) }

// enoughCalls returns how many calls fill a turn; a contender that rests has
// one call a turn.
func enoughCalls(b *testing.B, c contender) int {
	b.Helper()
	n := 1
	if c.rest != nil {
		return n
	}
	for {
		took := time.Duration(turn(b, c, n) * float64(n))
		if took >= turnTime/2 {
			return n
		}
		n *= 2
	}
}

// allocations returns what one call allocates, on average.
func allocations(b *testing.B, c contender, n int) (count, bytes float64) {
	b.Helper()
	n = min(n, 1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	turn(b, c, n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
}

func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

// A row is what one comparison found, or only a note.
type row struct {
	what, target string
	turns        int
	sides        []side
	note         string
}

// A side is what a contender did. ratios are sorted: its time by the first
// contender's, turn by turn.
type side struct {
	name          string
	nanos         float64
	ratios        []float64
	counted       bool // where the process that is measured is this one
	allocs, bytes float64
}

// A table collects the rows of a run.
type table struct {
	mu   sync.Mutex
	rows []row
}

// results is the run's table: benchmarks fill it, TestMain prints it.
var results table

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.rows {
		if t.rows[i].what == r.what { // -count runs it again
			t.rows[i] = r
			return
		}
	}
	t.rows = append(t.rows, r)
}

func (t *table) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return
	}
	for _, r := range t.rows {
		if r.note != "" {
			fmt.Fprintf(w, "\n%s: %s%s\n", r.what, r.note, targetText(r.target))
			continue
		}
		fmt.Fprintf(w, "\n%s, %d turns%s\n", r.what, r.turns, targetText(r.target))
		fmt.Fprintf(w, "  %-26s%10s%9s%9s%9s%9s%11s\n", "", "time", "ratio", "low", "high", "allocs", "bytes")
		for _, s := range r.sides {
			fmt.Fprintf(w, "  %-26s%10s%9.2f%9.2f%9.2f", s.name, nanosText(s.nanos), median(s.ratios), s.ratios[0], s.ratios[len(s.ratios)-1])
			if s.counted {
				fmt.Fprintf(w, "%9.0f%11.0f", s.allocs, s.bytes)
			}
			fmt.Fprintln(w)
		}
	}
}

func targetText(target string) string {
	if target == "" {
		return ""
	}
	return "; target " + target
}

func nanosText(nanos float64) string {
	switch {
	case nanos < 1e4:
		return fmt.Sprintf("%.0f ns", nanos)
	case nanos < 1e7:
		return fmt.Sprintf("%.1f µs", nanos/1e3)
	}
	return fmt.Sprintf("%.0f ms", nanos/1e6)
}
