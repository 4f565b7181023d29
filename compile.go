// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// A ruleCompiler compiles rules without code, for the desk.
type ruleCompiler struct{ host *wasmrules.Host }

// CompileRules implements publishing.Compiler.
func (ruleCompiler) CompileRules(doc *edge.ReleaseDocument) ([]byte, error) { return lang.Compile(doc) }

// Conditions implements publishing.Compiler.
func (ruleCompiler) Conditions(doc *edge.ReleaseDocument) (*edge.RuleConditions, error) {
	return lang.Conditions(doc)
}

// LoaderWith implements publishing.Compiler.
func (c ruleCompiler) LoaderWith(wasm []byte) edge.RuleLoader { return c.host.With(wasm) }

// compileRelease compiles a document as publishing will, and stores nothing. What
// the document says of its compiled rules is overwritten. The errors for rules
// without code are joined *edge.RuleErrors.
func compileRelease(doc *edge.ReleaseDocument, host *wasmrules.Host) (*edge.Release, error) {
	if err := doc.CheckRules(); err != nil {
		return nil, err
	}
	wasm, err := lang.Compile(doc)
	if err != nil {
		return nil, err
	}
	doc.Compiled = nil
	var loader edge.RuleLoader = host
	if wasm != nil {
		doc.Compiled, loader = &edge.Compiled{Hash: wasmrules.HashOf(wasm)}, host.With(wasm)
	}
	document, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return edge.CompileRelease(document, loader)
}
