// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"math/bits"
	"unicode/utf8"
	"unsafe"

	"github.com/nearside/nearside/edge"
)

// maxExact is 2^53: beyond it a JSON number written by a browser is not exact.
const maxExact = 1 << 53

// A scanner pulls values out of one JSON text in a single pass, without
// allocating. It is strict: it accepts nothing that encoding/json's Valid
// refuses, and refuses invalid UTF-8 and nesting deeper than edge.MaxDepth as
// well. Members whose value is null are passed over, as if they were absent:
// that is how JavaScript writes "nothing".
//
// A container is read as
//
//	for in, f := s.enter('{'); in && s.member(); {
//		switch string(s.key) { … default: s.skip() }
//	}
//
// and every element or member must be read or skipped. A fault of the text
// itself is sticky: from then on nothing is read, and s.fault names it. A value
// of the wrong type or size is passed over and reported to the caller only, who
// may go on.
type scanner struct {
	in    []byte
	pos   int
	depth int
	// deepest is the greatest depth entered since it was last set.
	deepest int
	// open means that the next member or element is the first one.
	open bool
	// fault is faultJSON or faultDeep once the text itself is refused.
	fault fault
	// key is the name of the current member.
	key []byte
	// control means that the last string holds an escaped control character.
	control bool
	// scratch holds strings that had escapes. Views into it stay valid when it
	// grows: they keep the memory that it has left.
	scratch []byte
}

func (s *scanner) reset(in []byte) {
	*s = scanner{in: in, scratch: s.scratch[:0]}
}

// stop refuses the whole text.
func (s *scanner) stop(f fault) {
	if s.fault == faultNone {
		s.fault = f
	}
	s.pos = len(s.in)
}

// next returns the byte at the next token, 0 at the end or at a byte that
// starts no token.
func (s *scanner) next() byte {
	if s.pos < len(s.in) && s.in[s.pos] > ' ' {
		return s.in[s.pos] // the tag sends no white space
	}
	return s.pastSpace()
}

func (s *scanner) pastSpace() byte {
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; {
		case c > ' ':
			return c
		case c != ' ' && c != '\n' && c != '\t' && c != '\r':
			return 0
		}
	}
	return 0
}

// end reports what is wrong once the top value has been read: nothing may
// follow it.
func (s *scanner) end() fault {
	if s.fault == faultNone && (s.next() != 0 || s.pos < len(s.in)) {
		s.stop(faultJSON)
	}
	return s.fault
}

// enter steps into the object ('{') or array ('[') that comes next and reports
// whether it did. Any other value is passed over.
func (s *scanner) enter(bracket byte) (bool, fault) {
	if s.next() != bracket {
		s.skip()
		return false, first(s.fault, faultType)
	}
	if s.depth == edge.MaxDepth {
		s.stop(faultDeep)
		return false, s.fault
	}
	s.depth++
	s.deepest = max(s.deepest, s.depth)
	s.pos++
	s.open = true
	return true, faultNone
}

// member reads the next member's name into s.key and stops before its value.
// False means that the object ended or the text is at fault.
func (s *scanner) member() bool {
	for s.name() {
		if s.next() != 'n' {
			return true
		}
		s.literal("null")
	}
	return false
}

// memberOr is member that tells whether a member of a name was null.
func (s *scanner) memberOr(name string, isNull *bool) bool {
	for s.name() {
		if s.next() != 'n' {
			return true
		}
		s.literal("null")
		*isNull = *isNull || string(s.key) == name
	}
	return false
}

// name is member without passing over null.
func (s *scanner) name() bool {
	if s.plainName() {
		return true
	}
	if !s.another('}') {
		return false
	}
	if s.next() != '"' {
		s.stop(faultJSON)
		return false
	}
	s.key = s.str()
	if s.next() != ':' {
		s.stop(faultJSON)
		return false
	}
	s.pos++
	return true
}

// plainName reads a name as the tag writes it: without white space, and of up to eight
// ASCII characters.
func (s *scanner) plainName() bool {
	in, at := s.in, s.pos
	if !s.open {
		if at >= len(in) || in[at] != ',' {
			return false
		}
		at++
	}
	if at > len(in)-9 || in[at] != '"' {
		return false
	}
	at++
	w := word(in, at)
	end := at + bits.TrailingZeros64(stringStops(w)|w&highBits)/8
	if end+1 >= len(in) || in[end] != '"' || in[end+1] != ':' {
		return false
	}
	s.key, s.pos, s.open, s.control = in[at:end:end], end+2, false, false
	return true
}

