// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file, which -update rewrites.
func golden(t testing.TB, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// Sample visits are decided by the compiled rules themselves; a wrong line is
// told and stops no other.
func TestEvalDecidesSampleVisits(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"eval", "--rules", "testdata/eval/site", "--visits", "testdata/eval/visits.jsonl"}
	code := command(context.Background(), args, stdio{out: &out, err: &errs})
	golden(t, "testdata/eval/decisions.jsonl", out.String())
	if want := "nearside eval: 6 visits could not be decided\n"; code != exitError || errs.String() != want {
		t.Errorf("exit %d: %s, want %s", code, errs.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("%s is no JSON", line)
		}
	}
}

func TestEvalDecidesTheSlotsThatAreAsked(t *testing.T) {
	visits := filepath.Join(t.TempDir(), "visits.jsonl")
	if err := os.WriteFile(visits, []byte(`{"id":1,"granted":["context"],"fields":{"geo.country":"NO","device.type":"phone","lang":"en"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	out := cli(t, "eval", "--rules", "testdata/eval/site", "--visits", visits, "--slots", "greeting", "--why")
	golden(t, "testdata/eval/why.jsonl", out)
	for _, want := range []string{`{"id":1,"decisions":[{"slot":"greeting"`, `"condition":`, `"verdict":"held"`} {
		if !strings.Contains(out, want) || strings.Contains(out, `"slot":"hero"`) {
			t.Errorf("no %s alone in %s", want, out)
		}
	}
}

// Any number of visits takes the memory of one, and one is bounded.
func TestEvalReadsLinesWithinBounds(t *testing.T) {
	long := strings.Repeat("x", maxVisitBytes)
	in := bufio.NewReaderSize(strings.NewReader(`{"id":1}`+"\n"+`{"id":"`+long+`"}`+"\n\n"+`{"id":2}`), 64)
	var got []string
	for {
		line, whole, err := readLine(in, maxVisitBytes)
		if len(line) > maxVisitBytes {
			t.Errorf("a line of %d bytes is kept", len(line))
		}
		if !whole {
			line = []byte("too long")
		}
		got = append(got, string(line))
		if err != nil {
			break
		}
	}
	if want := []string{"{\"id\":1}\n", "too long", "\n", `{"id":2}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	e := evaluation{lines: 7}
	if got := e.decide(nil, false); got.Error != fmt.Sprintf("the line is longer than %d bytes", maxVisitBytes) || got.Line != 7 || e.wrong != 1 {
		t.Errorf("a long line is %+v", got)
	}
}

// FuzzParseVisit checks that no line panics, and that what is granted are
// purposes.
func FuzzParseVisit(f *testing.F) {
	lines, err := os.ReadFile("testdata/eval/visits.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for line := range bytes.Lines(lines) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		_, visit, err := parseVisit(line)
		if err == nil && consent.Purposes(visit.Granted)&^consent.All != 0 {
			t.Errorf("%s grants %d", line, visit.Granted)
		}
	})
}
