// SPDX-License-Identifier: Apache-2.0

//go:build race

package stream

// raceEnabled: the race detector makes pools forget and takes memory of its
// own, so tests of budgets do not count then.
const raceEnabled = true
