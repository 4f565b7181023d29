// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"errors"
	"fmt"
	"strings"
)

// The rules of addresses: what a visitor may follow, and what a page may load.
// An address without a scheme is relative to the page and always allowed.
var (
	linkURL  = rule{URL, func(value string) (string, error) { return canonURL(value, "http", "https", "mailto", "tel") }}
	mediaURL = rule{URL, func(value string) (string, error) { return canonURL(value, "http", "https") }}
	mediaSet = rule{URL, canonSrcset}
)

// canonURL returns the address without the space around it if its scheme is one
// of schemes. A browser drops tabs and line breaks anywhere in an address and
// spaces and controls around it before it looks for the scheme
// (https://url.spec.whatwg.org/#concept-basic-url-parser), so that
// "java\tscript:" is a scheme to it: any of them inside is refused here.
func canonURL(value string, schemes ...string) (string, error) {
	value = strings.Trim(value, " \t\n\r\f")
	for i := range len(value) {
		if value[i] <= ' ' || value[i] == 0x7f {
			return "", errors.New("the address has a space or line break in it (a space is written %20)")
		}
	}
	scheme := schemeOf(value)
	if scheme == "" {
		return value, nil
	}
	for _, s := range schemes {
		if scheme == s {
			return value, nil
		}
	}
	return "", fmt.Errorf("%s addresses are not allowed", shorten(scheme))
}

// schemeOf returns the scheme of an address in lower case as the URL standard
// finds it, empty for a relative one.
func schemeOf(address string) string {
	for i := range len(address) {
		switch c := address[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i > 0 && strings.IndexByte("0123456789+-.", address[i]) >= 0:
		case i > 0 && address[i] == ':':
			return strings.ToLower(address[:i])
		default:
			return ""
		}
	}
	return ""
}

// canonSrcset reads the candidates of srcset as the HTML standard does, section
// 4.8.4.4, and returns them with one comma and space between them.
func canonSrcset(value string) (string, error) {
	const spaces = " \t\n\r\f"
	var candidates []string
	for {
		value = strings.TrimLeft(value, spaces+",")
		if value == "" {
			return strings.Join(candidates, ", "), nil
		}
		address, rest := value, ""
		if end := strings.IndexAny(value, spaces); end >= 0 {
			address, rest = value[:end], value[end:]
		}
		var width string
		if trimmed := strings.TrimRight(address, ","); trimmed != address {
			address = trimmed
		} else {
			width, rest, _ = strings.Cut(rest, ",")
			width = strings.Trim(width, spaces)
		}
		address, err := canonURL(address, "http", "https")
		if err != nil {
			return "", err
		}
		if width != "" {
			if !isDescriptor(width) {
				return "", fmt.Errorf("%q is neither a width such as 480w nor a density such as 2x", shorten(width))
			}
			address += " " + width
		}
		candidates = append(candidates, address)
		value = rest
	}
}

// isDescriptor reports whether s is a width or a density of srcset.
func isDescriptor(s string) bool {
	number := s[:len(s)-1]
	if number == "" || len(number) > 6 {
		return false
	}
	switch s[len(s)-1] {
	case 'w':
		return only(number, "0123456789")
	case 'x':
		whole, part, _ := strings.Cut(number, ".")
		return whole != "" && only(whole+part, "0123456789")
	default:
		return false
	}
}
