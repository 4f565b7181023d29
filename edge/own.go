// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/json"

// maxOwnText and maxOwnList bound the value of a site's own field.
const (
	maxOwnText = 256
	maxOwnList = 32
)

// parseValue reads a JSON value as a field's type. What does not fit the type
// or the bounds is unknown, never converted.
func parseValue(t Type, raw []byte) Value {
	switch t {
	case TypeInt:
		var n int64
		if json.Unmarshal(raw, &n) == nil && string(raw) != "null" {
			return intValue(n)
		}
	case TypeFloat:
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

// fillOwn sets the visit's own fields: from the release's settings, or from
// the latest event of this beacon that carries them.
func (r *Release) fillOwn(v *Visit, events []BeaconEvent) {
	v.Own = v.Own[:0]
	for i := range r.own {
		f := &r.own[i]
		value := f.fixed
		for j := len(events) - 1; f.event != "" && j >= 0 && !value.Known(); j-- {
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
