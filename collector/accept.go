// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"slices"
	"strings"
)

// maxAcceptLanguageBytes bounds what is read of Accept-Language.
const maxAcceptLanguageBytes = 256

// An acceptance is what an Accept-Language header says (RFC 9110, 12.5.4).
type acceptance struct {
	names   []string // languages in order of preference
	refused []string // languages of weight nought
	any     bool     // so will any other do
	none    bool     // no other will do
}

// A weighted language stands in the header with its weight in thousandths.
type weighted struct {
	name   string
	weight int
}

// readAcceptance reads a header. What is no language with a weight, and what the
// bound cuts off, is passed over: it says nothing, and hides nothing.
func readAcceptance(header string) acceptance {
	if len(header) > maxAcceptLanguageBytes {
		header = header[:maxAcceptLanguageBytes]
		header = header[:max(strings.LastIndexByte(header, ','), 0)]
	}
	var a acceptance
	var list []weighted
	for entry := range strings.SplitSeq(header, ",") {
		name, parameter, found := strings.Cut(entry, ";")
		w := weighted{trimSpace(name), 1000}
		if found {
			var ok bool
			if w.weight, ok = readWeight(trimSpace(parameter)); !ok {
				continue
			}
		}
		switch {
		case w.name == "":
		case w.name == "*":
			a.any, a.none = w.weight > 0, w.weight == 0
		case w.weight == 0:
			a.refused = append(a.refused, w.name)
		default:
			list = append(list, w)
		}
	}
	slices.SortStableFunc(list, func(a, b weighted) int { return cmp.Compare(b.weight, a.weight) })
	for _, w := range list {
		a.names = append(a.names, w.name)
	}
	return a
}

// readWeight reads q=0.8 as 800 (RFC 9110, 12.4.2): at most three decimals, and
// nothing over 1.
func readWeight(parameter string) (thousandths int, ok bool) {
	if len(parameter) < 3 || parameter[0]|0x20 != 'q' || parameter[1] != '=' {
		return 0, false
	}
	whole, decimals := parameter[2], parameter[3:]
	if whole != '0' && whole != '1' || len(decimals) > 4 || decimals != "" && decimals[0] != '.' {
		return 0, false
	}
	thousandths = int(whole-'0') * 1000
	for i, unit := 1, 100; i < len(decimals); i, unit = i+1, unit/10 {
		if !digit(decimals[i]) {
			return 0, false
		}
		thousandths += int(decimals[i]-'0') * unit
	}
	return thousandths, thousandths <= 1000
}

// refuses reports whether the header refuses a language: a range of weight
// nought covers it, and none that is more exact and has weight (RFC 4647, 3.3.1).
func (a *acceptance) refuses(language string) bool {
	refused := longestRange(a.refused, language)
	return refused > 0 && refused > longestRange(a.names, language)
}

// longestRange returns how long the most exact of ranges is that covers a
// language, 0 for none.
func longestRange(ranges []string, language string) int {
	longest := 0
	for _, r := range ranges {
		if len(r) > longest && len(r) <= len(language) && strings.EqualFold(r, language[:len(r)]) &&
			(len(r) == len(language) || language[len(r)] == '-') {
			longest = len(r)
		}
	}
	return longest
}
