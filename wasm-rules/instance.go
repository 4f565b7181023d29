// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// What a call may spend, in the units of package bytecode.
const (
	// startFuel is for everything before the snapshot together, largeStartFuel
	// the same for a module that starts a runtime: Go's takes 17 million.
	startFuel      = 20_000_000
	largeStartFuel = 50_000_000
	// maxDepth is of calls in calls, those of large functions counting more. It
	// keeps the call stack below a megabyte.
	maxDepth = 1000
	// maxTraps is how many traps an instance is put back after.
	maxTraps = 16
)

// An instance is one running module: a memory, globals and a call stack. It
// belongs to one goroutine at a time.
type instance struct {
	module api.Module
	linear api.Memory
	decide api.Function
	// memory is the module's whole memory, valid while it has this size.
	memory  []byte
	in, out uint32
	// globals are the module's own mutable ones.
	globals            []api.MutableGlobal
	fuel, depth, dirty api.MutableGlobal

	snapshot *snapshot // what a call begins with; nil before there is one

	stack [2]uint64
	wrote int // bytes of the record of the latest call
	traps int
}

// open makes an instance as the module's bytes say it is, before any of its
// functions ran.
func (t *template) open(ctx context.Context) (*instance, error) {
	module, err := t.runtime.InstantiateModule(withMemories(ctx), t.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, &ModuleError{CodeStart, fmt.Errorf("instantiate: %s", firstLine(err))}
	}
	global := func(name string) api.MutableGlobal {
		g, ok := module.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			err = fmt.Errorf("instantiate: no mutable global %q", name)
		}
		return g
	}
	in := &instance{module: module, linear: module.Memory(), decide: module.ExportedFunction(exportDecide)}
	in.fuel, in.depth, in.dirty = global(bytecode.ExportFuel), global(bytecode.ExportDepth), global(bytecode.ExportDirty)
	for _, g := range t.meter.Globals {
		in.globals = append(in.globals, global(g.Export))
	}
	if err != nil {
		in.close()
		return nil, err
	}
	in.depth.Set(maxDepth)
	in.view()
	return in, nil
}

// start makes the first instance and brings it to where it serves: initialised,
// bound, set up, and warmed by answering an empty record for every slot, so
// that what a module does at its first call (growing its memory, for example)
// is done. All of that together spends what a start may.
func (t *template) start(ctx context.Context) (*instance, error) {
	in, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	in.fuel.Set(startFuel)
	if t.large && len(t.verified.Imports) > 0 { // a runtime imports WASI, padding does not
		in.fuel.Set(largeStartFuel)
	}
	if err := in.setUp(ctx, t); err != nil {
		in.close()
		return nil, &ModuleError{CodeStart, err}
	}
	return in, nil
}

func (in *instance) setUp(ctx context.Context, t *template) error {
	if _, err := in.call(ctx, exportInitialize); err != nil {
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
	for i, number := range t.bind {
		if _, err := in.call(ctx, exportBind, uint64(i), uint64(number)); err != nil {
			return err
		}
	}
	if t.settings != nil {
		in.view()
		copy(in.memory[in.in:], t.settings)
		if _, err := in.call(ctx, exportSettings, uint64(in.in), uint64(len(t.settings))); err != nil {
			return fmt.Errorf("settings refused: %w", err)
		}
	}
	for slot, role := range t.manifest.Slots {
		in.empty()
		if _, err := in.answer(ctx, t.empty, slot, len(role.Variants)); err != nil {
			return fmt.Errorf("slot %q, empty record: %w", role.Name, err)
		}
	}
	in.empty()
	in.dirty.Set(0)
	return nil
}

// restart makes another instance that is as the snapshot says, without running
// the module.
func (t *template) restart(ctx context.Context) (*instance, error) {
	in, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	in.in, in.out, in.snapshot = t.in, t.out, t.snapshot
	missing := (t.snapshot.size - len(in.memory)) / pageBytes
	if _, ok := in.linear.Grow(uint32(missing)); !ok {
		in.close()
		return nil, fmt.Errorf("instantiate: the memory does not grow by %d pages", missing)
	}
	in.view()
	t.snapshot.fill(in.memory)
	for i, g := range in.globals {
		g.Set(t.snapshot.globals[i])
	}
	in.dirty.Set(0)
	return in, nil
}

// call calls an exported function with the fuel that is left. One the module
// does not have gives nothing.
func (in *instance) call(ctx context.Context, name string, params ...uint64) ([]uint64, error) {
	f := in.module.ExportedFunction(name)
	if f == nil {
		return nil, nil
	}
	results, err := f.Call(ctx, params...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, in.trapped(err))
	}
	return results, nil
}

