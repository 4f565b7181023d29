// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// Options say how a Host is made.
type Options struct {
	// Source holds the modules that can be loaded. It is required and must
	// outlive the Host.
	Source ModuleSource
	// CacheDir is where the code of compiled modules is kept; it is made 0700
	// if it is not there. Whoever can write to it can run code in this process.
	// Empty is a directory of the Host's own, which Close removes.
	CacheDir string
	// TrustedKeys sign every module that is not built in; without any, no
	// signature is needed.
	TrustedKeys Keys
	// LargeModules is how many rules of modules above 512 KiB may be loaded at
	// once, those of the release before included; 0 means 16. Each takes the
	// memory of its code, of its instances and of one more.
	LargeModules int
	// MemoryBytes is how much memory the loaded rules may have together, those of
	// the release before included; 0 means 2 GiB. A rule counts with its snapshot
	// and as many instances as it may keep.
	MemoryBytes int64
	// Instances is how many idle instances a rule keeps; 0 means one more than
	// GOMAXPROCS. More calls at once make instances that are closed afterwards.
	Instances int
}

// A Host loads modules and runs them. It implements edge.RuleLoader and is safe
// for concurrent use.
type Host struct {
	source    ModuleSource
	instances int
	keys      *keyring
	compiler  *compiler
	large     quota // modules
	memory    quota // bytes

	// rules are shared by releases of a site with the same module, settings and
	// fields. Sites share none: what one site's visitors do to a rule must not
	// show at another.
	rules shared[rule]
	// sets are shared by releases of a site with the same rules and fields.
	sets shared[ruleSet]
}

// New returns a host without rules.
func New(o Options) (*Host, error) {
	if o.Source == nil {
		return nil, errors.New("wasmrules: no module source")
	}
	if o.Instances < 0 || o.LargeModules < 0 || o.MemoryBytes < 0 {
		return nil, fmt.Errorf("wasmrules: %d instances, %d large modules, %d bytes of memory", o.Instances, o.LargeModules, o.MemoryBytes)
	}
	if o.Instances == 0 {
		o.Instances = runtime.GOMAXPROCS(0) + 1
	}
	h := &Host{
		source: o.Source, instances: o.Instances, keys: new(keyring),
		large:  quota{free: cmp.Or(int64(o.LargeModules), largeModules)},
		memory: quota{free: cmp.Or(o.MemoryBytes, memoryBytes)},
	}
	h.keys.store(o.TrustedKeys)
	var err error
	if h.compiler, err = openCompiler(o.CacheDir); err != nil {
		return nil, fmt.Errorf("wasmrules: %w", err)
	}
	return h, nil
}

// Close releases everything the host made. Call it after the last Choose; a
// rule called later fails.
func (h *Host) Close() error { return h.compiler.close() }

// Load implements edge.RuleLoader. The rule's instances and code are released
// once nothing refers to it any more. An error that wraps a *ModuleError is the
// module's fault; any other is the caller's or the machine's. It may take as
// long as the compiler may: seconds for a module that was never loaded before.
func (h *Host) Load(site string, ref edge.ModuleRef, bind map[string]int) (edge.Rule, error) {
	r, err := h.load(site, ref, bind)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (h *Host) load(site string, ref edge.ModuleRef, bind map[string]int) (*rule, error) {
	wasm, manifest, err := h.open(ref)
	if err != nil {
		return nil, err
	}
	if !h.compiler.builtIn[ref.Hash] {
		if err := h.keys.verify(site, ref); err != nil {
			return nil, err
		}
	}
	numbers, err := ownNumbers(&manifest, bind)
	if err != nil {
		return nil, err
	}
	settings, err := tidySettings(ref.Settings)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("%q %s %d %v %s", site, ref.Hash, len(bind), numbers, settings)
	return h.rules.once(key, func() (*rule, error) {
		if err := checkSchema(&manifest, settings); err != nil {
			return nil, err
		}
		return h.makeRule(wasm, ref.Hash, &template{
			site: site, manifest: &manifest, bind: numbers, own: ownFields(len(bind)), settings: settings,
		})
	})
}

// makeRule makes a rule of a module and a template that finish makes ready.
func (h *Host) makeRule(wasm []byte, hash string, t *template) (*rule, error) {
	var err error
	if t.module, err = verify(wasm, hash); err != nil {
		return nil, err
	}
	var first *instance
	var large, room int64
	served := false
	defer func() { // also when a step panics
		if !served {
			if first != nil {
				t.close(first)
			}
			h.large.give(large)
		}
	}()
	if large, err = h.claimLarge(len(wasm)); err != nil {
		return nil, err
	}
	if first, err = h.compiler.finish(context.Background(), t, standardLimits); err != nil {
		return nil, err
	}
	room = t.room(h.instances)
	if err := h.claimMemory(room); err != nil {
		return nil, err
	}
	r := &rule{manifest: t.manifest, template: t, loaded: time.Now(), pool: newPool(t.restart, first, h.instances)}
	r.breaker.now = time.Now
	// What is released must not refer to the rule.
	runtime.AddCleanup(r, func(p *pool[*instance]) {
		p.close()
		_ = t.code.Close(context.Background())
		h.large.give(large)
		h.memory.give(room)
	}, r.pool)
	served = true
	return r, nil
}

// claimLarge takes a large module's place for a module of that many bytes, and
// returns how many places it took.
func (h *Host) claimLarge(bytes int) (int64, error) {
	if bytes <= bytecode.Standard().Bytes {
		return 0, nil
	}
	if !h.large.claim(1) {
		return 0, &ModuleError{CodeQuota, fmt.Errorf("%d bytes: this node has as many modules of more than %d bytes as it may", bytes, bytecode.Standard().Bytes)}
	}
	return 1, nil
}

// claimMemory takes memory for a rule's instances.
func (h *Host) claimMemory(bytes int64) error {
	if !h.memory.claim(bytes) {
		return &ModuleError{CodeMemory, fmt.Errorf("%d bytes of memory for %d instances: this node's modules have as much as they may", bytes, h.instances)}
	}
	return nil
}

// open gets the module and its manifest and checks that they are the ones the
// release means, whatever the source says.
func (h *Host) open(ref edge.ModuleRef) ([]byte, edge.Manifest, error) {
	wasm, err := h.source.Open(ref.Hash)
	if err != nil {
		return nil, edge.Manifest{}, fmt.Errorf("open: %w", err)
	}
	if hash := HashOf(wasm); hash != ref.Hash {
		return nil, edge.Manifest{}, fmt.Errorf("open: the module's hash is %s, want %.64s", hash, ref.Hash)
	}
	manifest, err := ReadManifest(wasm)
	if err != nil {
		return nil, edge.Manifest{}, fmt.Errorf("open: %w", err)
	}
	if manifest.Name != ref.Name || manifest.Version != ref.Version {
		return nil, manifest, fmt.Errorf("open: the module is %s, want %s@%s", manifest.ID(), ref.Name, ref.Version)
	}
	return wasm, manifest, nil
}

// ownNumbers returns the numbers of the fields the manifest reads that are not
// built in, in its order.
func ownNumbers(m *edge.Manifest, bind map[string]int) ([]int, error) {
	var numbers []int
	for _, name := range m.Reads {
		if _, ok := edge.FieldByName(name); ok {
			continue
		}
		number, ok := bind[name]
		if !ok {
			return nil, fmt.Errorf("manifest: reads %q, which is neither built in nor a field of this site", name)
		}
		if number < edge.BuiltinFields || number >= edge.BuiltinFields+len(bind) {
			return nil, fmt.Errorf("manifest: field %q has number %d, which is no own field's", name, number)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}
