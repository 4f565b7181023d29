// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A place in a source, as a debugger shows it.
type place struct {
	file string
	text string // the line
}

// lookUp returns where the text at a place of a script of one line was written, as
// https://tc39.es/ecma426/ has it: by the last mapping that begins at or before it.
// The build has a reader of its own; this one owes it nothing.
func lookUp(t *testing.T, sourceMap []byte, column int) place {
	t.Helper()
	var m struct {
		Sources, SourcesContent []string
		Mappings                string
	}
	if err := json.Unmarshal(sourceMap, &m); err != nil {
		t.Fatal(err)
	}
	const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var at, found [5]int // generated column, source, line, column, name
	for field := range strings.SplitSeq(m.Mappings, ",") {
		for i := 0; field != ""; i++ {
			value, shift := 0, 0
			for more := true; more; shift += 5 {
				digit := strings.IndexByte(base64, field[0])
				value, field, more = value|digit&31<<shift, field[1:], digit&32 != 0
			}
			if value&1 == 1 {
				value = -value
			}
			at[i] += value / 2
		}
		if at[0] > column {
			break
		}
		found = at
	}
	return place{m.Sources[found[1]], strings.TrimSpace(strings.Split(m.SourcesContent[found[1]], "\n")[found[2]])}
}

// The stack of an error that a browser caught leads to the sources.
func TestAStackIsFoundInTheSources(t *testing.T) {
	t.Parallel()
	for _, build := range []struct {
		name         string
		script, maps []byte
	}{{"tag.js", Script, scriptMap}, {"tag.full.js", FullScript, fullMap}, {"tag.measure.js", MeasureScript, measureMap}} {
		t.Run(build.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = build.script
			b := openTab(t, `console.error = error => { window.caught = error.stack }`).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
			s.waitForEvent("page_view")
			b.run(`near("event", "big", {number: 1n})`) // which JSON has not
			stack := eval[string](b, `caught`)
			frames := regexp.MustCompile(`tag\.js:(\d+):(\d+)`).FindAllStringSubmatch(stack, -1)
			if len(frames) < 2 {
				t.Fatalf("no stack: %s", stack)
			}
			for i, want := range []place{{"events.ts", "JSON.stringify(props"}, {"index.ts", "commands[command]"}} {
				column, err := strconv.Atoi(frames[i][2])
				if err != nil || frames[i][1] != "1" {
					t.Fatalf("frame %d is at %s", i, frames[i][0])
				}
				if got := lookUp(t, build.maps, column-1); !strings.HasSuffix(got.file, "/"+want.file) || !strings.Contains(got.text, want.text) {
					t.Errorf("frame %d is in %s, %q, want %s, %s", i, got.file, got.text, want.file, want.text)
				}
			}
		})
	}
}