// element stops before the next element. False means that the array ended or
// the text is at fault.
func (s *scanner) element() bool { return s.another(']') }

// another stops before the next member or element, or leaves the container at
// its closing bracket.
func (s *scanner) another(closing byte) bool {
	first := s.open
	s.open = false
	switch c := s.next(); {
	case c == ',' && !first:
		s.pos++
		if s.next() != closing {
			return true
		}
	case c == closing:
		s.pos++
		s.depth--
		return false
	case first && s.fault == faultNone:
		return true
	}
	s.stop(faultJSON)
	return false
}

// text reads a string of at most most bytes into dst. Control characters do
// not belong into a text and are a fault.
func (s *scanner) text(dst *string, most int) fault {
	if s.next() != '"' {
		s.skip()
		return first(s.fault, faultType)
	}
	value := s.str()
	switch {
	case s.fault != faultNone:
		return s.fault
	case len(value) > most:
		return faultLong
	case s.control:
		return faultValue
	}
	*dst = view(value)
	return faultNone
}

// integer reads a whole number from lo to hi, both within ±2^53.
func (s *scanner) integer(dst *int64, lo, hi int64) fault {
	c := s.next()
	if c != '-' && !digit(c) {
		s.skip()
		return first(s.fault, faultType)
	}
	i := s.pos
	if c == '-' {
		i++
	}
	whole := i
	var n int64
	for i < len(s.in) && digit(s.in[i]) {
		if n <= maxExact { // past it the value is refused, whatever it is
			n = n*10 + int64(s.in[i]-'0')
		}
		i++
	}
	if i == whole || i-whole > 1 && s.in[whole] == '0' || s.isAt(i, '.') || s.isAt(i, 'e') || s.isAt(i, 'E') {
		s.number() // malformed, or a number but not a whole one
		return first(s.fault, faultType)
	}
	s.pos = i
	if c == '-' {
		n = -n
	}
	if n < max(lo, -maxExact) || n > min(hi, maxExact) {
		return faultValue
	}
	*dst = n
	return faultNone
}

// boolean reads true or false.
func (s *scanner) boolean(dst *bool) fault {
	switch s.next() {
	case 't':
		*dst = s.literal("true")
	case 'f':
		*dst = !s.literal("false")
	default:
		s.skip()
		return first(s.fault, faultType)
	}
	return s.fault
}

// skip passes over a value of any type and checks it.
func (s *scanner) skip() {
	switch s.next() {
	case '"':
		kept := len(s.scratch)
		s.str()
		s.scratch = s.scratch[:kept]
	case '{':
		for in, _ := s.enter('{'); in && s.name(); {
			s.skip()
		}
	case '[':
		for in, _ := s.enter('['); in && s.element(); {
			s.skip()
		}
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.number()
	}
}

func (s *scanner) literal(word string) bool {
	if len(s.in)-s.pos >= len(word) && string(s.in[s.pos:s.pos+len(word)]) == word {
		s.pos += len(word)
		return true
	}
	s.stop(faultJSON)
	return false
}

// number passes over a number and returns it; it is empty at a fault.
func (s *scanner) number() []byte {
	s.next()
	from := s.pos
	if s.at('-') {
		s.pos++
	}
	whole := s.pos
	ok := s.digits() && (s.in[whole] != '0' || s.pos-whole == 1)
	if ok && s.at('.') {
		s.pos++
		ok = s.digits()
	}
	if ok && (s.at('e') || s.at('E')) {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		ok = s.digits()
	}
	if !ok {
		s.stop(faultJSON)
		return nil
	}
	return s.in[from:s.pos]
}

// digits passes over digits and reports whether there were any.
func (s *scanner) digits() bool {
	from := s.pos
	for s.pos < len(s.in) && digit(s.in[s.pos]) {
		s.pos++
	}
	return s.pos > from
}

func (s *scanner) at(c byte) bool { return s.isAt(s.pos, c) }

func (s *scanner) isAt(i int, c byte) bool { return i < len(s.in) && s.in[i] == c }

func digit(c byte) bool { return c-'0' <= 9 }

// first returns the first fault there is.
func first(a, b fault) fault {
	if a != faultNone {
		return a
	}
	return b
}

// view returns b as a string without copying. It is valid as long as b is not
// changed: for the length of one request.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// validUTF8 is utf8.Valid, skipped for text known to be ASCII.
func validUTF8(b []byte, nonASCII uint64) bool { return nonASCII&highBits == 0 || utf8.Valid(b) }
