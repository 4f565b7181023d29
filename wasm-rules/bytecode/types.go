// SPDX-License-Identifier: Apache-2.0

package bytecode

import "strings"

// A ValueType is the type of a number in a module, as the binary format writes
// it.
type ValueType byte

// The four types that rules may use.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F32 ValueType = 0x7d
	F64 ValueType = 0x7c
)

// anyType stands for whatever an instruction after a branch that is always
// taken would find on the stack.
const anyType ValueType = 0

// String is the name in WebAssembly text.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case anyType:
		return "any"
	}
	return "unknown"
}

func (t ValueType) known() bool { return t >= F64 && t <= I32 }

// A funcType is a function's or a block's type; each byte of the strings is a
// ValueType.
type funcType struct{ params, results string }

// String is like "(i32, i32) -> (i64)".
func (t funcType) String() string {
	return "(" + typeNames(t.params) + ") -> (" + typeNames(t.results) + ")"
}

func typeNames(types string) string {
	names := make([]string, len(types))
	for i := range names {
		names[i] = ValueType(types[i]).String()
	}
	return strings.Join(names, ", ")
}

// signature reads a type written in letters, i for i32, l for i64, f for f32
// and d for f64: "il:d" takes an i32 and an i64 and gives an f64.
func signature(letters string) funcType {
	letter := strings.NewReplacer("i", "\x7f", "l", "\x7e", "f", "\x7d", "d", "\x7c")
	params, results, _ := strings.Cut(letters, ":")
	return funcType{letter.Replace(params), letter.Replace(results)}
}

// onlyResult are the types of blocks that give one value and take none.
var onlyResult = map[ValueType]funcType{
	I32: signature(":i"), I64: signature(":l"), F32: signature(":f"), F64: signature(":d"),
}
