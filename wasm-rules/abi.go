// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// The record, ABI.md section 3. All numbers are little-endian.
const (
	RecordMagic    = 0x3141454E // the bytes "NEA1"
	MaxRecordBytes = 16 << 10

	recordHeader = 16
	slotBytes    = 8  // an i64, an f64, or (u32 offset, u32 count)
	refBytes     = 8  // a text inside a list: (u32 offset, u32 length)
	itemBytes    = 24 // text id, i64 quantity, f64 price
	entryBytes   = 16 // text key, f64 value
)

// The output, ABI.md section 4.
const (
	// MaxOutputBytes is the size of a guest's output buffer, its length word
	// included.
	MaxOutputBytes = 1 << 10

	tagBecause = 1
	tagItem    = 2
	tagReason  = 3
	tagText    = 4
)

// What compiled rules answer for a slot, ABI.md section 6: a bit for each
// candidate, then the scores.
const (
	heldBytes  = (edge.MaxCandidates + 63) / 64 * 8
	scoreBytes = 8
)

// Limits of a module, ABI.md section 5.
const (
	MaxModuleBytes   = edge.MaxModuleBytes
	MaxMemoryPages   = 64 // of pageBytes
	pageBytes        = bytecode.PageBytes
	MaxSettingsBytes = MaxRecordBytes
)

// The names of a module's exports, ABI.md section 2.
const (
	exportMemory     = "memory"
	exportInitialize = "_initialize"
	exportIn         = "near_in"
	exportOut        = "near_out"
	exportBind       = "near_bind"
	exportSettings   = "near_settings"
	exportDecide     = "near_decide"

	exportVisit     = "near_visit" // of compiled rules, section 6
	exportDecideAll = "near_decide_all"
)

// An export is what ABI.md says of one exported function.
type export struct {
	name, typ string
	required  bool
}

// exports are the functions the host calls, in the order it first does.
func exports() []export {
	return []export{
		{exportInitialize, "() -> ()", false},
		{exportIn, "() -> (i32)", true},
		{exportOut, "() -> (i32)", true},
		{exportBind, "(i32, i32) -> ()", false},
		{exportSettings, "(i32, i32) -> ()", false},
		{exportDecide, "(i32) -> (i64)", true},
	}
}

// compiledExports are all that a module of compiled rules exports beside its
// memory.
func compiledExports() []export {
	return []export{
		{exportIn, "() -> (i32)", true},
		{exportBind, "(i32, i32) -> ()", true},
		{exportVisit, "() -> ()", true},
		{exportDecideAll, "(i32) -> (i32)", true},
	}
}
