// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
