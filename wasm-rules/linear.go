// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
)

// withMemories returns a context in which instances are made whose memory grows
// by doubling: a module that grows page by page to the most that it may have
// moves it six times, where the runtime's own memories move at every step or
// two.
func withMemories(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		return &linearMemory{most: most}
	}))
}

// A linearMemory is the memory of one instance.
type linearMemory struct {
	bytes []byte // what is past its length was never written
	most  uint64
}

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.bytes)) {
		room := size
		if len(m.bytes) > 0 {
			room = min(max(size, 2*uint64(cap(m.bytes))), m.most)
		}
		grown := make([]byte, len(m.bytes), room)
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() { m.bytes = nil }
