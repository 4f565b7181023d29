// SPDX-License-Identifier: Apache-2.0

package wasmrules

import "github.com/tetratelabs/wazero/api"

// ABIVersion is the version of the contract in ABI.md that this host speaks.
const ABIVersion = 1

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

// Limits of a module, ABI.md section 5.
const (
	MaxModuleBytes   = 512 << 10
	MaxMemoryPages   = 64 // of 64 KiB
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
)

// A signature is what ABI.md says of one exported function.
type signature struct {
	name            string
	params, results []api.ValueType
	required        bool
}

var (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// signatures are the functions the host calls, in the order it first does.
func signatures() []signature {
	return []signature{
		{exportInitialize, nil, nil, false},
		{exportIn, nil, []api.ValueType{i32}, true},
		{exportOut, nil, []api.ValueType{i32}, true},
		{exportBind, []api.ValueType{i32, i32}, nil, false},
		{exportSettings, []api.ValueType{i32, i32}, nil, false},
		{exportDecide, []api.ValueType{i32}, []api.ValueType{i64}, true},
	}
}
