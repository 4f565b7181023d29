// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge"
)

// A read is a field that a module reads.
type read struct {
	field *field
	place int // among all reads
	own   int // among those of the site's own fields, -1 for a built-in one
}

// An input collects what nodes read.
type input struct {
	seen   map[*node]bool
	fields map[*field]bool
	// parts are what is read of maps and the visitor's id, as an expression
	// spells it, by field.
	parts  map[string]*field
	whole  map[*field]bool
	counts map[string]bool // keys of count
}

func newInput() *input {
	return &input{make(map[*node]bool), make(map[*field]bool), make(map[string]*field), make(map[*field]bool), make(map[string]bool)}
}

// add notes what a node reads.
func (in *input) add(n *node) {
	if n == nil || in.seen[n] {
		return
	}
	in.seen[n] = true
	if n.op == opField {
		in.fields[n.field], in.whole[n.field] = true, true
	}
	if f, part := partOf(n); f != nil {
		in.fields[f], in.parts[part] = true, f
		if f.number == edge.FieldCounts {
			in.counts[n.args[1].text] = true
		}
		return
	}
	for _, arg := range n.args {
		in.add(arg)
	}
}

// partOf returns the field of which a node reads a part, and the part as an
// expression spells it.
func partOf(n *node) (f *field, spelling string) {
	switch n.op {
	case opGet, opHas:
		m, key := n.args[0], n.args[1]
		if m.op != opField || m.kind != kindMap || !key.isConst() {
			return nil, ""
		}
		if m.field.number == edge.FieldCounts {
			at := strings.LastIndexByte(key.text, '/')
			return m.field, fmt.Sprintf("%s(%s, %s)", fnCount, quote(key.text[:at]), quote(key.text[at+1:]))
		}
		return m.field, m.field.name + "[" + quote(key.text) + "]"
	case opHash:
		if visitor := n.args[0]; visitor.op == opField {
			return visitor.field, fnHash + "(" + quote(n.text) + ")"
		}
	}
	return nil, ""
}

// quote writes a text as an expression does.
func quote(s string) string { return strconv.Quote(s) }

// reads are the fields that are read, in the order of a manifest: built-in ones
// by number, then the site's own in its order.
func (in *input) reads() []*field {
	return slices.SortedFunc(maps.Keys(in.fields), func(x, y *field) int {
		return cmp.Or(cmp.Compare(x.own, y.own), cmp.Compare(x.number, y.number))
	})
}

// names are the wire names of the fields that are read, sorted.
func (in *input) names() []string {
	names := make([]string, 0, len(in.fields))
	for f := range in.fields {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// spellings are the smallest set of what the answer depends on, sorted, as
// edge.SlotInputs has it.
func (in *input) spellings() []string {
	names := make([]string, 0, len(in.fields))
	for f := range in.whole {
		names = append(names, f.name)
	}
	for part, f := range in.parts {
		if !in.whole[f] {
			names = append(names, part)
		}
	}
	slices.Sort(names)
	return names
}

// windows are the events and windows that are counted, sorted.
func (in *input) windows() []edge.EventWindow {
	var windows []edge.EventWindow
	for key := range in.counts {
		at := strings.LastIndexByte(key, '/')
		days, _ := parseDays(key[at+1:])
		windows = append(windows, edge.EventWindow{Event: key[:at], Days: days})
	}
	slices.SortFunc(windows, func(x, y edge.EventWindow) int {
		return cmp.Or(strings.Compare(x.Event, y.Event), cmp.Compare(x.Days, y.Days))
	})
	return windows
}
