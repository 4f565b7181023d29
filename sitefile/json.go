// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
	"strings"
)

// json returns a value as JSON, nil for no value. The order of a mapping's keys
// stays, and so does a number that JSON could not hold better.
func (n *node) json() json.RawMessage {
	if n == nil {
		return nil
	}
	return n.appendJSON(nil)
}

func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case null:
		return append(b, "null"...)
	case boolean:
		return append(b, strings.ToLower(n.text)...)
	case whole, number:
		return append(b, jsonNumber(n)...)
	case list:
		b = append(b, '[')
		for i, item := range n.kids {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case mapping:
		b = append(b, '{')
		for i, k := range n.keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, jsonText(k.text)...), ':')
			b = n.kids[i].appendJSON(b)
		}
		return append(b, '}')
	}
	return append(b, jsonText(n.text)...)
}

// jsonText writes text as JSON does, but for <, > and &, which stay readable.
func jsonText(s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // text always encodes
	}
	return bytes.TrimSpace(out.Bytes())
}

// jsonNumber writes a number: as it stands where JSON spells it alike, else as
// JSON does.
func jsonNumber(n *node) string {
	if json.Valid([]byte(n.text)) {
		return n.text
	}
	if n.kind == whole {
		i, ok := new(big.Int).SetString(wholeText(n.text), 0)
		if !ok {
			return "0" // the pattern of whole numbers allows none such
		}
		return i.String()
	}
	sign, digits := "", strings.TrimPrefix(n.text, "+")
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	mantissa, exponent, scaled := strings.Cut(strings.ToLower(digits), "e")
	units, decimals, _ := strings.Cut(mantissa, ".")
	out := sign + cmp.Or(strings.TrimLeft(units, "0"), "0")
	if decimals != "" {
		out += "." + decimals
	}
	if scaled {
		out += "e" + exponent
	}
	return out
}
