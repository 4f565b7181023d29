// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// siteFields are the own fields of the site that tests make rules for.
var siteFields = []edge.OwnField{
	{Name: "shop.tier", Type: "string", Purpose: "personalise", Origin: "first", From: "event", Event: "login", Prop: "tier"},
	{Name: "shop.credit", Type: "i64", Purpose: "profile", Origin: "first", From: "event", Event: "login", Prop: "credit"},
	{Name: "shop.ratio", Type: "f64", Purpose: "measure", Origin: "first", From: "event", Event: "login", Prop: "ratio"},
	{Name: "shop.member", Type: "bool", Purpose: "context", Origin: "first", From: "event", Event: "login", Prop: "member"},
	{Name: "shop.brands", Type: "list", Purpose: "share", Origin: "first", From: "event", Event: "login", Prop: "brands"},
	{Name: "shop.season", Type: "string", Purpose: "context", Origin: "first", From: "settings", Value: json.RawMessage(`"spring"`)},
}

// A fieldInfo is a field of the site under test; its number is its place.
type fieldInfo struct {
	name    string
	kind    edge.Type
	purpose consent.Purposes
}

// allFields are the built-in and own fields in the order of their numbers.
func allFields() []fieldInfo {
	var out []fieldInfo
	for _, f := range edge.Fields() {
		out = append(out, fieldInfo{f.Name, f.Type, f.Purpose})
	}
	for _, f := range siteFields {
		p, err := consent.ParsePurposes(f.Purpose)
		if err != nil {
			panic(err)
		}
		out = append(out, fieldInfo{f.Name, edge.ParseType(f.Type), p})
	}
	return out
}

// namedFields are the fields that an expression may name, by type.
func namedFields() map[edge.Type][]string {
	out := make(map[edge.Type][]string)
	for n, f := range allFields() {
		if n != int(edge.FieldVisitorID) && n != int(edge.FieldCounts) {
			out[f.kind] = append(out[f.kind], f.name)
		}
	}
	return out
}

// A visitor is a visit by the values of its fields, in the order of their
// numbers, and what was granted.
type visitor struct {
	fields  []fieldInfo
	values  []edge.Value
	granted consent.Purposes
}

// newVisitor makes a random visit. Most fields are there, most purposes granted.
func newVisitor(r *rand.Rand) *visitor {
	v := &visitor{fields: allFields()}
	w := &writer{Rand: r}
	for n, f := range v.fields {
		value := w.value(f.kind)
		switch {
		case n == int(edge.FieldNow):
			value.Int = day.Add(time.Duration(r.Int64N(int64(72*time.Hour))) - 36*time.Hour).UnixMilli()
			if r.IntN(4) == 0 {
				value.Int = day.UnixMilli()
			}
		case n == int(edge.FieldCounts):
			value.Map = nil
			for _, event := range slices.Sorted(slices.Values(events)) {
				for _, window := range slices.Sorted(slices.Values(windows)) {
					if r.IntN(5) > 0 {
						value.Map = append(value.Map, edge.Entry{Key: event + "/" + window, Value: float64(r.IntN(9))})
					}
				}
			}
		case r.IntN(6) == 0:
			value = edge.Value{}
		}
		v.values = append(v.values, value)
	}
	for _, row := range consent.Rows() {
		if r.IntN(5) > 0 {
			v.granted |= row.Bit
		}
	}
	return v
}

// value makes a random value of a type.
func (w *writer) value(t edge.Type) edge.Value {
	v := edge.Value{Type: t}
	short := func() string {
		for {
			if s := w.text(); len(s) < 64 {
				return s
			}
		}
	}
	switch t {
	case edge.TypeInt:
		v.Int = w.integer()
	case edge.TypeFloat:
		v.Float = w.double()
	case edge.TypeBool:
		v.Int = w.Int64N(2)
	case edge.TypeString:
		v.Str = w.text()
		if w.IntN(5) == 0 {
			v.Str = short() + short()
		}
	case edge.TypeList:
		for range w.IntN(6) {
			v.List = append(v.List, short())
		}
	case edge.TypeItems:
		for range w.IntN(5) {
			v.Items = append(v.Items, edge.Item{ID: short(), Quantity: w.integer(), Price: w.double()})
		}
	case edge.TypeMap:
		for range w.IntN(8) {
			v.Map = append(v.Map, edge.Entry{Key: short(), Value: w.double()})
		}
		slices.SortFunc(v.Map, func(a, b edge.Entry) int { return cmp.Compare(a.Key, b.Key) })
		v.Map = slices.CompactFunc(v.Map, func(a, b edge.Entry) bool { return a.Key == b.Key })
	}
	return v
}

// sees returns the value of field n as a rule sees it.
func (v *visitor) sees(n int) edge.Value {
	if !v.granted.Has(v.fields[n].purpose) {
		return edge.Value{}
	}
	return v.values[n]
}

// named returns what a rule sees of a field by its name.
func (v *visitor) named(name string) edge.Value {
	for n := range v.fields {
		if v.fields[n].name == name {
			return v.sees(n)
		}
	}
	return edge.Value{}
}

// String tells a visit for a failing test.
func (v *visitor) String() string {
	var b strings.Builder
	b.WriteString(v.granted.String())
	for n := range v.values {
		if seen := v.sees(n); seen.Known() {
			b.WriteString("\n\t" + v.fields[n].name + " = " + string(seen.AppendJSON(nil)))
		}
	}
	return b.String()
}
