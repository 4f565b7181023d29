// SPDX-License-Identifier: Apache-2.0

// Package bytecode reads WebAssembly modules that nobody has read, refuses what
// could harm the process that compiles them, and rewrites the rest so that each
// call is metered and can be undone.
//
//	Verify   a whole validator with limits: sections, indexes, types   module.go
//	Rewrite  fuel, call depth, dirty chunks, no imports                rewrite.go
//	Fixed    what code of our own must be that is not rewritten        fixed.go
//	Pack     puts a custom section into a module                       pack.go
//
// Verify checks every index against what the module itself declares, before
// anything is added: an index that is out of range in the uploaded bytes could
// be in range once the rewriter has added its own globals, locals and blocks.
// Rewrite writes every number anew, so that a compiler never sees how the
// uploaded module spelled one. The same module always gives the same bytes, and
// those bytes spend the same fuel on every machine.
//
// The package does no I/O and runs no module. It never allocates by a number
// that a module states, only by bytes that are there. A Module is read-only and
// safe for concurrent use; it keeps the bytes it was made from, which must not
// change.
package bytecode
