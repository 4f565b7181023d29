// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// Texts compare as Go's do, of any length and place, with A to Z as a to z or not.
func TestTexts(t *testing.T) {
	type asked struct {
		source string
		want   func(x, y string) bool
	}
	var all []asked
	for _, x := range []string{"page.title", "page.title.lowerAscii()"} {
		for _, y := range []string{"page.path", "page.path.lowerAscii()"} {
			of := func(want func(x, y string) bool) func(x, y string) bool {
				return func(a, b string) bool {
					if strings.HasSuffix(x, ")") {
						a = lowerASCII(a)
					}
					if strings.HasSuffix(y, ")") {
						b = lowerASCII(b)
					}
					return want(a, b)
				}
			}
			all = append(all,
				asked{fmt.Sprintf("%s == %s", x, y), of(func(x, y string) bool { return x == y })},
				asked{fmt.Sprintf("%s < %s", x, y), of(func(x, y string) bool { return x < y })},
				asked{fmt.Sprintf("%s <= %s", x, y), of(func(x, y string) bool { return x <= y })},
				asked{fmt.Sprintf("%s.startsWith(%s)", x, y), of(strings.HasPrefix)},
				asked{fmt.Sprintf("%s.endsWith(%s)", x, y), of(strings.HasSuffix)},
				asked{fmt.Sprintf("%s.contains(%s)", x, y), of(strings.Contains)},
				asked{fmt.Sprintf("size(%s) > size(%s)", x, y), of(func(x, y string) bool { return utf8.RuneCountInString(x) > utf8.RuneCountInString(y) })},
			)
		}
	}
	for _, s := range []string{"", "a", "ab", "aB", "aba", "abab", "é", "aé@", "ababab", "abababab", "ababababa", "Z[`{z@A", strings.Repeat("ab", 16), strings.Repeat("ab", 16) + "a"} {
		for _, of := range []struct {
			source string
			lower  bool
		}{{"page.title", false}, {"page.title.lowerAscii()", true}} {
			fold := func(want func(x, y string) bool) func(x, y string) bool {
				return func(x, _ string) bool {
					if of.lower {
						x = lowerASCII(x)
					}
					return want(x, s)
				}
			}
			all = append(all,
				asked{fmt.Sprintf("%s == %q", of.source, s), fold(func(x, y string) bool { return x == y })},
				asked{fmt.Sprintf("%s.startsWith(%q)", of.source, s), fold(strings.HasPrefix)},
				asked{fmt.Sprintf("%s.endsWith(%q)", of.source, s), fold(strings.HasSuffix)},
				asked{fmt.Sprintf("%s.contains(%q)", of.source, s), fold(strings.Contains)},
			)
		}
	}
	var sources []string
	for _, a := range all {
		sources = append(sources, a.source)
	}
	m := load(t, conditions(sources...))
	random := rand.New(rand.NewPCG(5, 6))
	letters := []string{"a", "a", "b", "b", "A", "B", "Z", "z", "[", "@", "`", "{", "é", "É", "日", "\x01", "\x7f"}
	text := func(most int) string {
		var s strings.Builder
		kinds := 2 + random.IntN(len(letters)-1)
		for range random.IntN(most + 1) {
			s.WriteString(letters[random.IntN(kinds)])
		}
		return s.String()
	}
	for range 1500 {
		x, y := text(36), text(9)
		switch random.IntN(4) {
		case 0: // y is a part of x, in other letters
			from := random.IntN(len(x) + 1)
			y = x[from : from+random.IntN(len(x)-from+1)]
			if random.IntN(2) == 0 {
				y = strings.ToUpper(y)
			}
		case 1:
			y = x
		}
		got := m.verdicts(visit{"page.title": textValue(x), "page.path": textValue(y)})
		for i, a := range all {
			if got[i] != either(a.want(x, y)) {
				t.Fatalf("title %q, path %q: %s is %s", x, y, a.source, got[i])
			}
		}
	}
}

// Many countries are looked up in a set of bits; no other text is in it.
func TestManyCountries(t *testing.T) {
	countries := []string{"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR"}
	list := `["` + strings.Join(countries, `", "`) + `"]`
	m := load(t, conditions(`geo.country in `+list, `geo.country in ["EUR", "F", "", "FRAN", "Europe and all around it"] || geo.country in `+list))
	in := make(map[string]bool)
	for _, c := range countries {
		in[c] = true
	}
	var texts []string
	for a := range 128 {
		for b := range 128 {
			if a > 0x1f && b > 0x1f && (a^b)%3 == 0 {
				texts = append(texts, string([]byte{byte(a), byte(b)}))
			}
		}
	}
	texts = append(texts, "", "F", "FRA", "A", "É", "é", "FR FR", "DEDEDEDE")
	texts = append(texts, countries...)
	for _, s := range texts {
		if got := m.verdicts(visit{"geo.country": textValue(s)}); got[0] != either(in[s]) || got[1] != either(in[s] || s == "" || s == "F") {
			t.Fatalf("%q: %v, want %v", s, got, in[s])
		}
	}
}
