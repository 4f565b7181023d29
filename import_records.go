// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRecordBytes bounds one line of an imported file, or one record of several
// lines in CSV. One unclosed quote could swallow a file otherwise.
const maxRecordBytes = 256 << 10

// The formats of files that are imported. An empty one is told by the file's
// name.
const (
	formatCSV   = "csv"
	formatJSONL = "jsonl"
)

// A lineFault is why a line is refused: a stable code and the member or column at
// fault. It never holds a value.
type lineFault struct{ code, field string }

// The codes of lines that are no records.
const (
	faultMalformed = "malformed" // not CSV or not JSON
	faultTooLong   = "too_long"
	faultColumns   = "columns" // more or fewer columns than the header
)

// A record is one line of a file, or what CSV has for one.
type record struct {
	line   int        // where it begins, from 1
	end    int64      // the offset in the file of what follows it
	values []string   // by column, of CSV
	json   []byte     // of JSON lines; it is good until the next record
	fault  *lineFault // why there are neither
}

// A recordReader reads a file's records one by one, in bounded memory. It belongs
// to one goroutine.
type recordReader struct {
	// columns are the header of a CSV file.
	columns []string

	csv    *csv.Reader
	meter  *meter
	lines  *bufio.Reader
	offset int64 // in the file, where reading began
	line   int   // of JSON lines: the last; of CSV: those before where reading began
}

// A place is where a file is read from: its first bytes, or where a run before
// ended.
type place struct {
	Offset int64    `json:"offset"`
	Line   int      `json:"line"` // lines before it
	Header []string `json:"header,omitempty"`
	Comma  string   `json:"comma,omitempty"`
}

// errRecordTooLong ends a CSV file: where its next record begins cannot be told.
var errRecordTooLong = fmt.Errorf("a record of more than %d bytes: a quote is not closed", maxRecordBytes)

// A meter passes on a reader's bytes until it has passed on too many since it
// was set back.
type meter struct {
	from io.Reader
	left int
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, errRecordTooLong
	}
	n, err := m.from.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

// newRecordReader reads from, which is at at, in a format. The header of a CSV
// file is read unless at has it.
func newRecordReader(from io.Reader, format string, at place) (*recordReader, error) {
	r := &recordReader{offset: at.Offset, line: at.Line}
	buffered := bufio.NewReaderSize(from, 64<<10)
	if at.Offset == 0 {
		if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
			_, _ = buffered.Discard(3) // a byte order mark, just seen
			r.offset = 3
		}
	}
	if format == formatJSONL {
		r.lines = buffered
		return r, nil
	}
	comma := at.Comma
	if comma == "" {
		comma = commaOf(buffered)
	}
	r.meter = &meter{from: buffered}
	r.csv = csv.NewReader(r.meter)
	r.csv.Comma, _ = utf8.DecodeRuneInString(comma)
	r.csv.FieldsPerRecord = -1
	// Exporters that part by tabs quote nothing.
	r.csv.LazyQuotes = comma == "\t"
	r.columns = at.Header
	if r.columns != nil {
		return r, nil
	}
	first, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the file is empty: its first line has to name the columns")
	case err != nil:
		return nil, err
	case first.fault != nil && first.fault.code != faultColumns:
		return nil, fmt.Errorf("line 1 names no columns: it is %s", first.fault.code)
	}
	for i, name := range first.values {
		name = strings.TrimSpace(name)
		if name != "" && slices.Contains(r.columns, name) {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		first.values[i] = name
		r.columns = append(r.columns, name)
	}
	return r, nil
}

// commaOf tells what parts the columns from the first line.
func commaOf(from *bufio.Reader) string {
	head, _ := from.Peek(32 << 10) // as much as there is
	line, _, _ := bytes.Cut(head, []byte("\n"))
	best := ","
	for _, other := range []string{"\t", ";"} {
		if bytes.Count(line, []byte(other)) > bytes.Count(line, []byte(best)) {
			best = other
		}
	}
	return best
}

// next returns the next record, io.EOF after the last. Another error is the
// file's: nothing can be read after it.
func (r *recordReader) next() (record, error) {
	if r.lines != nil {
		return r.nextLine()
	}
	r.meter.left = maxRecordBytes
	values, err := r.csv.Read()
	out := record{end: r.offset + r.csv.InputOffset(), values: values}
	wrong, malformed := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, io.EOF):
		return out, io.EOF
	case errors.Is(err, errRecordTooLong):
		return out, err
	case malformed:
		out.line, out.fault, out.values = r.line+wrong.StartLine, &lineFault{code: faultMalformed}, nil
		return out, nil
	case err != nil:
		return out, fmt.Errorf("read the file: %w", err)
	}
	line, _ := r.csv.FieldPos(0)
	out.line = r.line + line
	for _, value := range values {
		if !utf8.ValidString(value) {
			out.fault = &lineFault{code: faultMalformed}
		}
	}
	if out.fault == nil && r.columns != nil && len(values) != len(r.columns) {
		out.fault = &lineFault{code: faultColumns}
	}
	return out, nil
}

// nextLine is next for JSON lines. Empty lines are passed over.
func (r *recordReader) nextLine() (record, error) {
	for {
		var out record
		long, ended := false, false
		for !ended {
			part, err := r.lines.ReadSlice('\n')
			r.offset += int64(len(part))
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
			case errors.Is(err, io.EOF) && len(part) == 0 && len(out.json) == 0 && !long:
				return record{end: r.offset}, io.EOF
			case err != nil && !errors.Is(err, io.EOF):
				return out, fmt.Errorf("read the file: %w", err)
			default:
				ended = true
			}
			if long = long || len(out.json)+len(part) > maxRecordBytes; !long {
				out.json = append(out.json, part...)
			}
		}
		r.line++
		out.line, out.end = r.line, r.offset
		if long {
			out.json, out.fault = nil, &lineFault{code: faultTooLong}
			return out, nil
		}
		if out.json = bytes.TrimSpace(out.json); len(out.json) > 0 {
			return out, nil
		}
	}
}

// formatOf tells a file's format by its name unless it is given.
func formatOf(given, name string, known ...string) (string, error) {
	if given != "" {
		if !slices.Contains(known, given) {
			return "", usagef("--format %q, want %s", given, strings.Join(known, ", "))
		}
		return given, nil
	}
	lower := strings.ToLower(name)
	switch {
	case strings.HasSuffix(lower, ".csv"), strings.HasSuffix(lower, ".tsv"), strings.HasSuffix(lower, ".txt"):
		return formatCSV, nil
	case strings.HasSuffix(lower, ".jsonl"), strings.HasSuffix(lower, ".ndjson"):
		return formatJSONL, nil
	}
	return "", usagef("the name of %s does not tell its format: add --format %s", name, strings.Join(known, "|"))
}
