// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"strings"
)

// titles of the groups in a printed report.
var titles = map[Group]string{
	"page": "The page", "tag": "The tag", "csp": "Content-Security-Policy", "origin": "The node and its origin",
	"consent": "Consent", "slots": "Slots", "requests": "Requests of the page",
}

// Terminal colours of the levels, by ECMA-48.
var colours = map[Level]string{OK: "\x1b[32m", Note: "\x1b[36m", Warning: "\x1b[33m", Error: "\x1b[31m"}

const plain = "\x1b[0m"

// Print writes the report for people, with colours if they are wanted.
func (r *Report) Print(out io.Writer, colour bool) error {
	var b strings.Builder
	how := "read without a browser"
	if r.Browser != "" {
		how = "opened in " + r.Browser
	}
	fmt.Fprintf(&b, "%s, %s in %.1f s\n", r.URL, how, float64(r.TookMillis)/1000)
	group := Group("")
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(&b, "\n%s\n", titles[group])
		}
		level := fmt.Sprintf("%-7s", f.Level)
		if colour {
			level = colours[f.Level] + level + plain
		}
		fmt.Fprintf(&b, "  %s  %s  [%s]\n", level, f.Seen, f.Code)
		if f.Next != "" {
			fmt.Fprintf(&b, "           → %s\n", f.Next)
		}
	}
	fmt.Fprintf(&b, "\n%s, %s, %s\n", counted(r.Count(Error), "error"), counted(r.Count(Warning), "warning"), counted(r.Count(Note), "note"))
	_, err := io.WriteString(out, b.String())
	return err
}
