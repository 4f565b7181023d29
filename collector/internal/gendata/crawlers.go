// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// A crawler is an entry of the list of crawlers: a regular expression and
// User-Agents that it is there for.
type crawler struct {
	Pattern   string   `json:"pattern"`
	Instances []string `json:"instances"`
}

// minLiteral is how long a literal has to be: the collector finds it by its
// first three bytes.
const minLiteral = 3

// shortLiteral is how long a literal is at most that has to begin a word: RED/
// is not meant where WIRED/ stands, nor 008/ where a build ends in it.
const shortLiteral = 4

// maxSpellings is how many literals a pattern of letters in two cases, or of
// alternatives, may be written out to.
const maxSpellings = 16

// makeCrawlers writes each pattern as what is quickest to look for:
//
//	=text            the User-Agent contains the text
//	-text            the same, where the text begins a word
//	^text            it begins with the text
//	~text<tab>expr   it contains the text, and the regular expression matches it
func makeCrawlers(data []byte) ([]byte, error) {
	list, err := readCrawlers(data)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range list {
		written, err := writePattern(c.Pattern)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", c.Pattern, err)
		}
		lines = append(lines, written...)
	}
	return join(crawlerList.above("What the User-Agents of crawlers contain: =text anywhere, -text where a word begins, ^text at the beginning, ~text and a regular expression."), lines), nil
}

// makeInstances writes the list's User-Agents, by which the matching is tested.
func makeInstances(data []byte) ([]byte, error) {
	list, err := readCrawlers(data)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range list {
		for _, agent := range c.Instances {
			if !strings.ContainsAny(agent, "\n\r") {
				lines = append(lines, agent)
			}
		}
	}
	return join(crawlerList.above("User-Agents of crawlers."), lines), nil
}

func readCrawlers(data []byte) ([]crawler, error) {
	var list []crawler
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	if len(list) < 500 {
		return nil, fmt.Errorf("%d entries, fewer than ever", len(list))
	}
	return slices.DeleteFunc(list, func(c crawler) bool { return notCrawlers[c.Pattern] }), nil
}

// join writes lines sorted, each once, below the head.
func join(head []byte, lines []string) []byte {
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		head = append(append(head, line...), '\n')
	}
	return head
}

// writePattern writes a pattern as literals if it is some, else as a regular
// expression with the longest text that must be in what it matches.
func writePattern(pattern string) ([]string, error) {
	expr, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if all, ok := spell(expr.Simplify()); ok && len(all) == 1 && len(all[0].text) <= shortLiteral && !all[0].first {
		if tooShort(all[0]) {
			return nil, errors.New("too short")
		}
		return []string{"-" + all[0].text}, nil
	} else if ok && len(all) <= maxSpellings && !slices.ContainsFunc(all, tooShort) {
		lines := make([]string, len(all))
		for i, s := range all {
			lines[i] = s.line()
		}
		return lines, nil
	}
	text := longestText(expr.Simplify())
	if len(text) < minLiteral {
		return nil, errors.New("nothing in it must be there")
	}
	return []string{"~" + text + "\t" + pattern}, nil
}

// A spelling is one text that a pattern matches.
type spelling struct {
	text  string
	first bool // only at the beginning
}

func tooShort(s spelling) bool { return len(s.text) < minLiteral }

func (s spelling) line() string {
	if s.first {
		return "^" + s.text
	}
	return "=" + s.text
}

// spell writes an expression out as texts, if it is a choice between some.
func spell(expr *syntax.Regexp) ([]spelling, bool) {
	switch expr.Op {
	case syntax.OpEmptyMatch:
		return []spelling{{}}, true
	case syntax.OpBeginText:
		return []spelling{{first: true}}, true
	case syntax.OpLiteral:
		if expr.Flags&syntax.FoldCase != 0 {
			return spellBothCases(expr.Rune)
		}
		return []spelling{{text: string(expr.Rune)}}, true
	case syntax.OpCharClass:
		return spellClass(expr.Rune)
	case syntax.OpCapture:
		return spell(expr.Sub[0])
	case syntax.OpAlternate:
		var all []spelling
		for _, sub := range expr.Sub {
			some, ok := spell(sub)
			if !ok {
				return nil, false
			}
			all = append(all, some...)
		}
		return all, true
	case syntax.OpConcat:
		return spellConcat(expr.Sub)
	}
	return nil, false
}

// spellBothCases writes out runes of which either case will do: so the parser
// calls [wW].
func spellBothCases(runes []rune) ([]spelling, bool) {
	all := []spelling{{}}
	for _, r := range runes {
		var longer []spelling
		for _, s := range all {
			longer = append(longer, spelling{text: s.text + string(r)})
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				longer = append(longer, spelling{text: s.text + string(other)})
			}
		}
		if all = longer; len(all) > maxSpellings {
			return nil, false
		}
	}
	return all, true
}

func spellClass(ranges []rune) ([]spelling, bool) {
	var all []spelling
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if all = append(all, spelling{text: string(r)}); len(all) > maxSpellings {
				return nil, false
			}
		}
	}
	return all, true
}

func spellConcat(parts []*syntax.Regexp) ([]spelling, bool) {
	all := []spelling{{}}
	for _, part := range parts {
		next, ok := spell(part)
		if !ok {
			return nil, false
		}
		var longer []spelling
		for _, a := range all {
			for _, b := range next {
				if b.first && a.text != "" {
					return nil, false
				}
				longer = append(longer, spelling{a.text + b.text, a.first || b.first})
			}
		}
		if all = longer; len(all) > maxSpellings {
			return nil, false
		}
	}
	return all, true
}

// longestText returns the longest text that is in everything the expression
// matches, as far as its outermost parts tell.
func longestText(expr *syntax.Regexp) string {
	switch expr.Op {
	case syntax.OpLiteral:
		if expr.Flags&syntax.FoldCase == 0 {
			return string(expr.Rune)
		}
	case syntax.OpConcat:
		var longest string
		for _, part := range expr.Sub {
			if text := longestText(part); len(text) > len(longest) {
				longest = text
			}
		}
		return longest
	case syntax.OpCapture, syntax.OpPlus:
		return longestText(expr.Sub[0])
	}
	return ""
}
