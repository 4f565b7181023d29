// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// An importedEvent is one event of a file as POST /v1/events takes it.
type importedEvent struct {
	line int // where it begins
	json []byte
}

// An eventFile reads a file's events one by one, in bounded memory. It belongs to
// one goroutine.
type eventFile struct {
	records *recordReader
	columns []eventColumn // of CSV
	passed  []string      // columns that nothing reads
	zone    *time.Location
	site    string
	name    string          // of events that have none
	peeked  *eventRow       // a row that was read ahead
	orders  map[uint64]bool // those of this run, by a hash
}

// An eventRow is one record as the members of an event, or why it is none; err is
// the file's.
type eventRow struct {
	rec    record
	fields *eventFields
	fault  *lineFault
	after  place
	err    error
}

// An importEntry is what a file has next: an event, or a line that is refused. A
// later run goes on at after.
type importEntry struct {
	event   *importedEvent
	refused *refusedLine
	after   place
	lines   int // that it stands for
}

// maxOrders bounds the orders of a run that are remembered.
const maxOrders = 1 << 20

// next returns the next entry, io.EOF after the last. Rows of one transaction that
// stand together, each with an item, are one event.
func (f *eventFile) next() (importEntry, error) {
	row := f.peek()
	f.peeked = nil
	if row.err != nil {
		f.peeked = row // for ever
		return importEntry{}, row.err
	}
	if row.fault != nil {
		return importEntry{refused: &refusedLine{row.rec.line, row.fault.code, row.fault.field}, after: row.after, lines: 1}, nil
	}
	e, last, lines := row.fields, row, 1
	if len(e.item) > 0 {
		e.items = append(e.items, e.item)
	}
	for f.continues(e) {
		last, f.peeked = f.peeked, nil
		e.items = append(e.items, last.fields.item)
		lines++
	}
	if len(e.item) > 0 && e.transaction != "" {
		key := hash64(e.name + "\x00" + e.transaction)
		if f.orders[key] {
			return importEntry{refused: &refusedLine{row.rec.line, faultScattered, "transaction_id"}, after: last.after, lines: lines}, nil
		}
		if len(f.orders) < maxOrders {
			f.orders[key] = true
		}
	}
	return f.made(row.rec.line, e, last.after, lines), nil
}

// continues reports whether the next row is one more item of e's transaction.
func (f *eventFile) continues(e *eventFields) bool {
	if len(e.item) == 0 || e.transaction == "" || len(e.items) >= maxOrderItems {
		return false
	}
	next := f.peek()
	return next.err == nil && next.fault == nil && len(next.fields.item) > 0 &&
		next.fields.transaction == e.transaction && next.fields.name == e.name
}

// maxOrderItems bounds the rows that are gathered: more items than a node takes in
// one event.
const maxOrderItems = 1000

// peek reads the next row unless it has been read.
func (f *eventFile) peek() *eventRow {
	if f.peeked != nil {
		return f.peeked
	}
	row := new(eventRow)
	if row.rec, row.err = f.records.next(); row.err == nil {
		row.after = f.records.place(row.rec)
		row.fields, row.fault = f.read(row.rec)
	}
	f.peeked = row
	return row
}

// read turns a record into an event's members.
func (f *eventFile) read(rec record) (*eventFields, *lineFault) {
	if rec.fault != nil {
		return nil, rec.fault
	}
	e := &eventFields{}
	var fault *lineFault
	if rec.json != nil {
		fault = e.readJSON(rec.json, f.zone)
	} else {
		fault = e.readColumns(rec.values, f.columns, f.zone)
	}
	if fault != nil {
		return nil, fault
	}
	if e.name == "" {
		e.name = f.name
	}
	switch {
	case e.name == "":
		return nil, &lineFault{edge.ItemMissing, "name"}
	case e.at == 0:
		return nil, &lineFault{edge.ItemMissing, "at"}
	}
	return e, nil
}

// faultScattered is an order whose rows do not stand together.
const faultScattered = "scattered"

// made is an event as JSON, or why it cannot be one.
func (f *eventFile) made(line int, e *eventFields, after place, lines int) importEntry {
	text, err := e.encode(f.site, line)
	if err != nil {
		return importEntry{refused: &refusedLine{line, faultMalformed, ""}, after: after, lines: lines}
	}
	if len(text) > maxEventBytes {
		return importEntry{refused: &refusedLine{line, faultTooLong, ""}, after: after, lines: lines}
	}
	return importEntry{event: &importedEvent{line, text}, after: after, lines: lines}
}

// maxEventBytes bounds one event of a batch: well over what a node takes.
const maxEventBytes = 64 << 10

func hash64(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	n := uint64(0)
	for _, b := range sum[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

// place is where a run goes on that took rec as its last one.
func (r *recordReader) place(rec record) place {
	at := place{Offset: rec.end}
	if r.lines != nil {
		at.Line = r.line
		return at
	}
	at.Header, at.Comma = r.columns, string(r.csv.Comma)
	at.Line = rec.line
	for _, value := range rec.values {
		at.Line += strings.Count(value, "\n")
	}
	return at
}

// openEvents reads a file's events from a place on.
func openEvents(from io.Reader, format string, at place, mapping map[string]string) (*eventFile, error) {
	records, err := newRecordReader(from, format, at)
	if err != nil {
		return nil, err
	}
	f := &eventFile{records: records, orders: make(map[uint64]bool)}
	if format == formatCSV {
		f.columns, f.passed, err = eventColumns(records.columns, mapping)
	}
	return f, err
}

// batchHead is what stands before the events of a message.
func batchHead(members map[string]any) ([]byte, error) {
	text, err := json.Marshal(members)
	return bytes.TrimSuffix(text, []byte("}")), err
}
