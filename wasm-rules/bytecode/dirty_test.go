// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
)

// writers is a module with a function for every instruction that writes: stores
// by their name and "+" with a large offset, "fill", "copy", and "grow" to its
// most pages.
func writers(pages byte) draft {
	d := draft{memory: []byte{1, 0, pages}}
	add := func(name, typ string, f func(c *code)) {
		d.funcs = append(d.funcs, draftFunc{name: name, typ: typ, code: write(f)})
	}
	for op := byte(opI32Store); op <= opI64Store32; op++ {
		for suffix, offset := range map[string]uint32{"": 0, "+": 40_000} {
			value := ValueType(operations[op].params[1])
			add(operations[op].name+suffix, "i:", func(c *code) {
				c.on(opLocalGet, 0)
				c.constant(map[ValueType]constant{
					I32: {op: opI32Const, value: -1}, I64: {op: opI64Const, value: -1},
					F32: {op: opF32Const, bits: []byte{1, 2, 3, 4}}, F64: {op: opF64Const, bits: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
				}[value])
				*c = (*c)[:len(*c)-1]
				c.access(op, 0, offset)
			})
		}
	}
	add("fill", "ii:", func(c *code) {
		c.on(opLocalGet, 0)
		c.i32(0xab)
		c.on(opLocalGet, 1)
		c.op(opMore, moreMemoryFill, 0)
	})
	add("copy", "ii:", func(c *code) {
		c.on(opLocalGet, 0)
		c.i32(3)
		c.on(opLocalGet, 1)
		c.op(opMore, moreMemoryCopy, 0, 0)
	})
	add("grow", "i:i", func(c *code) {
		c.on(opLocalGet, 0)
		c.op(opMemoryGrow, 0)
	})
	return d
}

func TestChunksCoverTheMemory(t *testing.T) {
	for pages, want := range map[byte]uint{0: 10, 1: 10, 2: 11, 3: 12, 4: 12, 17: 15, 32: 15, 33: 16, 64: 16} {
		m, err := Verify(writers(pages).bytes(), Standard())
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Rewrite().ChunkShift; got != want {
			t.Errorf("%d pages: chunks of 2^%d bytes, want 2^%d", pages, got, want)
		}
	}
}

// TestEveryWriteIsMarked writes at the edges of chunks and anywhere else, before
// and after the memory has grown past what the marks can tell apart.
func TestEveryWriteIsMarked(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	random := rand.New(rand.NewPCG(3, 4))
	for _, pages := range []byte{1, 2, 17} {
		d := writers(pages)
		m := rewritten(t, r, d.bytes())
		chunk := 1 << m.rewritten.ChunkShift
		for range 2 {
			size := int(m.Memory().Size())
			for range 10 {
				at := random.IntN(size)
				if random.IntN(2) == 0 {
					at = min(size-1, (at/chunk+1)*chunk-random.IntN(8))
				}
				for _, f := range d.funcs {
					args := []uint64{uint64(at)}
					switch f.name {
					case "grow":
						continue
					case "fill", "copy":
						args = append(args, uint64(random.IntN(1<<random.IntN(bits.Len(uint(size))))))
					}
					before := m.bytes()
					_, _, err := m.call(f.name, muchFuel, muchDepth, args...)
					marked := m.dirty()
					m.checkDirty(before, marked)
					if n := bits.OnesCount64(marked); err == nil && len(args) == 1 && n != 1 || len(args) == 2 && n > int(args[1])/chunk+2 {
						t.Fatalf("%s%v marked %d chunks", f.name, args, n)
					}
				}
			}
			if _, _, err := m.call("grow", muchFuel, muchDepth, 64-uint64(pages)); err != nil {
				t.Fatal(err)
			}
		}
		if got := m.Memory().Size(); got != 64*PageBytes {
			t.Fatalf("the memory has %d bytes", got)
		}
	}
}

// TestMemoryStaysSmall asks for more memory than there may be, at once and page
// by page.
func TestMemoryStaysSmall(t *testing.T) {
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), writers(1).bytes())
	for _, pages := range []uint64{1 << 15, 64, 0xffffffff} {
		if got, _, err := m.call("grow", muchFuel, muchDepth, pages); err != nil || int32(got[0]) != -1 {
			t.Errorf("growing by %d gave %v, %v", pages, got, err)
		}
	}
	for range 200 {
		if _, _, err := m.call("grow", muchFuel, muchDepth, 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Memory().Size(); got != 64*PageBytes {
		t.Errorf("the memory has %d bytes", got)
	}
}
