// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
)

// syntaxFaults returns what the parser says of a source, in plain words.
func syntaxFaults(issues *cel.Issues, source string) []fault {
	lines := strings.Split(source, "\n")
	var faults []fault
	for _, e := range issues.Errors() {
		f := fault{line: max(0, e.Location.Line()), column: max(0, e.Location.Column()+1), code: codeSyntax}
		switch message := strings.TrimPrefix(e.Message, "Syntax error: "); {
		case strings.HasPrefix(message, "write "): // by a macro of ours
			f.code, f.message, f.hint = codeShape, "this does not fit here", message
		case strings.Contains(message, "recursion") || strings.Contains(message, "exceeds limit"):
			f.code, f.message, f.hint = codeTooLarge, "too many brackets in each other", "move a part into an audience"
		default:
			found := ""
			f.message, found = syntaxMessage(message)
			if f.line >= 1 && f.line <= len(lines) {
				f.hint = syntaxHint(lines[f.line-1], f.column, found)
			}
		}
		if faults = append(faults, f); f.code == codeSyntax || len(faults) == maxErrors {
			break // what follows a slip is about the slip
		}
	}
	return faults
}

var (
	unexpectedText = regexp.MustCompile(`^(?:token recognition error at: |mismatched input |extraneous input |no viable alternative at input )'((?s:.*?))'(?: expecting .*)?$`)
	missingText    = regexp.MustCompile(`^missing ('.*?') at '`)
	reservedText   = regexp.MustCompile(`^reserved identifier: (\w+)`)
)

// syntaxMessage translates a message of the parser. found is what it stumbles
// over, "" for the end.
func syntaxMessage(message string) (text, found string) {
	message = strings.ReplaceAll(message, "<EOF>", "")
	if m := missingText.FindStringSubmatch(message); m != nil {
		return m[1] + " is missing", ""
	}
	if m := reservedText.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q is a reserved word", m[1]), m[1]
	}
	m := unexpectedText.FindStringSubmatch(message)
	switch {
	case m == nil:
		return message, ""
	case m[1] == "":
		return "it ends too early", ""
	}
	if found = strings.TrimSpace(m[1]); strings.HasPrefix(found, `"`) || strings.HasPrefix(found, "'") {
		return "a text has no end", found
	}
	return "'" + found + "' cannot stand here", found
}

// otherWords are what people write who know other languages, and what is written here.
var otherWords = map[string]string{
	"=": "== to compare", "===": "==", "is": "==", "equals": "==", "<>": "!=", "and": "&&", "&": "&&", "or": "||", "|": "||", "not": "!",
	"if": "... ? ... : ...", "like": "x.startsWith(y), x.endsWith(y) or x.contains(y)", "has": `"..." in x`,
	"contains": `x.contains("...") of a text, "..." in x of a list`,
}

var (
	bareListText = regexp.MustCompile(`\bin\s*\(?\s*["'][^"']*["']\s*$`)
	lastWordText = regexp.MustCompile(`(\w+|[<%])\s*$`)
)

// syntaxHint says what is mostly meant where the parser stumbles over found at a
// column of a line.
func syntaxHint(line string, column int, found string) string {
	runes := []rune(line)
	before := string(runes[:min(max(column-1, 0), len(runes))])
	last := strings.ToLower(strings.TrimSpace(lastWordText.FindString(before)))
	switch hint := otherWords[strings.ToLower(found)]; {
	case strings.ContainsAny(found, "“”„‘’«»"):
		return `write straight quotes: "..."`
	case strings.HasPrefix(found, "'") || strings.Count(line, `"`)%2 == 1:
		return `a quote is missing: a text stands between two`
	case found == "," && bareListText.MatchString(before):
		return `write a list in square brackets: in ["...", "..."]`
	case found == ">" && last == "<":
		return "write !="
	case hint != "":
		return "write " + hint
	case last == "not":
		return "write !"
	case last == "%":
		return "there are no percents; a rule's rollout is a share of the visitors"
	}
	return ""
}
