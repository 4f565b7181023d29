// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/nearside/nearside/edge/consent"
)

// maxOwnText and maxOwnList bound the value of a site's own field.
const (
	maxOwnText = 256
	maxOwnList = 32
)

// parseValue reads a JSON value as a field's type. What does not fit the type
// or the bounds is unknown, never converted. A text may be a view of raw. What
// browsers usually send is read without encoding/json, which allocates.
func parseValue(t Type, raw []byte) Value {
	switch t {
	case TypeInt:
		if isPlainNumber(raw) {
			if n, err := strconv.ParseInt(textOf(raw), 10, 64); err == nil {
				return intValue(n)
			}
		}
		var n int64
		if json.Unmarshal(raw, &n) == nil && string(raw) != "null" {
			return intValue(n)
		}
	case TypeFloat:
		if isPlainNumber(raw) {
			if f, err := strconv.ParseFloat(textOf(raw), 64); err == nil {
				return floatValue(f)
			}
		}
		var f float64
		if json.Unmarshal(raw, &f) == nil && string(raw) != "null" {
			return floatValue(f)
		}
	case TypeBool:
		switch string(raw) {
		case "true":
			return boolValue(true)
		case "false":
			return boolValue(false)
		}
	case TypeString:
		if text, ok := plainText(raw); ok && len(text) <= maxOwnText {
			return stringValue(text)
		}
		var s string
		if json.Unmarshal(raw, &s) == nil && len(s) <= maxOwnText {
			return stringValue(s)
		}
	case TypeList:
		var l []string
		if json.Unmarshal(raw, &l) == nil && l != nil && len(l) <= maxOwnList {
			for _, s := range l {
				if len(s) > maxOwnText {
					return Value{}
				}
			}
			return listValue(l)
		}
	}
	return Value{}
}

// isPlainNumber reports whether raw is a JSON number without an exponent.
func isPlainNumber(raw []byte) bool {
	if len(raw) > 0 && raw[0] == '-' {
		raw = raw[1:]
	}
	digits, points := 0, 0
	for i, c := range raw {
		switch {
		case c-'0' <= 9:
			digits++
		case c == '.' && points == 0 && i > 0 && i < len(raw)-1:
			points++
		default:
			return false
		}
	}
	return digits > 0 && (raw[0] != '0' || len(raw) == 1 || raw[1] == '.')
}

// plainText returns a view of a JSON string's text if it has no escapes.
func plainText(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c < ' ' || c == '"' || c == '\\' {
			return "", false
		}
	}
	return textOf(raw), utf8.Valid(raw)
}

// fillOwn sets the visit's own fields: from the release's settings, from the latest
// event of this beacon that carries them, or from what was told before. Untold are
// the events that the state may not learn of.
func (r *Release) fillOwn(v *Visit, events, untold []BeaconEvent, granted consent.Purposes) {
	v.Own = v.Own[:0]
	for i := range r.own {
		f := &r.own[i]
		value := f.fixed
		if f.source >= fromProfile {
			value = v.attributeValue(f, granted, untold)
		}
		for j := len(events) - 1; f.source == fromEvent && j >= 0 && !value.Known(); j-- {
			if events[j].Name != f.event {
				continue
			}
			members(events[j].Props, func(key, raw []byte) bool {
				if string(key) == f.prop {
					value = parseValue(f.Type, raw)
				}
				return true
			})
		}
		v.Own = append(v.Own, OwnValue{value, f.Purpose})
	}
}
