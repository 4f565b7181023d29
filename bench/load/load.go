// SPDX-License-Identifier: Apache-2.0

// Package load sends HTTP/1.1 requests over many kept connections from one
// thread and measures what comes of them.
//
// The client must cost less than any server it measures, else it measures itself:
// one thread, one epoll, no goroutine a connection, no allocation a request, two
// system calls a request and a share of a third. Result.Busy tells how much of
// its thread it used; near 1 it was the client that was slow.
//
// Closed sends the next request of a connection when the last one is answered: it
// finds how much a server can do. Open sends at moments that were planned
// beforehand, however the server is doing, and counts latency from the planned
// moment: a server that stalls is charged for all who would have come meanwhile.
//
// A client belongs to one goroutine. It goes to loopback addresses only.
package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"
)

// A Script says what is sent and judges what is answered. Its methods are called
// by one goroutine.
type Script interface {
	// Request appends the next request of a connection, counted from 0.
	Request(conn int, out []byte) []byte
	// Answer judges the answer to the last request of a connection. The body is
	// valid until it returns. An error ends the run.
	Answer(conn, status int, body []byte) error
}

// A Quitter is a Script that wants to know when a server closed a connection
// instead of answering. Without it that is an error.
type Quitter interface {
	// Quit is told of a connection whose last request got no answer. It is
	// opened again.
	Quit(conn int) error
}

// A Plan is one run.
type Plan struct {
	// Addr is the server's loopback address and port.
	Addr netip.AddrPort
	// Conns is the number of connections, at least 1.
	Conns int
	// For is how long requests are sent; answers are awaited for a moment more.
	For time.Duration
	// Rate is requests per second at random moments (a Poisson process); 0 is a
	// closed loop.
	Rate float64
	// Seed makes the moments.
	Seed uint64
	// Script says what is sent.
	Script Script
	// Every, if set, is called about once a second during the run; an error ends
	// it.
	Every func(elapsed time.Duration) error
}

// A Result is what came of a run.
type Result struct {
	// Answered are the answers, of any status.
	Answered uint64
	// Unanswered are the requests without one: the connection was closed, or the
	// run ended.
	Unanswered uint64
	// Wall is how long it took, Busy the share of it that the client was at work
	// and not waiting.
	Wall time.Duration
	Busy float64
	// Latency is from the planned moment to the whole answer; in a closed loop
	// from the sending.
	Latency Histogram
}

// PerSecond is the rate of answers.
func (r *Result) PerSecond() float64 { return float64(r.Answered) / r.Wall.Seconds() }

// patience is how long answers are awaited at the end.
const patience = 5 * time.Second

// Run runs a plan.
func Run(p Plan) (Result, error) {
	if !p.Addr.Addr().IsLoopback() || p.Conns < 1 || p.Script == nil {
		return Result{}, errors.New("load: a loopback address, connections and a script are needed")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := newClient(&p)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	defer c.close()
	c.start = time.Now()
	if p.Rate > 0 {
		err = c.open()
	} else {
		err = c.closed()
	}
	c.result.Wall = time.Since(c.start)
	c.result.Busy = 1 - float64(c.idle)/float64(c.result.Wall)
	if err != nil {
		return c.result, fmt.Errorf("load: %w", err)
	}
	return c.result, nil
}

// closed keeps every connection busy until the time is over.
func (c *client) closed() error {
	now := time.Now()
	for i := range c.conns {
		if err := c.send(i, now); err != nil {
			return err
		}
	}
	again := func(conn int, now time.Time) error {
		if now.Sub(c.start) >= c.plan.For {
			return nil
		}
		return c.send(conn, now)
	}
	for c.waiting > 0 {
		now, err := c.tick()
		if err != nil {
			return err
		}
		if now.Sub(c.start) > c.plan.For+patience {
			break
		}
		if err := c.poll(again); err != nil {
			return err
		}
	}
	c.result.Unanswered += uint64(c.waiting)
	return nil
}

// open sends at planned moments. A moment at which all connections are busy waits
// for the first that is free, and its latency goes on.
func (c *client) open() error {
	random := rand.New(rand.NewPCG(c.plan.Seed, 1))
	next := func() time.Duration {
		return time.Duration(random.ExpFloat64() / c.plan.Rate * float64(time.Second))
	}
	free := make([]int, c.plan.Conns)
	for i := range free {
		free[i] = i
	}
	due := next()
	release := func(conn int, _ time.Time) error {
		free = append(free, conn)
		return nil
	}
	for due < c.plan.For || c.waiting > 0 {
		now, err := c.tick()
		if err != nil {
			return err
		}
		elapsed := now.Sub(c.start)
		if elapsed > c.plan.For+patience {
			break
		}
		for due < c.plan.For && due <= elapsed && len(free) > 0 {
			// The one that rested longest: all connections take their turn.
			conn := free[0]
			free = free[1:]
			if err := c.send(conn, c.start.Add(due)); err != nil {
				return err
			}
			due += next()
		}
		if err := c.poll(release); err != nil {
			return err
		}
	}
	c.result.Unanswered += uint64(c.waiting)
	return nil
}

// tick tells the time and, now and then, the plan.
func (c *client) tick() (time.Time, error) {
	now := time.Now()
	if c.plan.Every == nil || now.Sub(c.told) < time.Second {
		return now, nil
	}
	c.told = now
	return now, c.plan.Every(now.Sub(c.start))
}
