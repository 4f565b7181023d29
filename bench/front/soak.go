// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/nearside/nearside/bench/load"
	"github.com/nearside/nearside/bench/traffic"
)

// soakOptions are how a soak is made.
type soakOptions struct {
	conns, visitors int
	length          time.Duration
	program         string
}

const (
	// soakShare is the part of the limit that is sent.
	soakShare = 0.8
	// limitTime is how long the limit is measured at most.
	limitTime = 10 * time.Second
	// sampleTime is between two looks at the node's memory.
	sampleTime = 10 * time.Second
)

// runSoak measures what a node can do of a mix, sends four fifths of that for a
// while at moments planned beforehand, and then counts what the node has kept. It
// fails if an acknowledged event is not there or one is there twice, or if an
// answer was wrong.
func runSoak(ctx context.Context, dir string, o soakOptions, out io.Writer) error {
	corpus, err := traffic.New(o.visitors, 1)
	if err != nil {
		return err
	}
	program, err := programOr(ctx, dir, o.program)
	if err != nil {
		return err
	}
	node, err := startNearside(ctx, dir, program, corpus)
	if err != nil {
		return err
	}
	stopped := false
	defer func() {
		if !stopped {
			node.stop()
		}
	}()
	if err := pin(); err != nil {
		return fmt.Errorf("pin the client: %w", err)
	}
	debug.SetGCPercent(400)
	runtime.GC()
	m := newMix(corpus, &numbers{firstNumber()}, 2*o.conns)
	closed, err := load.Run(load.Plan{Addr: node.addr, Conns: o.conns, For: min(limitTime, o.length), Script: m})
	if err != nil {
		return fmt.Errorf("measure the limit: %w", err)
	}
	w := &watch{ctx: ctx, node: node, operator: operatorOf(dir), mix: m, out: out, length: o.length}
	if w.before, err = w.scrape(); err != nil {
		return err
	}
	fmt.Fprintf(out, "limit %.0f requests/s of %d connections, p99 %s; soaking at %.0f/s for %s\n", closed.PerSecond(), o.conns, short(closed.Latency.Quantile(.99)), soakShare*closed.PerSecond(), o.length)
	result, err := load.Run(load.Plan{Addr: node.addr, Conns: 2 * o.conns, For: o.length, Rate: soakShare * closed.PerSecond(), Seed: 2, Script: m, Every: w.look})
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	after, err := w.scrape()
	if err != nil {
		return err
	}
	node.stop()
	stopped = true
	kept, err := countKept(ctx, program, filepath.Join(dir, "data"), m)
	if err != nil {
		return err
	}
	w.report(&result, after, kept)
	return kept.verdict()
}

// verdict is what must hold of every soak.
func (k *kept) verdict() error {
	var errs []error
	if k.lost > 0 {
		errs = append(errs, fmt.Errorf("%d acknowledged events are not there", k.lost))
	}
	if k.twice > 0 {
		errs = append(errs, fmt.Errorf("%d events are there twice", k.twice))
	}
	return errors.Join(errs...)
}
