// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// A testFunc is a function of a hand-made module: its type, its name if it is
// exported, and its instructions without the final end.
type testFunc struct {
	name            string
	params, results []byte
	code            []byte
}

const (
	wasmI32 = 0x7f
	wasmI64 = 0x7e
)

var wasmHeader = []byte("\x00asm\x01\x00\x00\x00")

// Section ids of the WebAssembly binary format.
const (
	sectionCustom = iota
	sectionType
	_
	sectionFunction
	_
	sectionMemory
	sectionGlobal
	sectionExport
	_
	_
	sectionCode
)

// constI32 is i32.const n.
func constI32(n int32) []byte { return append([]byte{0x41}, leb(int64(n))...) }

// constI64 is i64.const n.
func constI64(n int64) []byte { return append([]byte{0x42}, leb(n)...) }

func leb(n int64) []byte {
	var b []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func sized(b []byte) []byte { return append(uleb(len(b)), b...) }

func section(id byte, b []byte) []byte { return append([]byte{id}, sized(b)...) }

// minimal are the functions of the smallest module that loads and answers
// variant 1 with score 5. change replaces the function of its name, or removes
// it when its code is nil.
func minimal(change ...testFunc) []testFunc {
	return changed([]testFunc{
		{"near_in", nil, []byte{wasmI32}, constI32(0)},
		{"near_out", nil, []byte{wasmI32}, constI32(MaxRecordBytes)},
		{"near_decide", []byte{wasmI32}, []byte{wasmI64}, constI64(5<<8 | 1)},
	}, change)
}

// changed replaces functions by name, adds those that are new, and removes those
// whose code is nil.
func changed(funcs, change []testFunc) []testFunc {
	for _, c := range change {
		kept := funcs[:0:0]
		for _, f := range funcs {
			if f.name != c.name {
				kept = append(kept, f)
			}
		}
		if funcs = kept; c.code != nil {
			funcs = append(funcs, c)
		}
	}
	return funcs
}

// assemble writes a module of functions with one exported page of memory;
// extra are more sections, in order.
func assemble(funcs []testFunc, extra ...[]byte) []byte {
	types, indexes := uleb(len(funcs)), uleb(len(funcs))
	exports, code := uleb(len(funcs)+1), uleb(len(funcs))
	exports = append(exports, "\x06memory\x02\x00"...)
	for i, f := range funcs {
		types = slices.Concat(types, []byte{0x60}, sized(f.params), sized(f.results))
		indexes = slices.Concat(indexes, uleb(i))
		exports = slices.Concat(exports, sized([]byte(f.name)), []byte{0}, uleb(i))
		code = slices.Concat(code, sized(slices.Concat([]byte{0}, f.code, []byte{0x0b})))
	}
	b := bytes.Clone(wasmHeader)
	b = append(b, section(sectionType, types)...)
	b = append(b, section(sectionFunction, indexes)...)
	b = append(b, section(sectionMemory, []byte{1, 0, 1})...)
	before := func(id byte) {
		for ; len(extra) > 0 && extra[0][0] < id; extra = extra[1:] {
			b = append(b, extra[0]...)
		}
	}
	before(sectionExport)
	b = append(b, section(sectionExport, exports)...)
	before(sectionCode)
	return append(b, section(sectionCode, code)...)
}

// inPages gives an assembled module a memory of as many pages.
func inPages(wasm []byte, pages int) []byte {
	return bytes.Replace(wasm, section(sectionMemory, []byte{1, 0, 1}), section(sectionMemory, append([]byte{1, 0}, uleb(pages)...)), 1)
}

// fat is a module of as much memory as may be, of which every byte is used.
func fat() []byte {
	return inPages(assemble(minimal(
		bound,
		testFunc{"_initialize", nil, nil, code(constI32(0), constI32(7), constI32(MaxMemoryPages*pageBytes-1), opMemoryFill)},
		testFunc{"near_settings", []byte{wasmI32, wasmI32}, nil, []byte{}})), MaxMemoryPages)
}

// A testSource holds one module, under whatever hash it likes.
type testSource struct {
	wasm     []byte
	manifest edge.Manifest
	hash     string
}

func (s testSource) Open(hash string) ([]byte, error) {
	if hash != s.hash {
		return nil, ErrUnknownModule
	}
	return bytes.Clone(s.wasm), nil
}

func (s testSource) List() ([]Listed, error) { return []Listed{{s.manifest, s.hash}}, nil }

func (s testSource) ref() edge.ModuleRef {
	return edge.ModuleRef{Name: s.manifest.Name, Version: s.manifest.Version, Hash: s.hash}
}

// declare changes the manifest inside the module, for the worse if so wanted.
func (s *testSource) declare(change func(m *edge.Manifest)) {
	change(&s.manifest)
	s.wasm = packAnything(s.wasm, s.manifest)
	s.hash = HashOf(s.wasm)
}

// packAnything puts a manifest into a module, be it good or not; what is no
// module it returns as it is.
func packAnything(wasm []byte, m edge.Manifest) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // a manifest always marshals
	}
	packed, err := bytecode.Pack(wasm, ManifestSection, text)
	if err != nil {
		return wasm
	}
	return packed
}

