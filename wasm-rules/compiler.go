// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// features are the WebAssembly features a rewritten module may use.
const features = api.CoreFeaturesV1 | api.CoreFeatureMultiValue | api.CoreFeatureBulkMemoryOperations |
	api.CoreFeatureNonTrappingFloatToIntConversion | api.CoreFeatureSignExtensionOps

// runtimeConfig is the same where code is compiled and where it runs.
func runtimeConfig() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(features).
		WithMemoryLimitPages(MaxMemoryPages).
		WithDebugInfoEnabled(false)
}

// maxCacheBytes bounds the code cache: when it is larger, the oldest half goes
// and is compiled again when it is needed. Code is 3 to 10 times a module's
// size.
const maxCacheBytes = 1 << 30

// A compiler makes code of modules that were verified and rewritten, and keeps
// it in a directory. Whoever can write there runs code in this process: the
// directory is the operator's alone. It is safe for concurrent use.
type compiler struct {
	runtime   wazero.Runtime
	cache     wazero.CompilationCache
	jail      *jail
	dir       string
	temporary bool            // dir is removed by close
	builtIn   map[string]bool // hashes of the modules that are part of the program
	checks    *gate
	trimming  sync.Mutex
	// loading is held while wazero loads: what it reads from the cache it shares
	// with others before it has compiled the ways in (wazero 1.12).
	loading sync.Mutex
	jailed  atomic.Int64 // modules that the jail has compiled
}

// openCompiler opens the cache below dir; "" is one that close removes.
func openCompiler(dir string) (*compiler, error) {
	builtIn, err := builtInHashes()
	if err != nil {
		return nil, err
	}
	c := &compiler{dir: dir, temporary: dir == "", builtIn: builtIn, checks: newGate()}
	if c.temporary {
		c.dir, err = os.MkdirTemp("", "nearside-code-")
	} else if c.dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(c.dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("code cache: %w", err)
	}
	c.cache, err = wazero.NewCompilationCacheWithDir(c.dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("code cache: %w", err), c.removeTemporary())
	}
	c.runtime = wazero.NewRuntimeWithConfig(context.Background(), runtimeConfig().WithCompilationCache(c.cache))
	c.jail = newJail(c.dir)
	return c, nil
}

// builtInHashes are the hashes of the modules that are part of the program.
func builtInHashes() (map[string]bool, error) {
	list, err := Embedded().List()
	if err != nil {
		return nil, fmt.Errorf("built-in modules: %w", err)
	}
	hashes := map[string]bool{}
	for _, m := range list {
		hashes[m.Hash] = true
	}
	return hashes, nil
}

// close releases all code. Nothing compiled may run any more.
func (c *compiler) close() error {
	ctx := context.Background()
	return errors.Join(c.runtime.Close(ctx), c.cache.Close(ctx), c.removeTemporary())
}

