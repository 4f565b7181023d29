// SPDX-License-Identifier: Apache-2.0

package collector

import "strings"

// Client Hints are structured fields (RFC 9651). What is no such field says
// nothing: a browser writes no other, and who writes headers by hand is not
// believed half.

// maxHintBytes bounds what is read of a hint, maxBrandsBytes of Sec-CH-UA, which
// names some three brands. Browsers stay far below.
const (
	maxHintBytes   = 64
	maxBrandsBytes = 192
)

// systemVersion returns the version of a system as User-Agents write it, of what
// Sec-CH-UA-Platform-Version says: without noughts at the end, and for Windows
// the name that people know. There the hint counts editions of an interface
// (https://learn.microsoft.com/en-us/microsoft-edge/web-platform/how-to-detect-win11).
// What is no version gives "".
func systemVersion(platform, version string) string {
	if leadingVersion(version) != version {
		return ""
	}
	if platform == "Windows" {
		switch major, rest, _ := strings.Cut(version, "."); {
		case major == "0":
			switch minor, _, _ := strings.Cut(rest, "."); minor {
			case "1":
				return "7"
			case "2":
				return "8"
			case "3":
				return "8.1"
			}
			return ""
		case len(major) > 2 || len(major) == 2 && major >= "13":
			return "11"
		default:
			return "10"
		}
	}
	for {
		shorter, found := strings.CutSuffix(version, ".0")
		if !found {
			return version
		}
		version = shorter
	}
}

// hintText returns the contents of a hint that is one string, "" if it is none
// or is too long.
func hintText(hint string) string {
	if hint == "" || len(hint) > maxHintBytes {
		return ""
	}
	text, _, rest, ok := cutHint(hint)
	if !ok || rest != "" {
		return ""
	}
	return text
}

// cutHint takes the first member off a list of strings: the string, its
// parameter v, and the list behind it. ok is false if there is none, and what
// was read before is to be forgotten then.
func cutHint(list string) (text, version, rest string, ok bool) {
	text, rest, ok = cutString(strings.TrimLeft(list, " \t"))
	for ok && strings.HasPrefix(rest, ";") {
		var key, value string
		if key, value, rest, ok = cutParameter(rest[1:]); key == "v" {
			version = value
		}
	}
	if rest = strings.TrimLeft(rest, " \t"); !ok || rest == "" {
		return text, version, rest, ok
	}
	if rest[0] != ',' || strings.TrimLeft(rest[1:], " \t") == "" {
		return "", "", "", false
	}
	return text, version, rest[1:], true
}

// cutString takes a quoted string off s (RFC 9651, 3.3.3).
func cutString(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	escaped := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if text = s[1:i]; escaped {
				text = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text)
			}
			return text, s[i+1:], true
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", false
			}
			escaped = true
		case c < ' ' || c > '~':
			return "", "", false
		}
	}
	return "", "", false
}

// cutParameter takes a parameter off s, which begins behind the semicolon (RFC
// 9651, 3.1.2). A value is a string, or a number, token or boolean as it stands.
func cutParameter(s string) (key, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	end := 0
	for end < len(s) && (s[end]-'a' <= 'z'-'a' || s[end] == '*' || end > 0 && (digit(s[end]) || s[end] == '_' || s[end] == '-' || s[end] == '.')) {
		end++
	}
	key, rest = s[:end], s[end:]
	if key == "" {
		return "", "", "", false
	}
	if !strings.HasPrefix(rest, "=") {
		return key, "", rest, true // a boolean that is true
	}
	if rest = rest[1:]; strings.HasPrefix(rest, `"`) {
		value, rest, ok = cutString(rest)
		return key, value, rest, ok
	}
	end = strings.IndexAny(rest, "; \t,\"")
	if end < 0 {
		end = len(rest)
	}
	return key, rest[:end], rest[end:], end > 0
}
