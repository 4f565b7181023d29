// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

var le = binary.LittleEndian

// A machine runs compiled modules as a host does, written anew from the ABI.
type machine struct {
	memory           api.Memory
	in               uint32
	bind, visit, ask api.Function
	module           api.Module
	compiled         wazero.CompiledModule
	context          context.Context
	testing          testing.TB
}

// newRuntime makes the runtime that a test's machines share.
func newRuntime(t testing.TB) wazero.Runtime {
	t.Helper()
	runtime := wazero.NewRuntime(t.Context())
	t.Cleanup(func() { _ = runtime.Close(context.Background()) })
	return runtime
}

// start loads a module; own are the numbers of the own fields it reads, in the
// order of its reads.
func start(t testing.TB, runtime wazero.Runtime, wasm []byte, own []int) *machine {
	t.Helper()
	ctx := context.Background()
	compiled, err := runtime.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatalf("wazero: %v", err)
	}
	module, err := runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("wazero: %v", err)
	}
	m := &machine{
		memory: module.Memory(), module: module, compiled: compiled, context: ctx, testing: t,
		bind: module.ExportedFunction("near_bind"), visit: module.ExportedFunction("near_visit"),
		ask: module.ExportedFunction("near_decide_all"),
	}
	m.in = uint32(m.call(module.ExportedFunction("near_in")))
	for i, number := range own {
		m.call(m.bind, uint64(i), uint64(number))
	}
	return m
}

func (m *machine) close() {
	_ = m.module.Close(m.context)
	_ = m.compiled.Close(m.context)
}

func (m *machine) call(f api.Function, args ...uint64) uint64 {
	m.testing.Helper()
	results, err := f.Call(m.context, args...)
	if err != nil {
		m.testing.Fatalf("%s: %v", f.Definition().Name(), err)
	}
	if len(results) == 0 {
		return 0
	}
	return results[0]
}

// show hands a visit's record to the module.
func (m *machine) show(record []byte) {
	m.testing.Helper()
	if !m.memory.Write(m.in, record) {
		m.testing.Fatalf("a record of %d bytes does not fit", len(record))
	}
	m.call(m.visit)
}

// decide asks for a slot's answer with that many candidates.
func (m *machine) decide(slot, candidates int) edge.Held {
	m.testing.Helper()
	at := uint32(m.call(m.ask, uint64(slot)))
	var held edge.Held
	answer, ok := m.memory.Read(at, uint32(8*(len(held.Bits)+candidates)))
	if !ok {
		m.testing.Fatalf("slot %d: the answer lies outside the memory", slot)
	}
	for i := range held.Bits {
		held.Bits[i] = le.Uint64(answer[8*i:])
	}
	for i := range candidates {
		held.Scores[i] = int64(le.Uint64(answer[8*(len(held.Bits)+i):]))
	}
	return held
}

func holds(held *edge.Held, n int) bool { return held.Bits[n>>6]>>(n&63)&1 == 1 }

// record encodes what a rule that reads all fields sees.
func (v *visitor) record() []byte {
	seen := make(map[string]edge.Value)
	var own []edge.OwnField
	for n, f := range v.fields {
		if n >= edge.BuiltinFields {
			own = append(own, edge.OwnField{Name: f.name})
		}
		if value := v.sees(n); value.Known() {
			seen[f.name] = value
		}
	}
	return lang.EncodeVisit(seen, own)
}
