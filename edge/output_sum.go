// SPDX-License-Identifier: Apache-2.0

package edge

import "math/bits"

// A checksum is FNV-1a (64 bit) of what was added to it, so that a replay can tell
// a difference without a record that holds everything.
type checksum uint64

const (
	checksumStart checksum = 14695981039346656037
	checksumPrime checksum = 1099511628211
)

// text returns c with a text and a byte of 0 after it.
func (c checksum) text(s string) checksum {
	for i := range len(s) {
		c = (c ^ checksum(s[i])) * checksumPrime
	}
	return c * checksumPrime
}

// checksumPowers are the powers of the prime, so that bytes of 0 in a row, which do
// nothing but multiply, are one step.
var checksumPowers = func() (powers [9]checksum) {
	powers[0] = 1
	for i := range powers[1:] {
		powers[i+1] = powers[i] * checksumPrime
	}
	return powers
}()

// word returns c with eight bytes, the lowest first.
func (c checksum) word(n uint64) checksum {
	zeros := bits.LeadingZeros64(n) / 8
	for range 8 - zeros {
		c = (c ^ checksum(n&0xff)) * checksumPrime
		n >>= 8
	}
	return c * checksumPowers[zeros]
}

// outputSum is a checksum of what an attempt in a slot came to beside variant and
// score; 0 for nothing.
func (d *decider) outputSum(t *tried, s *slot) uint64 {
	if t.at.rule == codelessPlace {
		return d.holding.of(s).sum()
	}
	return t.answer.sum()
}

// sum is a checksum of the words and items; 0 for none.
func (a *Answer) sum() uint64 {
	if a.Because == "" && len(a.Items) == 0 {
		return 0
	}
	c := checksumStart.text(a.Because)
	for _, item := range a.Items {
		c = c.text(item.ID).text(item.Reason).text(item.Text)
	}
	return uint64(c)
}

// sum is a checksum of what holds and of its scores; 0 for no answer.
func (h *Held) sum() uint64 {
	if h == nil {
		return 0
	}
	c := checksumStart
	for i, held := range h.Bits {
		c = c.word(held)
		for ; held != 0; held &= held - 1 {
			c = c.word(uint64(h.Scores[i<<6+bits.TrailingZeros64(held)]))
		}
	}
	return uint64(c)
}
