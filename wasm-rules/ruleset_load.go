// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// LoadRules implements edge.RuleLoader. The module is compiled here and runs
// unmetered: that it ends is for the rule compiler to see to, and that the rule
// compiler made it for publishing (docs/RATIONALE.md). What can be told from the
// bytes is checked all the same. Instances and code are released once nothing
// refers to the set any more.
func (h *Host) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	set, err := h.loadRules(site, c, bind)
	if err != nil {
		return nil, err
	}
	return set, nil
}

func (h *Host) loadRules(site string, c *edge.Compiled, bind map[string]int) (*ruleSet, error) {
	wasm, err := h.source.Open(c.Hash)
	if err != nil {
		return nil, fmt.Errorf("open compiled rules: %w", err)
	}
	return h.rulesOf(site, wasm, c.Hash, bind)
}

// With returns a loader of the host's rules that has a compiled module beside
// those of the source: one that is to be tried before it is stored.
func (h *Host) With(compiled []byte) edge.RuleLoader { return hostWith{h, compiled, HashOf(compiled)} }

type hostWith struct {
	*Host
	wasm []byte
	hash string
}

// LoadRules implements edge.RuleLoader.
func (h hostWith) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	if c.Hash != h.hash {
		return h.Host.LoadRules(site, c, bind)
	}
	set, err := h.rulesOf(site, h.wasm, h.hash, bind)
	if err != nil {
		return nil, err
	}
	return set, nil
}

// rulesOf loads a module of compiled rules that should have a hash.
func (h *Host) rulesOf(site string, wasm []byte, hash string, bind map[string]int) (*ruleSet, error) {
	if got := HashOf(wasm); got != hash {
		return nil, fmt.Errorf("open compiled rules: the module's hash is %s, want %.64s", got, hash)
	}
	program, err := lang.Read(wasm)
	if err != nil {
		return nil, fmt.Errorf("open compiled rules: %w", err)
	}
	c, err := newRuleCode(program, bind)
	if err != nil {
		return nil, err
	}
	c.site, c.hash = site, hash
	key := fmt.Sprintf("%q %s %d %v", site, hash, len(bind), c.bind)
	return h.sets.once(key, func() (*ruleSet, error) { return h.makeSet(wasm, c) })
}

// makeSet makes a set of a module and what it takes to make instances of it.
func (h *Host) makeSet(wasm []byte, c *ruleCode) (*ruleSet, error) {
	limits, _ := limitsFor(wasm)
	verified, err := bytecode.Verify(wasm, limits)
	if err != nil {
		return nil, err
	}
	if err := checkCompiled(verified); err != nil {
		return nil, err
	}
	large, err := h.claimLarge(len(wasm))
	if err != nil {
		return nil, err
	}
	c.memory = verified.MemoryPages * pageBytes
	room, served := int64(h.instances)*int64(c.memory), false
	if err := h.claimMemory(room); err != nil {
		h.large.give(large)
		return nil, err
	}
	defer func() { // also when a step panics
		if !served {
			c.close()
			h.large.give(large)
			h.memory.give(room)
		}
	}()
	c.runtime = h.compiler.runtime
	if c.code, err = h.compiler.compileOurs(wasm); err != nil {
		return nil, err
	}
	first, err := c.start(context.Background())
	if err != nil {
		return nil, &ModuleError{CodeStart, err}
	}
	r := &ruleSet{ruleCode: c, loaded: time.Now(), pool: newPool(c.open, first, h.instances)}
	// What is released must not refer to the set.
	runtime.AddCleanup(r, func(p *pool[*ruleInstance]) {
		p.close()
		c.close()
		h.large.give(large)
		h.memory.give(room)
	}, r.pool)
	served = true
	return r, nil
}

// checkCompiled refuses a module that the rule compiler cannot have made: one
// that is no fixed piece of code, or that exports anything but what ABI.md says
// of compiled rules.
func checkCompiled(m *bytecode.Module) error {
	if err := m.Fixed(); err != nil {
		return err
	}
	wanted := map[string]string{exportMemory: ""}
	for _, e := range compiledExports() {
		wanted[e.name] = e.typ
	}
	for _, e := range m.Exports {
		typ, ok := wanted[e.Name]
		switch {
		case !ok:
			return abiError("exports: compiled rules do not export %.64q", e.Name)
		case e.Name == exportMemory && e.Kind != bytecode.Memory, e.Name != exportMemory && (e.Kind != bytecode.Function || e.Type != typ):
			return abiError("exports: %s is not what compiled rules export", e.Name)
		}
		delete(wanted, e.Name)
	}
	for name := range wanted {
		return abiError("exports: compiled rules export %s", name)
	}
	return nil
}

// A ruleCode is what the instances of one set have in common. It is immutable
// once the set is made.
type ruleCode struct {
	runtime wazero.Runtime
	code    wazero.CompiledModule
	program *lang.Program
	site    string
	hash    string
	memory  int // bytes of an instance

	bind       []int          // numbers of the own fields that are read, in the order of Reads
	numbers    map[string]int // of all fields that are read, by name
	own        []edge.Type    // of the site's own fields, unknown where the rules read none
	empty      []byte         // the site's record without any value
	candidates []int          // of each slot
}

// newRuleCode returns what a program says, without the module's code.
func newRuleCode(program *lang.Program, bind map[string]int) (*ruleCode, error) {
	numbers, err := ownNumbers(&edge.Manifest{Reads: program.Reads()}, bind)
	if err != nil {
		return nil, err
	}
	c := &ruleCode{
		program: program, bind: numbers, numbers: map[string]int{},
		own: make([]edge.Type, len(bind)), empty: emptyRecord(len(bind)),
	}
	for _, name := range program.Reads() {
		if f, ok := edge.FieldByName(name); ok {
			c.numbers[name] = int(f.Number)
		} else {
			c.numbers[name] = bind[name]
		}
	}
	for _, f := range program.Own() {
		if n := c.numbers[f.Name]; n >= edge.BuiltinFields {
			c.own[n-edge.BuiltinFields] = edge.ParseType(f.Type)
		}
	}
	for _, slot := range program.Slots() {
		n := len(slot.Candidates)
		if n > edge.MaxCandidates {
			return nil, abiError("slot %.64q: %d candidates, at most %d", slot.Name, n, edge.MaxCandidates)
		}
		c.candidates = append(c.candidates, n)
	}
	return c, nil
}

// start makes the first instance and lets it decide each slot for a visitor who
// granted nothing.
func (c *ruleCode) start(ctx context.Context) (*ruleInstance, error) {
	in, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	held := make([]edge.Held, 1)
	for slot := range c.candidates {
		if err := in.decide(c.empty, []int{slot}, held); err != nil {
			in.close()
			return nil, fmt.Errorf("empty record: %w", err)
		}
		in.ready()
	}
	return in, nil
}

// close releases the code, if there is any.
func (c *ruleCode) close() {
	if c.code != nil {
		_ = c.code.Close(context.Background())
	}
}
