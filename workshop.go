// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nearside/nearside/console"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// A workshop is what publishing needs of a data directory: a node's part of it,
// or all there is for a command that works on the files.
type workshop struct {
	cfg     Config
	log     *slog.Logger
	sealer  *edge.Sealer
	keys    *keyring // the sealer's
	events  *stream.Stream
	modules wasmrules.ModuleSource // beside those that were uploaded
	rules   *wasmrules.Host
	desk    *publishing.Desk
	flows   *flows
	people  people

	closers []func() error
}

// openWorkshop opens a data directory. live is the node around it, nil for none.
// What is returned beside an error is to be closed as well.
func openWorkshop(cfg Config, log *slog.Logger, live publishing.Live) (*workshop, error) {
	w := &workshop{cfg: cfg, log: log, modules: openModules(cfg)}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return w, fmt.Errorf("data directory: %w", err)
	}
	trusted, err := readKeys(cfg.RulesKeys)
	if err != nil {
		return w, err
	}
	w.events, err = stream.Open(stream.Options{
		Dir: cfg.Data, Node: cfg.Node, Window: cfg.StreamWindow, MaxLogBytes: cfg.StreamMaxBytes,
		DropOldest: cfg.StreamFull == fullDropOldest, MaxAge: cfg.StreamRetain,
		MaxRecordsBytes: cfg.StreamMaxRecordBytes, Logger: log,
	})
	if err != nil {
		return w, fmt.Errorf("open stream: %w", err)
	}
	w.closers = append(w.closers, w.closeEvents)
	if w.keys, err = openKeys(cfg.Data, w.events, log); err != nil {
		return w, err
	}
	w.sealer = w.keys.sealer
	w.people = people{profiles: w.events.OpenProfiles(stream.ProfileOptions{}), sealer: w.sealer, keep: keepDefault}
	w.closers = append(w.closers, w.closeProfiles)
	w.flows = &flows{events: w.events}
	w.rules, err = wasmrules.New(wasmrules.Options{
		Source:   wasmrules.Chain(w.modules, storedModules{w.events}),
		CacheDir: filepath.Join(cfg.Data, "cache"), TrustedKeys: trusted,
	})
	if err != nil {
		return w, fmt.Errorf("open rules: %w", err)
	}
	w.closers = append(w.closers, w.rules.Close)
	w.desk = publishing.New(publishing.Options{
		Modules: w.events, Documents: w.events, Notes: w.events, Audits: w.events, Releases: w.events, Items: w.events, Checker: w.rules.Checker(), Loader: w.rules,
		Rehearsal: w.rules.Rehearsal(), Compiler: ruleCompiler{w.rules},
		Live: live, Replayer: replayer{w}, SealPreview: w.sealer.SealPreview, SealSecret: w.sealer.SealSecret, ParsePublic: publicAlgorithm, Builtin: w.builtin,
	})
	return w, nil
}

func (w *workshop) closeEvents() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return w.events.Close(ctx)
}

func (w *workshop) closeProfiles() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return w.people.profiles.Close(ctx)
}

// keepDefault is how long profiles are kept where no release says.
func keepDefault(string) time.Duration { return edge.DefaultProfileDays * 24 * time.Hour }

// close closes what was opened, last first.
func (w *workshop) close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	return errors.Join(errs...)
}

// console is the face of the workshop for who runs it and who has a token.
func (w *workshop) console(metrics ...func(io.Writer) error) (*console.Console, error) {
	return console.New(console.Options{
		Desk: w.desk, Logger: w.log, Metrics: metrics, Events: w.storedEvents, Flow: w.flows, Dead: w.flows, Keys: w.keys, Eraser: w.flows, People: w.people, ProfileID: w.sealer.ProfileID,
		Backup: func(ctx context.Context, to io.Writer) error {
			_, err := w.events.Backup(ctx, to, version, backupFiles...)
			return err
		},
	})
}

// builtin are the modules that every site may publish. A source that cannot be
// read leaves its modules out.
func (w *workshop) builtin() []edge.ModuleRef {
	listed, err := w.modules.List()
	if err != nil {
		w.log.Error("list modules", "error", err)
	}
	refs := make([]edge.ModuleRef, len(listed))
	for i, m := range listed {
		refs[i] = edge.ModuleRef{Name: m.Manifest.Name, Version: m.Manifest.Version, Hash: m.Hash}
	}
	return refs
}

// keepModules stores the modules that come with the program, so that a release
// which uses them outlives the next program, which may come with others.
func (w *workshop) keepModules(ctx context.Context) error {
	for _, ref := range w.builtin() {
		if _, err := w.events.Module(ctx, ref.Hash); err == nil {
			continue
		}
		wasm, err := w.modules.Open(ref.Hash)
		if err != nil {
			return fmt.Errorf("keep module %s: %w", ref.ID(), err)
		}
		if _, err := w.events.PutModule(ctx, wasm); err != nil {
			return fmt.Errorf("keep module %s: %w", ref.ID(), err)
		}
	}
	return nil
}

// openModules is the rule modules that come with a node: the built-in ones and
// those of its modules directory.
func openModules(cfg Config) wasmrules.ModuleSource {
	dir := cfg.Modules
	if dir == "" {
		dir = filepath.Join(cfg.Data, "modules")
		if !exists(dir) {
			return wasmrules.Embedded()
		}
	}
	return wasmrules.Chain(wasmrules.Embedded(), wasmrules.DirSource(dir))
}

// storedModules are those that were uploaded, by hash alone.
type storedModules struct{ *stream.Stream }

// Open implements wasmrules.ModuleSource.
func (s storedModules) Open(hash string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	wasm, err := s.Module(ctx, hash)
	if errors.Is(err, stream.ErrNoModule) {
		err = fmt.Errorf("%w: %w", wasmrules.ErrUnknownModule, err)
	}
	return wasm, err
}

// List implements wasmrules.ModuleSource: which site may use what is for the
// desk to say.
func (s storedModules) List() ([]wasmrules.Listed, error) { return nil, nil }

// maxKeyBytes bounds a file of a public key.
const maxKeyBytes = 4 << 10

// readKeys reads trusted keys: files, or keys themselves.
func readKeys(list []string) (wasmrules.Keys, error) {
	var keys wasmrules.Keys
	for _, item := range list {
		text := item
		if exists(item) {
			content, err := readFile(item, maxKeyBytes)
			if err != nil {
				return nil, fmt.Errorf("--rules.keys: %w", err)
			}
			text = string(content)
		}
		key, err := wasmrules.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("--rules.keys: %q is neither a minisign public key nor a file of one", item)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
