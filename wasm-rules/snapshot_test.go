// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// TestASnapshotPutsBackWhatAStoreReached stores at random into memories of
// several sizes, marks chunks as rewritten code does, and wants every byte back.
func TestASnapshotPutsBackWhatAStoreReached(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, pages := range []int{1, 2, 7, 64} {
		for _, shift := range []uint{10, 12, 16} {
			size := pages * pageBytes
			memory := make([]byte, size)
			for range 20 { // some chunks are not zero
				at := rng.IntN(size - 100)
				for i := range 100 {
					memory[at+i] = byte(rng.Uint32())
				}
			}
			before := bytes.Clone(memory)
			s := newSnapshot(memory, nil, shift)
			for range 200 {
				var marked uint64
				for range rng.IntN(5) {
					width := 1 << rng.IntN(4)
					at := rng.IntN(size - width + 1)
					if rng.IntN(3) == 0 { // across the end of a chunk, or at that of the memory
						at = min(at|(1<<shift-1), size-width)
					}
					for i := range width {
						memory[at+i] = byte(rng.Uint32())
					}
					marked |= 1 << (at >> shift & 63)
				}
				from := rng.IntN(size)
				to := from + rng.IntN(min(size-from, MaxRecordBytes))
				for i := from; i < to; i++ {
					memory[i] = byte(rng.Uint32())
				}
				s.putChunks(memory, marked)
				s.putRange(memory, from, to)
				if !bytes.Equal(memory, before) || !s.is(memory, nil) {
					t.Fatalf("%d pages, shift %d: the memory is not as it was", pages, shift)
				}
			}
			fresh := make([]byte, size)
			for range 10 { // data segments that the module has overwritten since
				fresh[rng.IntN(size)] = 1
			}
			s.fill(fresh)
			if !bytes.Equal(fresh, before) {
				t.Errorf("%d pages, shift %d: a new memory is not as the first", pages, shift)
			}
			for range 100 {
				at := rng.IntN(size)
				memory[at]++
				if s.is(memory, nil) {
					t.Fatalf("%d pages, shift %d: a change at %d is not seen", pages, shift, at)
				}
				memory[at]--
			}
			if most := size + len(s.chunks)*bytecode.Straddle; s.bytes() > most || pages == 64 && s.bytes() > most/2 && shift < 16 {
				t.Errorf("%d pages, shift %d: the snapshot keeps %d bytes", pages, shift, s.bytes())
			}
		}
	}
}
