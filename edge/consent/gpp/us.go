// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"strings"

	"github.com/nearside/nearside/edge/consent/packed"
)

// US is what the national section or a state's says. It stays in the text and is
// read when asked. The zero value says nothing.
type US struct {
	layout   *layout
	version  int // as written
	core     string
	optional string // the segment beside the core; empty without one
}

// valueBits is the length of every value but the version; 3 is not defined.
const (
	valueBits   = 2
	versionBits = 6
)

// Answers of an opt-out and of SensitiveDataProcessing. In a field of notices 1
// is yes and 2 is no. 0 means that it does not apply.
const (
	OptedOut    = 1 // or: no consent
	NotOptedOut = 2 // or: consent
)

func (u *US) decode(id int, text string) error {
	core, optional, more := strings.Cut(text, ".")
	var r packed.Reader
	r.Open(core, "core")
	u.version = int(r.Uint(versionField(id), versionBits))
	layoutVersion := u.version
	if id >= firstLateSection {
		layoutVersion = 1 // MspaVersion is the agreement's, and no layout but one is known
	}
	if u.layout = layoutOf(id, layoutVersion); u.layout == nil {
		r.Fail(packed.BadVersion, versionField(id))
		return r.Err()
	}
	if !u.allDefined(r) { // on a copy
		u.findFault(&r)
	}
	r.Skip(u.layout.bits())
	r.Close("core")
	if !r.OK() || !more {
		u.core = core
		return r.Err()
	}
	u.core, u.optional = core, optional
	return u.decodeOptional()
}

// allDefined reports whether the core is long enough and no value in it is 3, many
// at a time. Values have two bits, so a 3 is a bit with another one beside it.
func (u *US) allDefined(r packed.Reader) bool {
	const most = 48
	for left := u.layout.bits(); left > 0; {
		n := min(left, most)
		v := r.Uint("core", n)
		if v&(v>>1)&0x5555_5555_5555 != 0 {
			return false
		}
		left -= n
	}
	return r.OK()
}

// findFault reads the core value by value, to name the field that is wrong.
func (u *US) findFault(r *packed.Reader) {
	for i := range u.layout.fields {
		f := &u.layout.fields[i]
		for range f.count {
			if r.Uint(f.name, valueBits) == 3 {
				r.Fail(packed.BadValue, f.name)
			}
		}
	}
}

// decodeOptional reads the segment beside the core.
func (u *US) decodeOptional() error {
	var r packed.Reader
	r.Open(u.optional, "segment")
	switch {
	case strings.Contains(u.optional, "."):
		_, more, _ := strings.Cut(u.optional, ".")
		return u.another(more)
	case u.layout.optional == gpcSegment:
		if r.Uint("GpcSegmentType", valueBits) != gpcSegmentType {
			r.Fail(packed.UnknownSegment, "GpcSegmentType")
		}
		r.Bool("Gpc")
		r.Close("Gpc")
	case u.layout.optional == sensitiveSegment:
		for range sensitiveOptional {
			if r.Uint("SensitiveDataProcessing", valueBits) == 3 {
				r.Fail(packed.BadValue, "SensitiveDataProcessing")
			}
		}
		r.Close("SensitiveDataProcessing")
	default:
		r.Fail(packed.UnknownSegment, "segment")
	}
	return r.Err()
}

// another says what is wrong with a third segment: there is none that could be.
func (u *US) another(text string) error {
	var r packed.Reader
	r.Open(text, "segment")
	if u.layout.optional == noSegment {
		r.Fail(packed.UnknownSegment, "segment")
	}
	r.Fail(packed.DuplicateSegment, "segment")
	return r.Err()
}

// Version is the section's Version or MspaVersion as written, 0 for the zero value.
func (u *US) Version() int { return u.version }

// IsKnown reports whether the section is of a version whose meaning is known. One
// that is not is well-formed as far as can be told.
func (u *US) IsKnown() bool { return u.layout != nil && u.version == u.layout.version }

// Len is how many values a field has: 1, or more for a list; 0 if the section
// does not have it.
func (u *US) Len(field string) int {
	if u.layout == nil {
		return 0
	}
	if u.layout.optional == sensitiveSegment && field == sensitiveDataProcessing {
		return sensitiveOptional
	}
	for i := range u.layout.fields {
		if f := &u.layout.fields[i]; f.name == field {
			return f.count
		}
	}
	return 0
}

// Value returns the n-th value of a field, counted from 1: 0, 1 or 2. It is 0 for
// what the section does not have.
func (u *US) Value(field string, n int) int {
	if u.layout == nil || n < 1 || n > u.Len(field) {
		return 0
	}
	if u.layout.optional == sensitiveSegment && field == sensitiveDataProcessing {
		return u.value(u.optional, (n-1)*valueBits)
	}
	at := versionBits
	for i := range u.layout.fields {
		f := &u.layout.fields[i]
		if f.name == field {
			return u.value(u.core, at+(n-1)*valueBits)
		}
		at += f.count * valueBits
	}
	return 0
}

func (u *US) value(segment string, at int) int {
	if segment == "" {
		return 0
	}
	return int(packed.Bits(segment, at, valueBits))
}

// HasGPC reports whether there is a segment for Global Privacy Control; without
// one GPC is false.
func (u *US) HasGPC() bool {
	return u.layout != nil && u.layout.optional == gpcSegment && u.optional != ""
}

// GPC reports whether the browser asked for Global Privacy Control when the
// string was made.
func (u *US) GPC() bool { return u.HasGPC() && packed.Bits(u.optional, valueBits, 1) == 1 }

// AgreesToLocation reports whether the visitor agreed to the precise location: its
// value is 2, where that is consent. In California, Utah and Iowa sensitive data
// may be opted out of and is never asked for: 2 is there who did nothing.
func (u *US) AgreesToLocation() bool {
	if u.layout == nil {
		return false
	}
	switch u.layout.name {
	case "usca", "usut", "usia":
		return false
	}
	return u.Location() == NotOptedOut
}

// Location is the SensitiveDataProcessing value for the precise location: 1 no
// consent (or opted out), 2 consent, 0 where it does not apply or the section
// does not ask.
func (u *US) Location() int {
	if u.layout == nil {
		return 0
	}
	return u.Value(sensitiveDataProcessing, u.layout.location)
}
