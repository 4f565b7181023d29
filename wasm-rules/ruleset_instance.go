// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nearside/nearside/edge"
)

// A ruleInstance is one running module of compiled rules. What it keeps from one
// record to the next is what near_visit clears, so nothing is put back after a
// call but the record itself. It belongs to one goroutine at a time.
type ruleInstance struct {
	*ruleCode
	module           api.Module
	visit, decideAll api.Function
	memory           []byte // all of it: it never grows
	record           []byte // the part where records go
	wrote            int    // bytes of the latest record
	failed           bool
	stack            [1]uint64
}

// open makes an instance with the site's own fields bound.
func (c *ruleCode) open(ctx context.Context) (*ruleInstance, error) {
	module, err := c.runtime.InstantiateModule(withMemories(ctx), c.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("instantiate: %s", firstLine(err))
	}
	in := &ruleInstance{ruleCode: c, module: module, visit: module.ExportedFunction(exportVisit), decideAll: module.ExportedFunction(exportDecideAll)}
	if err := in.setUp(ctx); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (in *ruleInstance) setUp(ctx context.Context) error {
	in.memory, _ = in.module.Memory().Read(0, in.module.Memory().Size())
	results, err := in.module.ExportedFunction(exportIn).Call(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", exportIn, ErrTrap, firstLine(err))
	}
	at := uint64(uint32(results[0]))
	if at%8 != 0 || at+MaxRecordBytes > uint64(len(in.memory)) {
		return fmt.Errorf("%s: %d bytes at %d are not inside the memory of %d bytes, aligned to 8", exportIn, MaxRecordBytes, at, len(in.memory))
	}
	in.record = in.memory[at : at+MaxRecordBytes]
	bind := in.module.ExportedFunction(exportBind)
	for i, number := range in.bind {
		if _, err := bind.Call(ctx, uint64(i), uint64(number)); err != nil {
			return fmt.Errorf("%s: %w: %s", exportBind, ErrTrap, firstLine(err))
		}
	}
	return nil
}

// decide asks for each of slots which candidates hold for a record of at most
// MaxRecordBytes. After an error the instance must not be used again.
func (in *ruleInstance) decide(record []byte, slots []int, held []edge.Held) (err error) {
	if len(held) < len(slots) {
		return fmt.Errorf("%d slots, and room for %d", len(slots), len(held))
	}
	in.failed = true // until it has answered, also when something panics
	defer func() {
		if recover() != nil { // what it says might be the visitor's
			err = fmt.Errorf("%w: the host panicked", ErrTrap)
		}
	}()
	in.wrote = copy(in.record, record)
	ctx := context.Background()
	if err := in.visit.CallWithStack(ctx, in.stack[:]); err != nil {
		return fmt.Errorf("%w: %s", ErrTrap, firstLine(err))
	}
	for i, slot := range slots {
		if slot < 0 || slot >= len(in.candidates) {
			return fmt.Errorf("the rules have no slot number %d", slot)
		}
		in.stack[0] = uint64(slot)
		if err := in.decideAll.CallWithStack(ctx, in.stack[:]); err != nil {
			return fmt.Errorf("%w: %s", ErrTrap, firstLine(err))
		}
		if err := in.read(uint32(in.stack[0]), in.candidates[slot], &held[i]); err != nil {
			return err
		}
	}
	in.failed = false
	return nil
}

// read reads a slot's answer.
func (in *ruleInstance) read(at uint32, candidates int, held *edge.Held) error {
	from, to := uint64(at), uint64(at)+uint64(heldBytes+candidates*scoreBytes)
	if from%8 != 0 || to > uint64(len(in.memory)) {
		return nonsense("an answer at %d", at)
	}
	answer := in.memory[from:to]
	for w := range held.Bits {
		word := le.Uint64(answer[w*8:])
		held.Bits[w] = word
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			if n >= candidates {
				return nonsense("candidate %d of %d", n, candidates)
			}
			held.Scores[n] = int64(le.Uint64(answer[heldBytes+n*scoreBytes:]))
		}
	}
	return nil
}

// ready implements guest: an idle instance has no record.
func (in *ruleInstance) ready() bool {
	if in.failed {
		return false
	}
	clear(in.record[:in.wrote])
	return true
}

func (in *ruleInstance) close() { _ = in.module.Close(context.Background()) }
