// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// An answer is what a guest said, wherever it ran.
type answer struct {
	variant int
	score   int64
	because string
}

// read makes an answer of near_decide's result and the bytes of near_out.
func read(result uint64, output []byte) (answer, error) {
	a := answer{variant: int(result & 0xff), score: int64(result) >> 8}
	if a.variant == 0 {
		return answer{}, nil
	}
	var err error
	a.because, _, err = wasmrules.ParseOutput(output)
	return a, err
}

// A bare module is one that wazero runs as it is: nothing is put back between
// calls, nothing is counted, and nothing stops it. It belongs to one goroutine.
type bare struct {
	memory  api.Memory
	decide  api.Function
	in, out uint32
	stack   [1]uint64
}

// newBare instantiates an original module by the ABI.
func newBare(t testing.TB, wasm []byte) *bare {
	t.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = runtime.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime) // the Go guest needs it
	instance, err := runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	address := func(name string) uint32 {
		results, err := instance.ExportedFunction(name).Call(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(results[0])
	}
	return &bare{
		memory: instance.Memory(), decide: instance.ExportedFunction("near_decide"),
		in: address("near_in"), out: address("near_out"),
	}
}

// choose does what a host must do at least: write the record, call, read.
func (m *bare) choose(record []byte) (answer, error) {
	if !m.memory.Write(m.in, record) || !m.memory.WriteUint32Le(m.out, 0) {
		return answer{}, os.ErrInvalid
	}
	m.stack[0] = 0
	if err := m.decide.CallWithStack(context.Background(), m.stack[:]); err != nil {
		return answer{}, err
	}
	output, _ := m.memory.Read(m.out, wasmrules.MaxOutputBytes)
	return read(m.stack[0], output)
}

// newPlugin instantiates the C guest under Extism. A limit of time is Extism's
// only means against a plugin that does not end; 0 is none.
func newPlugin(t testing.TB, wasm []byte, limit time.Duration) *extism.Plugin {
	t.Helper()
	extism.SetLogLevel(extism.LogLevelOff)
	plugin, err := extism.NewPlugin(context.Background(), extism.Manifest{
		Wasm:    []extism.Wasm{extism.WasmData{Data: wasm}},
		Timeout: uint64(limit.Milliseconds()),
	}, extism.PluginConfig{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plugin.Close(context.Background()) })
	return plugin
}

// forExtism is a record as the plugin takes it.
func forExtism(record []byte) []byte {
	return append(bytes.Clone(record), make([]byte, -len(record)&7)...)
}

// ask calls a plugin with a record for Extism. Its output is near_decide's
// result and the bytes of near_out.
func ask(plugin *extism.Plugin, record []byte) (answer, error) {
	_, output, err := plugin.Call("decide", record)
	if err != nil {
		return answer{}, err
	}
	return read(binary.LittleEndian.Uint64(output), output[8:])
}
