// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"encoding/json"
	"strings"
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
		Path, Map, Integrity string
		Bytes                int
	}
	if err := json.Unmarshal(byName["tag.json"].Body, &manifest); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript, "tag.measure.js": MeasureScript} {
		entry := manifest[name]
		if entry.Map != entry.Path+".map" || len(byName[entry.Map].Body) == 0 {
			t.Errorf("the manifest says that %s is the map of %s", entry.Map, name)
		}
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

// Every script has a map, which its answer names.
func TestSourceMaps(t *testing.T) {
	byName := map[string]File{}
	for _, f := range Files() {
		byName[f.Name] = f
	}
	byName["tag.dev.js"] = File{Name: "tag.dev.js", SourceMap: DevScriptMap}
	for _, f := range byName {
		if (f.SourceMap != "") != strings.HasSuffix(f.Name, ".js") {
			t.Errorf("%s has the map %q", f.Name, f.SourceMap)
		}
		if f.SourceMap == "" {
			continue
		}
		var m struct {
			Version  int
			Sources  []string
			Mappings string
		}
		if err := json.Unmarshal(byName[f.SourceMap].Body, &m); err != nil || m.Version != 3 || len(m.Sources) < 4 || m.Mappings == "" {
			t.Errorf("%s has the map %s: %v, %d sources", f.Name, f.SourceMap, err, len(m.Sources))
		}
		// A map that changes with the script has a name that does.
		if f.Immutable && !byName[f.SourceMap].Immutable {
			t.Errorf("%s is immutable, and %s is not", f.Name, f.SourceMap)
		}
	}
	if got := byName["tag.js"].SourceMap; got != ScriptMap() {
		t.Errorf("tag.js has the map %s, want %s", got, ScriptMap())
	}
}
