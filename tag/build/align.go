// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// maxNameBytes is the length of the longest name that the bundler and the
// minifier give; a longer one is the browser's, which both keep.
const maxNameBytes = 2

// A token is a piece of JavaScript and where it begins, as in a segment.
type token struct {
	text         string
	line, column int
	// isName says that it names a variable, so that a minifier may have given it
	// another name.
	isName bool
}

// weight is how much a match of a token says: a property or a string is rarely
// found in two places, a bracket everywhere.
func (t *token) weight() uint16 {
	switch {
	case t.isName:
		return 1
	case len(t.text) > 2:
		return 6
	default:
		return 2
	}
}

func (t *token) matches(other *token) bool {
	return t.isName && other.isName || t.isName == other.isName && t.text == other.text
}

// scan returns the tokens of a script, without white space and comments.
func scan(script []byte) ([]token, error) {
	var tokens []token
	lexer := js.NewLexer(parse.NewInputBytes(slices.Clone(script)))
	line, column := 0, 0
	for {
		kind, text := lexer.Next()
		if (kind == js.DivToken || kind == js.DivEqToken) && !endsOperand(tokens) {
			kind, text = lexer.RegExp()
		}
		switch kind {
		case js.ErrorToken:
			if err := lexer.Err(); !errors.Is(err, io.EOF) {
				return nil, err
			}
			setNames(tokens)
			return tokens, nil
		case js.WhitespaceToken, js.LineTerminatorToken, js.CommentToken, js.CommentLineTerminatorToken:
		default:
			tokens = append(tokens, token{text: unquote(kind, string(text)), line: line, column: column, isName: js.IsIdentifier(kind) && len(text) <= maxNameBytes})
		}
		if end := strings.LastIndexByte(string(text), '\n'); end >= 0 {
			line += strings.Count(string(text), "\n")
			column, text = 0, text[end+1:]
		}
		column += len(utf16.Encode([]rune(string(text))))
	}
}

// unquote makes strings and templates without holes comparable, whatever marks
// stand around them.
func unquote(kind js.TokenType, text string) string {
	if kind == js.StringToken || kind == js.TemplateToken {
		return `"` + text[1:len(text)-1] + `"`
	}
	return text
}

// endsOperand reports whether a slash after the tokens divides; else it begins a
// regular expression.
func endsOperand(tokens []token) bool {
	if len(tokens) == 0 {
		return false
	}
	last := tokens[len(tokens)-1]
	if last.isName {
		return true
	}
	switch last.text {
	case ")", "]", "this":
		return true
	}
	c := last.text[0]
	return c == '"' || c >= '0' && c <= '9'
}

// setNames takes the names of properties off the names of variables: what stands
// behind a dot, and in an object before a colon.
func setNames(tokens []token) {
	for i := range tokens {
		t := &tokens[i]
		if !t.isName || i == 0 || i+1 == len(tokens) {
			continue
		}
		before, after := tokens[i-1].text, tokens[i+1].text
		isMember := before == "." || before == "?."
		isKey := (before == "{" || before == ",") && after == ":"
		t.isName = !isMember && !isKey
	}
}

// A pair is a token of one script and the token of another that it became, by
// their indexes.
type pair struct{ from, to int }

// align finds which tokens of a script a minifier has kept: the longest common
// subsequence, by weight. It takes memory for each token of the one times each of
// the other, 2 B.
func align(from, to []token) []pair {
	width := len(to) + 1
	// best[i*width+j] is the most that from[i:] and to[j:] have in common.
	best := make([]uint16, (len(from)+1)*width)
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			most := max(best[(i+1)*width+j], best[i*width+j+1])
			if from[i].matches(&to[j]) {
				most = max(most, best[(i+1)*width+j+1]+from[i].weight())
			}
			best[i*width+j] = most
		}
	}
	var pairs []pair
	for i, j := 0, 0; i < len(from) && j < len(to); {
		switch here := best[i*width+j]; {
		case from[i].matches(&to[j]) && here == best[(i+1)*width+j+1]+from[i].weight():
			pairs = append(pairs, pair{i, j})
			i, j = i+1, j+1
		case here == best[(i+1)*width+j]:
			i++
		default:
			j++
		}
	}
	return pairs
}
