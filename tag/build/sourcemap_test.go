// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whatever a map says must be so: where it takes a property's name or a string,
// the very same text stands in the source. And it says it of nine in ten.
func TestSourceMapsPointAtTheSameText(t *testing.T) {
	for _, output := range outputs {
		t.Run(output.name, func(t *testing.T) {
			files, err := bundle("..", output)
			if err != nil {
				t.Fatal(err)
			}
			if files[1].name != output.name+".map" {
				t.Fatalf("the map is called %s", files[1].name)
			}
			var m sourceMap
			if err := json.Unmarshal(files[1].data, &m); err != nil {
				t.Fatal(err)
			}
			segments, err := m.segments()
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := scan(files[0].data)
			if err != nil {
				t.Fatal(err)
			}
			said, mapped := 0, 0
			for i, token := range tokens {
				if !speaks(tokens, i) {
					continue
				}
				said++
				at, found := slices.BinarySearchFunc(segments, token, comparePlaces)
				if !found {
					continue
				}
				mapped++
				if s := segments[at]; !standsAt(&m, s, token.text) {
					t.Errorf("%q at %d:%d does not stand in %s:%d:%d", token.text, token.line, token.column, m.Sources[s.source], s.sourceLine+1, s.sourceColumn+1)
				}
			}
			t.Logf("%d of %d properties and strings are mapped", mapped, said)
			if said < 100 || mapped*10 < said*9 {
				t.Errorf("%d of %d properties and strings are mapped, want nine in ten", mapped, said)
			}
		})
	}
}

func comparePlaces(s segment, t token) int {
	return cmp.Or(cmp.Compare(s.line, t.line), cmp.Compare(s.column, t.column))
}

// speaks reports whether a token is a string or the name of a property that is
// called so in the sources too.
func speaks(tokens []token, i int) bool {
	t := tokens[i]
	if t.text[0] == '"' {
		return len(t.text) > 2
	}
	isMember := i > 0 && (tokens[i-1].text == "." || tokens[i-1].text == "?.")
	return isMember && len(t.text) > maxNameBytes
}

// standsAt reports whether a token's text stands in the source at a segment. The
// bundler may have put strings together; then it is the first of them that does.
func standsAt(m *sourceMap, s segment, text string) bool {
	lines := strings.SplitAfter(m.SourcesContent[s.source], "\n")
	rest := strings.Join(lines[s.sourceLine:], "")[s.sourceColumn:]
	if text[0] == '"' {
		written, _, ended := strings.Cut(rest[1:], rest[:1])
		return ended && written != "" && strings.HasPrefix(text[1:], written)
	}
	after, ok := strings.CutPrefix(rest, text)
	return ok && !regexp.MustCompile(`^\w`).MatchString(after)
}

func TestMappingsAreWrittenAsTheyAreRead(t *testing.T) {
	m := sourceMap{Sources: []string{"a", "b"}, Names: []string{"x", "y"}}
	want := []segment{{0, 0, 0, 0, 0, -1}, {0, 17, 1, 900, 70000, 1}, {2, 3, 0, 4, 5, -1}, {2, 4, 1, 0, 0, 0}}
	m.setSegments(want)
	if got, err := m.segments(); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s reads %v (%v), want %v", m.Mappings, got, err, want)
	}
	// A segment with a column alone has no source.
	m.Mappings = "C,EACA"
	if got, err := m.segments(); err != nil || !slices.Equal(got, []segment{{0, 3, 0, 1, 0, -1}}) {
		t.Errorf("read %v (%v)", got, err)
	}
	for _, bad := range []string{"!", "g", "AA", "AAAAAA", "AEAA", "AAAAE", "ggggggggA", "ADAA"} {
		m.Mappings = bad
		if got, err := m.segments(); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}
