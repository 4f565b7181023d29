// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// A module is bytes that may run: verified, rewritten and compiled.
type module struct {
	hash      string // of the file
	rewritten string // hash of what runs in its place
	large     bool   // it needs the limits of modules that bring a runtime
	verified  *bytecode.Module
	meter     *bytecode.Rewritten
	code      wazero.CompiledModule
	compiling time.Duration // how long it took to get the code
}

// A template is what it takes to make instances of one rule that are all alike.
// It is immutable once finish has returned it.
type template struct {
	*module
	runtime  wazero.Runtime
	site     string // "" in a check
	manifest *edge.Manifest
	// bind are the numbers of the own fields the manifest reads, in its order;
	// own are all of the site's, of which only the number is known here.
	bind []int
	own  []edge.OwnField
	// settings is compact JSON, or nil for a module that takes none.
	settings []byte
	// empty is the site's record without any value.
	empty []byte

	snapshot *snapshot
	in, out  uint32 // addresses of the buffers
	canaries []edge.Canary
	budget   int64 // fuel of one call
}

// maxRewrittenBytes bounds what is compiled in a module's place: a runtime grows
// by half, code that is all stores four times, all bulk instructions nine times.
const maxRewrittenBytes = 4 * MaxModuleBytes

// verify reads and rewrites a module. Its error is a *bytecode.Error or a
// *ModuleError.
func verify(wasm []byte, hash string) (*module, error) {
	limits, large := limitsFor(wasm)
	verified, err := bytecode.Verify(wasm, limits)
	if err != nil {
		return nil, err
	}
	meter := verified.Rewrite()
	if len(meter.Wasm) > maxRewrittenBytes {
		return nil, &ModuleError{CodeTooLarge, fmt.Errorf("%d bytes once it is rewritten, at most %d", len(meter.Wasm), maxRewrittenBytes)}
	}
	return &module{hash: hash, rewritten: HashOf(meter.Wasm), large: large, verified: verified, meter: meter}, nil
}

// limitsFor returns the limits of a module of that many bytes, and whether they
// are those of large ones.
func limitsFor(wasm []byte) (bytecode.Limits, bool) {
	if small := bytecode.Standard(); len(wasm) <= small.Bytes {
		return small, false
	}
	return bytecode.Large(), true
}

// finish takes a template with module, manifest, bind, own and settings to where
// its first instance, which it returns, can serve. Each step only sees what the
// one before let through. After an error or a panic nothing is left to close,
// and the template has the canaries so far.
func (c *compiler) finish(ctx context.Context, t *template, limits jailLimits) (first *instance, err error) {
	t.runtime, t.empty = c.runtime, emptyRecord(len(t.own))
	if t.settings, err = t.checkExports(len(t.bind), t.settings); err != nil {
		return nil, err
	}
	began := time.Now()
	if t.code, err = c.compile(ctx, t.meter.Wasm, c.builtIn[t.hash], limits); err != nil {
		return nil, err
	}
	t.compiling = time.Since(began)
	defer func() {
		if first == nil {
			_ = t.code.Close(context.Background())
		}
	}()
	return t.prepare(ctx)
}

// checkExports compares the module's exports with the ABI and returns the
// settings to hand over: nil for a module that takes none and is given none.
func (m *module) checkExports(own int, settings []byte) ([]byte, error) {
	exported := map[string]bytecode.Export{}
	for _, e := range m.verified.Exports {
		exported[e.Name] = e
	}
	if e, ok := exported[exportMemory]; !ok || e.Kind != bytecode.Memory {
		return nil, abiError("exports: no memory called %q", exportMemory)
	}
	for _, want := range exports() {
		e, ok := exported[want.name]
		needed := want.required || want.name == exportBind && own > 0
		switch {
		case ok && e.Kind != bytecode.Function:
			return nil, abiError("exports: %s is not a function", want.name)
		case ok && e.Type != want.typ:
			return nil, abiError("exports: %s is %s, want %s", want.name, e.Type, want.typ)
		case !ok && needed:
			return nil, abiError("exports: no function %s%s", want.name, want.typ)
		}
	}
	if _, ok := exported[exportSettings]; ok {
		return settings, nil
	}
	if string(settings) != "{}" {
		return nil, abiError("settings: the module takes none (it does not export %s)", exportSettings)
	}
	return nil, nil
}

func abiError(format string, args ...any) error {
	return &ModuleError{CodeABI, fmt.Errorf(format, args...)}
}

// prepare makes the first instance, keeps what it is then as the state in which
// every call begins, and lets canary visits find out whether it may serve.
func (t *template) prepare(ctx context.Context) (first *instance, err error) {
	in, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if first == nil {
			in.close()
		}
	}()
	t.snapshot, t.in, t.out = newSnapshot(in.memory, in.globals, t.meter.ChunkShift), in.in, in.out
	in.snapshot = t.snapshot
	if t.canaries, err = t.tryCanaries(ctx, in, cmp.Or(t.manifest.Budget, edge.MaxBudget)); err != nil {
		return nil, err
	}
	if !t.snapshot.is(in.memory, in.globals) {
		return nil, errors.New("an instance was not put back as it was")
	}
	t.budget = calibrate(t.manifest, t.canaries)
	return in, nil
}

// room is how many bytes a rule has that keeps so many instances.
func (t *template) room(instances int) int64 {
	return int64(t.snapshot.bytes()) + int64(instances)*int64(t.snapshot.size)
}

// declared is the mask of what the manifest reads.
func (t *template) declared() (mask edge.Mask) {
	own := 0
	for _, name := range t.manifest.Reads {
		if f, ok := edge.FieldByName(name); ok {
			mask = mask.With(f.Number)
			continue
		}
		mask = mask.With(edge.FieldNumber(t.bind[own]))
		own++
	}
	return mask
}

// ownFields are fields of a site of which only the number is known: what stands
// for them in a sample visit has no values.
func ownFields(n int) []edge.OwnField {
	return slices.Repeat([]edge.OwnField{{Type: edge.TypeString.String(), Purpose: "context"}}, n)
}
