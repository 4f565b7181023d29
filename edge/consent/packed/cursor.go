// SPDX-License-Identifier: Apache-2.0

package packed

import "math/bits"

// A cursor reads the entries of ranges. It keeps the next bits of the text in a
// word, so that a character is looked up once and not for each field in it.
type cursor struct {
	s    string
	next int    // the first character that is not in word
	word uint64 // the next bits, from the highest down
	n    int    // how many of them count
}

// newCursor begins at a bit of s.
func newCursor(s string, at int) cursor {
	c := cursor{s: s, next: at / 6}
	if c.fill(6); c.n > 0 {
		c.skip(at % 6)
	}
	return c
}

// at is the bit that is read next.
func (c *cursor) at() int { return c.next*6 - c.n }

// fill makes word hold at least so many bits, at most 59, if the text has them.
func (c *cursor) fill(least int) {
	for c.n < least && c.next < len(c.s) {
		c.word |= uint64(sextets[c.s[c.next]]) << (58 - c.n)
		c.n += 6
		c.next++
	}
}

func (c *cursor) skip(n int) { c.word, c.n = c.word<<n, c.n-n }

// entry reads one id or range; last is the id before it. It is false if the text
// ends within the entry.
func (c *cursor) entry(coding Coding, last int) (first, end int, ok bool) {
	if coding == Fibonacci {
		return c.fibonacci(last)
	}
	length := 1 + 16
	c.fill(length)
	isRange := c.word>>63 == 1
	first = int(c.word << 1 >> 48)
	if end = first; isRange {
		length += 16
		c.fill(length)
		end = int(c.word << 17 >> 48)
	}
	if c.n < length {
		return 0, 0, false
	}
	c.skip(length)
	return first, end, true
}

func (c *cursor) fibonacci(last int) (first, end int, ok bool) {
	if c.fill(1 + 2*maxFibonacciBits); c.n == 0 {
		return 0, 0, false
	}
	isRange := c.word>>63 == 1
	c.skip(1)
	step, ok := c.number()
	if first, end = last+step, last+step; ok && isRange {
		step, ok = c.number()
		end += step
	}
	return first, end, ok
}

// number reads a number in Fibonacci coding. One that is too large for an id is
// read as more than MaxVendor.
func (c *cursor) number() (value int, ok bool) {
	short := shortNumbers[c.word>>56]
	value, length := int(short.value), int(short.length)
	if length == 0 {
		value, length = fibonacciAt(c.word)
	}
	switch {
	case length <= c.n:
		c.skip(length)
		return value, true
	case c.n > maxFibonacciBits:
		return MaxVendor + 1, true
	default:
		return 0, false
	}
}

// fibonacciNumbers are those whose sums reach MaxVendor.
var fibonacciNumbers = [...]int{1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765, 10946, 17711, 28657, 46368}

// maxFibonacciBits is how long a number up to MaxVendor is, with the 1 that ends
// it.
const maxFibonacciBits = len(fibonacciNumbers) + 1

// shortNumbers holds, by the next eight bits, the number that ends within them;
// its length is 0 if none does. Most differences between ids are that small.
var shortNumbers = func() (table [256]struct{ value, length uint8 }) {
	for word := range table {
		if value, length := fibonacciAt(uint64(word) << 56); length <= 8 {
			table[word].value, table[word].length = uint8(value), uint8(length)
		}
	}
	return table
}()

// fibonacciAt reads the number that begins at the highest bit of word. Its length
// is 65 if none ends that could be an id.
func fibonacciAt(word uint64) (value, length int) {
	last := bits.LeadingZeros64(word & (word << 1)) // of the number's own bits; the next 1 ends it
	if last >= len(fibonacciNumbers) {
		return 0, 65
	}
	for word = word >> (63 - last) << (63 - last); word != 0; {
		i := bits.LeadingZeros64(word)
		value += fibonacciNumbers[i]
		word &^= 1 << (63 - i)
	}
	return value, last + 2
}
