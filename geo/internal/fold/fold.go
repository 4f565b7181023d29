// SPDX-License-Identifier: Apache-2.0

// Package fold makes names of regions comparable: makers of databases spell
// one region with and without its accents, its kind ("Province", "Oblast") and
// its punctuation.
//
// The package keeps no state; both functions may run at the same time.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters are Latin letters that have no decomposition.
var letters = strings.NewReplacer(
	"ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i", "ß", "ss", "æ", "ae", "œ", "oe", "ə", "a", "ħ", "h",
	"'", "", "’", "", "‘", "", "ʼ", "", "ʻ", "", "`", "", "´", "",
)

// kinds are words that say what kind of region a name is of, or nothing.
var kinds = map[string]bool{
	"area": true, "autonomous": true, "county": true, "department": true, "district": true, "division": true,
	"emirate": true, "governorate": true, "judetul": true, "kraj": true, "krai": true, "kray": true, "land": true,
	"maakond": true, "municipality": true, "muhafazat": true, "oblast": true, "okrug": true, "parish": true,
	"prefecture": true, "province": true, "provincia": true, "region": true, "regional": true, "republic": true,
	"respublika": true, "state": true, "voblasc": true, "voblasts": true, "voivodeship": true, "voivodship": true,
	"canton": true, "de": true, "del": true, "la": true, "of": true, "the": true,
}

// Name returns name in lower-case ASCII letters and digits, its words parted by
// single spaces: "Île-de-France" is "ile de france".
func Name(name string) string {
	decomposed := norm.NFKD.String(letters.Replace(strings.ToLower(name)))
	var out strings.Builder
	gap := false
	for _, r := range decomposed {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			if gap && out.Len() > 0 {
				out.WriteByte(' ')
			}
			gap = false
			out.WriteRune(r)
		case unicode.Is(unicode.Mn, r), r == '\'', r == 'ʹ':
		default:
			gap = true
		}
	}
	return out.String()
}

// Bare returns folded, which Name made, without the words that name a kind of
// region; folded itself if it has no other words.
func Bare(folded string) string {
	words := strings.Fields(folded)
	kept := words[:0]
	for _, word := range words {
		if !kinds[word] {
			kept = append(kept, word)
		}
	}
	if len(kept) == 0 {
		return folded
	}
	return strings.Join(kept, " ")
}
