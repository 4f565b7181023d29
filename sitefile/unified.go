// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// around is how many lines a diff shows before and after a change.
const around = 3

// Unified returns the differences of rendered files as a unified diff, "" for
// none. Before is called a/…, after b/….
func Unified(before, after map[string][]byte) string {
	var out strings.Builder
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, b := textLines(before[name]), textLines(after[name])
		if slices.Equal(a, b) {
			continue
		}
		from, to := "a/"+name, "b/"+name
		if a == nil {
			from = "/dev/null"
		}
		if b == nil {
			to = "/dev/null"
		}
		fmt.Fprintf(&out, "--- %s\n+++ %s\n", from, to)
		writeHunks(&out, edits(a, b))
	}
	return out.String()
}

// textLines are a rendered file's lines; each ends with a line feed.
func textLines(text []byte) []string {
	if text == nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// An edit is one line of a diff: kept ' ', removed '-' or added '+'.
type edit struct {
	sign byte
	line string
}

// maxDiffCells bounds the table of a diff. Past it what is between the equal
// begins and ends of two files is shown as removed and added.
const maxDiffCells = 16 << 20

// edits returns the shortest way from one text to another, by lines.
func edits(a, b []string) []edit {
	var out, tail []edit
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		out = append(out, edit{' ', a[0]})
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		tail = append(tail, edit{' ', a[len(a)-1]})
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	slices.Reverse(tail)
	return slices.Concat(out, middle(a, b), tail)
}

// middle finds the longest common subsequence.
func middle(a, b []string) []edit {
	var out []edit
	if (len(a)+1)*(len(b)+1) <= maxDiffCells {
		width := len(b) + 1
		common := make([]int32, (len(a)+1)*width) // of a[i:] and b[j:]
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if a[i] == b[j] {
					common[i*width+j] = common[(i+1)*width+j+1] + 1
				} else {
					common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
				}
			}
		}
		i, j := 0, 0
		for i < len(a) && j < len(b) {
			switch {
			case a[i] == b[j]:
				out = append(out, edit{' ', a[i]})
				i, j = i+1, j+1
			case common[(i+1)*width+j] >= common[i*width+j+1]:
				out = append(out, edit{'-', a[i]})
				i++
			default:
				out = append(out, edit{'+', b[j]})
				j++
			}
		}
		a, b = a[i:], b[j:]
	}
	for _, line := range a {
		out = append(out, edit{'-', line})
	}
	for _, line := range b {
		out = append(out, edit{'+', line})
	}
	return out
}

// writeHunks writes the changed parts with the lines around them.
func writeHunks(out *strings.Builder, all []edit) {
	oldLine, newLine := 1, 1
	for i := 0; i < len(all); {
		if all[i].sign == ' ' {
			oldLine, newLine, i = oldLine+1, newLine+1, i+1
			continue
		}
		from := max(i-around, 0)
		to := i
		for quiet := 0; to < len(all) && quiet <= 2*around; to++ {
			if quiet++; all[to].sign != ' ' {
				quiet = 0
			}
		}
		for to > i && all[to-1].sign == ' ' {
			to--
		}
		to = min(to+around, len(all))
		hunk := all[from:to]
		before, after := count(hunk, '-'), count(hunk, '+')
		fmt.Fprintf(out, "@@ -%s +%s @@\n", span(oldLine-(i-from), before), span(newLine-(i-from), after))
		for _, e := range hunk {
			fmt.Fprintf(out, "%c%s\n", e.sign, e.line)
		}
		oldLine += before - (i - from)
		newLine += after - (i - from)
		i = to
	}
}

// count counts the lines of one side: those it alone has, and those of both.
func count(hunk []edit, sign byte) int {
	n := 0
	for _, e := range hunk {
		if e.sign == ' ' || e.sign == sign {
			n++
		}
	}
	return n
}

// span writes where a side of a hunk begins and how long it is.
func span(line, length int) string {
	if length == 0 {
		return fmt.Sprintf("%d,0", line-1)
	}
	return fmt.Sprintf("%d,%d", line, length)
}
