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
// there, and each expression is tried once at most, in linear time: whoever
// makes up User-Agents gains nothing by it.
type crawlers struct {
	// begins has a bit for each two bytes that a text begins with, so that most
	// places cost no more than one bit.
	begins [1 << 16 / 64]uint64
	texts  map[head][]crawlerText // by how they begin
	firsts []string               // that a User-Agent begins with
	exprs  []*regexp.Regexp       // at most 64
}

// A crawlerText is a text that tells a crawler, or without which the expression
// of a number cannot match.
type crawlerText struct {
	text string
	expr int  // -1 for none
	word bool // only where it begins a word
}

func newCrawlers() *crawlers {
	c := &crawlers{texts: make(map[head][]crawlerText)}
	for line := range strings.Lines(crawlerTable) {
		line = strings.TrimSuffix(line, "\n")
		switch text := line[1:]; line[0] {
		case '=':
			c.add(crawlerText{text: text, expr: -1})
		case '-':
			c.add(crawlerText{text: text, expr: -1, word: true})
		case '^':
			c.firsts = append(c.firsts, text)
		case '~':
			text, expr, _ := strings.Cut(text, "\t")
			c.add(crawlerText{text: text, expr: len(c.exprs)})
			c.exprs = append(c.exprs, regexp.MustCompile(expr))
		}
	}
	return c
}

func (c *crawlers) add(t crawlerText) {
	at := head([]byte(t.text[:headBytes]))
	c.texts[at] = append(c.texts[at], t)
	n := uint(at[0])<<8 | uint(at[1])
	c.begins[n/64] |= 1 << (n % 64)
}

// match reports whether a User-Agent is one that the table knows.
func (c *crawlers) match(agent string) bool {
	for _, text := range c.firsts {
		if strings.HasPrefix(agent, text) {
			return true
		}
	}
	var tried uint64 // expressions, by number
	for i := range len(agent) - headBytes + 1 {
		n := uint(agent[i])<<8 | uint(agent[i+1])
		if c.begins[n/64]&(1<<(n%64)) == 0 {
			continue
		}
		for _, t := range c.texts[head{agent[i], agent[i+1], agent[i+2]}] {
			if !strings.HasPrefix(agent[i:], t.text) || t.word && i > 0 && wordByte(agent[i-1]) {
				continue
			}
			if t.expr < 0 {
				return true
			}
			if bit := uint64(1) << t.expr; tried&bit == 0 {
				if tried |= bit; c.exprs[t.expr].MatchString(agent) {
					return true
				}
			}
		}
	}
	return false
}

// wordByte reports whether a byte is of a word: an ASCII letter or a digit.
func wordByte(c byte) bool { return (c|0x20)-'a' <= 'z'-'a' || digit(c) }
