// SPDX-License-Identifier: Apache-2.0

//go:build !race

package wasmrules

const raceEnabled = false
