// SPDX-License-Identifier: Apache-2.0

package collector

import (
	_ "embed"
	"regexp"
	"strings"
)

// crawlerTable says what the User-Agents of crawlers contain. ATTRIBUTION.md
// says where it comes from, internal/gendata how a line is read.
//
//go:embed crawlers.txt
var crawlerTable string

// headBytes is how many bytes a text is found by.
const headBytes = 3

// A head is the first bytes of a text.
type head [headBytes]byte

// crawlers recognise a crawler by its User-Agent. They do not change once they
// are made.
//
// A match costs one look-up for each place in the User-Agent, whatever stands
// there, and nothing else than expressions of linear time: whoever makes up
// User-Agents gains nothing by it.
type crawlers struct {
	// begins has a bit for each two bytes that a text begins with, so that most
	// places cost no more than one bit.
	begins [1 << 16 / 64]uint64
	texts  map[head][]string // that a User-Agent contains
	firsts []string          // that it begins with
	exprs  []crawlerExpr
}

// A crawlerExpr is a regular expression, and a text without which it cannot
// match.
type crawlerExpr struct {
	text string
	expr *regexp.Regexp
}

func newCrawlers() *crawlers {
	c := &crawlers{texts: make(map[head][]string)}
	for line := range strings.Lines(crawlerTable) {
		line = strings.TrimSuffix(line, "\n")
		switch text := line[1:]; line[0] {
		case '=':
			at := head([]byte(text[:headBytes]))
			c.texts[at] = append(c.texts[at], text)
			n := uint(text[0])<<8 | uint(text[1])
			c.begins[n/64] |= 1 << (n % 64)
		case '^':
			c.firsts = append(c.firsts, text)
		case '~':
			text, expr, _ := strings.Cut(text, "\t")
			c.exprs = append(c.exprs, crawlerExpr{text, regexp.MustCompile(expr)})
		}
	}
	return c
}

// match reports whether a User-Agent is one that the table knows.
func (c *crawlers) match(agent string) bool {
	for i := range len(agent) - headBytes + 1 {
		n := uint(agent[i])<<8 | uint(agent[i+1])
		if c.begins[n/64]&(1<<(n%64)) == 0 {
			continue
		}
		for _, text := range c.texts[head{agent[i], agent[i+1], agent[i+2]}] {
			if strings.HasPrefix(agent[i:], text) {
				return true
			}
		}
	}
	for _, text := range c.firsts {
		if strings.HasPrefix(agent, text) {
			return true
		}
	}
	for i := range c.exprs {
		if strings.Contains(agent, c.exprs[i].text) && c.exprs[i].expr.MatchString(agent) {
			return true
		}
	}
	return false
}
