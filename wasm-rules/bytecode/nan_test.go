// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"encoding/binary"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestEveryNaNLooksTheSame looks at the bits of NaNs that arithmetic made, in
// every way there is.
func TestEveryNaNLooksTheSame(t *testing.T) {
	const canonical32, canonical64 = 0x7fc00000, 0x7ff8000000000000
	// nan pushes -(0/0), whose sign differs from that of 0/0.
	nan32 := []byte{opF32Const, 0, 0, 0, 0, opF32Const, 0, 0, 0, 0, 0x95, 0x8c}
	nan64 := []byte{opF64Const, 0, 0, 0, 0, 0, 0, 0, 0, opF64Const, 0, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x9a}
	positive32, positive64 := nan32[:len(nan32)-1], nan64[:len(nan64)-1]
	stored := func(nan []byte, store byte) func(c *code) {
		return func(c *code) {
			c.i32(0)
			c.op(nan...)
			c.access(store, 2, 0)
			c.i32(0)
			c.access(0x29, 2, 0) // i64.load
		}
	}
	looked := func(nan []byte, op ...byte) func(c *code) {
		return func(c *code) {
			c.op(nan...)
			c.op(op...)
		}
	}
	signed := func(nan []byte, op ...byte) func(c *code) {
		return func(c *code) {
			if op[0] == opF32Copysign {
				c.op(opF32Const, 0, 0, 0x80, 0x3f)
			} else {
				c.op(opF64Const, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)
			}
			c.op(nan...)
			c.op(op...)
		}
	}
	const extend = 0xad
	tests := []struct {
		name string
		code func(c *code)
		want uint64
	}{
		{"f32 stored", stored(nan32, opF32Store), canonical32},
		{"f32 stored, the other sign", stored(positive32, opF32Store), canonical32},
		{"f64 stored", stored(nan64, opF64Store), canonical64},
		{"f64 stored, the other sign", stored(positive64, opF64Store), canonical64},
		{"f32 reinterpreted", looked(nan32, opI32ReadF32, extend), canonical32},
		{"f64 reinterpreted", looked(nan64, opI64ReadF64), canonical64},
		{"f64 reinterpreted, the other sign", looked(positive64, opI64ReadF64), canonical64},
		{"sign of an f32", signed(nan32, opF32Copysign, opI32ReadF32, extend), 0x3f800000},
		{"sign of an f32, the other", signed(positive32, opF32Copysign, opI32ReadF32, extend), 0x3f800000},
		{"sign of an f64", signed(nan64, opF64Copysign, opI64ReadF64), 0x3ff0000000000000},
		{"sign of an f64, the other", signed(positive64, opF64Copysign, opI64ReadF64), 0x3ff0000000000000},
		{"a number stored", stored([]byte{opF64Const, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x9a}, opF64Store), 0xc000000000000000},
	}
	engines := map[string]wazero.RuntimeConfig{"compiled": wazero.NewRuntimeConfigCompiler(), "interpreted": wazero.NewRuntimeConfigInterpreter()}
	for engine, config := range engines {
		r := newRuntime(t, config)
		for _, tt := range tests {
			m := rewritten(t, r, one(":l", write(tt.code)...).bytes())
			if got, _, err := m.call("f", muchFuel, muchDepth); err != nil || got[0] != tt.want {
				t.Errorf("%s, %s: %x, %v, want %x", engine, tt.name, got, err, tt.want)
			}
		}
	}
}

// TestEveryInstructionThatMakesANaN makes one in each way, and looks at it at
// once.
func TestEveryInstructionThatMakesANaN(t *testing.T) {
	r := newRuntime(t, wazero.NewRuntimeConfig())
	for op := byte(0x8b); op <= 0xbb; op++ {
		o := operations[op]
		if o.results != "\x7d" && o.results != "\x7c" || o.params[0] > byte(F32) {
			continue
		}
		m := rewritten(t, r, one(":l", write(func(c *code) {
			for _, p := range []byte(o.params) {
				if ValueType(p) == F32 {
					c.op(opF32Const, 1, 2, 0xa3, 0xff)
				} else {
					c.op(opF64Const, 1, 2, 3, 4, 5, 6, 0xf4, 0xff)
				}
			}
			c.op(op)
			if ValueType(o.results[0]) == F32 {
				c.op(opI32ReadF32, 0xad)
			} else {
				c.op(opI64ReadF64)
			}
		})...).bytes())
		if got, _, err := m.call("f", muchFuel, muchDepth); err != nil || got[0] != 0x7fc00000 && got[0] != 0x7ff8000000000000 {
			t.Errorf("%s: %x, %v", o.name, got, err)
		}
	}
}

// TestNumbersAreCopiedBitByBit moves bits that are a NaN as a floating-point
// number from one place to another.
func TestNumbersAreCopiedBitByBit(t *testing.T) {
	const payload = 0xfff4_5678_9abc_def0 // a signalling NaN
	d := one(":l", write(func(c *code) {
		c.i32(8)
		c.i32(0)
		c.access(opF64Load, 3, 0)
		c.access(opF64Store, 3, 0)
		c.i32(8)
		c.access(0x29, 3, 0)
	})...)
	d.data = append([]byte{1, 0, opI32Const, 0, opEnd, 8}, binary.LittleEndian.AppendUint64(nil, payload)...)
	m := rewritten(t, newRuntime(t, wazero.NewRuntimeConfig()), d.bytes())
	if got, _, err := m.call("f", muchFuel, muchDepth); err != nil || got[0] != payload {
		t.Errorf("got %x, %v, want %x", got, err, uint64(payload))
	}
}
