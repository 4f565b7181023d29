// SPDX-License-Identifier: Apache-2.0

//go:build race

package edge_test

const raceEnabled = true