func oneSlot() edge.Manifest {
	return edge.Manifest{ABI: 1, Name: "test", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"one"}}}}
}

// handMade is a source of a module made of these functions, with oneSlot's
// manifest but for the changes.
func handMade(wasm []byte, changes ...func(m *edge.Manifest)) testSource {
	s := testSource{wasm: wasm, manifest: oneSlot()}
	s.declare(func(m *edge.Manifest) {
		for _, change := range changes {
			change(m)
		}
	})
	return s
}

// echo is a source of the conformance kit's echo module in one language.
func echo(t testing.TB, language string) testSource {
	t.Helper()
	wasm, err := os.ReadFile("abitest/echo-" + language + "/rule.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return testSource{wasm, readManifest(t, "abitest/manifest.json"), HashOf(wasm)}
}

func readManifest(t testing.TB, path string) edge.Manifest {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// newHost is a host that is closed when the test ends.
func newHost(t testing.TB, o Options) *Host {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// mustLoad loads a source's module with a field number for each own field its
// manifest reads.
func mustLoad(t testing.TB, h *Host, s testSource) *rule {
	t.Helper()
	r, err := h.Load("shop", s.ref(), bindAll(s.manifest))
	if err != nil {
		t.Fatal(err)
	}
	return r.(*rule)
}

func bindAll(m edge.Manifest) map[string]int {
	bind := map[string]int{}
	for _, name := range m.Reads {
		if _, ok := edge.FieldByName(name); !ok {
			bind[name] = edge.BuiltinFields + len(bind)
		}
	}
	return bind
}

// declared is the mask of what a manifest reads.
func declared(m edge.Manifest) (mask edge.Mask) {
	bind := bindAll(m)
	for _, name := range m.Reads {
		n := edge.FieldNumber(bind[name])
		if f, ok := edge.FieldByName(name); ok {
			n = f.Number
		}
		mask = mask.With(n)
	}
	return mask
}

// bound is the function that a module needs which reads the site's own fields.
var bound = testFunc{"near_bind", []byte{wasmI32, wasmI32}, nil, []byte{}}

// readsOwn makes a module read one text of the site's own, which no canary has a
// value for.
func readsOwn(m *edge.Manifest) { m.Reads = []string{"own.text"} }

// ownTextView is a view in which that field, and nothing else, is present.
func ownTextView(s testSource) *edge.View {
	visit := &edge.Visit{Own: []edge.OwnValue{{Value: edge.Value{Type: edge.TypeString, Str: "present"}}}}
	return edgetest.View(visit, declared(s.manifest), consent.All)
}
