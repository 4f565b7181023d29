// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// languages are the guests' folders.
var languages = []string{"c", "rust", "assemblyscript", "go"}

// guest returns the decision in one language.
func guest(t testing.TB, language string) []byte {
	t.Helper()
	if language == "go" {
		return goGuest(t)
	}
	wasm, err := os.ReadFile(filepath.Join("guests", language, "rule.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// built is the Go guest, which is made on the fly: it is too large to be kept,
// and another toolchain gives other bytes.
var built struct {
	sync.Once
	wasm []byte
	err  error
}

func goGuest(t testing.TB) []byte {
	t.Helper()
	built.Do(func() { built.wasm, built.err = buildGo() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.wasm
}

func buildGo() ([]byte, error) {
	dir, err := os.MkdirTemp("", "nearside-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	const sdk = "../wasm-rules/sdk/go/"
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -buildid=", "-o", "rule.wasm")
	for _, from := range []string{sdk + "near.go", sdk + "near_fields.go", "guests/go/decide.go"} {
		text, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(from)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
		build.Args = append(build.Args, name)
	}
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the Go guest: %w\n%s", err, said)
	}
	wasm, err := os.ReadFile(filepath.Join(dir, "rule.wasm"))
	if err != nil {
		return nil, err
	}
	manifest, err := os.ReadFile("guests/manifest.json")
	if err != nil {
		return nil, err
	}
	return wasmrules.Pack(wasm, manifest)
}

// A module is a guest as a release names it.
type module struct {
	wasm     []byte
	manifest edge.Manifest
	ref      edge.ModuleRef
}

// numbered makes of a guest a module that no other is equal to, in code and in
// version: the guest's text "rule 00000000" gets the number n. Its budget is the
// largest there is.
func numbered(wasm []byte, n int) (module, error) {
	from, to := "rule 00000000", fmt.Sprintf("rule %08d", n)
	if !bytes.Contains(wasm, []byte(from)) {
		from, to = inUTF16(from), inUTF16(to) // AssemblyScript's texts
	}
	if !bytes.Contains(wasm, []byte(from)) {
		return module{}, errors.New("the guest has no number")
	}
	m := module{wasm: bytes.Replace(wasm, []byte(from), []byte(to), 1)}
	var err error
	if m.manifest, err = wasmrules.ReadManifest(wasm); err != nil {
		return module{}, err
	}
	m.manifest.Version, m.manifest.Budget = fmt.Sprintf("1.0.%d", n), edge.MaxBudget
	declared, err := json.Marshal(m.manifest)
	if err != nil {
		return module{}, err
	}
	if m.wasm, err = wasmrules.Pack(m.wasm, declared); err != nil {
		return module{}, err
	}
	m.ref = edge.ModuleRef{Name: m.manifest.Name, Version: m.manifest.Version, Hash: wasmrules.HashOf(m.wasm)}
	return m, nil
}

func inUTF16(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		b.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	return b.String()
}

// mustNumber is numbered where it cannot fail.
func mustNumber(t testing.TB, wasm []byte, n int) module {
	t.Helper()
	m, err := numbered(wasm, n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A shelf is a source of modules in memory.
type shelf struct{ modules sync.Map } // module by hash

func (s *shelf) put(m module) { s.modules.Store(m.ref.Hash, m) }

// Open implements wasmrules.ModuleSource.
func (s *shelf) Open(hash string) ([]byte, error) {
	m, ok := s.modules.Load(hash)
	if !ok {
		return nil, wasmrules.ErrUnknownModule
	}
	return bytes.Clone(m.(module).wasm), nil
}

// List implements wasmrules.ModuleSource.
func (s *shelf) List() (list []wasmrules.Listed, err error) {
	s.modules.Range(func(_, m any) bool {
		list = append(list, wasmrules.Listed{Manifest: m.(module).manifest, Hash: m.(module).ref.Hash})
		return true
	})
	return list, nil
}

// newHost is a host over a shelf, closed when the test ends.
func newHost(t testing.TB, s *shelf) *wasmrules.Host {
	t.Helper()
	host, err := wasmrules.New(wasmrules.Options{Source: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

// A sample is a visit and what every guest must answer to it.
type sample struct {
	name    string
	fields  string // JSON, by wire name
	variant int
	score   int64
}

// hot is the visit that is measured: every part of the decision has something
// to find, and the lists are as long as a shop's.
var hot = sample{
	"a loyal visitor with a full cart",
	`{"geo.country":"FR","device.type":"phone","visitor.visits":7,"lang":"fr-FR","time.hour":19,
	  "page.tags":["felt","wool","winter","women","new","sale","vip","brim","black","outlet"],
	  "counters":{"add_to_cart":2,"page_view":23,"purchase":1,"view_item":12},
	  "cart":[{"id":"hat-17","quantity":1,"price":49.5},{"id":"shoe-3","quantity":2,"price":80},{"id":"sock-1","quantity":3,"price":4}]}`,
	3, 40 + 20 + 10 + 10 + 30 + 5,
}

// samples take every branch of the decision.
var samples = []sample{
	hot,
	{"nothing is known", `{}`, 0, 0},
	{"tags and an evening", `{"page.tags":["a","vip"],"time.hour":18}`, 1, 35},
	{"another country", `{"geo.country":"DE","device.type":"phone","visitor.visits":7,"lang":"fr","counters":{"view_item":3},"page.tags":["vip"]}`, 1, 36},
	{"another language", `{"geo.country":"FR","device.type":"phone","visitor.visits":7,"lang":"de","counters":{"view_item":30}}`, 1, 20},
	{"a first visit", `{"geo.country":"FR","device.type":"phone","visitor.visits":1,"lang":"fr","counters":{"purchase":30}}`, 0, 0},
	{"loyalty alone", `{"geo.country":"FR","device.type":"phone","visitor.visits":4,"lang":"fr"}`, 1, 40},
	{"a desktop with shoes", `{"geo.country":"FR","device.type":"desktop","visitor.visits":9,"lang":"fr","cart":[{"id":"shoe-1","quantity":9,"price":11},{"id":"shoe-","quantity":1,"price":1}]}`, 2, 50},
	{"a dear cart", `{"cart":[{"id":"hat-1","quantity":1,"price":100},{"id":"shoes","quantity":2,"price":0.5}],"page.tags":["vip"]}`, 1, 40},
}

// view returns what a rule of the guests' manifest sees of the sample.
func (s sample) view(t testing.TB, m *edge.Manifest) *edge.View {
	t.Helper()
	view, err := s.viewOf(m)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// viewOf is view for who has no test.
func (s sample) viewOf(m *edge.Manifest) (*edge.View, error) {
	visit := edge.SampleVisit{Granted: consent.Set(consent.All)}
	if err := json.Unmarshal([]byte(s.fields), &visit.Fields); err != nil {
		return nil, err
	}
	var declared edge.Mask
	for _, name := range m.Reads {
		f, ok := edge.FieldByName(name)
		if !ok {
			return nil, fmt.Errorf("no field %q", name)
		}
		declared = declared.With(f.Number)
	}
	return visit.ViewOf(declared, nil)
}

// runaway is a visit on which no guest's call ends by itself.
var runaway = sample{name: "a visitor who never leaves", fields: `{"visitor.visits":1234567}`}

// check compares an answer with the sample's.
func (s sample) check(variant int, score int64) error {
	if variant != s.variant || variant != 0 && score != s.score {
		return fmt.Errorf("%s: variant %d with score %d, want %d with %d", s.name, variant, score, s.variant, s.score)
	}
	return nil
}

// recordOf returns the bytes that a view is as a guest receives it. A rule must
// have been asked about the view before, which is what encodes it.
func recordOf(view *edge.View) ([]byte, error) {
	record := view.Record(func(*edge.View, []byte) []byte { return nil })
	if len(record) == 0 {
		return nil, errors.New("the view was not encoded")
	}
	return record, nil
}
