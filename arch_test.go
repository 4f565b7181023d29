// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const ourModule = "github.com/nearside/nearside"

// A folder is one row of the architecture. It covers the packages below it that
// have no row of their own. The standard library is open to everyone, but for
// what without names; packages of one row may import each other.
type folder struct {
	ours    []string // our packages that its code may import
	outside []string // other modules that its code may import
	without []string // packages of the standard library that it has no use for
	tests   []string // what its tests may import besides, ours or not
}

// architecture says who may import whom. To add an arrow, edit this table and
// give the reason in docs/RATIONALE.md.
//
// The shape is a star: everyone may import edge, no two others know each other
// but console, which is the face of publishing,
// and only the program at the root knows all. Each outside technology stays in
// one folder.
var architecture = map[string]folder{
	"edge/nearest":        {without: inputAndOutput},
	"edge/consent":        {ours: []string{"edge/consent/gpp", "edge/consent/packed", "edge/consent/tcf", "edge/nearest"}, without: inputAndOutput, tests: []string{"edge/consent/packed/packedtest"}},
	"edge/consent/gpp":    {ours: []string{"edge/consent/packed", "edge/consent/tcf"}, without: inputAndOutput, tests: []string{"edge/consent/packed/packedtest"}},
	"edge/consent/packed": {without: inputAndOutput},
	"edge/consent/tcf":    {ours: []string{"edge/consent/packed"}, without: inputAndOutput, tests: []string{"edge/consent/packed/packedtest"}},
	"edge/memo":           {without: inputAndOutput},
	"edge/markup":         {without: inputAndOutput, outside: []string{"golang.org/x/net/html"}},
	"edge": {
		ours:    []string{"edge/consent", "edge/markup", "edge/memo", "edge/nearest"},
		without: inputAndOutput,
	},
	"edge/edgetest": {ours: engine},

	"collector": {
		ours:    []string{"collector/rights", "edge", "edge/consent", "edge/memo"},
		outside: []string{"github.com/valyala/fasthttp", "github.com/mssola/useragent", "golang.org/x/text"},
	},
	"collector/rights":           {ours: append([]string{"prompt"}, engine...), without: inputAndOutput},
	"collector/internal/gendata": {ours: []string{"internal/datafile"}},
	"internal/datafile":          {},
	"geo": {
		ours:    []string{"edge", "edge/consent", "geo/internal/fold", "geo/internal/pack"},
		outside: []string{"github.com/oschwald/maxminddb-golang/v2"},
		tests:   []string{"github.com/maxmind/mmdbwriter", "github.com/oschwald/geoip2-golang/v2", "go4.org/netipx"},
	},
	"geo/internal/fold":      {outside: []string{"golang.org/x/text"}},
	"geo/internal/genplaces": {ours: []string{"geo/internal/fold", "internal/datafile"}},
	"geo/internal/gencountry": {
		ours: []string{"internal/datafile", "geo/internal/pack"},
		outside: []string{
			"github.com/maxmind/mmdbwriter", "github.com/oschwald/maxminddb-golang/v2", "go4.org/netipx",
		},
		tests: []string{"github.com/oschwald/geoip2-golang/v2"},
	},
	"geo/internal/pack": {
		outside: []string{"github.com/klauspost/compress", "github.com/oschwald/maxminddb-golang/v2"},
		tests:   []string{"github.com/maxmind/mmdbwriter", "go4.org/netipx"},
	},
	"wasm-rules": {
		ours: []string{"edge", "edge/consent", "wasm-rules/bytecode", "wasm-rules/lang"},
		outside: []string{
			"github.com/tetratelabs/wazero", "aead.dev/minisign", "github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/text",
		},
	},
	"wasm-rules/abitest":  {ours: []string{"edge", "wasm-rules"}},
	"wasm-rules/bytecode": {without: inputAndOutput, tests: []string{"github.com/tetratelabs/wazero"}},
	"wasm-rules/lang": {
		ours:    []string{"edge", "edge/consent", "edge/nearest", "wasm-rules/bytecode"},
		outside: []string{"cel.dev/cel-go"},
		without: inputAndOutput,
		tests:   []string{"github.com/tetratelabs/wazero", "cel.dev/expr", "google.golang.org/protobuf"},
	},
	"stream": {
		ours:    engine,
		outside: []string{"github.com/klauspost/compress", "github.com/minio/highwayhash", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/zeebo/xxh3"},
	},
	"tag": {ours: engine, tests: []string{"github.com/molecule-man/go-brrr", "golang.org/x/net"}},
	"tag/build": {
		outside: []string{"github.com/evanw/esbuild", "github.com/tdewolff/minify/v2", "github.com/tdewolff/parse/v2"},
		tests:   []string{"github.com/molecule-man/go-brrr"},
	},
	"prompt":          {},
	"identity":        {ours: []string{"edge"}, outside: []string{"github.com/golang-jwt/jwt/v5"}, without: []string{"net", "net/http", "os", "os/exec", "syscall", "log", "log/slog"}},
	"demo":            {ours: append([]string{"prompt"}, engine...), outside: []string{"github.com/valyala/fasthttp"}},
	"docs/genprivacy": {ours: engine},
	"doctor": {
		ours:    []string{"edge", "edge/consent", "edge/nearest"},
		outside: []string{"github.com/chromedp/chromedp", "github.com/chromedp/cdproto", "golang.org/x/net/html"},
	},
	"insight": {ours: []string{"edge"}, without: []string{"net", "net/http", "os", "os/exec", "syscall"}, tests: []string{"stream"}},
	"sitefile": {
		ours:    []string{"edge", "edge/consent", "edge/markup", "edge/nearest"},
		outside: []string{"go.yaml.in/yaml/v4"},
		without: []string{"net", "net/http", "os/exec", "syscall", "log", "log/slog"},
		tests:   []string{"github.com/santhosh-tekuri/jsonschema/v6"},
	},
	"sink": {
		ours:    []string{"edge", "edge/consent", "edge/nearest"},
		outside: []string{"github.com/parquet-go/parquet-go", "go.yaml.in/yaml/v4"},
		tests:   []string{"stream"},
	},
	"publishing": {ours: []string{"edge"}, without: inputAndOutput, tests: []string{"stream", "wasm-rules"}},
	"console": {
		ours:    []string{"edge", "edge/consent", "publishing"},
		outside: []string{"golang.org/x/text"},
		tests:   []string{"stream", "wasm-rules"},
	},
	".": {
		ours: []string{
			"edge", "edge/consent", "edge/consent/gpp", "edge/consent/packed", "edge/consent/tcf", "edge/nearest", "collector", "console", "demo", "doctor", "geo", "identity", "insight", "prompt", "publishing", "sink", "sitefile", "stream", "tag", "wasm-rules", "wasm-rules/lang", "wasm-rules/sdk",
		},
		outside: []string{"github.com/valyala/fasthttp", "go.yaml.in/yaml/v4"},
		tests:   []string{"github.com/maxmind/mmdbwriter"},
	},
}

var (
	// engine is the centre of the star.
	engine = []string{"edge", "edge/consent"}
	// inputAndOutput is what code that only decides has no use for.
	inputAndOutput = []string{"net", "net/http", "os", "os/exec", "syscall", "log", "log/slog"}
	// inTests is what any test may import: a browser, and what makes the
	// engine's values.
	inTests = []string{"edge/edgetest", "github.com/chromedp/chromedp", "github.com/chromedp/cdproto"}
)

// TestArchitecture parses the files itself rather than run go list: go test
// caches a result by the files that the test opened, and does not see what a
// child process read.
func TestArchitecture(t *testing.T) {
	tree := parseTree(t, os.DirFS("."))
	for _, fault := range foreignImports(tree) {
		t.Error(fault)
	}
	used := make(map[string]bool)
	for _, s := range tree {
		used[rowOf(s.dir())] = true
	}
	for row := range architecture {
		if !used[row] {
			t.Errorf("the architecture has a row for %s, where there is no Go code", row)
		}
	}
}

func TestArchitectureRefuses(t *testing.T) {
	const ours = ourModule + "/"
	tests := []struct {
		name, file, imports string
		want                string // part of the fault, empty if there is none
	}{
		{"the engine may read consent", "edge/decide.go", ours + "edge/consent", ""},
		{"the engine knows no other folder", "edge/decide.go", ours + "geo", "geo"},
		{"the engine uses no outside module", "edge/decide.go", "github.com/google/uuid", "uuid"},
		{"the engine does not read files", "edge/decide.go", "os", "os"},
		{"the engine parses addresses all the same", "edge/visit.go", "net/netip", ""},
		{"consent does not know the engine", "edge/consent/tcf.go", ours + "edge", "edge"},
		{"siblings do not know each other", "collector/beacon.go", ours + "stream", "stream"},
		{"nobody imports the program", "collector/beacon.go", ourModule, "nearside"},
		{"a browser is the doctor's", "doctor/browse.go", "github.com/chromedp/chromedp", ""},
		{"and no other code's", "demo/serve.go", "github.com/chromedp/chromedp", "chromedp"},
		{"HTTP stays in the collector", "stream/stream.go", "github.com/valyala/fasthttp", "fasthttp"},
		{"a module's subfolder is the module", "stream/stream.go", "github.com/nats-io/nats.go/jetstream", ""},
		{"a longer name is another module", "stream/stream.go", "github.com/nats-io/nats.gopher", "nats.gopher"},
		{"a folder without a row is found", "util/strings.go", "strings", "no row"},
		{"a new folder at the top needs no import to be found", "util/strings.go", "", "no row"},
		{"a package below a row belongs to it", "wasm-rules/build/main.go", ours + "wasm-rules", ""},
		{"and is held to it", "wasm-rules/build/main.go", ours + "geo", "geo"},
		{"code does not use the tests' tools", "geo/geo.go", ours + "edge/edgetest", "edgetest"},
		{"tests do", "geo/geo_test.go", ours + "edge/edgetest", ""},
		{"a test knows no more siblings than its code", "geo/geo_test.go", ours + "collector", "collector"},
		{"nothing needs a C compiler", "geo/geo.go", "C", "cgo"},
		{"a guest in a module of its own is not ours to judge", "bench/peer/main.go", "github.com/google/cel-go", ""},
		{"nor are test data", "edge/testdata/main.go", "os", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := "package x\n"
			if tt.imports != "" {
				text += "import _ " + strconv.Quote(tt.imports) + "\n"
			}
			tree := parseTree(t, fstest.MapFS{
				tt.file:        {Data: []byte(text)},
				"bench/go.mod": {Data: []byte("module bench\n")},
			})
			checkFault(t, foreignImports(tree), tt.want)
		})
	}
}

