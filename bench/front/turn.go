// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/nearside/nearside/bench/load"
)

// Bounds beyond which a turn says little.
const (
	// noisy is the share of a core that other processes may use during a turn.
	noisy = 0.25
	// clientBound is how busy the client may be before it is the bottleneck.
	clientBound = 0.95
)

// warmUp is how long a subject is asked before its first turn: caches fill, and a
// Go server finds its heap.
const warmUp = time.Second

// A turn is one closed-loop run of a subject.
type turn struct {
	perSecond float64
	cpuMicros float64 // of the server, a request
	server    float64 // share of its core that the server used
	client    float64 // share of its core that the client used
	others    float64 // cores that all other processes used
	p50, p99  time.Duration
	late      float64 // share of sampled answers whose events were not yet on disk
}

// A rig runs turns.
type rig struct {
	house *house
	turn  time.Duration
	tries int // of a turn that others disturb
	noisy int // turns that stayed disturbed
	bound int // turns in which the client was the bottleneck
}

// measure runs a turn, again while other processes disturb it.
func (r *rig) measure(s *subject) (turn, error) {
	if !s.warm {
		s.warm = true
		if _, err := r.once(s, warmUp); err != nil {
			return turn{}, err
		}
	}
	for try := 1; ; try++ {
		t, err := r.once(s, r.turn)
		if err != nil {
			return t, err
		}
		if t.others > noisy && try < r.tries {
			time.Sleep(time.Second)
			continue
		}
		if t.others > noisy {
			r.noisy++
		}
		if t.client > clientBound {
			r.bound++
		}
		return t, nil
	}
}

func (r *rig) once(s *subject, length time.Duration) (turn, error) {
	script := s.stream()
	late, sampled := script.late, script.sampled
	runtime.GC() // ours, not during the turn
	cpu, err := s.server.cpu()
	if err != nil {
		return turn{}, err
	}
	machine, err := machineBusy()
	if err != nil {
		return turn{}, err
	}
	own, err := ownCPU()
	if err != nil {
		return turn{}, err
	}
	result, err := load.Run(load.Plan{Addr: s.server.addr, Conns: r.house.conns, For: length, Script: script})
	if err != nil {
		return turn{}, fmt.Errorf("%s: %w", s.name, err)
	}
	machineAfter, err := machineBusy()
	if err != nil {
		return turn{}, err
	}
	cpuAfter, err := s.server.cpu()
	if err != nil {
		return turn{}, err
	}
	ownAfter, err := ownCPU()
	if err != nil {
		return turn{}, err
	}
	used, wall := (cpuAfter - cpu).Seconds(), result.Wall.Seconds()
	t := turn{
		perSecond: result.PerSecond(), cpuMicros: used * 1e6 / float64(max(result.Answered, 1)), server: used / wall, client: result.Busy,
		others: max(0, (machineAfter-machine-ownAfter+own).Seconds()/wall-used/wall), p50: result.Latency.Quantile(.5), p99: result.Latency.Quantile(.99),
	}
	if n := script.sampled - sampled; n > 0 {
		t.late = float64(script.late-late) / float64(n)
	}
	return t, nil
}

// A comparison is a subject beside another, turn by turn.
type comparison struct {
	subject, beside string
	target          string // of the ratio by requests a second, "" for none
	rate, cpu       []float64
	of              []turn // the subject's
}

// compare runs one pair of turns; whoever is first changes.
func (r *rig) compare(c *comparison, round int) error {
	a, b := r.house.subjects[c.subject], r.house.subjects[c.beside]
	if a.server == nil || b.server == nil {
		return nil
	}
	order := [2]*subject{b, a}
	if round%2 == 1 {
		order = [2]*subject{a, b}
	}
	var turns [2]turn
	for i, s := range order {
		t, err := r.measure(s)
		if err != nil {
			return err
		}
		turns[i] = t
	}
	if round%2 == 1 {
		turns[0], turns[1] = turns[1], turns[0]
	}
	c.add(turns[1], turns[0])
	return nil
}

func (c *comparison) add(a, b turn) {
	c.rate = append(c.rate, a.perSecond/b.perSecond)
	c.cpu = append(c.cpu, b.cpuMicros/a.cpuMicros)
	c.of = append(c.of, a)
}

// median returns the middle value.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}

// each collects one figure of all turns.
func each(turns []turn, of func(turn) float64) []float64 {
	out := make([]float64, len(turns))
	for i, t := range turns {
		out[i] = of(t)
	}
	return out
}
