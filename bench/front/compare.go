// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/nearside/nearside/bench/load"
	"github.com/nearside/nearside/bench/traffic"
)

// benchOptions are how a comparison is made.
type benchOptions struct {
	turns, conns, tries, visitors int
	turn, open                    time.Duration
	only, program, before         string
	profile                       string // the file for our node's CPU profile, "" for none
}

// runBench compares all subjects, then sends at half of what each of ours can do.
func runBench(ctx context.Context, dir string, o benchOptions, out io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	corpus, err := traffic.New(o.visitors, 1)
	if err != nil {
		return err
	}
	h, err := openHouse(ctx, dir, o.program, o.before, corpus, o.conns, firstNumber(), out)
	if err != nil {
		return err
	}
	defer h.close()
	if err := pin(); err != nil {
		return fmt.Errorf("pin the client: %w", err)
	}
	r := &rig{house: h, turn: o.turn, tries: o.tries}
	var all []*comparison
	for _, c := range comparisons(o.before != "") {
		if only.MatchString(c.subject + "/" + c.beside) {
			all = append(all, c)
		}
	}
	profiled, err := h.profile(ctx, o.profile, o.turn*time.Duration(2*len(all)*o.turns))
	if err != nil {
		return err
	}
	for round := range o.turns {
		for _, c := range all {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.compare(c, round); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "round %d of %d\n", round+1, o.turns)
	}
	if err := profiled(); err != nil {
		return err
	}
	printComparisons(out, all)
	printSubjects(out, all)
	fmt.Fprintf(out, "\n%d connections, %d turns of %s a pair, GOMAXPROCS=%s of peers, server on core %d, client on core %d.\n", o.conns, o.turns, o.turn, goProcs, serverCore, clientCore)
	if r.noisy > 0 {
		fmt.Fprintf(out, "DISTURBED: in %d turns other processes used more than %.2f of a core; do not quote these figures.\n", r.noisy, noisy)
	}
	if r.bound > 0 {
		fmt.Fprintf(out, "CLIENT BOUND: in %d turns the client used more than %.2f of its core; the servers could do more.\n", r.bound, clientBound)
	}
	return r.halfLoad(ctx, all, o.open, out)
}

// halfLoad sends page views, decisions and events at half of the rate that they
// were measured at, at moments planned beforehand.
func (r *rig) halfLoad(ctx context.Context, all []*comparison, length time.Duration, out io.Writer) error {
	if length <= 0 {
		return nil
	}
	fmt.Fprintf(out, "\n| at half load, from the planned moment | rate | p50 | p99 | p99.9 | most | late | target of p99 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	done := map[string]bool{}
	for _, c := range all {
		limit, ours := p99Targets[c.subject]
		if !ours || done[c.subject] || len(c.of) == 0 {
			continue
		}
		done[c.subject] = true
		if err := ctx.Err(); err != nil {
			return err
		}
		rate := median(each(c.of, func(t turn) float64 { return t.perSecond })) / 2
		s := r.house.subjects[c.subject]
		script := s.stream()
		late, sampled := script.late, script.sampled
		result, err := load.Run(load.Plan{Addr: s.server.addr, Conns: 2 * r.house.conns, For: length, Rate: rate, Seed: 1, Script: wide(script, 2*r.house.conns)})
		if err != nil {
			return fmt.Errorf("%s at half load: %w", c.subject, err)
		}
		q := result.Latency.Quantile
		fmt.Fprintf(out, "| %s | %.0f/s | %s | %s | %s | %s | %.4f | %s |\n", c.subject, result.PerSecond(), short(q(.5)), short(q(.99)), short(q(.999)),
			short(result.Latency.Max()), float64(script.late-late)/float64(max(script.sampled-sampled, 1)), limit)
	}
	return nil
}

// p99Targets are those of design and documents, "" for none.
var p99Targets = map[string]string{"raw": "", "decide": "≤ 5 ms", "recorded": "≤ 5 ms", "by-key": "≤ 5 ms", "collect": "≤ 10 ms", "pageview": ""}

// wide makes room for more connections.
func wide(s *stream, conns int) *stream {
	for len(s.at) < conns {
		s.at, s.number = append(s.at, 0), append(s.number, 0)
		if s.states != nil {
			s.states, s.pages = append(s.states, nil), append(s.pages, 0)
		}
	}
	return s
}

// firstNumber is where this run's ids begin, so that another run's on the same
// data are others.
func firstNumber() uint64 { return uint64(time.Now().Unix()) << 24 & (1<<60 - 1) }
