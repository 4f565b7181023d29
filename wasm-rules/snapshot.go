// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// A snapshot is what an instance's memory and mutable globals hold between
// calls. Tables and segments are not in it: verification lets no instruction
// through that changes them. It is immutable.
//
// Most of a small module's memory is zero, so it is kept chunk by chunk: an
// instance touches no page that its module does not use.
type snapshot struct {
	size  int  // of the memory
	shift uint // log2 of a chunk's bytes
	// chunks are the memory's parts, each with the bytes past its end that a
	// store beginning in it can reach; nil is all zero.
	chunks  [][]byte
	globals []uint64
}

func newSnapshot(memory []byte, globals []api.MutableGlobal, shift uint) *snapshot {
	s := &snapshot{size: len(memory), shift: shift}
	for at := 0; at < len(memory); at += 1 << shift {
		chunk := memory[at:s.end(at)]
		if isZero(chunk) {
			chunk = nil
		}
		s.chunks = append(s.chunks, bytes.Clone(chunk))
	}
	for _, g := range globals {
		s.globals = append(s.globals, g.Get())
	}
	return s
}

// end is where the chunk at an address ends, what a store can reach included.
func (s *snapshot) end(at int) int { return min(at+1<<s.shift+bytecode.Straddle, s.size) }

func isZero(b []byte) bool {
	for len(b) >= 8 {
		if le.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	return len(b) == 0 || bytes.Count(b, []byte{0}) == len(b)
}

// bytes is how much the snapshot keeps.
func (s *snapshot) bytes() (n int) {
	for _, chunk := range s.chunks {
		n += len(chunk)
	}
	return n
}

// putChunks puts the marked chunks back. A memory of more than 64 has several on
// one bit.
func (s *snapshot) putChunks(memory []byte, marked uint64) {
	for ; marked != 0; marked &= marked - 1 {
		for n := bits.TrailingZeros64(marked); n < len(s.chunks); n += 64 {
			at := n << s.shift
			if chunk := s.chunks[n]; chunk != nil {
				copy(memory[at:s.end(at)], chunk)
			} else {
				clear(memory[at:s.end(at)])
			}
		}
	}
}

// marked is how many bytes the marked chunks have.
func (s *snapshot) marked(marked uint64) int {
	return bits.OnesCount64(marked) * ((len(s.chunks) + 63) / 64) << s.shift
}

// putRange puts the bytes from one address to another back.
func (s *snapshot) putRange(memory []byte, from, to int) {
	for n := from >> s.shift; n<<s.shift < to; n++ {
		at := n << s.shift
		low, high := max(at, from), min(at+1<<s.shift, to)
		if chunk := s.chunks[n]; chunk != nil {
			copy(memory[low:high], chunk[low-at:])
		} else {
			clear(memory[low:high])
		}
	}
}

// fill makes the memory of a new instance that of the snapshot. It reads what is
// zero in both, and does not touch it.
func (s *snapshot) fill(memory []byte) {
	for n, chunk := range s.chunks {
		at := n << s.shift
		switch part := memory[at:s.end(at)]; {
		case chunk != nil:
			copy(part, chunk)
		case !isZero(part):
			clear(part)
		}
	}
}

// is reports whether a memory and globals are as the snapshot says.
func (s *snapshot) is(memory []byte, globals []api.MutableGlobal) bool {
	if len(memory) != s.size {
		return false
	}
	for n, chunk := range s.chunks {
		at := n << s.shift
		part := memory[at:s.end(at)]
		if chunk == nil && !isZero(part) || chunk != nil && !bytes.Equal(part, chunk) {
			return false
		}
	}
	return slices.EqualFunc(globals, s.globals, func(g api.MutableGlobal, v uint64) bool { return g.Get() == v })
}
