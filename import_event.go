// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
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

// eventFields are the members of an event as a file tells them.
type eventFields struct {
	id, name    string
	at          int64
	transaction string
	members     map[string]json.RawMessage // those beside id, name, at and props
	props       map[string]json.RawMessage
	item        map[string]json.RawMessage // of this row
	items       []map[string]json.RawMessage
}

// encode spells the event. One without an id gets one of what it is: a
// transaction's of its name and id, another's of all its members and its line, so
// that a file that is imported again gives the same ids.
func (e *eventFields) encode(site string, line int) ([]byte, error) {
	if len(e.items) > 0 {
		items, err := json.Marshal(e.items)
		if err != nil {
			return nil, err
		}
		e.setProp("items", items)
	}
	members := make(map[string]any, len(e.members)+4)
	for name, value := range e.members {
		members[name] = value
	}
	members["name"], members["at"] = e.name, e.at
	if len(e.props) > 0 {
		members["props"] = e.props
	}
	if e.id == "" {
		whole, err := json.Marshal(members) // sorted by name
		if err != nil {
			return nil, err
		}
		of := fmt.Sprintf("%s\x00%d\x00%s", site, line, whole)
		if e.transaction != "" {
			of = site + "\x00" + e.name + "\x00" + e.transaction
		}
		sum := sha256.Sum256([]byte(of))
		e.id = "imp-" + hex.EncodeToString(sum[:16])
	}
	members["id"] = e.id
	return json.Marshal(members)
}

func (e *eventFields) setProp(name string, value json.RawMessage) {
	if e.props == nil {
		e.props = make(map[string]json.RawMessage)
	}
	e.props[name] = value
}

// readJSON reads a line that is an event as POST /v1/events takes it. Members that
// are not looked at here go on as they are: the node judges them.
func (e *eventFields) readJSON(line []byte, zone *time.Location) *lineFault {
	if err := json.Unmarshal(line, &e.members); err != nil || e.members == nil {
		return &lineFault{faultMalformed, ""}
	}
	for name, to := range map[string]any{"id": &e.id, "name": &e.name, "props": &e.props} {
		if value, ok := e.members[name]; ok {
			if json.Unmarshal(value, to) != nil {
				return &lineFault{faultMalformed, name}
			}
			delete(e.members, name)
		}
	}
	if at, ok := e.members["at"]; ok {
		delete(e.members, "at")
		text := string(at)
		var quoted string
		if json.Unmarshal(at, &quoted) == nil {
			text = quoted
		}
		if e.at = eventTime(text, zone); e.at == 0 {
			return &lineFault{faultMalformed, "at"}
		}
	}
	if id, ok := e.props["transaction_id"]; ok && json.Unmarshal(id, &e.transaction) != nil {
		return &lineFault{faultMalformed, "props.transaction_id"}
	}
	return nil
}

// readColumns reads a row.
func (e *eventFields) readColumns(values []string, columns []eventColumn, zone *time.Location) *lineFault {
	for _, c := range columns {
		value := strings.TrimSpace(values[c.at])
		if value == "" {
			continue
		}
		if !c.put(e, value, zone) {
			return &lineFault{faultMalformed, c.member}
		}
	}
	return nil
}

// eventTime reads seconds or milliseconds since 1970, RFC 3339, or a date with or
// without a time in zone. It is 0 for anything else.
func eventTime(text string, zone *time.Location) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		if n < 1e11 { // in ms that would be before 1973-03-03
			n *= 1000
		}
		return n
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil && at.UnixMilli() > 0 {
			return at.UnixMilli()
		}
	}
	return 0
}

// An eventColumn is a column of a CSV file and the member that it fills.
type eventColumn struct {
	at     int
	member string
	put    func(e *eventFields, value string, zone *time.Location) bool
}

// numbers are the properties and members of items that are numbers.
var numbers = []string{"value", "tax", "shipping", "price", "quantity", "discount"}

