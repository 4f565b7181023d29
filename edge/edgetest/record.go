// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/nearside/nearside/edge"
)

// EncodeView is a record for tests, in lines: "record" with the number of
// built-in fields, then number=TYPE JSON for each field with a value.
func EncodeView(v *edge.View, dst []byte) []byte {
	dst = append(dst, "record "...)
	dst = append(strconv.AppendInt(dst, int64(edge.BuiltinFields), 10), '\n')
	for n := v.Mask().Next(0); n >= 0; n = v.Mask().Next(n + 1) {
		if value := v.Peek(n); value.Known() {
			dst = append(strconv.AppendInt(dst, int64(n), 10), '=')
			dst = append(append(dst, value.Type.String()...), ' ')
			dst = append(value.AppendJSON(dst), '\n')
		}
	}
	return dst
}

// DecodeView reads what EncodeView wrote at a site with that many own fields, as
// edge.RecordDecoder says.
func DecodeView(record []byte, own int) ([]edge.Value, error) {
	values := make([]edge.Value, edge.BuiltinFields+own)
	err := eachField(record, func(builtins, n int, rest []byte) error {
		if n >= builtins {
			n += edge.BuiltinFields - builtins
		}
		if n < 0 || n >= len(values) {
			return fmt.Errorf("field %d of %d", n, len(values))
		}
		var err error
		values[n], err = decodeValue(rest)
		return err
	})
	return values, err
}

// RenumberView returns a record as EncodeView would have written it with fewer
// built-in fields. It must have none of those that are gone.
func RenumberView(record []byte, builtins int) []byte {
	out := fmt.Appendf(nil, "record %d\n", builtins)
	err := eachField(record, func(now, n int, rest []byte) error {
		if n >= now {
			n -= now - builtins
		}
		out = fmt.Appendf(out, "%d=%s\n", n, rest)
		return nil
	})
	if err != nil {
		panic(err) // a test's own record
	}
	return out
}

// eachField calls do with the number of built-in fields, and each field's number
// and what follows it.
func eachField(record []byte, do func(builtins, n int, rest []byte) error) error {
	builtins := 0
	for i, line := range bytes.Split(bytes.TrimSuffix(record, []byte("\n")), []byte("\n")) {
		first, rest, _ := bytes.Cut(line, []byte("="))
		if i == 0 {
			_, first, _ = bytes.Cut(line, []byte("record "))
		}
		n, err := strconv.Atoi(string(first))
		if err != nil {
			return fmt.Errorf("line %d: %w", i, err)
		}
		if i == 0 {
			builtins = n
		} else if err := do(builtins, n, rest); err != nil {
			return fmt.Errorf("line %d: %w", i, err)
		}
	}
	return nil
}

func decodeValue(typed []byte) (v edge.Value, err error) {
	name, raw, _ := bytes.Cut(typed, []byte(" "))
	v.Type = edge.ParseType(string(name))
	switch v.Type {
	case edge.TypeInt, edge.TypeTime:
		err = json.Unmarshal(raw, &v.Int)
	case edge.TypeBool:
		if string(raw) == "true" {
			v.Int = 1
		}
	case edge.TypeFloat:
		err = json.Unmarshal(raw, &v.Float)
	case edge.TypeString:
		err = json.Unmarshal(raw, &v.Str)
	case edge.TypeList:
		err = json.Unmarshal(raw, &v.List)
	case edge.TypeItems:
		err = json.Unmarshal(raw, &v.Items)
	case edge.TypeMap:
		var entries map[string]float64
		err = json.Unmarshal(raw, &entries)
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			v.Map = append(v.Map, edge.Entry{Key: key, Value: entries[key]})
		}
	}
	return v, err
}
