// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// A fence is one block of examples of docs/RULES.md.
type fence struct {
	kind  string
	line  int // of its first line
	lines []string
}

func fences(t *testing.T) []fence {
	t.Helper()
	page, err := os.ReadFile("../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []fence
	inside := false
	for i, line := range strings.Split(string(page), "\n") {
		kind, mark := strings.CutPrefix(line, "```")
		switch {
		case mark && inside:
			inside = false
		case mark:
			inside = true
			out = append(out, fence{kind: kind, line: i + 2})
		case inside:
			out[len(out)-1].lines = append(out[len(out)-1].lines, line)
		}
	}
	return out
}

// TestReference holds docs/RULES.md to what the compiler does.
func TestReference(t *testing.T) {
	audiences := []edge.Audience{{Name: "regulars", When: `visitor.visits >= 5`}}
	l, err := newLanguage(testOwn, audiences)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, f := range fences(t) {
		kinds[f.kind] += len(f.lines)
		switch f.kind {
		case "cel":
			doc := conditions(f.lines...)
			doc.Audiences = audiences
			load(t, doc)
		case "score":
			for i, source := range f.lines {
				if _, faults := l.score(source); len(faults) > 0 {
					t.Errorf("line %d: %s: %+v", f.line+i, source, faults)
				}
			}
		case "worked":
			workedExamples(t, f)
		case "refused":
			refusedExamples(t, l, f)
		default:
			t.Errorf("line %d: nobody reads examples of kind %q", f.line, f.kind)
		}
	}
	for _, kind := range []string{"cel", "score", "worked", "refused"} {
		if kinds[kind] < 4 {
			t.Errorf("%d lines of kind %s", kinds[kind], kind)
		}
	}
}

// workedExamples runs conditions on a visit.
func workedExamples(t *testing.T, f fence) {
	text, ok := strings.CutPrefix(f.lines[0], "visit: ")
	if !ok {
		t.Fatalf("line %d: want a visit", f.line)
	}
	v := parseVisit(t, text)
	var sources []string
	var want []verdict
	for _, line := range f.lines[1:] {
		at := strings.LastIndexByte(line, ' ')
		sources = append(sources, strings.TrimSpace(line[:at]))
		want = append(want, verdict(line[at+1:]))
	}
	for i, got := range load(t, conditions(sources...)).verdicts(v) {
		if got != want[i] {
			t.Errorf("line %d: %s: %s, the page says %s", f.line+1+i, sources[i], got, want[i])
		}
	}
}

func parseVisit(t *testing.T, text string) visit {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	v := make(visit)
	for name, raw := range members {
		f, ok := edge.FieldByName(name)
		if !ok {
			t.Fatalf("%s: no field", name)
		}
		value := edge.Value{Type: f.Type}
		var err error
		switch f.Type {
		case edge.TypeInt:
			err = json.Unmarshal(raw, &value.Int)
		case edge.TypeString:
			err = json.Unmarshal(raw, &value.Str)
		case edge.TypeList:
			err = json.Unmarshal(raw, &value.List)
		case edge.TypeMap:
			var entries map[string]float64
			err = json.Unmarshal(raw, &entries)
			for key, number := range entries {
				value.Map = append(value.Map, edge.Entry{Key: key, Value: number})
			}
			slices.SortFunc(value.Map, func(x, y edge.Entry) int { return cmp.Compare(x.Key, y.Key) })
		default:
			t.Fatalf("%s: a %s is not read here", name, f.Type)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v[name] = value
	}
	return v
}

// refusedExamples are expressions, each with what is said of it on the next line.
func refusedExamples(t *testing.T, l *language, f fence) {
	for i := 0; i+1 < len(f.lines); i += 2 {
		_, faults := l.condition(f.lines[i])
		if len(faults) == 0 {
			t.Errorf("line %d: %s was taken", f.line+i, f.lines[i])
			continue
		}
		got := strconv.Itoa(faults[0].line) + ":" + strconv.Itoa(faults[0].column) + ": " + faults[0].message
		if faults[0].hint != "" {
			got += "; " + faults[0].hint
		}
		if got != f.lines[i+1] {
			t.Errorf("line %d: %s\ngot  %s\nwant %s", f.line+i, f.lines[i], got, f.lines[i+1])
		}
	}
}
