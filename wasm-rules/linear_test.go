// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"testing"
)

func TestALinearMemoryKeepsItsBytesAndAddsZeros(t *testing.T) {
	const page, most = 64, 64 * 64
	m := &linearMemory{most: most}
	want := []byte{}
	moves, at := 0, (*byte)(nil)
	for size := uint64(page); size <= most; size += page {
		b := m.Reallocate(size)
		want = append(want, make([]byte, page)...)
		if !bytes.Equal(b, want) {
			t.Fatalf("at %d bytes the memory is not what was stored and zeros", size)
		}
		if &b[0] != at {
			moves, at = moves+1, &b[0]
		}
		if cap(b) > most {
			t.Errorf("at %d bytes there is room for %d, at most %d", size, cap(b), most)
		}
		for i := range b {
			b[i] = byte(i + int(size))
		}
		copy(want, b)
	}
	if moves > 7 {
		t.Errorf("it was in %d places", moves)
	}
}
