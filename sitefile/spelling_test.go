// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// valueOf parses a file with one key and returns its value.
func valueOf(t testing.TB, source string) *node {
	t.Helper()
	f, wrong := parse("a.yaml", []byte(source))
	if len(wrong) > 0 || f.root == nil || len(f.root.kids) == 0 {
		t.Fatalf("%q: %v", source, wrong)
	}
	return f.root.kids[0]
}

// A place in a condition is the same place in the file, however it is quoted.
func TestAPlaceInTextIsAPlaceInItsFile(t *testing.T) {
	// The place of the one § in the text, which stands for itself in the source.
	tests := []struct{ name, source string }{
		{"plain", "when: a == §\n"},
		{"plain after another key's text", "wh: 1 < 2 && §\n"},
		{"plain over lines", "when: a &&\n   b &&\n\n  § && c\n"},
		{"plain with characters of several bytes", "when: é == 日本 && §\n"},
		{"single quotes", "when: 'a == ''b'' && §'\n"},
		{"single quotes over lines", "when: 'a\n  it''s\n\n\n  §'\n"},
		{"double quotes", "when: \"a == \\\"b\\\" && \\u00e9 \\x41\\t\\\\ §\"\n"},
		{"double quotes over lines", "when: \"a\n   b \\\n   c\n\n  §\"\n"},
		{"an escaped end of a line", "when: \"a\\\n     §\"\n"},
		{"a line in double quotes that begins with an escaped blank", "when: \"a\n   \\  §\"\n"},
		{"a literal block", "when: |\n  a &&\n    b &&\n\n  §\n"},
		{"a literal block that is indented far", "when: |   # why\n        a &&\n          § &&\n        c\n"},
		{"a literal block with a given indent", "when: |2-\n     a\n   §\n"},
		{"a literal block that begins with empty lines", "when: |\n\n\n    a\n    §\n"},
		{"a literal block that keeps its end", "when: |+\n  a\n  §\n\n\n"},
		{"a folded block", "when: >-\n  a &&\n  b && §\n"},
		{"a folded block with paragraphs", "when: >\n  a\n  b\n\n  c\n\n\n  d §\n"},
		{"a folded block with lines further in", "when: >\n  a\n    b\n    § c\n  d\n"},
		{"lines that end in carriage return and line feed", "when: |\r\n  a\r\n  b §\r\n"},
		{"a value on its own line", "when:\n  a && §\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := valueOf(t, tt.source)
			wantLine, wantColumn := placeOf(strings.ReplaceAll(tt.source, "\r", ""), '§')
			line, column := placeOf(n.text, '§')
			if gotLine, gotColumn := n.place(line, column); gotLine != wantLine || gotColumn != wantColumn {
				t.Errorf("%d:%d of %q is at %d:%d, want %d:%d", line, column, n.text, gotLine, gotColumn, wantLine, wantColumn)
			}
		})
	}
}

// placeOf returns the line and column of a character, from 1.
func placeOf(text string, r rune) (line, column int) {
	before := text[:strings.IndexRune(text, r)]
	line = strings.Count(before, "\n") + 1
	return line, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}

func TestAPlaceBeyondTheTextIsItsEnd(t *testing.T) {
	n := valueOf(t, "when: abc\n")
	for _, tt := range []struct{ line, column, wantColumn int }{{1, 4, 10}, {1, 9, 10}, {2, 1, 7}, {0, 0, 7}} {
		if line, column := n.place(tt.line, tt.column); line != 1 || column != tt.wantColumn {
			t.Errorf("%d:%d is at %d:%d, want 1:%d", tt.line, tt.column, line, column, tt.wantColumn)
		}
	}
}

// Whatever text is written in whatever way, its spelling is read back to each
// character.
func TestEverySpellingIsReadBack(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(7, 7))}
	for range 3000 {
		want := m.text()
		var w emitter
		w.pairs(0, pairs{{key: "k", value: want}})
		for _, source := range []string{w.String() + "\n", "k: " + doubleQuote(want) + "\n", folded(m, want)} {
			if source == "" {
				continue
			}
			n := valueOf(t, source)
			if chars := n.spelling(); chars == nil && n.text != "" {
				t.Errorf("the spelling of %q is not told apart in\n%s", n.text, source)
			}
		}
	}
}

// folded writes words in a folded block, or "" where the text is none for it.
func folded(m maker, text string) string {
	words := strings.Fields(text)
	if len(words) == 0 || strings.ContainsFunc(text, func(r rune) bool { return !isClear(r) || r == '\u00a0' }) {
		return ""
	}
	out := "k: >" + m.of([]string{"", "-", "+"})
	for i, w := range words {
		switch {
		case i == 0 || m.IntN(2) == 0:
			out += "\n    " + strings.Repeat("\n    ", m.IntN(2)*m.IntN(3)) + w
		default:
			out += " " + w
		}
	}
	return out + strings.Repeat("\n", m.IntN(3))
}

// FuzzSpelling compares the two readings of a scalar: where they are of one mind
// each character has a place in the file.
func FuzzSpelling(f *testing.F) {
	for _, s := range []string{"a b", "'it''s'", "\"a\\n\\u00e9\"", "|\n  a\n  b\n", ">-\n  a\n  b\n\n  c\n", "a\n  b\n\n  c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, scalar string) {
		file, wrong := parse("a.yaml", []byte("k: "+scalar+"\n"))
		if len(wrong) > 0 || file.root == nil || len(file.root.kids) != 1 || file.root.kids[0].kind != text {
			return
		}
		n := file.root.kids[0]
		for i, c := range n.spelling() {
			if c.line < n.line || c.line > len(file.lines) || c.column < 1 || c.column > len([]rune(file.lines[c.line-1]))+1 {
				t.Fatalf("character %d of %q is at %d:%d", i, n.text, c.line, c.column)
			}
		}
	})
}
