// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The codes of findings that a site file's reader makes. A rule's condition is
// reported with the code of its edge.RuleError.
const (
	CodeSyntax     = "syntax"      // no YAML, or a part of YAML that site files do not use
	CodeLimit      = "limit"       // more than is read
	CodeUnknownKey = "unknown-key" // a key that is not there
	CodeType       = "type"        // a list where text is wanted, and so on
	CodeMissing    = "missing"     // a key that must be there
	CodeDuplicate  = "duplicate"   // a name that is taken
	CodeValue      = "value"       // a value that is not one of those that may be
	CodeReference  = "reference"   // a name of something that is not there
	CodeContent    = "content"     // content that a page must not show
	CodeRelease    = "release"     // what only the whole release shows
	CodeNotice     = "notice"      // what is allowed and mostly not meant
)

// A Finding is one thing that is wrong, and where.
type Finding struct {
	// File is the path in the directory, with slashes.
	File string `json:"file"`
	// Line and Column count from 1, columns in characters; 0 where the whole file
	// is meant.
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Code    string `json:"code"`
	Message string `json:"message"`
	// Hint is the nearest thing that works, possibly empty.
	Hint string `json:"hint,omitempty"`
}

// The severities of findings.
const (
	SeverityError  = "error"  // a node would not take the files
	SeverityNotice = "notice" // a node takes them
)

// Severity says how bad the finding is.
func (f Finding) Severity() string {
	if f.Code == CodeNotice {
		return SeverityNotice
	}
	return SeverityError
}

// MarshalJSON implements json.Marshaler: the fields and the severity.
func (f Finding) MarshalJSON() ([]byte, error) {
	type fields Finding
	return json.Marshal(struct {
		Severity string `json:"severity"`
		fields
	}{f.Severity(), fields(f)})
}

// String returns the finding as file:line:column: code: message; hint.
func (f Finding) String() string {
	var s strings.Builder
	if f.File != "" {
		s.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&s, ":%d:%d", f.Line, f.Column)
		}
		s.WriteString(": ")
	}
	s.WriteString(f.Code + ": " + f.Message)
	if f.Hint != "" {
		s.WriteString("; " + f.Hint)
	}
	return s.String()
}

// Findings is an error: one line for each, in the order of the files.
type Findings []Finding

// Error implements error.
func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

// err returns the findings as an error, nil if there is none.
func (f Findings) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// maxFindings is how many findings are told: who has more of them mends the first
// before reading on.
const maxFindings = 500

// sorted returns the findings by place, each once.
func (f Findings) sorted() Findings {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	f = slices.Compact(f)
	if more := len(f) - maxFindings; more > 0 {
		f = append(f[:maxFindings:maxFindings], Finding{Code: CodeLimit, Message: fmt.Sprintf("%d more things are wrong", more)})
	}
	return f
}
