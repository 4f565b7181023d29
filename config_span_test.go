// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestADurationMayBeOfDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "400d": 400 * day, "1.5ms": 1500 * time.Microsecond, "2h": 2 * time.Hour, "0s": 0,
	} {
		var got span
		if err := got.Set(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s is %v, %v, want %v", text, time.Duration(got), err, want)
		}
		var again span
		if err := again.Set(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %v, %v", text, got.String(), time.Duration(again), err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "+1d", "65536d", "1d2h", "day"} {
		if err := new(span).Set(text); err == nil {
			t.Errorf("%q is a duration", text)
		}
	}
}

func TestSettingsOfTheLogAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "--stream.retain", "401d"}, {"serve", "--stream.retain", "1m"}, {"serve", "--stream.full", "wait"},
	} {
		var out, errs bytes.Buffer
		if code := command(t.Context(), args, stdio{out: &out, err: &errs}); code != exitUsage || !strings.Contains(errs.String(), args[1]) {
			t.Errorf("%v: exit %d, %s", args, code, errs.String())
		}
	}
}
