// SPDX-License-Identifier: Apache-2.0

// Package wasmrules runs decision rules that are WebAssembly modules.
//
// A Host loads a module by its hash: it checks the bytes, compiles them, makes
// an instance, hands it the site's own field numbers and its settings, and keeps
// a snapshot of what it is then. A loaded rule answers from a record that holds
// what its View allows and nothing else; after every call the instance is put
// back to the snapshot or thrown away, so no visitor meets another's traces.
// ABI.md is the contract with guests, abitest checks any module against it.
//
//	ModuleSource  bytes by hash                      source.go
//	ReadManifest  what a module declares, inside it  manifest.go
//	CheckSettings settings against their schema      schema.go
//	verify        bounded parse before wazero        verify.go
//	Host.Load     the pipeline to a rule             host.go
//	Keys          who may sign a module              signature.go
//	compiler      code, from a cache that            compiler.go
//	jail          a limited process fills            jail.go
//	rule.Choose   one answer, from a pool            rule.go
//	instance      one memory: call, read, put back   instance.go
//	encodeRecord  a View as the guest reads it       record.go
//	ParseOutput   what a guest wrote, not believed   output.go
//
// The package never hands a guest a value outside its View, never gives it an
// import, a clock or randomness, never lets a module in that verify refused,
// and never waits for the network. Modules must be honest about time: nothing
// here stops one that loops for ever.
//
// A Host and its rules are safe for concurrent use. A rule's instances are
// released once nothing refers to the rule any more.
package wasmrules

//go:generate go run ./sdk/generate sdk