// propNames and itemNames are the columns that are known to be properties, and
// members of an order's items, by GA4's names.
var (
	propNames = []string{"transaction_id", "value", "currency", "tax", "shipping", "coupon", "affiliation", "search_term", "method"}
	itemNames = []string{"item_id", "item_name", "item_brand", "item_category", "item_category2", "item_category3", "item_category4", "item_category5", "item_variant", "price", "quantity", "discount"}
)

// columnFor returns how a column fills a member; nil for one that there is not.
func columnFor(member string) func(*eventFields, string, *time.Location) bool {
	switch member {
	case "id":
		return func(e *eventFields, v string, _ *time.Location) bool { e.id = v; return true }
	case "name":
		return func(e *eventFields, v string, _ *time.Location) bool { e.name = v; return true }
	case "at":
		return func(e *eventFields, v string, zone *time.Location) bool { e.at = eventTime(v, zone); return e.at != 0 }
	case "profile", "state", "surface", "origin", "system":
		return func(e *eventFields, v string, _ *time.Location) bool { return e.setMember(member, v) }
	case "consent":
		return func(e *eventFields, v string, _ *time.Location) bool {
			return e.setMember("consent", map[string][]string{"granted": listed(v, "|")})
		}
	}
	prop, isProp := strings.CutPrefix(member, "props.")
	if slices.Contains(propNames, member) {
		prop, isProp = member, true
	}
	if isProp && prop != "" {
		return func(e *eventFields, v string, _ *time.Location) bool {
			if prop == "transaction_id" {
				e.transaction = v
			}
			text, ok := columnValue(prop, v)
			e.setProp(prop, text)
			return ok
		}
	}
	item, isItem := strings.CutPrefix(member, "items.")
	if slices.Contains(itemNames, member) {
		item, isItem = member, true
	}
	if !isItem || item == "" {
		return nil
	}
	return func(e *eventFields, v string, _ *time.Location) bool {
		if e.item == nil {
			e.item = make(map[string]json.RawMessage)
		}
		text, ok := columnValue(item, v)
		e.item[item] = text
		return ok
	}
}

func (e *eventFields) setMember(name string, value any) bool {
	if e.members == nil {
		e.members = make(map[string]json.RawMessage)
	}
	text, err := json.Marshal(value)
	e.members[name] = text
	return err == nil
}

// columnValue spells a value of a table as JSON.
func columnValue(name, value string) (json.RawMessage, bool) {
	if slices.Contains(numbers, name) {
		return json.RawMessage(value), json.Valid([]byte(value)) && strings.Trim(value, "0123456789.-") == ""
	}
	text, err := json.Marshal(value)
	return text, err == nil
}

// eventColumns says what a file's columns fill: by mapping, else by their names.
// A column that is mapped to "-" is passed over, as those that nobody knows are.
func eventColumns(header []string, mapping map[string]string) (columns []eventColumn, passed []string, err error) {
	for column := range mapping {
		if !slices.Contains(header, column) {
			return nil, nil, fmt.Errorf("--map %s: the file has no column of that name", column)
		}
	}
	for at, name := range header {
		member, mapped := mapping[name]
		if !mapped {
			member = columnName(name)
		}
		put := columnFor(member)
		switch {
		case put == nil && mapped && member != "-":
			return nil, nil, fmt.Errorf("--map %s=%s: an event has no member of that name; props.NAME is a property of your own", name, member)
		case put == nil:
			passed = append(passed, name)
			continue
		case slices.ContainsFunc(columns, func(c eventColumn) bool { return c.member == member }):
			return nil, nil, fmt.Errorf("two columns are %s: --map COLUMN=- leaves one out", member)
		}
		columns = append(columns, eventColumn{at, member, put})
	}
	if !slices.ContainsFunc(columns, func(c eventColumn) bool { return c.member == "at" }) {
		return nil, nil, errors.New("no column is the event's time: --map COLUMN=at says which is")
	}
	return columns, passed, nil
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
