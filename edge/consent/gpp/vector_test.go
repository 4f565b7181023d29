// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// A vector is a string of the IAB's encoder with what its decoder reads in it.
type vector struct {
	Name     string                    `json:"name"`
	Text     string                    `json:"text"`
	Header   map[string]any            `json:"header"`
	Sections map[string]map[string]any `json:"sections"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "gpp.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryVectorIsReadAsTheReferenceReadsIt(t *testing.T) {
	all := vectors(t)
	if len(all) < 60 {
		t.Fatalf("only %d vectors", len(all))
	}
	var got String // used again for every string
	for _, v := range all {
		if err := got.Decode(v.Text); err != nil {
			t.Errorf("%s: %v\n%s", v.Name, err, v.Text)
			continue
		}
		data, err := json.Marshal(got.Model())
		if err != nil {
			t.Fatal(err)
		}
		var have map[string]map[string]any
		if err := json.Unmarshal(data, &have); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have["header"], v.Header) {
			t.Errorf("%s: the header is %v, want %v", v.Name, have["header"], v.Header)
		}
		if len(have) != len(v.Sections)+1 {
			t.Errorf("%s: %d sections, want %d", v.Name, len(have)-1, len(v.Sections))
		}
		for name, section := range v.Sections {
			if len(have[name]) != len(section) {
				t.Errorf("%s: %s has %d fields, want %d", v.Name, name, len(have[name]), len(section))
			}
			for field := range section {
				if !reflect.DeepEqual(have[name][field], section[field]) {
					t.Errorf("%s: %s.%s is %v, want %v\n%s", v.Name, name, field, have[name][field], section[field], v.Text)
				}
			}
		}
	}
}

// The vectors must reach what they are to prove: each section of the table, and
// each value of each of its fields.
func TestVectorsCoverEveryValueOfEverySection(t *testing.T) {
	type value struct {
		id, version int
		field       string
		n, value    int
	}
	seen := make(map[value]bool)
	gpc := make(map[int][2]bool)
	for _, v := range vectors(t) {
		var g String
		if err := g.Decode(v.Text); err != nil {
			t.Fatal(err)
		}
		for i := range g.Sections() {
			s := &g.Sections()[i]
			seen[value{id: s.ID, version: s.US.Version()}] = true
			for _, l := range layouts {
				if l.id != s.ID || l.version != s.US.Version() {
					continue
				}
				for _, f := range l.fields {
					for n := 1; n <= f.count; n++ {
						seen[value{s.ID, l.version, f.name, n, s.US.Value(f.name, n)}] = true
					}
				}
				if s.US.HasGPC() {
					had := gpc[s.ID]
					had[map[bool]int{true: 1}[s.US.GPC()]] = true
					gpc[s.ID] = had
				}
			}
		}
	}
	for _, id := range []int{TCFEUV2, TCFCAV1, USPV1} {
		if !seen[value{id: id}] {
			t.Errorf("no vector has section %d", id)
		}
	}
	for _, l := range layouts {
		if !seen[value{id: l.id, version: l.version}] {
			t.Errorf("no vector has %s version %d", l.name, l.version)
		}
		if had := gpc[l.id]; l.optional == gpcSegment && had != [2]bool{true, true} {
			t.Errorf("the vectors of %s have the answers %v of GPC", l.name, had)
		}
		for _, f := range l.fields {
			for n := 1; n <= f.count; n++ {
				for answer := range 3 {
					if answer == 0 && f.name == "MspaCoveredTransaction" {
						continue // the encoder refuses to write it
					}
					if !seen[value{l.id, l.version, f.name, n, answer}] {
						t.Errorf("no vector of %s version %d has %s %d = %d", l.name, l.version, f.name, n, answer)
					}
				}
			}
		}
	}
}
