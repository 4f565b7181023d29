// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"slices"
	"strings"
)

// visitorGroup is the first word of the visitor's fields, which the visitor's id
// joins: they need the same purpose.
const visitorGroup = "visitor"

// An eventField is a field as events carry it. Those with a common first word
// stand in one object: page.path and page.type are "page":{"path":…,"type":…}.
type eventField struct {
	number FieldNumber
	group  string // the first word, "" without a second one
	// opens is the JSON before the value where the field is the first of its group
	// or has none, follows that of any other.
	opens, follows string
}

// newEventFields returns the fields of a set by wire name, so that those of a group
// stand together.
func newEventFields(r *Release, set Mask) []eventField {
	var out []eventField
	for n := set.Next(0); n >= 0; n = set.Next(n + 1) {
		name := r.field(n).Name
		first, rest, grouped := strings.Cut(name, ".")
		f := eventField{number: n, opens: "," + quoted(first) + ":"}
		if grouped {
			f.group = first
			f.follows = "," + quoted(rest) + ":"
			f.opens += "{"
			if first != visitorGroup {
				f.opens += quoted(rest) + ":"
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b eventField) int { return cmp.Compare(r.field(a.number).Name, r.field(b.number).Name) })
	return out
}

func quoted(text string) string { return string(AppendString(nil, text)) }

// appendFields appends the view's fields that have a value.
func (m *eventMaker) appendFields(b []byte) []byte {
	group := ""
	for i := range m.release.eventFields {
		f := &m.release.eventFields[i]
		value := m.view.Peek(f.number)
		if value.Type == TypeUnknown || value.empty() {
			continue
		}
		if f.group != "" && f.group == group {
			b = append(b, f.follows...)
		} else {
			if group != "" {
				b = append(b, '}')
			}
			b = append(b, f.opens...)
			if group = f.group; group == visitorGroup {
				b = append(AppendString(append(b, `"id":`...), m.visitor), f.follows...)
			}
		}
		b = value.appendJSON(b)
	}
	if group != "" {
		b = append(b, '}')
	}
	return b
}
