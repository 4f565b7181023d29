// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// jumpMost is how far the wall clock may be from where it should be without
	// having jumped: time servers correct by less, and people by more.
	jumpMost = time.Hour
	// believeAfter is how long a clock that has jumped must stay where it is
	// before what is stored is judged by it: a day, in which somebody sees it.
	believeAfter = 24 * time.Hour
	// idleMost is the longest that a node is taken to have stored nothing, or to
	// have been off, without a doubt of its clock.
	idleMost = 7 * 24 * time.Hour
)

// A steadyClock is the wall clock without its jumps. While the wall clock goes
// as time does, it is the wall clock. When that jumps, it goes on from where it
// was, and follows only when the wall clock has stayed where it is for
// believeAfter. So a clock that is set to the next year by mistake, and back,
// deletes nothing, and one that is set right for good is followed a day later.
//
// Time in which the machine sleeps is a jump too. A steadyClock is safe for
// concurrent use.
type steadyClock struct {
	// read returns the wall clock, and the time that has really passed since some
	// moment.
	read func() (wall time.Time, passed time.Duration)
	log  *slog.Logger

	mu   sync.Mutex
	base time.Time     // the time believed
	at   time.Duration // passed, when it was
	// While the wall clock is not believed: since when, and how far it was off.
	doubted bool
	since   time.Duration
	off     time.Duration
}

// newSteadyClock returns a clock that begins as the wall clock, unless that is
// more than idleMost after last, the time of what was stored last, or zero.
func newSteadyClock(read func() (time.Time, time.Duration), last time.Time, log *slog.Logger) *steadyClock {
	c := &steadyClock{read: read, log: log}
	c.base, c.at = read()
	if !last.IsZero() && c.base.Sub(last) > idleMost {
		c.base = last
	}
	return c
}

// systemClock reads the machine's clocks.
func systemClock() func() (time.Time, time.Duration) {
	begin := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0).UTC(), now.Sub(begin)
	}
}

// Now returns the time that what is stored is judged by: the machine's, but for its
// jumps, until it has stayed where it jumped to for a day.
func (s *Stream) Now() time.Time { return s.clock.now() }

// now returns the time that what is stored is judged by.
func (c *steadyClock) now() time.Time {
	wall, passed := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	steady := c.base.Add(passed - c.at)
	off := wall.Sub(steady)
	switch {
	case off.Abs() <= jumpMost:
	case !c.doubted || (off-c.off).Abs() > jumpMost:
		c.doubted, c.since, c.off = true, passed, off
		c.log.Warn("the clock has jumped; what is stored is judged by it only when it stays there",
			"expected", steady, "clock", wall, "after", believeAfter)
		return steady
	case passed-c.since < believeAfter:
		return steady
	default:
		c.log.Warn("the clock has stayed where it jumped to and is believed", "clock", wall)
	}
	c.doubted, c.base, c.at = false, wall, passed
	return wall
}
