// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestFiles(t *testing.T) {
	byName := map[string]File{}
	for _, f := range Files() {
		if _, twice := byName[f.Name]; twice || len(f.Body) == 0 {
			t.Errorf("%s is there twice or empty", f.Name)
		}
		byName[f.Name] = f
	}
	var manifest map[string]struct {
		Path, Integrity string
		Bytes           int
	}
	if err := json.Unmarshal(byName["tag.json"].Body, &manifest); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript, "tag.measure.js": MeasureScript} {
		entry := manifest[name]
		versioned := byName[entry.Path]
		if !versioned.Immutable || !bytes.Equal(versioned.Body, script) || entry.Integrity != Integrity(script) || entry.Bytes != len(script) {
			t.Errorf("the manifest says %+v of %s", entry, name)
		}
		if plain := byName[name]; plain.Immutable || !bytes.Equal(plain.Body, script) {
			t.Errorf("%s is not served by its own name, or as immutable", name)
		}
		if changed := Versioned(name, append(bytes.Clone(script), '\n')); changed == entry.Path {
			t.Errorf("%s keeps its name when it changes", changed)
		}
	}
}

// The maps belong to the scripts that name them.
func TestSourceMaps(t *testing.T) {
	for name, script := range map[string][]byte{"tag.full.js.map": FullScript, "tag.dev.js.map": DevScript} {
		if !bytes.HasSuffix(script, []byte("//# sourceMappingURL="+name+"\n")) {
			t.Errorf("no script names %s", name)
		}
	}
	for _, f := range Files() {
		if !bytes.HasSuffix([]byte(f.Name), []byte(".map")) {
			continue
		}
		var m struct {
			Version  int
			Sources  []string
			Mappings string
		}
		if err := json.Unmarshal(f.Body, &m); err != nil || m.Version != 3 || len(m.Sources) < 10 || m.Mappings == "" {
			t.Errorf("%s: %v, %d sources", f.Name, err, len(m.Sources))
		}
	}
}