func (c *compiler) removeTemporary() error {
	if !c.temporary {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// compile returns a module's code. Trusted modules are part of the program;
// any other is compiled by the jail, within limits, and only loaded here.
func (c *compiler) compile(ctx context.Context, wasm []byte, trusted bool, limits jailLimits) (wazero.CompiledModule, error) {
	if trusted {
		return c.load(context.Background(), wasm)
	}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		// There is no compiler, and so no code that a jail could hand over.
		return nil, fmt.Errorf("compile: only built-in modules run on %s", runtime.GOARCH)
	}
	before := c.jailed.Load()
	if code, err := c.cached(wasm); !errors.Is(err, errNotCached) {
		return code, err
	}
	select {
	case <-c.jail.turn:
		defer func() { c.jail.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, &ModuleError{CodeBusy, errors.New("compile: other modules are being compiled")}
	}
	if c.jailed.Load() != before { // looking costs a large module a tenth of a second
		if code, err := c.cached(wasm); !errors.Is(err, errNotCached) {
			return code, err // whoever had the turn before compiled the same
		}
	}
	if err := c.trim(); err != nil {
		return nil, fmt.Errorf("code cache: %w", err)
	}
	if err := c.jail.compile(ctx, wasm, limits); err != nil {
		return nil, err
	}
	c.jailed.Add(1)
	return c.cached(wasm)
}

// compileOurs returns the code of a module that was compiled from rules by this
// program's own compiler: no stranger wrote it, so it needs no jail.
func (c *compiler) compileOurs(wasm []byte) (wazero.CompiledModule, error) {
	if err := c.trim(); err != nil {
		return nil, fmt.Errorf("code cache: %w", err)
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), runtime.GOMAXPROCS(0))
	code, err := c.load(ctx, wasm)
	if damaged(err) {
		if err := c.remove(c.entries()); err != nil {
			return nil, fmt.Errorf("code cache: %w", err)
		}
		code, err = c.load(ctx, wasm)
	}
	return code, err
}

// damaged reports whether an error tells of code in the cache that cannot be
// read.
func damaged(err error) bool { return err != nil && strings.Contains(err.Error(), "compilationcache") }

// errNotCached tells that a module's code is not in the cache.
var errNotCached = errors.New("the code cache does not have it")

// uncompiling returns a context in which wazero reads the cache and compiles
// nothing: its workers look at the context before each function, find it ended,
// and CompileModule returns why.
func uncompiling() context.Context {
	ctx, end := context.WithCancelCause(context.Background())
	end(errNotCached)
	return experimental.WithCompilationWorkers(ctx, 2)
}

// cached returns code that is in the cache. A damaged cache is emptied, so that
// what was in it is compiled again.
func (c *compiler) cached(wasm []byte) (wazero.CompiledModule, error) {
	code, err := c.load(uncompiling(), wasm)
	if damaged(err) {
		if err := c.remove(c.entries()); err != nil {
			return nil, fmt.Errorf("code cache: %w", err)
		}
		return nil, errNotCached
	}
	return code, err
}

func (c *compiler) load(ctx context.Context, wasm []byte) (code wazero.CompiledModule, err error) {
	defer func() {
		// Its decoder and validator are the only code here that sees a
		// stranger's module and is not ours.
		if r := recover(); r != nil {
			err = &ModuleError{CodeInvalid, fmt.Errorf("compile: %v", r)}
		}
	}()
	c.loading.Lock()
	defer c.loading.Unlock()
	code, err = c.runtime.CompileModule(ctx, wasm)
	switch {
	case errors.Is(err, errNotCached):
		return nil, errNotCached
	case err != nil:
		return nil, &ModuleError{CodeInvalid, errors.New("compile: " + firstLine(err))}
	}
	return code, nil
}

// A cacheEntry is a file below the cache's directory.
type cacheEntry struct {
	path    string
	size    int64
	written time.Time
}

// entries are the cache's files, oldest first. What cannot be read is left out.
func (c *compiler) entries() []cacheEntry {
	paths, _ := filepath.Glob(filepath.Join(c.dir, "wazero-*", "*")) // the pattern is good
	var entries []cacheEntry
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			entries = append(entries, cacheEntry{path, info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(entries, func(a, b cacheEntry) int { return a.written.Compare(b.written) })
	return entries
}

// trim removes what killed processes left, and the oldest code of a cache that
// is too large. What is being written is the newest.
func (c *compiler) trim() error {
	c.trimming.Lock()
	defer c.trimming.Unlock()
	entries := c.entries()
	var total int64
	for _, e := range entries {
		total += e.size
	}
	var gone []cacheEntry
	keep := total
	for _, e := range entries {
		// It may be being written: by the jail, or here where it is ours.
		unfinished := strings.HasSuffix(e.path, ".tmp") && time.Since(e.written) > time.Minute
		if unfinished || total > maxCacheBytes && keep > maxCacheBytes/2 {
			gone = append(gone, e)
			keep -= e.size
		}
	}
	return c.remove(gone)
}

func (c *compiler) remove(entries []cacheEntry) error {
	var errs []error
	for _, e := range entries {
		if err := os.Remove(e.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
