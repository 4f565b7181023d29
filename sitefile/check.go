// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/nearside/nearside/edge"
)

// A Compiler compiles the rules without code of a document to a module, to nil
// where there are none. An error joins an edge.RuleError for each thing that is
// wrong.
type Compiler func(doc *edge.ReleaseDocument) (module []byte, err error)

// Check reads a directory's files as Read does and compiles their rules. Its
// error holds all that is wrong with the files and with the rules, as Findings.
func Check(dir fs.FS, compile Compiler) (files *Files, module []byte, err error) {
	files, err = Read(dir)
	findings, known := errors.AsType[Findings](err)
	if err != nil && !known || !files.declares(findings) {
		return files, nil, err
	}
	half := len(findings) > 0
	module, err = compile(&files.Document)
	for _, one := range split(errors.Join(files.Document.CheckRules(), err)) {
		// What is half a rule was reported; so is what follows from it.
		if wrong, ok := errors.AsType[*edge.RuleError](one); ok && wrong.Code == "shape" && half {
			continue
		}
		findings = append(findings, files.Locate(one)...)
	}
	return files, module, findings.sorted().err()
}

// declares reports whether all that rules may name could be read, so that what a
// compiler says of a rule is true.
func (f *Files) declares(findings Findings) bool {
	if slices.ContainsFunc(findings, func(one Finding) bool { return one.Code == CodeSyntax || one.Code == CodeLimit }) {
		return false
	}
	var wrong Findings
	for _, file := range f.files {
		for _, name := range []string{"fields", "audiences"} {
			if n := file.root.get(name); n != nil {
				wrong.check(n, siteShape.key(name).shape, name)
			}
		}
	}
	return len(wrong) == 0 && len(f.files) > 0
}
