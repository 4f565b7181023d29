// SPDX-License-Identifier: Apache-2.0

// Package wasmrules runs decision rules that are WebAssembly modules.
//
// A Host loads a module by its hash: it has the bytes verified and rewritten
// (package bytecode), compiles what came out in a process with limits, makes an
// instance, hands it the site's own field numbers and its settings, keeps a
// snapshot of what it is then, and lets canary visits try it. A loaded rule
// answers from a record that holds what its View allows and nothing else, spends
// fuel while it does, and is put back to the snapshot after every call, so no
// visitor meets another's traces. A module with repeated faults is quarantined.
// ABI.md is the contract with guests, abitest checks any module against it.
//
//	ModuleSource  bytes by hash                      source.go
//	Keys          who may sign a module              signature.go
//	Host.Load     the pipeline to a rule             host.go
//	compiler      code, from a cache that            compiler.go
//	jail          a limited process fills            jail.go
//	template      what a rule's instances share      template.go
//	CanaryVisits  every module must answer them      canary.go
//	rule.Choose   one answer, from a pool            rule.go, pool.go
//	instance      one memory: call, read, put back   instance.go, snapshot.go
//	breaker       keeps a faulty module out          breaker.go
//	quota, gate   what all modules may take          quota.go, gate.go
//	LoadRules     rules without code, compiled       ruleset_load.go
//	ruleSet       which of them hold, from a pool    ruleset.go, ruleset_instance.go
//	shared        one of each thing that is loaded   shared.go
//	Rehearsal     answers that count nowhere         rehearsal.go
//	encodeRecord  a View as the guest reads it       record.go
//	ParseOutput   what a guest wrote, not believed   output.go
//
// The package never hands a guest a value outside its View, never gives it an
// import, a clock or randomness, never lets a compiler see a module that was
// not verified, never compiles one here that this program did not bring or make,
// and never waits for the network.
//
// A Host and its rules are safe for concurrent use. A rule's instances are
// released once nothing refers to the rule any more.
package wasmrules

//go:generate go run ./sdk/generate sdk
