// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/sitefile"
	wasmrules "github.com/nearside/nearside/wasm-rules"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// A filesCall is one command line about a directory of site files.
type filesCall struct {
	cfg  Config
	fs   *flag.FlagSet
	json bool
}

// newFilesCall prepares the flags of a command; line is how help writes it.
func newFilesCall(line string, io stdio, settings ...string) *filesCall {
	c := &filesCall{cfg: defaults()}
	c.fs = c.cfg.flags(line+" [settings]", io.out, settings...)
	return c
}

// localSettings are what a command uses that reads files and speaks to nobody.
var localSettings = []string{"data", "rules.modules"}

// A siteDir is a directory of site files that a node would take.
type siteDir struct {
	files *sitefile.Files
	// doc is the release that the files are: each module has its hash, and
	// Compiled names the module of the rules.
	doc *edge.ReleaseDocument
	// rules is what the rules without code were compiled to, nil without any.
	rules []byte
	// listed are the modules at hand.
	listed []wasmrules.Listed
}

// readSite reads and checks a directory of site files. known are the modules
// that a file may name without a hash. What is wrong is printed, all at once.
func (c *filesCall) readSite(dir string, io stdio, known []edge.ModuleRef) (*siteDir, error) {
	s, err := openSite(dir, c.cfg, known)
	findings, ok := errors.AsType[sitefile.Findings](err)
	if !ok {
		return s, err
	}
	if c.json {
		if err := printJSON(io, findings); err != nil {
			return nil, err
		}
	} else {
		printFindings(io, dir, findings)
	}
	if len(findings) == 1 {
		return nil, fmt.Errorf("1 thing is wrong with the files of %s", dir)
	}
	return nil, fmt.Errorf("%d things are wrong with the files of %s", len(findings), dir)
}

// printFindings prints one finding a line, each with a path that can be opened.
func printFindings(io stdio, dir string, findings sitefile.Findings) {
	for _, f := range findings {
		if f.File != "" {
			f.File = filepath.Join(dir, filepath.FromSlash(f.File))
		}
		fmt.Fprintln(io.out, f)
	}
}

// openSite reads and checks a directory of site files as far as that goes where
// no node is: modules that are not at hand are believed.
func openSite(dir string, cfg Config, known []edge.ModuleRef) (*siteDir, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	files, rules, err := sitefile.Check(os.DirFS(dir), lang.Compile)
	if err != nil {
		return nil, err
	}
	s := &siteDir{files: files, doc: &files.Document, rules: rules}
	source := openModules(cfg)
	if err := s.fillModules(source, known); err != nil {
		return nil, files.Locate(err)
	}
	host, err := wasmrules.New(wasmrules.Options{Source: wasmrules.Chain(s, source)})
	if err != nil {
		return nil, fmt.Errorf("open rules: %w", err)
	}
	defer host.Close()
	if _, err := s.compile(believer{host.Rehearsal(), s}); err != nil {
		return nil, files.Locate(err)
	}
	return s, nil
}

// compile compiles the release as a node does.
func (s *siteDir) compile(loader edge.RuleLoader) (*edge.Release, error) {
	document, err := json.Marshal(s.doc)
	if err != nil {
		return nil, err
	}
	return edge.CompileRelease(document, loader)
}

// fillModules gives the document's modules that name no hash the one that is
// known by their name and version, and names the module of the rules.
func (s *siteDir) fillModules(source wasmrules.ModuleSource, known []edge.ModuleRef) error {
	var listErr error
	s.listed, listErr = source.List() // an error leaves modules out; what is missing is told below
	for _, m := range s.listed {
		known = append(known, edge.ModuleRef{Name: m.Manifest.Name, Version: m.Manifest.Version, Hash: m.Hash})
	}
	var errs []error
	for i := range s.doc.Modules {
		if err := fillModule(&s.doc.Modules[i], known); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, listErr)...)
	}
	if s.rules != nil {
		s.doc.Compiled = &edge.Compiled{Hash: wasmrules.HashOf(s.rules)}
	}
	return nil
}

