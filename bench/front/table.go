// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// comparisons are what a run measures, with another program's beside ours if there
// is one. Targets are those of the ratio by requests a second.
func comparisons(before bool) []*comparison {
	all := []*comparison{
		{subject: "raw", beside: "raw"},
		{subject: "decide", beside: "raw"},
		{subject: "recorded", beside: "raw", target: "0.58"},
		{subject: "by-key", beside: "raw"},
		{subject: "collect", beside: "raw", target: "0.45"},
		{subject: "pageview", beside: "raw", target: "0.35"},
		{subject: "pixel", beside: "raw"},
		{subject: "lua", beside: "raw"},
		{subject: "growthbook", beside: "raw"},
		{subject: "growthbook-context", beside: "raw"},
		{subject: "opa", beside: "raw"},
		{subject: "opa-context", beside: "raw"},
		{subject: "opa-server", beside: "raw"},
		{subject: "collect", beside: "pixel", target: "0.5"},
		{subject: "recorded", beside: "lua", target: "1.8"},
		{subject: "decide", beside: "growthbook", target: "4"},
		{subject: "by-key", beside: "growthbook-context"},
		{subject: "decide", beside: "opa"},
		{subject: "by-key", beside: "opa-context"},
		{subject: "decide", beside: "opa-server", target: "10"},
	}
	for _, name := range ours {
		if before {
			all = append(all, &comparison{subject: name, beside: name + earlier})
		}
	}
	return all
}

// printComparisons writes the ratios as a Markdown table.
func printComparisons(w io.Writer, all []*comparison) {
	fmt.Fprintf(w, "\n| what | beside | requests a second, ratio [low–high] | server's CPU a request, ratio | target |\n| --- | --- | --- | --- | --- |\n")
	for _, c := range all {
		if len(c.rate) == 0 {
			fmt.Fprintf(w, "| %s | %s | not here | | %s |\n", c.subject, c.beside, target(c))
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %.2f [%.2f–%.2f] | %.2f | %s |\n", c.subject, c.beside, median(c.rate), slices.Min(c.rate), slices.Max(c.rate), median(c.cpu), target(c))
	}
}

func target(c *comparison) string {
	if c.target == "" {
		return ""
	}
	return "≥ " + c.target
}

// printSubjects writes what each subject did, whatever stood beside it.
func printSubjects(w io.Writer, all []*comparison) {
	fmt.Fprintf(w, "\n| what | requests/s | server's CPU a request | p50 | p99 | server's core | client's core | others | late |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	var done []string
	for _, c := range all {
		if len(c.of) == 0 || slices.Contains(done, c.subject) {
			continue
		}
		done = append(done, c.subject)
		var turns []turn
		for _, other := range all {
			if other.subject == c.subject {
				turns = append(turns, other.of...)
			}
		}
		fmt.Fprintf(w, "| %s | %.0f | %.1f µs | %s | %s | %.2f | %.2f | %.2f | %.4f |\n", c.subject,
			median(each(turns, func(t turn) float64 { return t.perSecond })), median(each(turns, func(t turn) float64 { return t.cpuMicros })),
			middle(turns, func(t turn) time.Duration { return t.p50 }), middle(turns, func(t turn) time.Duration { return t.p99 }),
			median(each(turns, func(t turn) float64 { return t.server })), median(each(turns, func(t turn) float64 { return t.client })),
			median(each(turns, func(t turn) float64 { return t.others })), median(each(turns, func(t turn) float64 { return t.late })))
	}
}

// middle is the median of a duration, to be read.
func middle(turns []turn, of func(turn) time.Duration) string {
	all := slices.SortedFunc(slices.Values(turns), func(a, b turn) int { return cmp.Compare(of(a), of(b)) })
	return short(of(all[len(all)/2]))
}

// short writes a duration with two digits of a millisecond.
func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
