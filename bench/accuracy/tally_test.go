// SPDX-License-Identifier: Apache-2.0

package accuracy

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
)

var misses = flag.Int("misses", 0, "how many groups of misses to list of each row")

// A tally counts how often one thing was told right.
type tally struct {
	name                 string
	right, silent, wrong int
	groups               map[string]*group
}

// A group is the misses of one kind, with one of them.
type group struct {
	name, example string
	count         int
}

// add counts one case: what was told, "" for nothing, and whether it is right. A
// miss goes to the group of the name.
func (c *tally) add(told string, right bool, name, example string) {
	switch {
	case right:
		c.right++
		return
	case told == "":
		c.silent++
		name += ", nothing told"
	default:
		c.wrong++
	}
	if c.groups == nil {
		c.groups = make(map[string]*group)
	}
	g := c.groups[name]
	if g == nil {
		g = &group{name: name, example: example}
		c.groups[name] = g
	}
	g.count++
}

// report logs a Markdown table of tallies.
func report(t *testing.T, title string, tallies ...*tally) {
	t.Helper()
	out := fmt.Sprintf("%s\n\n| | cases | right | nothing told | wrong |\n| --- | --- | --- | --- | --- |\n", title)
	for _, c := range tallies {
		all := c.right + c.silent + c.wrong
		share := func(n int) string { return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(all, 1))) }
		out += fmt.Sprintf("| %s | %d | %s | %s | %s |\n", c.name, all, share(c.right), share(c.silent), share(c.wrong))
	}
	for _, c := range tallies {
		list := slices.SortedFunc(maps.Values(c.groups), func(a, b *group) int {
			return cmp.Or(b.count-a.count, cmp.Compare(a.name, b.name))
		})
		if shown := min(len(list), *misses); shown > 0 {
			out += fmt.Sprintf("\n%s, misses in %d groups:\n", c.name, len(list))
			for _, g := range list[:shown] {
				out += fmt.Sprintf("  %4d  %s  |  %s\n", g.count, g.name, g.example)
			}
		}
	}
	t.Log(out)
}
