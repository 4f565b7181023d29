// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/bench/load"
	"github.com/nearside/nearside/bench/traffic"
)

// A watch looks at a node while it is soaked.
type watch struct {
	ctx      context.Context
	node     *server
	operator operator
	mix      *mix
	out      io.Writer
	length   time.Duration

	before  metrics
	last    time.Duration
	samples []sample
}

// A sample is what a node holds at a moment.
type sample struct {
	at                       time.Duration
	resident, heap, remember float64
}

// metrics are a node's counts by series, as Prometheus reads them.
type metrics map[string]float64

// scrape reads the node's metrics over the operator's socket.
func (w *watch) scrape() (m metrics, err error) {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	err = w.operator.fetch(ctx, "/metrics", func(from io.Reader) error {
		m, err = readMetrics(from)
		return err
	})
	return m, err
}

func readMetrics(from io.Reader) (metrics, error) {
	m := metrics{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if strings.HasPrefix(lines.Text(), "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(lines.Text()[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
		m[lines.Text()[:at]] = value
	}
	return m, lines.Err()
}

// quantile returns the seconds that a share of what a histogram counted since
// before stayed within. Within a bucket all are taken to be spread evenly, as
// Prometheus does it.
func (m metrics) quantile(before metrics, name, asks string, share float64) float64 {
	of := func(bound string) float64 {
		series := name + `_bucket{asks="` + asks + `",le="` + bound + `"}`
		return m[series] - before[series]
	}
	total := of("+Inf")
	below, low := 0.0, 0.0
	for _, bound := range m.bounds(name, asks) {
		upTo := of(strconv.FormatFloat(bound, 'g', -1, 64))
		if upTo >= share*total && upTo > below {
			return low + (bound-low)*(share*total-below)/(upTo-below)
		}
		below, low = upTo, bound
	}
	return low
}

// look takes a sample now and then.
func (w *watch) look(elapsed time.Duration) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(w.samples) > 0 && elapsed-w.last < sampleTime {
		return nil
	}
	w.last = elapsed
	m, err := w.scrape()
	if err != nil {
		return err
	}
	resident, err := w.node.resident()
	if err != nil {
		return err
	}
	s := sample{elapsed, float64(resident), m["nearside_heap_bytes"], m["nearside_stream_remembered"]}
	w.samples = append(w.samples, s)
	fmt.Fprintf(w.out, "%4.0f s: %d sent, resident %.0f MB, heap %.0f MB, %.2f million events remembered\n", elapsed.Seconds(), w.mix.sent, s.resident/1e6, s.heap/1e6, s.remember/1e6)
	return nil
}

// slope is how many bytes a minute something grew in the second half, by the line
// with the least squares.
func (w *watch) slope(of func(sample) float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for _, s := range w.samples {
		if s.at < w.length/2 {
			continue
		}
		x, y := s.at.Minutes(), of(s)
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if d := n*sxx - sx*sx; n > 1 && d > 0 {
		return (n*sxy - sx*sy) / d
	}
	return 0
}

// report writes the table for the documents.
func (w *watch) report(r *load.Result, after metrics, k *kept) {
	q := r.Latency.Quantile
	first, last := w.samples[0], w.samples[len(w.samples)-1]
	seconds := func(name, asks string, share float64) string {
		return short(time.Duration(after.quantile(w.before, name, asks, share) * 1e9))
	}
	m := w.mix
	fmt.Fprintf(w.out, "\n| soak | |\n| --- | --- |\n")
	for _, row := range [][2]string{
		{"requests a second, for", fmt.Sprintf("%.0f, %s", r.PerSecond(), w.length)},
		{"sent, answered, without an answer", fmt.Sprintf("%d, %d, %d", m.sent, r.Answered, r.Unanswered)},
		{"bad requests answered as they should be, cut off", fmt.Sprintf("%d, %d", m.hostile, m.closed)},
		{"from the planned moment: p50, p99, p99.9, most", fmt.Sprintf("%s, %s, %s, %s", short(q(.5)), short(q(.99)), short(q(.999)), short(r.Latency.Max()))},
		{"decisions, in the node: p50, p99, p99.9", fmt.Sprintf("%s, %s, %s", seconds("nearside_decide_seconds", "slots", .5), seconds("nearside_decide_seconds", "slots", .99), seconds("nearside_decide_seconds", "slots", .999))},
		{"answers to events, fsynced, in the node: p50, p99, p99.9", fmt.Sprintf("%s, %s, %s", seconds("nearside_answer_seconds", "events", .5), seconds("nearside_answer_seconds", "events", .99), seconds("nearside_answer_seconds", "events", .999))},
		{"events acknowledged, stored", fmt.Sprintf("%d, %d", k.acked, k.stored)},
		{"acknowledged and not there, there twice", fmt.Sprintf("%d, %d", k.lost, k.twice)},
		{"given back to be sent again: page views, events", fmt.Sprintf("%d, %d", m.late, m.refused)},
		{"resident memory at the beginning, at the end, slope of the second half", fmt.Sprintf("%.0f MB, %.0f MB, %+.2f MB a minute", first.resident/1e6, last.resident/1e6, w.slope(func(s sample) float64 { return s.resident })/1e6)},
		{"heap, likewise", fmt.Sprintf("%.0f MB, %.0f MB, %+.2f MB a minute", first.heap/1e6, last.heap/1e6, w.slope(func(s sample) float64 { return s.heap })/1e6)},
		{"events remembered against repeats, likewise", fmt.Sprintf("%.2f million, %.2f million, %+.2f million a minute", first.remember/1e6, last.remember/1e6, w.slope(func(s sample) float64 { return s.remember })/1e6)},
	} {
		fmt.Fprintf(w.out, "| %s | %s |\n", row[0], row[1])
	}
}

// kept is what the log holds of a mix.
type kept struct{ acked, stored, lost, twice uint64 }

// countKept reads the whole log and looks for each acknowledged event.
func countKept(ctx context.Context, program, data string, m *mix) (*kept, error) {
	cmd := exec.CommandContext(ctx, program, "events", "--data", data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint strings.Builder
	cmd.Stderr = &limited{&complaint, 4 << 10}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	k, found := &kept{}, map[*stream]*bitset{m.collect: {}, m.page: {}}
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		number, ok := idOf(lines.Bytes())
		if !ok {
			continue
		}
		for s, set := range found {
			if at := number - s.first; number > s.first && at < 1<<36 {
				k.stored++
				if set.set(at) {
					k.twice++
				}
			}
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return nil, fmt.Errorf("read the log: %w: %s", err, complaint.String())
	}
	for s, acked := range m.acked {
		for n := range s.next - s.first + 1 {
			if !acked.has(n) {
				continue
			}
			k.acked++
			if !found[s].has(n) {
				k.lost++
			}
		}
	}
	return k, nil
}

// idOf finds the number of a stored event.
func idOf(line []byte) (uint64, bool) {
	const member = `"id":"`
	at := bytes.Index(line, []byte(member))
	if at < 0 {
		return 0, false
	}
	id, _, _ := bytes.Cut(line[at+len(member):], []byte{'"'})
	return traffic.NumberOf(string(id))
}

// bounds are the ends of a histogram's buckets, smallest first.
func (m metrics) bounds(name, asks string) []float64 {
	var all []float64
	prefix := name + `_bucket{asks="` + asks + `",le="`
	for series := range m {
		if rest, ok := strings.CutPrefix(series, prefix); ok {
			if bound, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64); err == nil && !math.IsInf(bound, 1) {
				all = append(all, bound)
			}
		}
	}
	slices.Sort(all)
	return all
}
