// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"log/slog"
	"testing"
	"time"
)

func TestClockFollowsAJumpADayLater(t *testing.T) {
	const year = 365 * 24 * time.Hour
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	type step struct {
		passed time.Duration // since the start
		off    time.Duration // of the wall clock from the time that passed
		want   time.Duration // of the steady clock from the time that passed
	}
	tests := []struct {
		name  string
		last  time.Duration // when something was stored last, from the start
		steps []step
	}{
		{"it goes as time does", -time.Minute, []step{{time.Second, 0, 0}, {48 * time.Hour, 0, 0}}},
		{"a time server corrects it", -time.Minute, []step{
			{time.Minute, 5 * time.Minute, 5 * time.Minute}, {2 * time.Minute, -20 * time.Minute, -20 * time.Minute},
		}},
		{"a year forward and back", -time.Minute, []step{
			{time.Hour, year, 0}, {2 * time.Hour, year, 0}, {20 * time.Hour, 0, 0}, {60 * time.Hour, 0, 0},
		}},
		{"a day back and right again", -time.Minute, []step{{time.Hour, -24 * time.Hour, 0}, {3 * time.Hour, 0, 0}}},
		{"a year forward for good", -time.Minute, []step{
			{time.Hour, year, 0}, {24 * time.Hour, year, 0}, {25 * time.Hour, year, year}, {26 * time.Hour, year, year},
		}},
		{"one jump after another", -time.Minute, []step{
			{time.Hour, year, 0}, {24 * time.Hour, 2 * year, 0}, {26 * time.Hour, 2 * year, 0}, {48 * time.Hour, 2 * year, 2 * year},
		}},
		{"started after a night", -12 * time.Hour, []step{{time.Second, 0, 0}}},
		{"started a month later", -30 * 24 * time.Hour, []step{
			{time.Second, 0, -30 * 24 * time.Hour}, {23 * time.Hour, 0, -30 * 24 * time.Hour}, {25 * time.Hour, 0, 0},
		}},
		{"what was stored is of a clock that was ahead", year, []step{{time.Second, 0, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var now step
			c := newSteadyClock(func() (time.Time, time.Duration) {
				return start.Add(now.passed + now.off), now.passed
			}, start.Add(tt.last), slog.New(slog.DiscardHandler))
			for _, now = range tt.steps {
				if got := c.now().Sub(start) - now.passed; got != now.want {
					t.Errorf("after %v, the wall clock %v off: the clock is %v off, want %v", now.passed, now.off, got, now.want)
				}
			}
		})
	}
}

func TestClockWithoutAnythingStored(t *testing.T) {
	c := newSteadyClock(systemClock(), time.Time{}, slog.New(slog.DiscardHandler))
	if off := time.Since(c.now()); off.Abs() > time.Minute {
		t.Errorf("it is %v off", off)
	}
}