// foreignImports returns a sentence for each import that the architecture does
// not allow, and for each folder that it does not know.
func foreignImports(tree []source) []string {
	var faults []string
	for _, s := range tree {
		row := rowOf(s.dir())
		if row == "" {
			faults = append(faults, fmt.Sprintf("%s: %s has no row in the architecture", s.path, s.dir()))
			continue
		}
		allowed := slices.Concat(architecture[row].ours, architecture[row].outside)
		if s.isTest() {
			allowed = slices.Concat(allowed, inTests, architecture[row].tests)
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			switch {
			case imported == "C":
				faults = append(faults, s.path+" uses cgo")
			case !mayImport(row, imported, allowed) || !s.isTest() && slices.Contains(architecture[row].without, imported):
				faults = append(faults, fmt.Sprintf("%s imports %s; %s may import %q", s.path, imported, row, allowed))
			}
		}
	}
	return faults
}

// mayImport reports whether a package of row may import a package, given what
// is allowed beside the standard library: our packages by folder, other
// modules by path.
func mayImport(row, imported string, allowed []string) bool {
	if imported == ourModule {
		return false
	}
	if dir, ours := strings.CutPrefix(imported, ourModule+"/"); ours {
		return rowOf(dir) == row || slices.Contains(allowed, dir)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true
	}
	return slices.ContainsFunc(allowed, func(module string) bool {
		return imported == module || strings.HasPrefix(imported, module+"/")
	})
}

// rowOf returns the row that covers a folder, the nearest above it, or "".
func rowOf(dir string) string {
	for ; ; dir = path.Dir(dir) {
		if _, ok := architecture[dir]; ok {
			return dir
		}
		if !strings.Contains(dir, "/") {
			return ""
		}
	}
}

// A source is one Go file of ours.
type source struct {
	path string // from the root
	file *ast.File
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// parseTree parses the Go files under the root in path order, but for those of
// other modules and for what the go command does not build either.
func parseTree(t *testing.T, root fs.FS) []source {
	t.Helper()
	var tree []source
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return enter(root, name)
		case path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		tree = append(tree, source{name, file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// enter returns fs.SkipDir for a folder that holds nothing of ours.
func enter(root fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}
