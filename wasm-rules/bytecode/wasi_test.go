// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// system is a module that imports all of WASI and exports each function through
// one of its own.
func system() draft {
	d := draft{memory: []byte{1, 0, 1}}
	names := slices.Sorted(maps.Keys(wasiTypes))
	for _, name := range names {
		d.imports = append(d.imports, draftImport{wasiModule, name, wasiTypes[name]})
	}
	for i, name := range names {
		typ := signature(wasiTypes[name])
		d.funcs = append(d.funcs, draftFunc{name: name, typ: wasiTypes[name], code: write(func(c *code) {
			for p := range typ.params {
				c.on(opLocalGet, uint32(p))
			}
			c.on(opCall, uint32(i))
		})})
	}
	return d
}

// TestNothingOutsideIsReached calls every function of WASI, which all answer
// without a host.
func TestNothingOutsideIsReached(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	wasm := system().bytes()
	l := Standard()
	m, err := Verify(wasm, l)
	if err != nil || len(m.Imports) != len(wasiTypes) {
		t.Fatal(err)
	}
	a, b := rewritten(t, r, wasm), rewritten(t, r, wasm)
	for _, name := range slices.Sorted(maps.Keys(wasiTypes)) {
		if name == "proc_exit" {
			continue
		}
		args := make([]uint64, len(signature(wasiTypes[name]).params))
		for i := range args {
			args[i] = uint64(64 * (i + 1))
		}
		before := a.bytes()
		want := uint64(errnoBadFile)
		switch {
		case strings.HasPrefix(name, "args"), strings.HasPrefix(name, "environ"), strings.HasPrefix(name, "clock"),
			name == "poll_oneoff", name == "random_get", name == "sched_yield":
			want = errnoSuccess
		}
		got, left, err := a.call(name, muchFuel, muchDepth, args...)
		if err != nil || got[0] != want {
			t.Errorf("%s gave %v, %v, want %d", name, got, err, want)
		}
		a.checkDirty(before, a.dirty())
		again, leftAgain, err := b.call(name, muchFuel, muchDepth, args...)
		if err != nil || again[0] != got[0] || leftAgain != left || !bytes.Equal(a.bytes(), b.bytes()) {
			t.Errorf("%s was not the same in another instance", name)
		}
	}
	if _, _, err := a.call("proc_exit", muchFuel, muchDepth, 0); err == nil {
		t.Error("proc_exit returned")
	}
}

// TestWhatWASIKeepsIsListed puts the clock and the random bytes back where they
// were, as a host does for the next visitor.
func TestWhatWASIKeepsIsListed(t *testing.T) {
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), system().bytes())
	if n := len(m.rewritten.Globals); n != 2 {
		t.Fatalf("%d globals are listed, want the clock and the seed", n)
	}
	begin := make([]uint64, 2)
	for i, g := range m.rewritten.Globals {
		begin[i] = m.global(g.Export).Get()
	}
	look := func() (now uint64, random string) {
		for _, call := range []struct {
			name string
			args []uint64
		}{{"clock_time_get", []uint64{0, 0, 0}}, {"random_get", []uint64{16, 16}}} {
			if got, _, err := m.call(call.name, muchFuel, muchDepth, call.args...); err != nil || got[0] != errnoSuccess {
				t.Fatal(call.name, got, err)
			}
		}
		b := m.bytes()
		return binary.LittleEndian.Uint64(b), string(b[16:32])
	}
	firstTime, firstBytes := look()
	laterTime, laterBytes := look()
	if laterTime <= firstTime || laterBytes == firstBytes {
		t.Errorf("time went from %d to %d, random bytes from %x to %x", firstTime, laterTime, firstBytes, laterBytes)
	}
	if firstBytes[:8] == firstBytes[8:] || strings.Count(firstBytes, firstBytes[:1]) > 8 {
		t.Errorf("random bytes %x", firstBytes)
	}
	for i, g := range m.rewritten.Globals {
		m.global(g.Export).Set(begin[i])
	}
	if nextTime, nextBytes := look(); nextTime != firstTime || nextBytes != firstBytes {
		t.Errorf("after putting back: %d and %x, want %d and %x", nextTime, nextBytes, firstTime, firstBytes)
	}
}

func TestOutputIsSwallowed(t *testing.T) {
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), system().bytes())
	vectors := []byte{0, 1, 0, 0, 5, 0, 0, 0, 0, 2, 0, 0, 7, 0, 0, 0}
	m.Memory().Write(64, vectors)
	for file, want := range map[uint64]uint64{0: errnoBadFile, 1: errnoSuccess, 2: errnoSuccess, 3: errnoBadFile} {
		m.Memory().WriteUint32Le(32, 99)
		got, _, err := m.call("fd_write", muchFuel, muchDepth, file, 64, 2, 32)
		written, _ := m.Memory().ReadUint32Le(32)
		if err != nil || got[0] != want || want == errnoSuccess && written != 12 || want != errnoSuccess && written != 99 {
			t.Errorf("writing to %d gave %v, %v, and %d bytes", file, got, err, written)
		}
	}
	if _, left, err := m.call("fd_write", 1000, muchDepth, 1, 64, 1<<31, 32); err == nil || left >= 0 {
		t.Errorf("an endless list of vectors: %v, %d fuel left", err, left)
	}
}
