// SPDX-License-Identifier: Apache-2.0

// Package bench measures uploaded modules and rules without code beside what else
// one might run them on, in one process, turn by turn. It is a Go module of its
// own, so that the product does not depend on its peers.
//
//	cd bench && go test -run '^$' -bench .
//
// Every benchmark prints its ratios as metrics, and the run ends with a table
// of them: the median over the turns, the lowest and the highest. Times mean
// little on a shared machine, the ratios of one run are what to compare.
// docs/BENCHMARKS.md says what stands beside what, and why that is fair.
package bench
