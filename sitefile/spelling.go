// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A spelt is one character of a scalar's value and where it is written.
type spelt struct {
	r            rune
	line, column int
}

// place returns where in the file a line and column of the node's text stand,
// both from 1. Where the text's spelling cannot be told apart it is the node.
func (n *node) place(line, column int) (int, int) {
	chars := n.spelling()
	if chars == nil || line < 1 || column < 1 {
		return n.line, n.column
	}
	at, next := 1, 0 // the line, and the first character of it
	for at < line && next < len(chars) {
		if chars[next].r == '\n' {
			at++
		}
		next++
	}
	if at < line {
		return n.line, n.column
	}
	for ; column > 1 && next < len(chars) && chars[next].r != '\n'; next++ {
		column--
	}
	if next < len(chars) {
		return chars[next].line, chars[next].column
	}
	if len(chars) == 0 {
		return n.line, n.column
	}
	last := chars[len(chars)-1] // the end of the text
	return last.line, last.column + 1
}

// spelling returns where each character of a scalar's value is written, or nil
// where what it reads is not the value: then YAML was read otherwise than here.
func (n *node) spelling() []spelt {
	s := speller{node: n, line: n.line, column: n.column}
	switch {
	case n.style&yaml.DoubleQuotedStyle != 0:
		s.column++
		s.doubleQuoted()
	case n.style&yaml.SingleQuotedStyle != 0:
		s.column++
		s.folded(func() rune {
			if s.peek(0) == '\'' {
				s.column++ // of two
			}
			return s.peek(0)
		})
	case n.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s.block()
	default:
		s.folded(func() rune { return s.peek(0) })
	}
	var read strings.Builder
	for _, c := range s.out {
		read.WriteRune(c.r)
	}
	if read.String() != n.text {
		return nil
	}
	return s.out
}

// A speller reads a scalar's source again.
type speller struct {
	node         *node
	line, column int // of the next character
	runes        []rune
	of           int // the line that runes are, 0 for none
	out          []spelt
	bytes        int // of out, as UTF-8
}

// current returns the characters of the line.
func (s *speller) current() []rune {
	if s.of != s.line {
		s.runes, s.of = nil, s.line
		if s.line <= len(s.node.file.lines) {
			s.runes = []rune(s.node.file.lines[s.line-1])
		}
	}
	return s.runes
}

// peek returns the character so many after the next one, 0 past the line's end.
func (s *speller) peek(ahead int) rune {
	if i := s.column - 1 + ahead; i < len(s.current()) {
		return s.runes[i]
	}
	return 0
}

func (s *speller) emit(r rune) {
	s.out = append(s.out, spelt{r, s.line, s.column})
	s.bytes += len(string(r))
}

// unspace takes back the last character, a space.
func (s *speller) unspace() {
	s.out = s.out[:len(s.out)-1]
	s.bytes--
}

// done reports whether the value is spelt in full, or the file is at its end.
func (s *speller) done() bool {
	return s.bytes >= len(s.node.text) || s.line > len(s.node.file.lines)
}

// blanks returns how many blanks come next, and whether the line ends after them.
func (s *speller) blanks() (n int, end bool) {
	for s.peek(n) == ' ' || s.peek(n) == '\t' {
		n++
	}
	return n, s.column-1+n >= len(s.current())
}

// fold reads blanks and the line's end. One end is a space, more are the ends
// after the first; escaped means that the first was escaped away.
func (s *speller) fold(escaped bool) {
	s.column = len(s.current()) + 1
	s.emit(' ')
	ends := 0
	for {
		s.line, s.column = s.line+1, 1
		ends++
		n, end := s.blanks()
		s.column += n
		if !end || s.line > len(s.node.file.lines) {
			break
		}
		if ends == 1 {
			s.unspace() // empty lines count, the space does not
		}
		s.emit('\n')
	}
	if escaped && ends == 1 {
		s.unspace()
	}
}

// folded reads text whose lines are folded; next returns the character that
// stands at the place, and may move on to it.
func (s *speller) folded(next func() rune) {
	for !s.done() {
		n, end := s.blanks()
		switch {
		case end:
			s.fold(false)
		case n > 0:
			s.spaces(n)
		default:
			r := next()
			s.emit(r)
			s.column++
		}
	}
}

// spaces reads n spaces and tabs within a line.
func (s *speller) spaces(n int) {
	for range n {
		s.emit(s.peek(0))
		s.column++
	}
}

// escapes are the characters that a backslash and one letter mean.
var escapes = map[rune]rune{
	'0': 0, 'a': '\a', 'b': '\b', 't': '\t', '\t': '\t', 'n': '\n', 'v': '\v', 'f': '\f', 'r': '\r', 'e': 0x1b,
	' ': ' ', '"': '"', '/': '/', '\\': '\\', 'N': 0x85, '_': 0xa0, 'L': 0x2028, 'P': 0x2029,
}

func (s *speller) doubleQuoted() {
	for !s.done() {
		n, end := s.blanks()
		switch {
		case end:
			s.fold(false)
		case n > 0:
			s.spaces(n)
		case s.peek(0) == '\\':
			if s.column == len(s.current()) { // the line goes on without a space
				s.column++
				s.fold(true)
				continue
			}
			s.escape()
		default:
			s.emit(s.peek(0))
			s.column++
		}
	}
}

// escape reads a backslash and what it means.
func (s *speller) escape() {
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[s.peek(1)]
	if digits == 0 {
		s.emit(escapes[s.peek(1)])
		s.column += 2
		return
	}
	var hex strings.Builder
	for i := range digits {
		hex.WriteRune(s.peek(2 + i))
	}
	r, err := strconv.ParseUint(hex.String(), 16, 32)
	if err != nil {
		r = 0
	}
	s.emit(rune(r))
	s.column += 2 + digits
}

// block reads a literal or folded block, led by the value: it says how far the
// lines are indented and which ends of lines were folded.
func (s *speller) block() {
	value := []rune(s.node.text)
	s.line, s.column = s.line+1, 1
	indent := s.indent()
	for len(s.out) < len(value) && s.line <= len(s.node.file.lines) {
		line := s.current()
		s.column = min(indent, len(line)) + 1
		text := line[s.column-1:]
		if !startsWith(value[len(s.out):], text) {
			return
		}
		for _, r := range text {
			s.emit(r)
			s.column++
		}
		s.end(value)
		s.line++
	}
}

// end emits what the end of a block's line means.
func (s *speller) end(value []rune) {
	if len(s.out) == len(value) {
		return
	}
	switch next := value[len(s.out)]; {
	case next == '\n':
		s.emit('\n')
	case s.node.style&yaml.FoldedStyle != 0 && next == ' ':
		s.emit(' ')
	}
}

// indent returns how far the block is indented: the value's first line that is
// not empty says how much of its spaces are text.
func (s *speller) indent() int {
	of := func(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
	for _, text := range strings.Split(s.node.text, "\n") {
		if strings.TrimLeft(text, " ") == "" {
			continue
		}
		for _, line := range s.node.file.lines[s.line-1:] {
			if strings.TrimLeft(line, " ") != "" {
				return max(of(line)-of(text), 0)
			}
		}
	}
	return 0
}

func startsWith(value, text []rune) bool {
	if len(text) > len(value) {
		return false
	}
	for i := range text {
		if value[i] != text[i] {
			return false
		}
	}
	return true
}
