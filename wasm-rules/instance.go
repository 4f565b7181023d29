// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/nearside/nearside/edge"
)

// ErrTrap is wrapped by the error for a call that the module ended by a trap.
var ErrTrap = errors.New("module trapped")

// A recipe is what it takes to make instances of one rule that are all alike.
// It is immutable once the first instance is made.
type recipe struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	checked  *verified
	manifest *edge.Manifest
	// bind are the numbers of the own fields the manifest reads, in its order.
	bind []int
	// settings is compact JSON, or nil for a module that takes none.
	settings []byte
	// empty is the site's record without any value.
	empty []byte
}

// An instance is one running module: a memory, globals and a call stack. It
// belongs to one goroutine at a time.
type instance struct {
	module api.Module
	decide api.Function
	// memory is the module's whole memory, valid while it has this size.
	memory  []byte
	in, out uint32
	globals []global
	stack   [2]uint64
}

// A global is a mutable global of a module. set is nil unless it is exported.
type global struct {
	api.Global
	set api.MutableGlobal
}

// A snapshot is what an instance's memory and mutable globals hold between
// calls. Tables and segments are not in it: verify and the enabled features
// leave no instruction that changes them.
type snapshot struct {
	memory  []byte
	globals []uint64
}

// start makes an instance and brings it to where it serves: initialised, bound,
// set up, and warmed by answering an empty record for every slot, so that what
// a module does at its first call (growing its memory, for example) is done.
func (p *recipe) start(ctx context.Context) (*instance, error) {
	module, err := p.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("instantiate: %s", firstLine(err))
	}
	in := &instance{module: module}
	if err := in.setUp(ctx, p); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (in *instance) setUp(ctx context.Context, p *recipe) error {
	if err := in.call(ctx, exportInitialize); err != nil {
		return err
	}
	var err error
	if in.in, err = in.buffer(ctx, exportIn, MaxRecordBytes, 8); err != nil {
		return err
	}
	if in.out, err = in.buffer(ctx, exportOut, MaxOutputBytes, 4); err != nil {
		return err
	}
	if in.in < in.out+MaxOutputBytes && in.out < in.in+MaxRecordBytes {
		return errors.New("the buffers of near_in and near_out overlap")
	}
	for i, number := range p.bind {
		if err := in.call(ctx, exportBind, uint64(i), uint64(number)); err != nil {
			return err
		}
	}
	if p.settings != nil {
		in.view()
		copy(in.memory[in.in:], p.settings)
		if err := in.call(ctx, exportSettings, uint64(in.in), uint64(len(p.settings))); err != nil {
			return fmt.Errorf("settings refused: %w", err)
		}
	}
	in.decide = in.module.ExportedFunction(exportDecide)
	for slot := range p.manifest.Slots {
		in.view()
		if _, err := in.answer(ctx, p.empty, slot, len(p.manifest.Slots[slot].Variants)); err != nil {
			return fmt.Errorf("slot %q, empty record: %w", p.manifest.Slots[slot].Name, err)
		}
	}
	in.view()
	for _, n := range p.checked.mutable {
		g := global{Global: in.module.(experimental.InternalModule).Global(n)}
		if name, ok := p.checked.exported[n]; ok {
			g.set, _ = in.module.ExportedGlobal(name).(api.MutableGlobal)
		}
		in.globals = append(in.globals, g)
	}
	return nil
}

// call calls an exported function that gives nothing. One the module does not
// have is not called.
func (in *instance) call(ctx context.Context, name string, params ...uint64) error {
	f := in.module.ExportedFunction(name)
	if f == nil {
		return nil
	}
	if _, err := f.Call(ctx, params...); err != nil {
		return fmt.Errorf("%s: %w", name, trap(err))
	}
	return nil
}

// buffer asks the module for a buffer's address and checks that it is one.
func (in *instance) buffer(ctx context.Context, name string, size, align uint32) (uint32, error) {
	results, err := in.module.ExportedFunction(name).Call(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, trap(err))
	}
	at, memory := uint32(results[0]), in.module.Memory().Size()
	if at%align != 0 || uint64(at)+uint64(size) > uint64(memory) {
		return 0, fmt.Errorf("%s: %d bytes at %d are not inside the memory of %d bytes, aligned to %d", name, size, at, memory, align)
	}
	return at, nil
}

// view takes a new view of the memory, which may have grown.
func (in *instance) view() {
	memory := in.module.Memory()
	in.memory, _ = memory.Read(0, memory.Size())
}

// answer runs the module for one slot on a record of at most MaxRecordBytes. An
// error that wraps ErrTrap leaves the instance useless.
func (in *instance) answer(ctx context.Context, record []byte, slot, variants int) (edge.Answer, error) {
	copy(in.memory[in.in:], record)
	clear(in.memory[in.out : in.out+4])
	in.stack[0] = uint64(slot)
	if err := in.decide.CallWithStack(ctx, in.stack[:]); err != nil {
		return edge.Answer{}, trap(err)
	}
	variant, score := splitResult(in.stack[0])
	if variant == 0 {
		return edge.Answer{}, nil
	}
	if variant > variants {
		return edge.Answer{}, nonsense("variant %d of %d", variant, variants)
	}
	// Taken anew because the call may have moved the memory by growing it.
	output, _ := in.module.Memory().Read(in.out, MaxOutputBytes)
	because, items, err := ParseOutput(output)
	if err != nil {
		return edge.Answer{}, err
	}
	return edge.Answer{Variant: variant, Score: score, Because: because, Items: items}, nil
}

// splitResult reads what near_decide returned.
func splitResult(bits uint64) (variant int, score int64) {
	return int(bits & 0xff), int64(bits) >> 8
}

// snapshot copies what restore puts back.
func (in *instance) snapshot() *snapshot {
	s := &snapshot{memory: bytes.Clone(in.memory)}
	for _, g := range in.globals {
		s.globals = append(s.globals, g.Get())
	}
	return s
}

// is reports whether the instance is as the snapshot says.
func (in *instance) is(s *snapshot) bool {
	return bytes.Equal(in.memory, s.memory) && slices.EqualFunc(in.globals, s.globals, func(g global, v uint64) bool { return g.Get() == v })
}

// restore puts the instance back to the snapshot and reports whether it could:
// not if its memory grew, which cannot be undone, nor if a global changed that
// is not exported, which cannot be set.
func (in *instance) restore(s *snapshot) bool {
	if int64(in.module.Memory().Size()) != int64(len(s.memory)) {
		return false
	}
	for i, g := range in.globals {
		if g.Get() == s.globals[i] {
			continue
		}
		if g.set == nil {
			return false
		}
		g.set.Set(s.globals[i])
	}
	copy(in.memory, s.memory)
	return true
}

func (in *instance) close() { _ = in.module.Close(context.Background()) }

// trap keeps the first line of what wazero says; the lines after it are a stack
// trace of function numbers.
func trap(err error) error { return fmt.Errorf("%w: %s", ErrTrap, firstLine(err)) }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
