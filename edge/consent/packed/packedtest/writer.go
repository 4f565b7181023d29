// SPDX-License-Identifier: Apache-2.0

// Package packedtest writes bit strings for tests, malformed ones too, which no
// encoder of the IAB would write.
package packedtest

import "strings"

// A Writer gathers bits. The zero value is empty.
type Writer struct{ bits strings.Builder }

// Uint appends the low n bits of v, the highest first, and returns w.
func (w *Writer) Uint(v uint64, n int) *Writer {
	for i := n - 1; i >= 0; i-- {
		w.bits.WriteByte('0' + byte(v>>i&1))
	}
	return w
}

// Bits appends bits that are written as text, and returns w.
func (w *Writer) Bits(text string) *Writer {
	w.bits.WriteString(text)
	return w
}

// Len is how many bits there are.
func (w *Writer) Len() int { return w.bits.Len() }

// Text returns the bits as base64url, filled up with zero bits to a multiple.
func (w *Writer) Text(multiple int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	bits := w.bits.String()
	for len(bits)%multiple != 0 {
		bits += "0"
	}
	var out strings.Builder
	for ; bits != ""; bits = bits[6:] {
		v := 0
		for _, bit := range bits[:6] {
			v = v<<1 | int(bit-'0')
		}
		out.WriteByte(alphabet[v])
	}
	return out.String()
}

// Fibonacci returns the bits of a number that is at least 1 in Fibonacci coding.
func Fibonacci(n int) string {
	terms := []int{1, 2}
	for terms[len(terms)-1] <= n {
		terms = append(terms, terms[len(terms)-1]+terms[len(terms)-2])
	}
	bits := "1"
	for i := len(terms) - 2; i >= 0; i-- {
		if n >= terms[i] {
			n -= terms[i]
			bits = "1" + bits
		} else if bits != "1" {
			bits = "0" + bits
		}
	}
	return bits
}

// Header returns the header of a GPP string with section ids, in order, each by
// itself.
func Header(ids ...int) string {
	w := new(Writer).Uint(3, 6).Uint(1, 6).Uint(uint64(len(ids)), 12)
	last := 0
	for _, id := range ids {
		w.Bits("0" + Fibonacci(id-last))
		last = id
	}
	return w.Text(24)
}
