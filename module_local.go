// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// packCommand writes a manifest into a module.
func packCommand(_ context.Context, args []string, std stdio) error {
	cfg := defaults()
	flags := cfg.flags("module pack FILE --manifest MANIFEST", std.out, noSettings)
	manifest := flags.String("manifest", "", "the manifest's `file`, JSON")
	out := flags.String("out", "", "the `file` to write (default FILE itself)")
	if err := cfg.parse(flags, args, "FILE"); err != nil {
		return err
	}
	if *manifest == "" {
		return usagef("--manifest is missing: the manifest's file")
	}
	if *out == "" {
		*out = flags.Arg(0)
	}
	wasm, err := readModule(flags.Arg(0))
	if err != nil {
		return err
	}
	text, err := readFile(*manifest, wasmrules.MaxManifestBytes)
	if err != nil {
		return err
	}
	packed, err := wasmrules.Pack(wasm, text)
	if err != nil {
		return fmt.Errorf("%s: %w", *manifest, err)
	}
	if err := writeFile(*out, packed, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s is packed: %d bytes, hash %s\n", *out, len(packed), wasmrules.HashOf(packed))
	return nil
}

// The codes of a check that came to no module.
const (
	codeUnreadable = "unreadable"
	codeNotChecked = "not_checked"
)

// errRefused says that a module may not be uploaded; why was printed.
var errRefused = errors.New("the module may not be uploaded")

// checkCommand says what a module is and whether it may be uploaded. It needs no
// node, and bounds its time and memory, whatever the file.
func checkCommand(ctx context.Context, args []string, std stdio) error {
	cfg := defaults()
	flags := cfg.flags("module check FILE", std.out, noSettings)
	asJSON := flags.Bool("json", false, "print the report as JSON, for programs")
	if err := cfg.parse(flags, args, "FILE"); err != nil {
		return err
	}
	report := checkFile(ctx, flags.Arg(0))
	if *asJSON {
		if err := printJSON(std, report); err != nil {
			return err
		}
	} else if err := printReport(std, report); err != nil {
		return err
	}
	if !report.OK {
		return errRefused
	}
	return nil
}

// checkFile checks a file. What keeps it from being checked is reported as what
// is wrong with it.
func checkFile(ctx context.Context, name string) *edge.ModuleReport {
	wasm, err := readModule(name)
	if err != nil {
		return &edge.ModuleReport{Code: codeUnreadable, Message: err.Error()}
	}
	checker, err := wasmrules.OpenChecker("")
	if err != nil {
		return &edge.ModuleReport{Code: codeNotChecked, Message: err.Error()}
	}
	defer checker.Close()
	report, err := checker.Check(ctx, wasm)
	if err != nil {
		return &edge.ModuleReport{Code: codeNotChecked, Message: err.Error()}
	}
	return report
}

// printReport tells a report in words.
func printReport(std stdio, r *edge.ModuleReport) error {
	t := &table{tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)}
	if m := r.Manifest; m != nil {
		t.row(m.Name+"@"+m.Version, m.Description)
		t.row("needs", strings.Join(consent.Purposes(m.Needs).Names(), ", "))
		t.row("reads", strings.Join(m.Reads, ", "))
		for _, slot := range m.Slots {
			t.row("fills "+slot.Name, "with "+strings.Join(slot.Variants, ", "))
		}
	}
	if r.Hash != "" {
		t.row("hash", r.Hash)
		t.row("bytes", fmt.Sprintf("%d, %d as it runs", r.Bytes, r.RewrittenBytes))
	}
	if r.OK {
		t.row("fuel", fmt.Sprintf("%d at most on the sample visits, %d is allowed", r.MaxFuel, r.Budget))
		t.row("memory", fmt.Sprintf("%d pages of 64 KiB", r.MemoryPages))
	}
	if len(r.Limits) > 0 {
		t.row()
		t.row("LIMIT", "USED", "OF")
	}
	for _, use := range r.Limits {
		t.row(use.Name, use.Used, use.Limit)
	}
	if len(r.Canaries) > 0 {
		t.row()
		t.row("SAMPLE VISIT", "SLOT", "ANSWER", "SCORE", "FUEL", "")
	}
	for _, c := range r.Canaries {
		answer := c.Variant
		if answer == "" {
			answer = "none"
		}
		t.row(c.Visit, c.Slot, answer, c.Score, c.Fuel, c.Fault)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.OK {
		fmt.Fprintln(std.out, "\nIt may be uploaded.")
	} else {
		fmt.Fprintf(std.out, "\n%s: %s\n", r.Code, r.Message)
	}
	return nil
}

// testCommand runs a module on its author's cases.
func testCommand(ctx context.Context, args []string, std stdio) error {
	cfg := defaults()
	flags := cfg.flags("module test FILE CASES", std.out, noSettings)
	asJSON := flags.Bool("json", false, "print the report as JSON, for programs")
	if err := cfg.parse(flags, args, "FILE", "CASES"); err != nil {
		return err
	}
	wasm, err := readModule(flags.Arg(0))
	if err != nil {
		return err
	}
	cases, err := readCases(flags.Arg(1))
	if err != nil {
		return err
	}
	checker, err := wasmrules.OpenChecker("")
	if err != nil {
		return err
	}
	report, err := checker.Test(ctx, wasm, cases)
	if err := errors.Join(err, checker.Close()); err != nil {
		return err
	}
	if *asJSON {
		if err := printJSON(std, report); err != nil {
			return err
		}
	} else {
		printTest(std, report)
	}
	switch {
	case report.OK:
		return nil
	case report.Code != "":
		return fmt.Errorf("%s: %s", report.Code, report.Message)
	}
	return fmt.Errorf("%d of %d cases failed", report.Failed, report.Passed+report.Failed)
}

func printTest(std stdio, r *edge.ModuleTestReport) {
	for _, c := range r.Cases {
		verdict := "ok  "
		if !c.OK {
			verdict = "FAIL"
		}
		fmt.Fprintf(std.out, "%s  %s (fuel %d)\n", verdict, c.Name, c.Fuel)
		if !c.OK {
			fmt.Fprintf(std.out, "      %s\n", c.Message)
		}
	}
	fmt.Fprintf(std.out, "%d passed, %d failed\n", r.Passed, r.Failed)
}

// maxCasesBytes bounds a file of cases, maxCaseFiles the files of a folder.
const (
	maxCasesBytes = 1 << 20
	maxCaseFiles  = 1000
)

// readCases reads a file of cases, one after the other or in lists, or a folder
// of such files: *.json and *.jsonl, by name.
func readCases(name string) ([]edge.ModuleCase, error) {
	files := []string{name}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(name, "*.json*")); err != nil {
			return nil, err
		}
		if len(files) == 0 || len(files) > maxCaseFiles {
			return nil, fmt.Errorf("%s holds %d files *.json and *.jsonl, want 1 to %d", name, len(files), maxCaseFiles)
		}
	}
	var cases []edge.ModuleCase
	for _, file := range files {
		text, err := readFile(file, maxCasesBytes)
		if err != nil {
			return nil, err
		}
		more, err := decodeCases(text)
		if err != nil {
			return nil, fmt.Errorf("%s: case %d: %w", file, len(more)+1, err)
		}
		for i := range more {
			if more[i].Name == "" {
				more[i].Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
			}
		}
		cases = append(cases, more...)
	}
	return cases, nil
}

