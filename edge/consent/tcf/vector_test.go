// SPDX-License-Identifier: Apache-2.0

package tcf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
)

// A vector is a string of the IAB's encoder with what its decoder reads in it.
// In want, lists of ids are runs: [[first, last], ...].
type vector struct {
	Name string          `json:"name"`
	Text string          `json:"text"`
	Want json.RawMessage `json:"want"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "tcf.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// unrolled writes each list of runs in a decoded JSON value as a list of ids.
func unrolled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = unrolled(value)
		}
	case []any:
		ids := []any{}
		for _, item := range v {
			run, ok := item.([]any)
			if !ok {
				return unrolledItems(v)
			}
			for id := run[0].(float64); id <= run[1].(float64); id++ {
				ids = append(ids, id)
			}
		}
		return ids
	}
	return v
}

func unrolledItems(list []any) any {
	for i := range list {
		list[i] = unrolled(list[i])
	}
	return list
}

func TestEveryVectorIsReadAsTheReferenceReadsIt(t *testing.T) {
	all := vectors(t)
	if len(all) < 200 {
		t.Fatalf("only %d vectors", len(all))
	}
	var got String // used again for every string
	for _, v := range all {
		if err := got.Decode(v.Text); err != nil {
			t.Errorf("%s: %v\n%s", v.Name, err, v.Text)
			continue
		}
		model, err := json.Marshal(got.Model())
		if err != nil {
			t.Fatal(err)
		}
		var have, want map[string]any
		if err := json.Unmarshal(model, &have); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(v.Want, &want); err != nil {
			t.Fatal(err)
		}
		unrolled(want)
		for field := range want {
			if !reflect.DeepEqual(have[field], want[field]) {
				t.Errorf("%s: %s is %v, want %v\n%s", v.Name, field, have[field], want[field], v.Text)
			}
		}
		if len(have) != len(want) {
			t.Errorf("%s: %d fields, want %d", v.Name, len(have), len(want))
		}
	}
}

// Every vendor is asked for, so that walking agrees with the list written out.
func TestHasAgreesWithTheListForEveryVendor(t *testing.T) {
	for _, v := range vectors(t) {
		var s String
		if err := s.Decode(v.Text); err != nil {
			t.Fatal(err)
		}
		for name, list := range map[string]packed.Vendors{
			"consents": s.VendorConsents, "interests": s.VendorLegitimateInterests,
			"disclosed": s.VendorsDisclosed, "allowed": s.VendorsAllowed,
		} {
			in := make(map[int]bool)
			for _, id := range list.List() {
				in[id] = true
			}
			for id := 0; id <= packed.MaxVendor+1; id += 1 + id/3000 {
				if list.Has(id) != in[id] {
					t.Fatalf("%s: %s has vendor %d: %t, listed: %t", v.Name, name, id, list.Has(id), in[id])
				}
			}
		}
	}
}

// The vectors must reach what they are to prove.
func TestVectorsCoverEveryFieldAndBothEncodings(t *testing.T) {
	seen := make(map[string]bool)
	mark := func(what string, yes bool) {
		if yes {
			seen[what] = true
		}
	}
	for _, v := range vectors(t) {
		var s String
		if err := s.Decode(v.Text); err != nil {
			t.Fatal(err)
		}
		fields := reflect.ValueOf(s)
		for i := range fields.NumField() {
			mark(fields.Type().Field(i).Name, !fields.Field(i).IsZero())
		}
		mark("no vendors", len(s.VendorConsents.List()) == 0)
		mark("the last vendor", s.VendorConsents.Has(packed.MaxVendor))
		for r := range s.PublisherRestrictions.All() {
			mark([]string{"not allowed", "require consent", "require interest"}[r.Type], true)
		}
		mark("ranges", s.VendorConsents.IsRanges())
		mark("a bit field", !s.VendorConsents.IsRanges() && len(s.VendorConsents.List()) > 0)
		mark("version 2.3", s.PolicyVersion >= 4 && s.HasVendorsDisclosed)
	}
	typ := reflect.TypeFor[String]()
	for i := range typ.NumField() {
		if !seen[typ.Field(i).Name] {
			t.Errorf("no vector sets %s", typ.Field(i).Name)
		}
	}
	for _, what := range []string{"no vendors", "the last vendor", "not allowed", "require consent", "require interest", "ranges", "a bit field", "version 2.3"} {
		if !seen[what] {
			t.Errorf("no vector has %s", what)
		}
	}
}