// fillModule gives a module version and hash, where one alone is known to be
// meant.
func fillModule(ref *edge.ModuleRef, known []edge.ModuleRef) error {
	if ref.Hash != "" && ref.Version != "" {
		return nil
	}
	var found []string // as name@version
	at, two := *ref, false
	for _, m := range known {
		if m.Name != at.Name || at.Version != "" && at.Version != m.Version || at.Hash != "" && at.Hash != m.Hash {
			continue
		}
		two = two || len(found) > 0 && m.Hash != ref.Hash
		if ref.Version, ref.Hash = m.Version, m.Hash; !slices.Contains(found, m.ID()) {
			found = append(found, m.ID())
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("modules: %s: there is none here by that name; give its version and hash, or --rules.modules", ref.Name)
	case len(found) > 1:
		return fmt.Errorf("modules: %s: say which version: %s", ref.Name, strings.Join(found, ", "))
	case two: // a build that is here, and another that was uploaded
		return fmt.Errorf("modules: %s: there are two different modules by that name and version; give its hash", ref.Name)
	}
	return nil
}

// Open implements wasmrules.ModuleSource: what the rules were compiled to.
func (s *siteDir) Open(hash string) ([]byte, error) {
	if s.doc.Compiled == nil || s.doc.Compiled.Hash != hash {
		return nil, wasmrules.ErrUnknownModule
	}
	return s.rules, nil
}

// List implements wasmrules.ModuleSource.
func (s *siteDir) List() ([]wasmrules.Listed, error) { return nil, nil }

// A believer loads the rules without code, and believes that a module is what a
// release says: its manifest is read where it is at hand and not loaded.
type believer struct {
	edge.RuleLoader
	site *siteDir
}

// Load implements edge.RuleLoader.
func (b believer) Load(_ string, ref edge.ModuleRef, _ map[string]int) (edge.Rule, error) {
	for i := range b.site.listed {
		if m := &b.site.listed[i]; m.Hash == ref.Hash {
			return believed{&m.Manifest}, nil
		}
	}
	m := &edge.Manifest{Name: ref.Name, Version: ref.Version}
	for _, s := range b.site.doc.Slots {
		for _, rung := range s.Ladder {
			for i := range rung.Rules {
				for r := &rung.Rules[i]; r != nil; r = r.Before {
					role := r.Role
					if role == "" {
						role = s.Name
					}
					m.Slots = append(m.Slots, edge.ManifestSlot{Name: role})
				}
			}
		}
	}
	return believed{m}, nil
}

// A believed rule is a manifest alone.
type believed struct{ manifest *edge.Manifest }

// Manifest implements edge.Rule.
func (r believed) Manifest() *edge.Manifest { return r.manifest }

// Choose implements edge.Rule. Nobody asks it.
func (believed) Choose(*edge.View, int) (edge.Answer, error) { return edge.Answer{}, edge.ErrNotRun }

// siteCheckCommand checks site files. It needs no node.
func siteCheckCommand(_ context.Context, args []string, io stdio) error {
	c := newFilesCall("check DIR", io, localSettings...)
	c.fs.BoolVar(&c.json, "json", false, "print what is wrong, and notices, as JSON, for programs")
	if err := c.cfg.parse(c.fs, args, "DIR"); err != nil {
		return err
	}
	s, err := c.readSite(c.fs.Arg(0), io, nil)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(io, append(sitefile.Findings{}, s.files.Notices(lang.Notices)...))
	}
	rules := 0
	for i := range s.doc.Slots {
		for _, rung := range s.doc.Slots[i].Ladder {
			rules += len(rung.Rules)
		}
	}
	fmt.Fprintf(io.out, "Nothing is wrong with site %s: %s, %s, %s, %s.\n", s.doc.Site,
		counted(len(s.doc.Slots), "slot"), counted(rules, "rule"), counted(len(s.doc.Variants), "variant"), counted(len(s.doc.Audiences), "audience"))
	printFindings(io, c.fs.Arg(0), s.files.Notices(lang.Notices))
	return nil
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
