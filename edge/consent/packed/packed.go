// SPDX-License-Identifier: Apache-2.0

// Package packed reads the bit strings of IAB consent strings where they stand:
// base64url text of which every character holds six bits. TC strings and the
// sections of GPP strings are written so.
//
// Nothing is unpacked or copied. A list of vendors stays in the text and is
// walked when it is asked, so a hostile list of all 65,535 vendors costs no
// memory. What is read borrows from the text. The package does no I/O and holds
// no state; a Reader belongs to one goroutine, what it returned may be read by
// any number.
package packed

import "fmt"

// MaxBytes bounds a consent string. Real ones have a few hundred characters; the
// rest is room for long lists of vendors.
const MaxBytes = 16384

// TimeLayout is how the IAB's libraries write a moment in JSON (ISO 8601, UTC).
const TimeLayout = "2006-01-02T15:04:05.000Z07:00"

// maxPaddingBits is how many zero bits may follow the last field of a segment.
// The IAB's encoders fill up to a multiple of 24 bits (TCF) or of 8 and then of 6
// (GPP).
const maxPaddingBits = 23

// A Code says what is wrong with a consent string. Codes are stable: they are
// printed, stored in test vectors and looked for by scripts.
type Code string

// The codes.
const (
	Empty            Code = "empty"             // there is nothing to read
	TooLong          Code = "too_long"          // more than MaxBytes
	BadBase64        Code = "bad_base64"        // a character that base64url does not have
	BadLength        Code = "bad_length"        // characters that no whole bytes give, or more than padding after the last field
	BadPadding       Code = "bad_padding"       // a bit is set after the last field
	Truncated        Code = "truncated"         // the string ends inside of a field
	BadType          Code = "bad_type"          // not the kind of string that it should be
	BadVersion       Code = "bad_version"       // a version that is not known here
	BadValue         Code = "bad_value"         // a value that the field does not have
	BadRange         Code = "bad_range"         // ids out of order, overlapping, or out of bounds
	BadRestriction   Code = "bad_restriction"   // a publisher restriction of an unknown purpose or type, or a repeated one
	BadCount         Code = "bad_count"         // not as many sections as the header lists, or too many
	UnknownSegment   Code = "unknown_segment"   // a segment that this version does not have
	DuplicateSegment Code = "duplicate_segment" // a segment that stands twice
)

// text is what a code means, as a sentence without its subject.
func (c Code) text() string {
	switch c {
	case Empty:
		return "is empty"
	case TooLong:
		return fmt.Sprintf("is longer than %d bytes", MaxBytes)
	case BadBase64:
		return "has a character that base64url does not have"
	case BadLength:
		return "has a length that its fields cannot give"
	case BadPadding:
		return "has a bit set after its last field"
	case Truncated:
		return "ends too early"
	case BadType:
		return "is not of the expected type"
	case BadVersion:
		return "is a version that is not known"
	case BadValue:
		return "has a value that is not defined"
	case BadRange:
		return "has ids that are out of order, overlap or are out of bounds"
	case BadRestriction:
		return "has a restriction that is not defined or stands twice"
	case BadCount:
		return "does not agree with the number of sections"
	case UnknownSegment:
		return "is a segment that is not known"
	case DuplicateSegment:
		return "stands twice"
	default:
		return "is wrong"
	}
}

// An Error says which part of a consent string was refused. It holds nothing of
// the string, and is built only on failure.
type Error struct {
	Code  Code
	Field string // the field's name, for GPP after its section's: "usca.SaleOptOut"
}

// Error names the field, the fault and the code.
func (e *Error) Error() string { return fmt.Sprintf("%s %s (%s)", e.Field, e.Code.text(), e.Code) }

// sextets holds the six bits of each base64url character (RFC 4648, section 5),
// and noSextet for every other byte.
const noSextet = 0xff

var sextets = func() (table [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range table {
		table[i] = noSextet
	}
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i)
	}
	return table
}()

// isBase64URL reports whether every byte of s is a base64url character.
func isBase64URL(s string) bool {
	var all byte
	for ; len(s) >= 8; s = s[8:] { // eight at once, for each string is looked at whole
		all |= sextets[s[0]] | sextets[s[1]] | sextets[s[2]] | sextets[s[3]] |
			sextets[s[4]] | sextets[s[5]] | sextets[s[6]] | sextets[s[7]]
	}
	for i := range len(s) {
		all |= sextets[s[i]]
	}
	return all < 64
}

// Bits returns n bits of a segment from bit at on, the first as the highest. The
// segment must have been read before, so that it is base64url and has them; n is
// at most 48.
func Bits(segment string, at, n int) uint64 { return bitsAt(segment, at, n) }

// bitsAt returns n bits of s from bit at on, the first as the highest; n is at
// most 48, and s must have them.
func bitsAt(s string, at, n int) uint64 {
	if n == 0 {
		return 0
	}
	first, end := uint(at)/6, uint(at+n+5)/6
	characters := s[first:end]
	var v uint64
	for i := range len(characters) {
		v = v<<6 | uint64(sextets[characters[i]])
	}
	v >>= end*6 - uint(at+n)
	return v & (1<<n - 1)
}
