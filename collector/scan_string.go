// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// str reads the string whose opening quote is next. Without escapes it is a
// view of the text, with escapes a view of the scratch buffer.
func (s *scanner) str() []byte {
	in, i := s.in, s.pos+1
	from := i
	s.control = false
	nonASCII := uint64(0)
	for i <= len(in)-8 {
		w := word(in, i)
		stops := stringStops(w)
		if stops == 0 {
			nonASCII |= w
			i += 8
			continue
		}
		n := bits.TrailingZeros64(stops) / 8
		nonASCII |= w & (stops - 1) // of the bytes before; those behind that are marked are ASCII
		i += n
		if in[i] == '"' && nonASCII&highBits == 0 {
			s.pos = i + 1
			return in[from:i:i] // nearly every string ends here
		}
		return s.closed(from, i, nonASCII)
	}
	for i < len(in) && in[i] != '"' && in[i] != '\\' && in[i] >= ' ' {
		nonASCII |= uint64(in[i])
		i++
	}
	return s.closed(from, i, nonASCII)
}

// stringStops marks the quotes, backslashes and control characters among eight bytes by
// their high bits (Hacker's Delight, section 6-1). Of those above the lowest some may be
// ASCII that is none of them.
func stringStops(w uint64) uint64 {
	quote, slash := w^lowBits*'"', w^lowBits*'\\'
	return ((w - lowBits*' ') | (quote - lowBits) | (slash - lowBits)) &^ w & highBits
}

// closed ends the string that began at from and has stopped at i.
func (s *scanner) closed(from, i int, nonASCII uint64) []byte {
	if i < len(s.in) && s.in[i] == '\\' {
		return s.escaped(from, i)
	}
	value := s.in[from:i:i]
	if i == len(s.in) || s.in[i] != '"' || !validUTF8(value, nonASCII) {
		s.stop(faultJSON)
		return nil
	}
	s.pos = i + 1
	return value
}

// escaped reads the rest of a string with escapes; the first one is at i.
func (s *scanner) escaped(from, i int) []byte {
	base := len(s.scratch)
	out := append(s.scratch, s.in[from:i]...)
	for i < len(s.in) {
		switch c := s.in[i]; {
		case c == '"':
			value := out[base:len(out):len(out)]
			if !utf8.Valid(value) {
				s.stop(faultJSON)
				return nil
			}
			s.scratch, s.pos = out, i+1
			return value
		case c < ' ':
			s.stop(faultJSON)
			return nil
		case c != '\\':
			out = append(out, c)
			i++
		default:
			r, n := unescape(s.in[i:])
			if n == 0 {
				s.stop(faultJSON)
				return nil
			}
			s.control = s.control || r < ' ' || r == 0x7f
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	s.stop(faultJSON)
	return nil
}

// unescape returns the character of the escape that b begins with and its
// length, 0 if it is none. Half a surrogate pair gives U+FFFD, as
// encoding/json does.
func unescape(b []byte) (rune, int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(b)
		if !ok {
			return 0, 0
		}
		if utf16.IsSurrogate(r) {
			if low, ok := hex4(b[6:]); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, 12
				}
			}
			return utf8.RuneError, 6
		}
		return r, 6
	default:
		return 0, 0
	}
}

// hex4 reads the four digits of an escape \uXXXX that b begins with.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
