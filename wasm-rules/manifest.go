// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// ManifestSection is the name of a module's custom section that holds its
// manifest as JSON.
const ManifestSection = "near.manifest"

// MaxManifestBytes bounds a manifest.
const MaxManifestBytes = 64 << 10

// ParseManifest reads a manifest. It is strict: a member that no manifest has,
// one that stands twice and one spelled with other letters are refused. Every
// error is, or joins, *edge.ManifestError.
func ParseManifest(text []byte) (edge.Manifest, error) {
	m, _, err := parseManifest(text)
	return m, err
}

// parseManifest also returns the manifest as Pack writes it.
func parseManifest(text []byte) (m edge.Manifest, tidy []byte, err error) {
	if len(text) > MaxManifestBytes {
		return m, nil, &edge.ManifestError{What: fmt.Sprintf("%d bytes, at most %d", len(text), MaxManifestBytes)}
	}
	tidy, err = tidyJSON(text)
	if wrong := (*jsonError)(nil); errors.As(err, &wrong) {
		return m, nil, &edge.ManifestError{Member: strings.TrimPrefix(wrong.at, "/"), What: wrong.what}
	}
	if err := knownMembers(tidy, reflect.TypeFor[edge.Manifest](), ""); err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(tidy, &m); err != nil {
		return edge.Manifest{}, nil, typeError(err)
	}
	if err := m.Validate(); err != nil {
		return edge.Manifest{}, nil, err
	}
	if _, err := compileSchema(m.Settings); err != nil {
		return edge.Manifest{}, nil, err
	}
	return m, tidy, nil
}

// typeError says which member has a value of another type than it should.
func typeError(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return &edge.ManifestError{Member: strings.ReplaceAll(wrong.Field, ".", "/"), What: "want " + wrong.Type.String() + ", got " + wrong.Value}
	}
	// Only the purposes read themselves.
	return &edge.ManifestError{Member: "needs", What: err.Error()}
}

// knownMembers refuses an object with a member that t does not have.
// encoding/json alone would take "Name" for "name".
func knownMembers(text []byte, t reflect.Type, at string) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return nil // not an object: the types tell
	}
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = t.Field(i).Type
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		member, ok := known[name]
		if !ok {
			return &edge.ManifestError{Member: at + name, What: "no member of a manifest"}
		}
		if member != reflect.TypeFor[[]edge.ManifestSlot]() {
			continue
		}
		var slots []json.RawMessage
		if json.Unmarshal(object[name], &slots) != nil {
			continue
		}
		for i, slot := range slots {
			if err := knownMembers(slot, member.Elem(), fmt.Sprintf("%s/%d/", name, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadManifest returns the manifest inside a module. It looks at nothing else
// of the module, which may be no good otherwise.
func ReadManifest(wasm []byte) (edge.Manifest, error) {
	sections, err := bytecode.Custom(wasm, ManifestSection)
	if err != nil {
		return edge.Manifest{}, err
	}
	switch len(sections) {
	case 0:
		return edge.Manifest{}, &edge.ManifestError{What: "the module has none (no section " + ManifestSection + "): nearside module pack writes it"}
	case 1:
		return ParseManifest(sections[0])
	}
	return edge.Manifest{}, &edge.ManifestError{What: fmt.Sprintf("the module has %d of them", len(sections))}
}

// Pack returns a module with a manifest inside, in place of the one it has. It
// refuses what ParseManifest refuses. The same module and the same manifest,
// however it is spaced, give the same bytes.
func Pack(wasm, manifest []byte) ([]byte, error) {
	_, tidy, err := parseManifest(manifest)
	if err != nil {
		return nil, err
	}
	return bytecode.Pack(wasm, ManifestSection, tidy)
}
