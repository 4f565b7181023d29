// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"slices"
)

// What is sealed travels as base64url without padding (RFC 4648, section 5), which
// has one form only here: the bits after the last byte are zero, and nothing else is
// in it, not even the line ends that encoding/base64 passes over. Eight characters
// are six bytes, which are done at a time, by tables: a state is a few hundred.
const (
	textAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	notText      = 1 << 31 // what is no character of a text has this bit in textBits
)

// textPairs are the two characters of twelve bits, the first in the low byte.
var textPairs = func() (pairs [1 << 12]uint16) {
	for bits := range pairs {
		pairs[bits] = uint16(textAlphabet[bits>>6]) | uint16(textAlphabet[bits&0x3f])<<8
	}
	return pairs
}()

// textBits are the bits of a character that is the first to the fourth of four, where
// they are among the 24 of the four.
var textBits = func() (bits [4][256]uint32) {
	for place := range bits {
		for c := range bits[place] {
			bits[place][c] = notText
		}
		for value := range len(textAlphabet) {
			bits[place][textAlphabet[value]] = uint32(value) << (18 - 6*place)
		}
	}
	return bits
}()

// appendSealText appends src as text.
func appendSealText(dst, src []byte) []byte {
	from, length := len(dst), (len(src)*8+5)/6
	dst = slices.Grow(dst, length)[:from+length]
	out, pairs := dst[from:], &textPairs
	at, to := 0, 0
	for ; at+8 <= len(src) && to+8 <= len(out); at, to = at+6, to+8 {
		x := binary.BigEndian.Uint64(src[at : at+8])
		binary.LittleEndian.PutUint64(out[to:to+8], uint64(pairs[x>>52])|uint64(pairs[x>>40&0xfff])<<16|
			uint64(pairs[x>>28&0xfff])<<32|uint64(pairs[x>>16&0xfff])<<48)
	}
	var x uint64 // the rest, in the highest bits
	for i, b := range src[at:] {
		x |= uint64(b) << (56 - 8*i)
	}
	for ; to < len(out); to++ {
		out[to] = textAlphabet[x>>58]
		x <<= 6
	}
	return dst
}

// readSealText writes what a text says to dst and returns its length; ok is false
// for what is no text or does not fit.
func readSealText(dst []byte, text string) (n int, ok bool) {
	src, bits := bytesOf(text), &textBits
	if n = len(src) * 6 / 8; n > len(dst) || len(src)%4 == 1 {
		return 0, false
	}
	at, to, all := 0, 0, uint32(0)
	for ; at+8 <= len(src) && to+8 <= len(dst); at, to = at+8, to+6 {
		c := src[at : at+8]
		high := bits[0][c[0]] | bits[1][c[1]] | bits[2][c[2]] | bits[3][c[3]]
		low := bits[0][c[4]] | bits[1][c[5]] | bits[2][c[6]] | bits[3][c[7]]
		all |= high | low
		binary.BigEndian.PutUint64(dst[to:to+8], uint64(high)<<40|uint64(low)<<16)
	}
	var x uint64 // the rest, in the highest bits
	for i, c := range src[at:] {
		all |= bits[3][c]
		x |= uint64(bits[3][c]) << (58 - 6*i)
	}
	for ; to < n; to++ {
		dst[to] = byte(x >> 56)
		x <<= 8
	}
	return n, x == 0 && all < notText
}
