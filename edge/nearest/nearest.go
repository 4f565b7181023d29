// SPDX-License-Identifier: Apache-2.0

// Package nearest finds the name that somebody mostly meant who wrote one that is
// not there. It keeps no state; everything in it may be called at the same time.
package nearest

import "strings"

// maxBytes is how much of a name is compared. Names are shorter.
const maxBytes = 64

// Of returns the known name that differs least from name, the first of several,
// or "" where none is near: more than two characters and a third of the name
// differ, or all of it. Upper and lower case are the same.
func Of(name string, known []string) string {
	name = name[:min(len(name), maxBytes)]
	best, limit := "", min(max(2, len(name)/3)+1, max(len(name), 2)) // another word of two letters is not near
	for _, k := range known {
		if d := Distance(strings.ToLower(name), strings.ToLower(k), limit); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// Hint is Of in the words of a message, "did you mean NAME?", or "".
func Hint(name string, known []string) string {
	if near := Of(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// Distance returns how many bytes are to be added, dropped or changed to make one
// of a and b the other, or a number of at least limit. Of a name of more than 64
// bytes the first 64 are compared.
func Distance(a, b string, limit int) int {
	a, b = a[:min(len(a), maxBytes)], b[:min(len(b), maxBytes)]
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := above
			if a[i] != b[j] {
				cost++
			}
			above = row[j+1]
			row[j+1] = min(cost, row[j]+1, above+1)
		}
	}
	return row[len(b)]
}
