// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// checkTime is the longest that Check or Test takes, whatever the file.
const checkTime = 45 * time.Second

// checkLimits are half the processor time of standardLimits: a module that
// passes a check compiles on a slower node as well.
var checkLimits = jailLimits{cpu: standardLimits.cpu / 2, address: standardLimits.address, file: standardLimits.file, wall: 40 * time.Second}

// A Checker tries modules that nobody has read as a Host would load them, and
// keeps nothing but compiled code. It is safe for concurrent use.
type Checker struct {
	compiler *compiler
	keys     *keyring
	close    func() error
}

// OpenChecker returns a checker without a host and without keys, which keeps code
// below dir, or until it is closed if dir is empty.
func OpenChecker(dir string) (*Checker, error) {
	c, err := openCompiler(dir)
	if err != nil {
		return nil, fmt.Errorf("wasmrules: %w", err)
	}
	return &Checker{c, new(keyring), c.close}, nil
}

// Checker returns a checker that compiles where the host does, so that a module
// which was checked loads at once. It needs no Close.
func (h *Host) Checker() *Checker {
	return &Checker{h.compiler, h.keys, func() error { return nil }}
}

// Close releases what OpenChecker made.
func (c *Checker) Close() error { return c.close() }

// Verify reports whether a host with these keys would load a module at a site as
// far as its signature goes. The error is a *ModuleError.
func (c *Checker) Verify(site string, ref edge.ModuleRef) error {
	if c.compiler.builtIn[ref.Hash] {
		return nil
	}
	return c.keys.verify(site, ref)
}

// Check reports what a module declares, how near it comes to each limit, what it
// spends on the canary visits, or what is wrong with it. It takes at most 15
// seconds, and 2 GiB in another process. The error is for a check that could not
// be made. Few checks and tests run at once, some more wait, and the rest are
// refused as CodeBusy.
func (c *Checker) Check(ctx context.Context, wasm []byte) (*edge.ModuleReport, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	report := &edge.ModuleReport{Bytes: len(wasm), Hash: HashOf(wasm)}
	if err := c.compiler.checks.enter(ctx); err != nil {
		report.Code, report.Message, err = refusal(err)
		return report, err
	}
	defer c.compiler.checks.leave()
	t, in, err := c.load(ctx, wasm, nil, report)
	if t != nil {
		report.Canaries, report.MaxFuel = t.canaries, dearest(t.canaries)
	}
	if err != nil {
		report.Code, report.Message, err = refusal(err)
		return report, err
	}
	defer t.close(in)
	report.OK = true
	report.Budget = t.budget
	report.MemoryPages = t.snapshot.size / pageBytes
	return report, nil
}

// load makes a template of a module and its first instance, with settings or
// with some that its schema takes. It fills in what the report says of every
// module that gets so far. The template is also returned when it may not serve.
func (c *Checker) load(ctx context.Context, wasm []byte, settings json.RawMessage, report *edge.ModuleReport) (*template, *instance, error) {
	m, err := verify(wasm, report.Hash)
	if err != nil {
		return nil, nil, err
	}
	report.Rewritten, report.RewrittenBytes = m.rewritten, len(m.meter.Wasm)
	for _, use := range m.verified.Uses() {
		report.Limits = append(report.Limits, edge.LimitUse{Name: use.Name, Used: use.Used, Limit: use.Limit})
	}
	manifest, err := ReadManifest(wasm)
	if err != nil {
		return nil, nil, err
	}
	if manifest.Reads == nil {
		manifest.Reads = []string{} // a report has no null
	}
	report.Manifest = &manifest
	if settings, err = trySettings(&manifest, settings); err != nil {
		return nil, nil, err
	}
	t := &template{module: m, manifest: &manifest, settings: settings}
	for _, name := range manifest.Reads {
		if _, ok := edge.FieldByName(name); !ok {
			t.bind = append(t.bind, edge.BuiltinFields+len(t.bind))
		}
	}
	t.own = ownFields(len(t.bind))
	in, err := c.compiler.finish(ctx, t, checkLimits)
	report.CompileMillis = t.compiling.Milliseconds()
	return t, in, err
}

// maxExamples is how many of a schema's examples are tried.
const maxExamples = 8

// trySettings returns settings that a module takes: those that are given, none,
// or what its schema says is the default or an example.
func trySettings(m *edge.Manifest, given json.RawMessage) ([]byte, error) {
	settings, err := CheckSettings(m, given)
	if err == nil || given != nil {
		return settings, err
	}
	var schema struct {
		Default  json.RawMessage   `json:"default"`
		Examples []json.RawMessage `json:"examples"`
	}
	// It is a good schema, or the manifest would not have been read.
	if json.Unmarshal(m.Settings, &schema) == nil {
		examples := schema.Examples[:min(len(schema.Examples), maxExamples)]
		for _, example := range append([]json.RawMessage{schema.Default}, examples...) {
			if settings, err := CheckSettings(m, example); err == nil && example != nil {
				return settings, nil
			}
		}
	}
	return nil, fmt.Errorf("%w; a check without settings needs a default or examples in the schema", err)
}

// close releases a template and its instance.
func (t *template) close(in *instance) {
	in.close()
	_ = t.code.Close(context.Background())
}

// CodeManifest and CodeSettings are the codes of a manifest or of settings that
// are wrong, beside the codes of ModuleError and of package bytecode.
const (
	CodeManifest = "manifest"
	CodeSettings = "settings"
)

// refusal returns what a report says of an error that is the module's fault, and
// any other error as it is.
func refusal(err error) (code, message string, other error) {
	var (
		structure *bytecode.Error
		module    *ModuleError
		manifest  *edge.ManifestError
		settings  *SettingsError
	)
	switch {
	case errors.As(err, &structure):
		code = structure.Code
	case errors.As(err, &module):
		code = module.Code
	case errors.As(err, &manifest):
		code = CodeManifest
	case errors.As(err, &settings):
		code = CodeSettings
	default:
		return "", "", err
	}
	return code, strings.ReplaceAll(err.Error(), "\n", "; "), nil
}
