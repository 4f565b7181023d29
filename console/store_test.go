// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// A store is the real stream, for a desk and for who loads its modules.
type store struct{ *stream.Stream }

// Open implements wasmrules.ModuleSource.
func (s *store) Open(hash string) ([]byte, error) {
	return s.Module(context.Background(), hash)
}

// List implements wasmrules.ModuleSource.
func (s *store) List() ([]wasmrules.Listed, error) { return nil, nil }

// What the tests' modules are: the rule by-device under other names, whose n-th
// answer is the n-th variant, for a phone, a tablet, a desktop; or, where there
// are settings, the rule season-by-place.
const (
	moduleManifest = `{"abi":1,"name":%q,"version":%q,"author":"Tarn & Fell","description":%q,"needs":["context"],
		"reads":["device.type","page.path"],"slots":[{"name":"hero","variants":%s}],"settings":%s}`
	plainSchema = `{"type":"object","additionalProperties":false}`
	// formSchema has a member of each kind that a form asks for.
	formSchema = `{"type":"object","properties":{"north":{"title":"Season in the north","description":"North of the equator.","enum":["winter","summer"],"default":"winter"},
		"days":{"title":"Days","type":"integer","minimum":0,"maximum":30},"strict":{"title":"Strict","type":"boolean","default":true},
		"note":{"type":"string","maxLength":80}},"required":["north"],"additionalProperties":false,"default":{"north":"winter"}}`
)

// module is the bytes of a version of the module weather.
func module(t testing.TB, version string) string {
	t.Helper()
	return moduleOf(t, "weather", version, "Shines or rains.", plainSchema)
}

func moduleOf(t testing.TB, name, version, description, schema string) string {
	t.Helper()
	rule, variants := "season-by-place", `["sun","rain","snow","fog"]`
	if schema == plainSchema {
		rule, variants = "by-device", `["sun","rain","snow"]`
	}
	listed, err := wasmrules.Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(listed, func(l wasmrules.Listed) bool { return l.Manifest.Name == rule })
	wasm, err := wasmrules.Embedded().Open(listed[at].Hash)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := wasmrules.Pack(wasm, fmt.Appendf(nil, moduleManifest, name, version, description, variants, schema))
	if err != nil {
		t.Fatal(err)
	}
	return string(packed)
}

// cacheDir keeps compiled modules for all tests of the package.
var cacheDir string

// TestMain lets the test's own program compile modules, as a node's does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
		os.Exit(wasmrules.CompileMain(os.Args[2:]))
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "near-console-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cacheDir = dir
	return m.Run()
}

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newDesk returns a desk on a real stream with the sites shop and blog, whose
// slot hero has the variants sun, rain, snow and fog and no rule.
func newDesk(t testing.TB) *publishing.Desk {
	t.Helper()
	opened, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &store{opened}
	host, err := wasmrules.New(wasmrules.Options{Source: s, CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	desk := publishing.New(publishing.Options{
		Modules: s, Documents: s, Notes: s, Audits: s, Releases: s, Items: s, Checker: host.Checker(), Loader: host,
		SealPreview: func(site, id string, _ time.Time) (string, error) { return site + "." + id, nil },
	})
	for _, site := range []string{"shop", "blog"} {
		if _, err := desk.Put(t.Context(), publishing.Operator(), site, siteDocument(t, site), 0); err != nil {
			t.Fatal(err)
		}
	}
	return desk
}

func siteDocument(t testing.TB, site string) []byte {
	t.Helper()
	variant := func(name string) edge.Variant {
		return edge.Variant{Slot: "hero", Name: name, State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"` + name + `"}`)}}
	}
	doc, err := json.Marshal(edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: site,
		Settings: edge.Settings{Origins: []string{"https://" + site + ".example"}, Languages: []string{"en"}},
		Slots:    []edge.SlotSpec{{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{}}},
		Variants: []edge.Variant{variant("sun"), variant("rain"), variant("snow"), variant("fog")},
		Modules:  []edge.ModuleRef{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
