// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
)

// FuzzVerify checks that a module which Verify accepts can be rewritten, always
// to the same bytes, and that the compiler finds nothing wrong with them.
func FuzzVerify(f *testing.F) {
	for _, wasm := range guests(f) {
		f.Add(wasm)
	}
	for _, tt := range slices.Concat(claims(), tooLarge(), forged(), foreign(), malformed(), mistyped()) {
		if len(tt.wasm) <= 8<<10 {
			f.Add(tt.wasm)
		}
	}
	for _, d := range runaways() {
		f.Add(d.bytes())
	}
	for seed := range uint64(10) {
		f.Add(generate(choices(seed), seed%2 == 0))
	}
	l := Standard()
	l.Bytes = 16 << 10
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := Verify(wasm, l)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == "" || e.Section == "" || e.What == "" || e.Offset < 0 || e.Offset > len(wasm) {
				t.Fatalf("a refusal without its place or reason: %#v", err)
			}
			return
		}
		for _, u := range m.Uses() {
			if u.Used > u.Limit {
				t.Fatalf("%s: %d used of %d", u.Name, u.Used, u.Limit)
			}
		}
		w := m.Rewrite()
		if !bytes.Equal(m.Rewrite().Wasm, w.Wasm) {
			t.Fatal("rewritten twice it is not the same")
		}
		checkCompiles(t, w.Wasm)
	})
}

func checkCompiles(t *testing.T, wasm []byte) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, newConfig(wazero.NewRuntimeConfigInterpreter()))
	defer r.Close(ctx)
	compiled, err := r.CompileModule(ctx, wasm)
	if err != nil {
		t.Fatalf("the rewritten module is not valid: %v", err)
	}
	if n := len(compiled.ImportedFunctions()); n > 0 {
		t.Fatalf("the rewritten module imports %d functions", n)
	}
}

// FuzzRewrite writes a program from the bytes it is given, and runs it plain and
// rewritten, compiled and interpreted.
func FuzzRewrite(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(choices(seed))
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		if len(choices) > 1024 {
			return
		}
		compiler := newRuntime(t, wazero.NewRuntimeConfigCompiler())
		compareRewritten(t, compiler, generate(choices, false))
		compareEngines(t, compiler, newRuntime(t, wazero.NewRuntimeConfigInterpreter()), generate(choices, true))
	})
}