// decodeCases reads cases until the text ends; one at least must be there. What
// it returns beside an error are those before it.
func decodeCases(text []byte) ([]edge.ModuleCase, error) {
	var cases []edge.ModuleCase
	stream := json.NewDecoder(bytes.NewReader(text))
	for {
		var value json.RawMessage
		switch err := stream.Decode(&value); {
		case err != nil && !errors.Is(err, io.EOF):
			return cases, err
		case err != nil && len(cases) == 0:
			return nil, errors.New("there is none")
		case err != nil:
			return cases, nil
		}
		more := make([]edge.ModuleCase, 1)
		into := any(&more[0])
		if value[0] == '[' {
			into = &more
		}
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.DisallowUnknownFields() // a misspelt expectation would pass
		if err := decoder.Decode(into); err != nil {
			return cases, err
		}
		cases = append(cases, more...)
	}
}

// signCommand signs a module for a site.
func signCommand(_ context.Context, args []string, std stdio) error {
	cfg := defaults()
	flags := cfg.flags("module sign FILE --site ID --key KEY", std.out, noSettings)
	site := flags.String("site", "", "the `ID` of the site that may use it")
	keyFile := flags.String("key", "", "the `file` of a secret key, by nearside module key or minisign -G")
	passwordFile := flags.String("password-file", "", "a `file` with the key's password; a key without one needs none")
	out := flags.String("out", "", "the `file` to write (default FILE.minisig)")
	if err := cfg.parse(flags, args, "FILE"); err != nil {
		return err
	}
	if *site == "" || *keyFile == "" {
		return usagef("--site and --key must be given")
	}
	if *out == "" {
		*out = flags.Arg(0) + ".minisig"
	}
	wasm, err := readModule(flags.Arg(0))
	if err != nil {
		return err
	}
	manifest, err := wasmrules.ReadManifest(wasm)
	if err != nil {
		return err
	}
	key, err := readFile(*keyFile, maxKeyBytes)
	if err != nil {
		return err
	}
	password, err := readPassword(*passwordFile)
	if err != nil {
		return err
	}
	ref := edge.ModuleRef{Name: manifest.Name, Version: manifest.Version, Hash: wasmrules.HashOf(wasm)}
	signature, err := wasmrules.Sign(key, password, *site, ref)
	if err != nil {
		return err
	}
	if len(signature) > edge.MaxSignatureBytes {
		return errors.New("the signature is too long")
	}
	if err := writeFile(*out, signature, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s signs %s for site %s\n", *out, ref.ID(), *site)
	return nil
}

// keyCommand makes a pair of keys.
func keyCommand(_ context.Context, args []string, std stdio) error {
	cfg := defaults()
	flags := cfg.flags("module key FILE", std.out, noSettings)
	passwordFile := flags.String("password-file", "", "a `file` with a password that encrypts the secret key (default none: who can read FILE can sign)")
	if err := cfg.parse(flags, args, "FILE"); err != nil {
		return err
	}
	file := flags.Arg(0)
	if exists(file) || exists(file+".pub") {
		return fmt.Errorf("%s or %s.pub is there already", file, file)
	}
	password, err := readPassword(*passwordFile)
	if err != nil {
		return err
	}
	secret, public, err := wasmrules.NewKey(password)
	if err != nil {
		return err
	}
	if err := errors.Join(writeFile(file, secret, 0o600), writeFile(file+".pub", public, 0o644)); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s is the secret key; a node that trusts it runs with --rules.keys %[1]s.pub\n", file)
	return nil
}

// readPassword reads the first line of a file, "" without one.
func readPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := readFile(file, maxKeyBytes)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
