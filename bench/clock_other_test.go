// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import "time"

// threadTime is the clock on the wall where a thread's own is not at hand.
func threadTime() time.Duration { return wallTime() }
