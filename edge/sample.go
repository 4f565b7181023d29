// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/nearest"
)

// Bounds of a sample visit's values; a record holds less.
const (
	maxSampleText = 4096
	maxSampleList = 1024
)

// ViewOf returns what a rule that declared these fields may see of a sample
// visit at a site with these own fields, in their order. A field that does not
// exist, or whose value does not fit its type, is an error that names it.
func (s *SampleVisit) ViewOf(declared Mask, own []OwnField) (*View, error) {
	purposes := make([]consent.Purposes, BuiltinFields+len(own))
	for i := range fields {
		purposes[i] = fields[i].Purpose
	}
	for i, f := range own {
		p, err := consent.ParsePurposes(f.Purpose)
		if err != nil {
			return nil, fmt.Errorf("field %q: purpose: %w", f.Name, err)
		}
		purposes[BuiltinFields+i] = p
	}
	values, err := sampleValues(s.Fields, own)
	if err != nil {
		return nil, err
	}
	granted := consent.Purposes(s.Granted)
	v := &View{values: values, granted: granted}
	for n := range values {
		if declared.Has(FieldNumber(n)) && granted.Has(purposes[n]) {
			v.mask = v.mask.With(FieldNumber(n))
		}
	}
	return v, nil
}

// sampleValues returns the values that are given by wire name, by field number.
func sampleValues(given map[string]json.RawMessage, own []OwnField) ([]Value, error) {
	values := make([]Value, BuiltinFields+len(own))
	numbers, types := make(map[string]int, len(values)), make([]Type, len(values))
	for i := range fields {
		numbers[fields[i].Name], types[i] = i, fields[i].Type
	}
	for i, f := range own {
		numbers[f.Name], types[BuiltinFields+i] = BuiltinFields+i, ParseType(f.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		n, ok := numbers[name]
		if !ok {
			return nil, fmt.Errorf("field %q: no such field%s", name, orNearest(name, numbers))
		}
		var err error
		if values[n], err = sampleValue(types[n], given[name]); err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
	}
	return values, nil
}

// orNearest goes on from a message about a name that is not there, with the known
// name that it is like, if there is one.
func orNearest(name string, known map[string]int) string {
	if hint := nearest.Hint(name, slices.Sorted(maps.Keys(known))); hint != "" {
		return "; " + hint
	}
	return ""
}

// sampleWords say what a value of each type is.
var sampleWords = [...]string{
	TypeInt: "a whole number", TypeFloat: "a number", TypeBool: "true or false", TypeTime: "a time", TypeString: "a text",
	TypeList: "a list of texts", TypeItems: "a list of items", TypeMap: "numbers by name",
}

// sampleExamples are how a value of each type is written.
var sampleExamples = [...]string{
	TypeInt: `3`, TypeFloat: `48.85`, TypeBool: `true`, TypeTime: `"2026-12-24T18:00:00Z"`, TypeString: `"FR"`,
	TypeList: `["felt"]`, TypeItems: `[{"id":"sku-7","quantity":1,"price":9.5}]`, TypeMap: `{"hats":3}`,
}

// sampleValue reads a value as people write it: lists as arrays of text, items
// as objects with id, quantity and price, a map as an object of numbers, a time
// as RFC 3339 text or in milliseconds since 1970.
func sampleValue(t Type, raw json.RawMessage) (Value, error) {
	v := Value{Type: t}
	var err error
	switch t {
	case TypeInt:
		err = json.Unmarshal(raw, &v.Int)
	case TypeTime:
		var t time.Time
		if err = json.Unmarshal(raw, &t); err == nil {
			v.Int = t.UnixMilli()
		} else {
			err = json.Unmarshal(raw, &v.Int)
		}
	case TypeFloat:
		err = json.Unmarshal(raw, &v.Float)
	case TypeBool:
		var yes bool
		if err = json.Unmarshal(raw, &yes); yes {
			v.Int = 1
		}
	case TypeString:
		err = json.Unmarshal(raw, &v.Str)
	case TypeList:
		err = json.Unmarshal(raw, &v.List)
	case TypeItems:
		var items []struct {
			ID       string  `json:"id"`
			Quantity int64   `json:"quantity"`
			Price    float64 `json:"price"`
		}
		err = json.Unmarshal(raw, &items)
		for _, i := range items {
			v.Items = append(v.Items, Item{ID: i.ID, Quantity: i.Quantity, Price: i.Price})
		}
	case TypeMap:
		var entries map[string]float64
		err = json.Unmarshal(raw, &entries)
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			v.Map = append(v.Map, Entry{Key: key, Value: entries[key]})
		}
	default:
		return Value{}, fmt.Errorf("type %s cannot be written", t)
	}
	if err != nil || string(raw) == "null" {
		return Value{}, fmt.Errorf("want %s, like %s", sampleWords[t], sampleExamples[t])
	}
	return v, v.bounded()
}

// bounded reports a value that no record could hold.
func (v *Value) bounded() error {
	if n := len(v.List) + len(v.Items) + len(v.Map); n > maxSampleList {
		return fmt.Errorf("%d entries, at most %d", n, maxSampleList)
	}
	texts := append([]string{v.Str}, v.List...)
	for _, i := range v.Items {
		texts = append(texts, i.ID)
	}
	for _, e := range v.Map {
		texts = append(texts, e.Key)
	}
	for _, text := range texts {
		if len(text) > maxSampleText {
			return fmt.Errorf("text of %d bytes, at most %d", len(text), maxSampleText)
		}
		if strings.ToValidUTF8(text, "") != text {
			return errors.New("text is not UTF-8")
		}
	}
	return nil
}
