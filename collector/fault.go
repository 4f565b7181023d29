// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"strconv"
)

// A DecodeError says which part of a body was refused and why. It is built only
// on failure, so a good beacon pays nothing for it, and it never holds anything
// the client sent. The client gets 400.
type DecodeError struct {
	// Field is the wire path, for example "page.url" or "slots[3].limit"; empty
	// if the body as a whole is at fault.
	Field string
	// Code is stable: bad_json, too_deep, wrong_type, too_long, too_many,
	// bad_value, missing or unsupported_version.
	Code string
	// Err says it in words.
	Err error
}

// Error implements error.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return "body: " + e.Err.Error()
	}
	return e.Field + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// A fault is what can be wrong with a value. The zero value is none.
type fault uint8

const (
	faultNone fault = iota
	faultJSON
	faultDeep
	faultType
	faultLong
	faultMany
	faultValue
	faultMissing
	faultVersion
)

// faults gives each fault its code and its words.
var faults = [...]struct {
	code string
	err  error
}{
	faultJSON:    {"bad_json", errors.New("is not one JSON text in UTF-8")},
	faultDeep:    {"too_deep", errors.New("is nested too deeply")},
	faultType:    {"wrong_type", errors.New("has the wrong type")},
	faultLong:    {"too_long", errors.New("is too long")},
	faultMany:    {"too_many", errors.New("has too many entries")},
	faultValue:   {"bad_value", errors.New("has a value that is not allowed")},
	faultMissing: {"missing", errors.New("is missing")},
	faultVersion: {"unsupported_version", errors.New("is a version this server does not speak")},
}

// A trail is the wire path of a fault, written from the inside out.
type trail struct{ field string }

// under puts the name of a member before the path.
func (t *trail) under(name string, f fault) fault {
	switch {
	case t.field == "" || t.field[0] == '[':
		t.field = name + t.field
	default:
		t.field = name + "." + t.field
	}
	return f
}

// at puts the number of an element before the path.
func (t *trail) at(i int, f fault) fault {
	number := "[" + strconv.Itoa(i) + "]"
	if t.field == "" || t.field[0] == '[' {
		t.field = number + t.field
	} else {
		t.field = number + "." + t.field
	}
	return f
}

// refuse makes the error for a fault at the path.
func (t *trail) refuse(f fault) error {
	e := t.end(f)
	return &e
}

// end is refuse for one fault of several: the next has a path of its own.
func (t *trail) end(f fault) DecodeError {
	field := t.field
	t.field = ""
	if f == faultJSON {
		field = "" // the text as a whole is at fault
	}
	return DecodeError{Field: field, Code: faults[f].code, Err: faults[f].err}
}
