// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"context"
	"math"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// features are what a rewritten module needs.
const features = api.CoreFeaturesV1 | api.CoreFeatureMultiValue | api.CoreFeatureBulkMemoryOperations |
	api.CoreFeatureNonTrappingFloatToIntConversion | api.CoreFeatureSignExtensionOps

func newRuntime(t testing.TB, config wazero.RuntimeConfig) wazero.Runtime {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), newConfig(config))
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	return r
}

func newConfig(c wazero.RuntimeConfig) wazero.RuntimeConfig {
	return c.WithCoreFeatures(features).WithMemoryLimitPages(64)
}

// A machine is an instance of a module, rewritten or plain.
type machine struct {
	testing.TB
	api.Module
	rewritten *Rewritten // nil for a plain one
}

// plain instantiates a module as it is.
func plain(t testing.TB, r wazero.Runtime, wasm []byte) *machine {
	t.Helper()
	m, err := r.InstantiateWithConfig(t.Context(), wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatalf("instantiate: %v", err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return &machine{t, m, nil}
}

// rewritten instantiates a module after Verify and Rewrite.
func rewritten(t testing.TB, r wazero.Runtime, wasm []byte) *machine {
	t.Helper()
	m, err := Verify(wasm, Large())
	if err != nil {
		t.Fatal(err)
	}
	w := m.Rewrite()
	made := plain(t, r, w.Wasm)
	made.rewritten = w
	return made
}

func (m *machine) global(name string) api.MutableGlobal {
	return m.ExportedGlobal(name).(api.MutableGlobal)
}

// Budgets that a well-behaved test never uses up.
const (
	muchFuel  = 1 << 40
	muchDepth = 10_000
)

// call calls with fuel and depth, and returns what was left of them.
func (m *machine) call(name string, fuel int64, depth int32, args ...uint64) (results []uint64, left int64, err error) {
	if m.rewritten == nil {
		results, err = m.ExportedFunction(name).Call(m.Context(), args...)
		return results, 0, err
	}
	m.global(ExportFuel).Set(uint64(fuel))
	m.global(ExportDepth).Set(uint64(uint32(depth)))
	results, err = m.ExportedFunction(name).Call(m.Context(), args...)
	left = int64(m.global(ExportFuel).Get())
	if after := int32(m.global(ExportDepth).Get()); err == nil && after != depth {
		m.Errorf("%s began with depth %d and ended with %d", name, depth, after)
	}
	return results, left, err
}

// bytes copies the memory.
func (m *machine) bytes() []byte {
	b, ok := m.Memory().Read(0, m.Memory().Size())
	if !ok {
		m.Fatal("no memory")
	}
	return bytes.Clone(b)
}

// dirty returns the chunks marked since they were last asked for.
func (m *machine) dirty() uint64 {
	g := m.global(ExportDirty)
	marked := g.Get()
	g.Set(0)
	return marked
}

// checkDirty fails the test if memory changed outside of marked chunks and what
// may straddle from them.
func (m *machine) checkDirty(before []byte, marked uint64) {
	m.Helper()
	after, _ := m.Memory().Read(0, uint32(len(before)))
	chunk, clean := 1<<m.rewritten.ChunkShift, 0
	for at := 0; at < len(before); at += chunk {
		end := min(at+chunk, len(before))
		if marked>>(at/chunk%64)&1 == 1 {
			clean = min(end+Straddle, len(before))
			continue
		}
		if clean = max(clean, at); clean < end && !bytes.Equal(after[clean:end], before[clean:end]) {
			m.Errorf("memory changed from %d to %d, outside of the chunks marked %064b", clean, end, marked)
		}
	}
}

// same reports whether results are equal; a NaN equals another.
func same(a, b []uint64, types []api.ValueType) bool {
	for i := range a {
		x, y := a[i], b[i]
		switch types[i] {
		case api.ValueTypeF32:
			f, g := math.Float32frombits(uint32(x)), math.Float32frombits(uint32(y))
			if f != f && g != g {
				continue
			}
		case api.ValueTypeF64:
			f, g := math.Float64frombits(x), math.Float64frombits(y)
			if f != f && g != g {
				continue
			}
		}
		if x != y {
			return false
		}
	}
	return len(a) == len(b)
}
