// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// plain marks the bytes that stand for themselves in a JSON string. "<" does
// not, so that no text can end a script it is put into.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\' && c != '<'
	}
	return table
}()

// AppendString appends s as a JSON string. What is not UTF-8, for a rule may
// answer anything, becomes U+FFFD; U+2028 and U+2029 are escaped, for older
// JavaScript takes them for line ends.
func AppendString(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), '"')
}

// appendEscaped appends what stands between the quotes of s as a JSON string.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := plainWords(s); i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r >= utf8.RuneSelf && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, s[from:i]...)
		switch r {
		case '"', '\\':
			b = append(b, '\\', byte(r))
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
		i += size
		from = i
	}
	return append(b, s[from:]...)
}

// plainWords returns how many bytes of s, in steps of eight, stand for themselves
// in a JSON string before the first that does not.
func plainWords(s string) int {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	n := 0
	for ; n+8 <= len(s); n += 8 {
		w := binary.LittleEndian.Uint64(bytesOf(s[n : n+8]))
		// A high bit of stops marks a quote, a backslash, a "<", a control
		// character or what is not ASCII (Hacker's Delight, section 6-1).
		quote, slash, less := w^low*'"', w^low*'\\', w^low*'<'
		stops := ((quote-low)&^quote | (slash-low)&^slash | (less-low)&^less | (w-low*' ')&^w | w) & high
		if stops != 0 {
			break
		}
	}
	return n
}

// AppendJSON appends v as JSON; the unknown Value is null.
func (v Value) AppendJSON(dst []byte) []byte { return v.appendJSON(dst) }

// appendJSON is AppendJSON without a copy.
func (v *Value) appendJSON(dst []byte) []byte {
	switch v.Type {
	case TypeInt, TypeTime:
		return strconv.AppendInt(dst, v.Int, 10)
	case TypeBool:
		return strconv.AppendBool(dst, v.Int != 0)
	case TypeFloat:
		return appendFloat(dst, v.Float)
	case TypeString:
		return AppendString(dst, v.Str)
	case TypeList:
		dst = append(dst, '[')
		for i, s := range v.List {
			dst = AppendString(comma(dst, i), s)
		}
		return append(dst, ']')
	case TypeItems:
		dst = append(dst, '[')
		for i, it := range v.Items {
			dst = append(comma(dst, i), `{"id":`...)
			dst = AppendString(dst, it.ID)
			dst = append(dst, `,"quantity":`...)
			dst = strconv.AppendInt(dst, it.Quantity, 10)
			dst = append(dst, `,"price":`...)
			dst = append(appendFloat(dst, it.Price), '}')
		}
		return append(dst, ']')
	case TypeMap:
		dst = append(dst, '{')
		for i, e := range v.Map {
			dst = append(AppendString(comma(dst, i), e.Key), ':')
			dst = appendFloat(dst, e.Value)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

func comma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// appendFloat appends f as JSON; JSON has no infinities, so they become null.
func appendFloat(dst []byte, f float64) []byte {
	if f-f != 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// members calls yield with each key (still quoted contents, unescaped only if
// it had no escapes) and raw value of a JSON object that is known to be valid.
// On anything else it stops early; it never reads past the end.
func members(object []byte, yield func(key, value []byte) bool) {
	p := 0
	space := func() {
		for p < len(object) && (object[p] == ' ' || object[p] == '\n' || object[p] == '\t' || object[p] == '\r' || object[p] == ',' || object[p] == ':') {
			p++
		}
	}
	space()
	if p >= len(object) || object[p] != '{' {
		return
	}
	p++
	for {
		space()
		if p >= len(object) || object[p] != '"' {
			return
		}
		key := object[p:skipValue(object, p)]
		p += len(key)
		space()
		end := skipValue(object, p)
		if end == p || len(key) < 2 {
			return
		}
		if !yield(key[1:len(key)-1], object[p:end]) {
			return
		}
		p = end
	}
}

// elements calls yield with each raw value of a valid JSON array.
func elements(array []byte, yield func(value []byte) bool) {
	p := 0
	if p >= len(array) || array[p] != '[' {
		return
	}
	for p++; p < len(array); {
		switch array[p] {
		case ' ', '\n', '\t', '\r', ',':
			p++
			continue
		}
		end := skipValue(array, p)
		if end == p || !yield(array[p:end]) {
			return
		}
		p = end
	}
}

// skipValue returns the position after the JSON value at p, or p at no value.
func skipValue(b []byte, p int) int {
	depth := 0
	for i := p; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(b))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // a scalar ended by its parent
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				return i
			}
		}
	}
	return len(b)
}
