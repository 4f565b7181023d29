// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// oddValues are what a wrong file may hold anywhere.
func (m maker) oddValue() any {
	return []any{nil, true, "", "a", "A b", "20%", "2026-12-01T00:00", 0, 7, -1, 1 << 40, 0.5, []any{}, []any{"a"}, map[string]any{}, map[string]any{"en": "a"}, map[string]any{"name": "a", "state": "live"}}[m.IntN(17)]
}

// spoil changes one thing somewhere in a value.
func (m maker) spoil(value any) any {
	switch v := value.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 {
			return m.oddValue()
		}
		k := keys[m.IntN(len(keys))]
		switch m.IntN(12) {
		case 0:
			delete(v, k)
		case 1:
			v[m.of([]string{"name", "when", "module", "show", "x", "rollout", "EN"})] = m.oddValue()
		case 2:
			v[k] = m.oddValue()
		default:
			v[k] = m.spoil(v[k])
		}
		return v
	case []any:
		if len(v) == 0 || m.IntN(10) == 0 {
			return append(v, m.oddValue())
		}
		i := m.IntN(len(v))
		v[i] = m.spoil(v[i])
		return v
	}
	return m.oddValue()
}

// Of files that are right and of files that were spoilt somewhere, the reader's
// table and the JSON Schema say the same, each by a program of its own.
func TestTheSchemaAndTheTableAgreeOnSpoiltFiles(t *testing.T) {
	s := schema(t)
	right, wrong := 0, 0
	for seed := range uint64(40) {
		m := maker{rand.New(rand.NewPCG(seed, 11))}
		files, err := Render(m.document())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			text := files[name]
			f, findings := parse(name, text)
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			for spoilt := range 12 {
				value, err := jsonschema.UnmarshalJSON(bytes.NewReader(f.root.json()))
				if err != nil {
					t.Fatal(err)
				}
				if spoilt > 0 {
					value = m.spoil(value)
				}
				raw, _ := json.Marshal(value)
				ok := agree(t, s, raw)
				if !ok && spoilt == 0 {
					t.Errorf("a right file is refused:\n%s", text)
				}
				if ok {
					right++
				} else {
					wrong++
				}
			}
		}
	}
	if right < 300 || wrong < 300 {
		t.Errorf("%d right and %d wrong files tell little", right, wrong)
	}
}

// agree gives JSON to both, and returns what they say.
func agree(t *testing.T, s *jsonschema.Schema, raw []byte) bool {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	written, err := decodeJSON(dec, maxDepth)
	if err != nil {
		t.Fatal(err)
	}
	var w emitter
	w.pairs(0, pairs{{key: "k", value: written}})
	var findings Findings
	findings.check(valueOf(t, w.String()+"\n"), siteShape, "a site file")
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Validate(value)
	if (len(findings) == 0) != (err == nil) {
		t.Errorf("the table says %v and the JSON Schema %v of\n%s", findings, err, raw)
	}
	return err == nil
}
