// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzHeaderLine holds the reading of lines by words to that by bytes.
func FuzzHeaderLine(f *testing.F) {
	for _, text := range []string{
		"Host: near.example\r\n", "sec-ch-ua-platform-version: \"1\"\r\nA", "a\x7f: b\r\n", "sec\rch-ua: 1\r\n", "X-Moz:\tprefetch\r\n", "Host:a\n", ": a\r\n", "\r\n", "a b: c\r\n",
		"Accept-Language: \xff\x7e\x7f\r\n", "ACCEPT: \xff\xff\x1f\r\n", "a-name-that-is-longer-than-any-that-we-know: 1\r\n", "Sec-\x07PC: 1\r\nbehind\n", "x", "\x10\x0dx-moz: a\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		length, clean := lineEnd(b)
		if want := bytes.IndexByte(b, '\n') + 1; max(length, 0) != want || length == 0 {
			t.Fatalf("%q: the line has %d bytes, want %d", b, length, want)
		}
		if length < 0 {
			return
		}
		line, ended := bytes.CutSuffix(b[:length], []byte("\r\n"))
		if clean != (ended && cleanBytes(line)) {
			t.Fatalf("%q: clean is %t", line, clean)
		}
		which, size, ok := readName(line, clean)
		name, _, found := bytes.Cut(line, []byte(":"))
		if ok != (found && len(name) > 0 && allToken(name)) {
			t.Fatalf("%q: a name is %t", line, ok)
		}
		if want := headerNamed(strings.ToLower(string(name))); ok && (size != len(name) || which != want) {
			t.Fatalf("%q: header %d of %d bytes, want %d of %d", line, which, size, want, len(name))
		}
	})
}

// Every place of a control character, among bytes at the borders of what is one.
func TestLinesByWords(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	borders := []byte("\x00\x1f\x20\x7e\x7f\x80\xff\t\r\nA:")
	for range 200_000 {
		b := bytes.Repeat([]byte("a"), random.IntN(50))
		for range random.IntN(4) {
			if len(b) > 0 {
				b[random.IntN(len(b))] = borders[random.IntN(len(borders))]
			}
		}
		b = append(b, "\r\nb"...)
		length, clean := lineEnd(b)
		want := bytes.IndexByte(b, '\n') + 1
		line, ended := bytes.CutSuffix(b[:want], []byte("\r\n"))
		if length != want || clean != (ended && cleanBytes(line)) {
			t.Fatalf("%q: %d, %t", b, length, clean)
		}
		if got, want := hasControl(string(line)), bytes.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }); got != want {
			t.Fatalf("%q: a control character is %t", line, got)
		}
	}
}
