// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"fmt"
)

// Limits of a module's parts. They leave four times and more of what modules
// built from C, AssemblyScript and Rust need.
const (
	maxTypes     = 1024
	maxParams    = 16
	maxResults   = 4
	maxFunctions = 8192
	maxTableSize = 16384
	maxGlobals   = 1024
	maxExports   = 256
	maxBodyBytes = 64 << 10
	maxLocals    = 128
)

// Section ids of the WebAssembly binary format.
const (
	sectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
)

var wasmHeader = []byte("\x00asm\x01\x00\x00\x00")

// A verified module has passed verify: bytes wazero may see and what the host
// has to know of their inside.
type verified struct {
	// wasm is the module without its custom sections, which say nothing a rule
	// needs and would be parsed again.
	wasm []byte
	// mutable are the numbers of its mutable globals.
	mutable []int
	// exported names the exported ones among all globals, by number.
	exported map[int]string
}

// verify parses a module's frame: every count is at most the bytes left, every
// section is read to its end, and the limits above hold. A compiler that only
// sees what passed cannot be made to allocate by a count alone. It refuses
// imports, start functions, more than one memory or table, and passive data.
//
// It does not look at instructions: that wazero validates them is enough for an
// honest module and not for a hostile one. Their limits (nesting, blocks,
// branch tables, an opcode list) belong here too when modules come from
// strangers, as does rewriting them to spend fuel.
func verify(wasm []byte) (*verified, error) {
	if len(wasm) > MaxModuleBytes {
		return nil, fmt.Errorf("verify: %d bytes, at most %d", len(wasm), MaxModuleBytes)
	}
	if !bytes.HasPrefix(wasm, wasmHeader) {
		return nil, errors.New("verify: not a WebAssembly 1.0 module")
	}
	m := &verified{wasm: bytes.Clone(wasmHeader), exported: map[int]string{}}
	r := &wasmReader{b: wasm[len(wasmHeader):]}
	last, seen := byte(0), [sectionData + 1]bool{}
	for len(r.b) > 0 && r.err == nil {
		whole := r.b
		id := r.byte()
		body := &wasmReader{b: r.take(r.u32())}
		if r.err != nil || id == sectionCustom {
			continue
		}
		if id > sectionData || id <= last {
			return nil, fmt.Errorf("verify: section %d is unknown, out of order or repeated", id)
		}
		last, seen[id] = id, true
		m.section(id, body)
		if body.err == nil && len(body.b) > 0 {
			body.fail("%d bytes left over", len(body.b))
		}
		if body.err != nil {
			return nil, fmt.Errorf("verify: section %d: %w", id, body.err)
		}
		m.wasm = append(m.wasm, whole[:len(whole)-len(r.b)]...)
	}
	if r.err != nil {
		return nil, fmt.Errorf("verify: %w", r.err)
	}
	if !seen[sectionMemory] {
		return nil, errors.New("verify: no memory")
	}
	return m, nil
}

func (m *verified) section(id byte, r *wasmReader) {
	switch id {
	case sectionType:
		r.vector("types", maxTypes, func(int) {
			if r.byte() != 0x60 {
				r.fail("not a function type")
			}
			r.take(r.count("parameters", maxParams))
			r.take(r.count("results", maxResults))
		})
	case sectionImport:
		r.vector("imports", 0, func(int) {})
	case sectionFunction:
		r.vector("functions", maxFunctions, func(int) { r.u32() })
	case sectionTable:
		r.vector("tables", 1, func(int) {
			r.byte()
			r.limits("table", maxTableSize)
		})
	case sectionMemory:
		r.vector("memories", 1, func(int) { r.limits("memory", MaxMemoryPages) })
	case sectionGlobal:
		r.vector("globals", maxGlobals, func(i int) {
			r.byte()
			if r.byte() == 1 {
				m.mutable = append(m.mutable, i)
			}
			r.constant()
		})
	case sectionExport:
		r.vector("exports", maxExports, func(int) {
			name, kind, number := string(r.take(r.u32())), r.byte(), r.u32()
			if kind == 3 {
				m.exported[int(number)] = name
			}
		})
	case sectionStart:
		r.fail("a start function; export %s instead", exportInitialize)
	case sectionElement:
		r.vector("element segments", maxTableSize, func(int) {
			r.active()
			r.vector("elements", maxTableSize, func(int) { r.u32() })
		})
	case sectionCode:
		r.vector("functions", maxFunctions, func(int) { r.body() })
	case sectionData:
		r.vector("data segments", MaxModuleBytes, func(int) {
			r.active()
			r.take(r.u32())
		})
	}
}
