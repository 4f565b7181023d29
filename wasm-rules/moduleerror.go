// SPDX-License-Identifier: Apache-2.0

package wasmrules

// A ModuleError says why a module was refused, with a code that stays the same.
// Errors of a machine that could not do its work are not ModuleErrors.
type ModuleError struct {
	Code string
	Err  error
}

// Error implements error. It is one line.
func (e *ModuleError) Error() string { return e.Err.Error() }

// Unwrap returns the error that the code stands for.
func (e *ModuleError) Unwrap() error { return e.Err }

// The codes of refused modules, beside those of package bytecode.
const (
	CodeUnsigned     = "unsigned"          // no signature where one is needed
	CodeBadSignature = "bad_signature"     // by a key that is not trusted, or of something else
	CodeABI          = "abi"               // not the exports that the ABI asks for
	CodeStart        = "start_failed"      // trapped, or spent too much, before it could serve
	CodeCanary       = "canary_failed"     // a fault on a sample visit
	CodeGrows        = "memory_grows"      // grew its memory on a sample visit
	CodeQuota        = "too_many_large"    // more large modules than the node has room for
	CodeMemory       = "too_much_memory"   // more memory in all modules than the node has room for
	CodeInvalid      = "invalid_module"    // not valid WebAssembly
	CodeTooSlow      = "compile_too_slow"  // took longer to compile than a module may
	CodeTooLarge     = "compile_too_large" // took more memory to compile than a module may
	CodeCrashed      = "compile_crashed"   // broke the compiler
	CodeBusy         = "compile_busy"      // waited too long for other modules
)
