// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/nearside/nearside/edge"
)

// compileRules returns the module of a document's rules without code, and writes
// its hash into the document. What the document said of it before is not
// believed, and that is all that nodes trust when they run the module
// unmetered: only what is compiled here comes under that member into a release.
// Nothing is stored.
func (d *Desk) compileRules(doc *edge.ReleaseDocument) (wasm []byte, err error) {
	doc.Compiled, doc.Inputs = nil, nil
	if d.o.Compiler == nil {
		if hasRules(doc) {
			return nil, refuse(CodeUnavailable, "document", "there is no compiler of rules here")
		}
		return nil, nil
	}
	if err := doc.CheckRules(); err != nil {
		return nil, releaseError(err)
	}
	wasm, err = d.o.Compiler.CompileRules(doc)
	switch {
	case err != nil:
		return nil, releaseError(err)
	case len(wasm) > edge.MaxModuleBytes:
		return nil, refuse(CodeTooLarge, "document", "the rules have %d bytes when they are compiled, at most %d", len(wasm), edge.MaxModuleBytes)
	case wasm != nil:
		doc.Compiled = &edge.Compiled{Hash: hashOf(wasm)}
	}
	return wasm, nil
}

// hasRules reports whether a document has rules without code.
func hasRules(doc *edge.ReleaseDocument) bool {
	return slices.ContainsFunc(doc.Slots, func(s edge.SlotSpec) bool { return len(s.Candidates()) > 0 })
}

// compile checks the release that a change leads to as every node will.
func (d *Desk) compile(ctx context.Context, a *amended, next *edge.ReleaseDocument) error {
	if next.Site != a.site {
		return refuse(CodeInvalid, "site", "the document is of site %.64q", next.Site)
	}
	if a.restores == 0 { // what was live here before may be live again
		if err := d.brought(ctx, a, next.Modules); err != nil {
			return err
		}
	}
	loader := d.o.Loader
	if a.rules != nil {
		loader = d.o.Compiler.LoaderWith(a.rules)
	}
	next.Number, next.Inputs = a.was.Number+1, nil
	document, err := json.Marshal(next)
	if err != nil {
		return because(CodeInvalid, "document", "release", err)
	}
	release, err := edge.CompileRelease(document, loader)
	if err != nil {
		return releaseError(err)
	}
	next.Inputs = release.Inputs()
	if document, err = json.Marshal(next); err != nil {
		return because(CodeInvalid, "document", "release", err)
	}
	if len(document) > edge.MaxReleaseBytes {
		return refuse(CodeTooLarge, "document", "the release has %d bytes, at most %d", len(document), edge.MaxReleaseBytes)
	}
	a.number, a.document, a.hash, a.release = next.Number, document, hashOf(document), release
	return nil
}

// keepRules stores the module that a release is about to need. It is stored no
// sooner: what is only proposed, or refused, leaves nothing. It is kept as long
// as the release, for good, and counts for no quota: one release has one.
func (d *Desk) keepRules(ctx context.Context, a *amended) error {
	if a.rules == nil {
		return nil
	}
	_, err := d.o.Modules.PutModule(ctx, a.rules)
	return storeError(err, "", "store compiled rules")
}

// releaseError turns what is wrong with a release into the actor's error. Its
// field is the first rule's that is at fault; its message names all, with lines
// and columns.
func releaseError(err error) error {
	e := &Error{Code: CodeInvalid, Message: err.Error(), Err: err}
	if wrong, ok := errors.AsType[*edge.RuleError](err); ok {
		e.Field = ruleField(wrong)
	}
	return e
}

// ruleField is where a rule stands: slots.hero.spring.when or
// audiences.loyal.when.
func ruleField(e *edge.RuleError) string {
	field := "audiences." + e.Audience
	if e.Audience == "" {
		field = "slots." + e.Slot + "." + e.Rule
	}
	if e.Member != "" {
		field += "." + e.Member
	}
	return field
}
