// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge/consent"
)

// droppedProps stand elsewhere in the event, or would repeat an address.
var droppedProps = []string{"decision", "shown", "page_location", "page_referrer", "page_path"}

// clickIDProps are the advertising click ids that pages copy into events; they
// need the share purpose wherever they stand.
var clickIDProps = []string{
	"gclid", "gbraid", "wbraid", "dclid", "gclsrc", "msclkid", "fbclid", "fbc", "fbp", "ttclid", "twclid", "li_fat_id", "yclid", "ymclid", "epik", "rdt_cid", "sccid",
}

// A propFilter decides what of an event's properties may be stored, and writes
// them. Names are compared as they read, not as they are spelled.
type propFilter struct {
	release *Release
	granted consent.Purposes
	event   string
}

// keeps reports whether a property may be stored. One that feeds an own field
// needs the field's purpose; what needs personalise belongs in a profile and
// never in the log, as with built-in fields.
func (f *propFilter) keeps(name string) bool {
	if slices.Contains(droppedProps, name) {
		return false
	}
	if slices.Contains(clickIDProps, name) && !f.granted.Has(consent.Share) {
		return false
	}
	for i := range f.release.own {
		own := &f.release.own[i]
		if own.event == f.event && own.prop == name && (own.Purpose == consent.Personalise || !f.granted.Has(own.Purpose)) {
			return false
		}
	}
	return true
}

// keyText returns a member's name as it reads. It may be a view of raw.
func keyText(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return textOf(raw)
	}
	var text string
	if json.Unmarshal(slices.Concat([]byte{'"'}, raw, []byte{'"'}), &text) != nil {
		return ""
	}
	return text
}

// appendValue appends a JSON value on one line, with the query and fragment of
// every address cut off and click ids left out, however deep they stand.
func (f *propFilter) appendValue(b, raw []byte) []byte {
	switch raw[0] {
	case '{':
		b = append(b, '{')
		i := 0
		members(raw, func(key, value []byte) bool {
			if name := keyText(key); name != "" && (!slices.Contains(clickIDProps, name) || f.granted.Has(consent.Share)) {
				b = append(AppendString(comma(b, i), name), ':')
				b = f.appendValue(b, value)
				i++
			}
			return true
		})
		return append(b, '}')
	case '[':
		b = append(b, '[')
		i := 0
		elements(raw, func(value []byte) bool {
			b = f.appendValue(comma(b, i), value)
			i++
			return true
		})
		return append(b, ']')
	case '"':
		return appendText(b, raw)
	}
	if _, err := strconv.ParseFloat(string(raw), 64); err != nil && raw[0] != 't' && raw[0] != 'f' && raw[0] != 'n' {
		return AppendString(b, string(raw)) // a number beyond what readers of JSON take
	}
	return append(b, raw...)
}

// appendText appends a JSON string; an address in it loses its query and
// fragment, where sites put what was searched for, tokens and mail addresses.
func appendText(b, raw []byte) []byte {
	if bytes.IndexByte(raw, '/') < 0 {
		return append(b, raw...)
	}
	text, ok := plainText(raw)
	if !ok && json.Unmarshal(raw, &text) != nil {
		return append(b, `""`...)
	}
	if startsAddress(strings.TrimSpace(text)) {
		if end := strings.IndexAny(text, "?#"); end >= 0 {
			text = text[:end]
		}
	}
	return AppendString(b, text)
}

// startsAddress reports whether a text begins as an address does.
func startsAddress(text string) bool {
	for _, start := range [...]string{"/", "http:", "https:"} {
		if len(text) >= len(start) && strings.EqualFold(text[:len(start)], start) {
			return true
		}
	}
	return false
}
