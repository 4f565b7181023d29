// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// maxVisitBytes bounds one line of sample visits.
const maxVisitBytes = 1 << 20

// A sampledVisit is what comes of one line: decisions, or what is wrong with it.
type sampledVisit struct {
	ID json.RawMessage `json:"id,omitempty"` // as the line has it
	// Line is the line's number where something is wrong.
	Line      int                    `json:"line,omitempty"`
	Decisions []edge.SampledDecision `json:"decisions,omitzero"`
	Error     string                 `json:"error,omitempty"`
}

// evalCommand decides sample visits by a site's files, with the modules and the
// compiled rules that a node would run.
func evalCommand(ctx context.Context, args []string, std stdio) error {
	c := newFilesCall("eval --rules DIR --visits FILE", std, localSettings...)
	dir := c.fs.String("rules", "", "the `directory` of site files")
	visits := c.fs.String("visits", "", "a `file` of sample visits, a JSON object a line: {\"id\", \"granted\": [purposes], \"fields\": {wire name: value}}")
	slots := c.fs.String("slots", "", "the `slots` to decide, comma-separated (default all)")
	why := c.fs.Bool("why", false, "say for each decision which rules were tried, and what became of their conditions")
	if err := c.cfg.parse(c.fs, args); err != nil {
		return err
	}
	if *dir == "" || *visits == "" {
		return usagef("--rules and --visits must be given")
	}
	site, err := c.readSite(*dir, std, nil)
	if err != nil {
		return err
	}
	host, err := wasmrules.New(wasmrules.Options{Source: wasmrules.Chain(site, openModules(c.cfg))})
	if err != nil {
		return fmt.Errorf("open rules: %w", err)
	}
	defer host.Close()
	release, err := site.compile(host.Rehearsal())
	if err != nil {
		return fmt.Errorf("load the site's rules: %w", err)
	}
	e := evaluation{release: release, why: *why}
	if e.slots, err = site.slotsNamed(*slots); err != nil {
		return err
	}
	file, err := os.Open(*visits)
	if err != nil {
		return err
	}
	defer file.Close()
	return e.run(ctx, file, std.out)
}

// slotsNamed returns the slots that a flag lists, all for "".
func (s *siteDir) slotsNamed(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	names := split(list)
	for _, name := range names {
		if !slices.ContainsFunc(s.doc.Slots, func(spec edge.SlotSpec) bool { return spec.Name == name }) {
			return nil, usagef("--slots: site %s has no slot %q", s.doc.Site, name)
		}
	}
	return names, nil
}

// An evaluation decides sample visits, one after the other.
type evaluation struct {
	release *edge.Release
	slots   []string // nil for all
	why     bool
	lines   int
	wrong   int
}

// run decides the visits of in, a line each, and writes what comes of each as a
// line of out. A wrong line stops no other. It keeps one line in memory.
func (e *evaluation) run(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	buffered := bufio.NewWriterSize(out, 64<<10)
	enc := json.NewEncoder(buffered)
	enc.SetEscapeHTML(false)
	for ctx.Err() == nil {
		line, whole, err := readLine(lines, maxVisitBytes)
		e.lines++
		if len(bytes.TrimSpace(line)) > 0 || !whole {
			if err := enc.Encode(e.decide(line, whole)); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(err, buffered.Flush())
		}
		if err != nil {
			break
		}
	}
	if err := errors.Join(buffered.Flush(), ctx.Err()); err != nil {
		return err
	}
	if e.wrong > 0 {
		return fmt.Errorf("%s could not be decided", counted(e.wrong, "visit"))
	}
	return nil
}

// readLine reads a line, and passes over what is longer than most bytes; then it
// is not whole. An error comes with the last line.
func readLine(in *bufio.Reader, most int) (line []byte, whole bool, err error) {
	whole = true
	for {
		part, err := in.ReadSlice('\n')
		if whole = whole && len(line)+len(part) <= most; whole {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, whole, err
		}
	}
}

// decide decides the visit of one line.
func (e *evaluation) decide(line []byte, whole bool) sampledVisit {
	id, visit, err := parseVisit(line)
	if !whole {
		id, err = nil, fmt.Errorf("the line is longer than %d bytes", maxVisitBytes)
	}
	var decisions []edge.SampledDecision
	if err == nil {
		decisions, err = e.release.Sample(visit, e.slots)
	}
	if err != nil {
		e.wrong++
		return sampledVisit{ID: id, Line: e.lines, Error: err.Error()}
	}
	if !e.why {
		for i := range decisions {
			decisions[i].Why = nil
		}
	}
	return sampledVisit{ID: id, Decisions: decisions}
}

// parseVisit reads a sample visit. What is granted is a list of names, or the
// number that the wire has.
func parseVisit(line []byte) (json.RawMessage, *edge.SampleVisit, error) {
	var v struct {
		ID      json.RawMessage            `json:"id"`
		Granted json.RawMessage            `json:"granted"`
		Fields  map[string]json.RawMessage `json:"fields"`
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields() // a misspelt "granted" would be a refusal
	err := dec.Decode(&v)
	if _, broken := errors.AsType[*json.SyntaxError](err); broken || errors.Is(err, io.ErrUnexpectedEOF) {
		return v.ID, nil, fmt.Errorf("the line is not JSON: %w", err)
	}
	if err != nil {
		return v.ID, nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return v.ID, nil, errors.New("more than one value in the line")
	}
	visit := &edge.SampleVisit{Fields: v.Fields}
	var number consent.Purposes
	switch {
	case v.Granted == nil:
	case json.Unmarshal(v.Granted, &number) == nil:
		if extra := number &^ consent.All; extra != 0 {
			return v.ID, nil, fmt.Errorf("granted: %d is no set of purposes", number)
		}
		visit.Granted = consent.Set(number)
	default:
		if err := json.Unmarshal(v.Granted, &visit.Granted); err != nil {
			return v.ID, nil, fmt.Errorf("granted: %w", err)
		}
	}
	return v.ID, visit, nil
}
