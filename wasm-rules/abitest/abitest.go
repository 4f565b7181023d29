// SPDX-License-Identifier: Apache-2.0

// Package abitest checks that a guest language speaks the rule ABI.
//
// A language joins with an echo module: a module that fills every slot of
// manifest.json as the echo modules here do. Run puts it through the
// cases of cases/, each a JSON file that says what the visitor is, what was
// granted, and what the module must answer; every case runs on the real host,
// so TestMain must hand wasmrules.CompileCommand to wasmrules.CompileMain.
//
// The package is for tests only, keeps no state, and is safe for concurrent use.
package abitest

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

//go:embed manifest.json cases/*.json
var files embed.FS

// A Case is one file of cases/: a visit at a site with OwnFields, and the answer.
// Its name is the file's, a sentence.
type Case struct {
	edge.SampleVisit
	// Slot is the name of the echo module's slot that is asked.
	Slot     string          `json:"slot"`
	Settings json.RawMessage `json:"settings,omitempty"`
	// Want is the answer. Error, if not empty, is what the error must wrap
	// instead: "trap", "nonsense" or "grown"; "load" is an error of Load.
	Want  Answer `json:"want"`
	Error string `json:"error,omitempty"`
}

// An Answer is edge.Answer as a case writes it.
type Answer struct {
	Variant int               `json:"variant"`
	Score   int64             `json:"score"`
	Because string            `json:"because,omitempty"`
	Items   []edge.AnswerItem `json:"items,omitempty"`
	Fuel    int64             `json:"-"` // no two languages spend the same
}

// OwnFields returns the own fields of the kit's site in its order, which is not
// the order in which the manifest reads them: a module that does not use the
// numbers near_bind gives it reads the wrong ones. Some stand behind the first
// word of presence bits.
func OwnFields() []edge.OwnField {
	own := func(name string, t edge.Type, purpose string) edge.OwnField {
		return edge.OwnField{Name: name, Type: t.String(), Purpose: purpose}
	}
	fields := []edge.OwnField{
		own("own.unread", edge.TypeString, "context"),
		own("own.weights", edge.TypeMap, "personalise"),
		own("own.things", edge.TypeItems, "personalise"),
		own("own.list", edge.TypeList, "context"),
		own("own.since", edge.TypeTime, "storage"),
	}
	for i := edge.BuiltinFields + len(fields); i < 64; i++ {
		fields = append(fields, own(fmt.Sprintf("own.unread-%d", i), edge.TypeInt, "context"))
	}
	return append(fields,
		own("own.flag", edge.TypeBool, "context"),
		own("own.amount", edge.TypeFloat, "context"),
		own("own.number", edge.TypeInt, "context"),
		own("own.text", edge.TypeString, "personalise"),
	)
}

// Manifest returns the manifest of every echo module.
func Manifest() (edge.Manifest, error) {
	b, err := files.ReadFile("manifest.json")
	if err != nil {
		return edge.Manifest{}, err
	}
	return wasmrules.ParseManifest(b)
}

// Pack returns an echo module with the kit's manifest inside.
func Pack(wasm []byte) ([]byte, error) {
	b, err := files.ReadFile("manifest.json")
	if err != nil {
		return nil, err
	}
	return wasmrules.Pack(wasm, b)
}

// Cases returns the kit's cases in name order.
func Cases() ([]Case, error) {
	names, err := fs.Glob(files, "cases/*.json")
	if err != nil {
		return nil, err
	}
	cases := make([]Case, len(names))
	for i, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&cases[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		cases[i].Name = strings.ReplaceAll(strings.TrimSuffix(path.Base(name), ".json"), "-", " ")
	}
	return cases, nil
}

// Run checks an echo module against cases, or against all of the kit's when
// none are given. The module need not have the kit's manifest inside.
func Run(t *testing.T, wasm []byte, cases ...Case) {
	t.Helper()
	manifest, err := Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if cases == nil {
		if cases, err = Cases(); err != nil {
			t.Fatal(err)
		}
	}
	if wasm, err = Pack(wasm); err != nil {
		t.Fatal(err)
	}
	code := t.TempDir() // the module is compiled once
	for _, c := range cases {
		// A host for each: it would quarantine a module of so many faults.
		t.Run(c.Name, func(t *testing.T) {
			host, err := wasmrules.New(wasmrules.Options{Source: module{wasm, manifest}, CacheDir: code})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := host.Close(); err != nil {
					t.Error(err)
				}
			})
			c.run(t, host, wasmrules.HashOf(wasm), &manifest)
		})
	}
}

func (c *Case) run(t *testing.T, host *wasmrules.Host, hash string, manifest *edge.Manifest) {
	bind := map[string]int{}
	for i, f := range OwnFields() {
		bind[f.Name] = edge.BuiltinFields + i
	}
	ref := edge.ModuleRef{Name: manifest.Name, Version: manifest.Version, Hash: hash, Settings: c.Settings}
	rule, err := host.Load("shop", ref, bind)
	if (err != nil) != (c.Error == "load") {
		t.Fatalf("Load gave %v, want error %q", err, c.Error)
	}
	if err != nil {
		return
	}
	view, err := c.ViewOf(mask(manifest, bind), OwnFields())
	if err != nil {
		t.Fatal(err)
	}
	// More than once: what a call leaves behind must not change the next one.
	var fuel int64
	for i := range 3 {
		answer, err := rule.Choose(view, manifest.Slot(c.Slot))
		if !errors.Is(err, c.wantErr()) {
			t.Fatalf("call %d gave error %v, want %q", i, err, c.Error)
		}
		if i == 0 {
			fuel = answer.Fuel
		}
		if answer.Fuel <= 0 || answer.Fuel != fuel {
			t.Errorf("call %d spent %d fuel, the first %d", i, answer.Fuel, fuel)
		}
		answer.Fuel = 0
		if got := Answer(answer); err == nil && !reflect.DeepEqual(got, c.Want) {
			t.Errorf("call %d answered\n %+v, want\n %+v", i, got, c.Want)
		}
	}
}

func (c *Case) wantErr() error {
	switch c.Error {
	case "":
		return nil
	case "trap":
		return wasmrules.ErrTrap
	case "nonsense":
		return wasmrules.ErrNonsense
	case "grown":
		return wasmrules.ErrGrown
	}
	return fmt.Errorf("the kit knows no error %q", c.Error)
}

// mask is what the manifest reads.
func mask(m *edge.Manifest, bind map[string]int) (out edge.Mask) {
	for _, name := range m.Reads {
		n := edge.FieldNumber(bind[name])
		if f, ok := edge.FieldByName(name); ok {
			n = f.Number
		}
		out = out.With(n)
	}
	return out
}

// A module is a source of one module.
type module struct {
	wasm     []byte
	manifest edge.Manifest
}

// Open implements wasmrules.ModuleSource.
func (m module) Open(hash string) ([]byte, error) {
	if hash != wasmrules.HashOf(m.wasm) {
		return nil, wasmrules.ErrUnknownModule
	}
	return bytes.Clone(m.wasm), nil
}

// List implements wasmrules.ModuleSource.
func (m module) List() ([]wasmrules.Listed, error) {
	return []wasmrules.Listed{{Manifest: m.manifest, Hash: wasmrules.HashOf(m.wasm)}}, nil
}
