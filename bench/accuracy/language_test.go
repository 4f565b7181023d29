// SPDX-License-Identifier: Apache-2.0

package accuracy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/collector"
)

// The corpora of languages, pinned: the test data of x/text's own matcher.
const (
	xText    = "golang.org/x/text@v0.43.0"
	xTextSum = "h1:1QivrlhwAsnMOcqgOdl9my7s9OyZl8O5/UGUTJVXoWc="
)

// A languageCase is a site's languages, a reader's and the site's that suits.
type languageCase struct {
	site, reader []string
	want         string
}

// languageCases reads a file of lines "site ; reader ; language".
func languageCases(t *testing.T, file string) []languageCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(moduleDir(t, xText, xTextSum), "language", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	list := func(text string) (names []string) {
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, strings.ReplaceAll(name, "_", "-"))
			}
		}
		return names
	}
	var cases []languageCase
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		parts := strings.Split(line, ";")
		if len(parts) < 3 || strings.HasPrefix(line, "@") {
			continue
		}
		c := languageCase{list(parts[0]), list(parts[1]), strings.ReplaceAll(strings.TrimSpace(parts[2]), "_", "-")}
		if len(c.site) > 0 && c.site[0] != "" && slices.Contains(c.site, c.want) {
			cases = append(cases, c)
		}
	}
	if len(cases) < 50 {
		t.Fatalf("%s has %d cases", file, len(cases))
	}
	return cases
}

// TestLanguages measures the matching of languages, asked by a header and by the
// tag's list. The corpora answer a site's first language where none suits, which
// we say by "".
func TestLanguages(t *testing.T) {
	reader := collector.NewReader()
	var rows []*tally
	for _, file := range []string{"CLDRLocaleMatcherTest.txt", "GoLocaleMatcherTest.txt"} {
		header, list := &tally{name: file + ", by a header"}, &tally{name: file + ", by a list"}
		for _, c := range languageCases(t, file) {
			for _, way := range []struct {
				count *tally
				got   string
			}{
				{header, reader.Language(c.site, nil, strings.Join(c.reader, ", "))},
				{list, reader.Language(c.site, c.reader, "")},
			} {
				told := way.got
				right := way.got == c.want || way.got == "" && c.want == c.site[0]
				name := strings.Join(c.site, ",") + " for " + strings.Join(c.reader, ",") + ": " + told + ", not " + c.want
				way.count.add(told, right, name, "")
			}
		}
		rows = append(rows, header, list)
	}
	report(t, "Languages, x/text's test data", rows...)
}