// buffer asks the module for a buffer's address and checks that it is one.
func (in *instance) buffer(ctx context.Context, name string, size, align uint32) (uint32, error) {
	results, err := in.call(ctx, name)
	if err != nil {
		return 0, err
	}
	at, memory := uint32(results[0]), in.linear.Size()
	if at%align != 0 || uint64(at)+uint64(size) > uint64(memory) {
		return 0, fmt.Errorf("%s: %d bytes at %d are not inside the memory of %d bytes, aligned to %d", name, size, at, memory, align)
	}
	return at, nil
}

// view takes a new view of the memory, which may have grown.
func (in *instance) view() { in.memory, _ = in.linear.Read(0, in.linear.Size()) }

// empty says that the output is empty, which is so before every call.
func (in *instance) empty() {
	in.view()
	clear(in.memory[in.out : in.out+4])
}

// choose answers for one slot and says what it spent of a budget, and what putting
// the instance back will cost.
func (in *instance) choose(ctx context.Context, record []byte, slot, variants int, budget int64) (edge.Answer, error) {
	traps := in.traps
	in.fuel.Set(uint64(budget))
	answer, err := in.answer(ctx, record, slot, variants)
	if err == nil && in.grown() {
		answer, err = edge.Answer{}, ErrGrown
	}
	answer.Fuel = budget - int64(in.fuel.Get()) + in.upkeep(in.traps != traps)
	return answer, err
}

// What the host does after a call costs as well, by bytes and not by time, so
// that it is the same everywhere.
const (
	restoredBytes = 32 // of the chunks that are put back, for a unit of fuel
	restartBytes  = 4  // of a new instance's memory, which is allocated and filled
)

// upkeep is what it costs to make the instance ready for the next call: another
// one if its memory grew, a share of another one after a trap, since only so
// many are survived.
func (in *instance) upkeep(trap bool) int64 {
	if in.grown() {
		return int64(in.linear.Size()) / restartBytes
	}
	cost := in.snapshot.marked(in.dirty.Get()) / restoredBytes
	if trap {
		cost += in.snapshot.size / restartBytes / maxTraps
	}
	return int64(cost)
}

// answer runs the module for one slot on a record of at most MaxRecordBytes,
// with the fuel that is left.
func (in *instance) answer(ctx context.Context, record []byte, slot, variants int) (edge.Answer, error) {
	in.wrote = copy(in.memory[in.in:], record)
	in.stack[0] = uint64(slot)
	if err := in.decide.CallWithStack(ctx, in.stack[:]); err != nil {
		in.traps++
		err = in.trapped(err)
		in.depth.Set(maxDepth) // a call that returns leaves it as it was
		return edge.Answer{}, err
	}
	variant, score := splitResult(in.stack[0])
	if variant == 0 {
		return edge.Answer{}, nil
	}
	if variant > variants {
		return edge.Answer{}, nonsense("variant %d of %d", variant, variants)
	}
	// Taken anew because the call may have moved the memory by growing it.
	output, _ := in.linear.Read(in.out, MaxOutputBytes)
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

// trapped says why a call ended. Fuel and depth are below 0 only where the
// code that rewriting added ended it.
func (in *instance) trapped(err error) error {
	switch {
	case int64(in.fuel.Get()) < 0:
		return edge.ErrBudget
	case int32(in.depth.Get()) < 0:
		return ErrDepth
	}
	// The lines after the first are a stack trace of function numbers.
	line := firstLine(err)
	if !strings.HasPrefix(line, "wasm error: ") {
		// Not the module's doing: the runtime itself failed, or was closed.
		in.traps = maxTraps
	}
	return fmt.Errorf("%w: %s", ErrTrap, line)
}

// grown reports whether the memory has grown since the snapshot. That cannot
// be undone.
func (in *instance) grown() bool { return int64(in.linear.Size()) != int64(len(in.memory)) }

// restore puts the instance back to a snapshot and reports whether it may serve
// on: not if its memory grew, nor after too many traps. It puts back the chunks
// that the module stored to, which the code that rewriting added marked before
// each store, and what the host wrote.
func (in *instance) restore(s *snapshot) bool {
	if in.grown() || in.traps >= maxTraps {
		return false
	}
	for i, g := range in.globals {
		if v := s.globals[i]; g.Get() != v {
			g.Set(v)
		}
	}
	if dirty := in.dirty.Get(); dirty != 0 {
		s.putChunks(in.memory, dirty)
		in.dirty.Set(0)
	}
	s.putRange(in.memory, int(in.in), int(in.in)+in.wrote)
	return true
}

// ready implements guest.
func (in *instance) ready() bool { return in.restore(in.snapshot) }

func (in *instance) close() { _ = in.module.Close(context.Background()) }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
