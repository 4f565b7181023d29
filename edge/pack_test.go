// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"testing"
)

// FuzzPack checks that what is packed comes back, and that no bytes make the
// reader panic or give more than it may.
func FuzzPack(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("seven b"))
	f.Add(bytes.Repeat([]byte{0}, 8*packMost+9))
	f.Add(append(bytes.Repeat([]byte{1}, 8*packMost), make([]byte, 17)...))
	f.Add([]byte{16, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{255, 255, 3, 255, 0, 255, 0, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		packed := appendPacked([]byte("x"), b)
		r := byteReader{b: packed[1:]}
		if got := r.packed(len(b)); r.bad || r.left() > 0 || !bytes.Equal(got, b) {
			t.Fatalf("%x came back as %x", b, got)
		}
		r = byteReader{b: packed[1:]}
		if r.packed(len(b) - 1); len(b) > 0 && !r.bad {
			t.Fatalf("%d bytes were read where at most %d may be", len(b), len(b)-1)
		}
		r = byteReader{b: b}
		if got := r.packed(1000); len(got) > 1000 {
			t.Fatalf("%d bytes", len(got))
		}
	})
}
