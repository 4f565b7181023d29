// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"hash/fnv"
	"testing"
)

// TestChecksumIsFNV compares checksums with those of the standard library: records
// that were kept say them.
func TestChecksumIsFNV(t *testing.T) {
	for _, n := range []uint64{0, 1, 0x80, 0xff, 0x100, 0x00ff00, 1 << 40, 1<<56 - 1, 1 << 56, 1 << 63, 0x0123456789abcdef, ^uint64(0)} {
		h := fnv.New64a()
		_, _ = h.Write([]byte("because\x00"))
		_ = binary.Write(h, binary.LittleEndian, n)
		if got := checksumStart.text("because").word(n); uint64(got) != h.Sum64() {
			t.Errorf("%#x: %#x, want %#x", n, uint64(got), h.Sum64())
		}
	}
}
