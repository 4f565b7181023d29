// SPDX-License-Identifier: Apache-2.0

// Package lang is the language of rules without code: conditions and scores in
// CEL over the fields of a visit, compiled to one WASM module per release.
//
//	Compile  a release's audiences and rules to a module      compile.go
//	Read     what a compiled module says of itself            program.go
//
// cel-go parses and type-checks (env.go); check.go refuses what is not in the
// language and says where and what to write instead; lower.go turns what is left
// into nodes that say only what a condition depends on; the emit files turn those
// into code. docs/RULES.md is the language, ABI.md the module.
//
// A field that is absent or refused makes what is told from it neither true nor
// false, as an error in CEL does. The code has no value for that: each condition
// is emitted as "go on if it is true" or "go on if it is false", and what is
// neither goes on in neither.
//
// The package does no I/O and keeps no state. The same document always gives the
// same bytes. Everything may be called by many goroutines at once.
package lang
