// SPDX-License-Identifier: Apache-2.0

package bytecode

import "fmt"

// An Error says what is wrong with a module, and where. Its code is stable: the
// name of a Use if that limit is exceeded, or one of the Code constants.
type Error struct {
	Code     string
	Section  string // such as "code"; "module" for the module as a whole
	Offset   int    // of the byte to blame, from the start of the module
	Function int    // its index, imported functions counted; -1 outside a function
	What     string // the fault, as a sentence without its place
}

// The codes of errors that are not about one of the Limits.
const (
	CodeHeader    = "header"    // not a WebAssembly 1.0 module
	CodeTruncated = "truncated" // the bytes end too early
	CodeNumber    = "number"    // a number that does not fit its type
	CodeCount     = "count"     // more parts are promised than bytes are left
	CodeSection   = "section"   // a section unknown, out of order, missing or too long
	CodeName      = "name"      // a name that is not UTF-8, or is taken
	CodeReserved  = "reserved"  // a name that only the host may give
	CodeImport    = "import"    // an import that is not offered, or of another type
	CodeIndex     = "index"     // an index or a label of something that is not there
	CodeType      = "type"      // operands of another type, or too few or too many
	CodeOpcode    = "opcode"    // an instruction that is unknown or not allowed
	CodeConstant  = "constant"  // an initialiser that is not one constant
	CodeSegment   = "segment"   // a segment that is passive or reaches too far
	CodeFeature   = "feature"   // a part of WebAssembly that rules may not use
	CodeStart     = "start"     // a start function
)

// Error implements error, in one sentence.
func (e *Error) Error() string {
	if e.Section == sectionModule {
		return e.What
	}
	if e.Function < 0 {
		return fmt.Sprintf("%s section, byte %d: %s", e.Section, e.Offset, e.What)
	}
	return fmt.Sprintf("%s section, byte %d, function %d: %s", e.Section, e.Offset, e.Function, e.What)
}
