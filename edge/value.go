// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// A Type is the type of a field's value. The numbers are part of the rule ABI.
type Type uint8

// The field types. TypeUnknown is the zero value: the field has no value.
const (
	TypeUnknown Type = iota
	TypeInt          // i64
	TypeFloat        // f64
	TypeBool         // i64, 0 or 1
	TypeTime         // i64, milliseconds since the Unix epoch
	TypeString       // UTF-8
	TypeList         // list of strings
	TypeItems        // list of Item
	TypeMap          // list of Entry, sorted by key
)

var typeNames = [...]string{"unknown", "i64", "f64", "bool", "time", "string", "list", "items", "map"}

// String returns the type's name as site files and documents spell it.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "invalid"
}

// ParseType returns the type a site file names, or TypeUnknown.
func ParseType(name string) Type {
	for i, n := range typeNames {
		if i > 0 && n == name {
			return Type(i)
		}
	}
	return TypeUnknown
}

// A Value is one field's value. Its Type says which member holds it; the zero
// Value is unknown. Slices and strings are borrowed from the Visit.
type Value struct {
	Type  Type
	Int   int64 // TypeInt, TypeBool, TypeTime
	Float float64
	Str   string
	List  []string
	Items []Item
	Map   []Entry
}

// Known reports whether the value is present. A list, items or a map that is
// known to hold nothing is present and empty; an empty text is absent.
func (v Value) Known() bool { return v.Type != TypeUnknown }

// An Item is one thing of an items field.
type Item struct {
	ID       string
	Quantity int64
	Price    float64 // in the site's currency; 0 when unknown
	Purpose  consent.Purposes
}

// An Entry is one key of a map field.
type Entry struct {
	Key     string
	Value   float64
	Purpose consent.Purposes
}

// empty reports whether the value is a list, items or a map of nothing.
func (v *Value) empty() bool {
	switch v.Type {
	case TypeList:
		return len(v.List) == 0
	case TypeItems:
		return len(v.Items) == 0
	case TypeMap:
		return len(v.Map) == 0
	}
	return false
}

// The setters below are for Field.read.

func (v *Value) setText(s string) {
	if s != "" {
		v.Type, v.Str = TypeString, s
	}
}

func (v *Value) setInt(n int64) { v.Type, v.Int = TypeInt, n }

func (v *Value) setFloat(f float64) { v.Type, v.Float = TypeFloat, f }

func (v *Value) setList(l []string) { v.Type, v.List = TypeList, append(v.List[:0], l...) }

func stringValue(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{Type: TypeString, Str: s}
}

func listValue(l []string) Value { return Value{Type: TypeList, List: l} }

func intValue(n int64) Value { return Value{Type: TypeInt, Int: n} }

func floatValue(f float64) Value { return Value{Type: TypeFloat, Float: f} }

func boolValue(b bool) Value {
	if b {
		return Value{Type: TypeBool, Int: 1}
	}
	return Value{Type: TypeBool}
}
