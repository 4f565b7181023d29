// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/nearest"
)

const codeNotice = "notice"

// Notices returns what a document's audiences and rules without code may say and
// mostly do not mean: comparisons with what a value never is, and counts of
// events that look misspelt. It is nil for a document that Compile refuses.
func Notices(doc *edge.ReleaseDocument) []*edge.RuleError {
	d, err := checkDocument(doc)
	if err != nil {
		return nil
	}
	n := &noticer{language: d.lang, events: edge.StandardEvents(), builtin: edge.Fields()}
	for _, f := range doc.Fields {
		n.events = append(n.events, f.Event)
	}
	for _, a := range doc.Audiences {
		n.look(d.audiences[a.Name], edge.RuleError{Audience: a.Name, Member: memberWhen})
	}
	for i := range d.slots {
		for _, r := range d.slots[i].rules {
			n.look(r.when, edge.RuleError{Slot: d.slots[i].name, Rule: r.name, Member: memberWhen})
			n.look(r.score, edge.RuleError{Slot: d.slots[i].name, Rule: r.name, Member: memberScore})
		}
	}
	return n.found
}

// A noticer looks at checked expressions, one after the other.
type noticer struct {
	*language
	builtin []edge.Field
	events  []string // that are known by name
	found   []*edge.RuleError
}

// look notices what an expression, or nil, says.
func (n *noticer) look(e *expression, where edge.RuleError) {
	if e == nil || len(n.found) >= maxFaults {
		return
	}
	c := &checker{language: n.language, ast: e.ast}
	ast.PreOrderVisit(e.ast.Expr(), ast.NewExprVisitor(func(part ast.Expr) {
		if part.Kind() == ast.CallKind {
			n.call(c, part)
		}
	}))
	for _, f := range c.faults {
		n.found = append(n.found, f.at(where))
	}
}

// mirrored are the operators that say the same with their sides exchanged.
var mirrored = map[string]string{"_==_": "_==_", "_!=_": "_!=_", "_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}

func (n *noticer) call(c *checker, e ast.Expr) {
	if macro, ok := c.ast.SourceInfo().GetMacroCall(e.ID()); ok && macro.Kind() == ast.CallKind && macro.AsCall().FunctionName() == fnCount {
		n.count(c, macro.AsCall().Args()[0])
		return
	}
	operator, args := e.AsCall().FunctionName(), e.AsCall().Args()
	switch other, compares := mirrored[operator]; {
	case operator == "@in" && args[1].Kind() == ast.ListKind:
		for _, element := range args[1].AsList().Elements() {
			n.compare(c, "_==_", args[0], element)
		}
	case compares && args[0].Kind() == ast.LiteralKind:
		n.compare(c, other, args[1], args[0])
	case compares:
		n.compare(c, operator, args[0], args[1])
	}
}

// count notices the name of an event that is mostly another.
func (n *noticer) count(c *checker, name ast.Expr) {
	event, _ := text(name)
	if slices.Contains(n.events, event) {
		return
	}
	if near := nearest.Of(event, n.events); near != "" && nearest.Distance(event, near, 3) <= 2 {
		c.blame(name, codeNotice, fmt.Sprintf("%s is no event that GA4 has a name for", event), "did you mean "+near+"?")
	}
}

// compare notices that a value never is the constant that it is compared with.
func (n *noticer) compare(c *checker, operator string, value, constant ast.Expr) {
	if constant.Kind() != ast.LiteralKind {
		return
	}
	if value.Kind() == ast.CallKind && value.AsCall().FunctionName() == fnHash {
		n.bucket(c, constant)
		return
	}
	if value.Kind() != ast.IdentKind || n.fields[value.AsIdent()] == nil {
		return
	}
	switch literal := constant.AsLiteral().(type) {
	case types.String:
		n.word(c, n.fields[value.AsIdent()], constant)
	case types.Int:
		n.number(c, operator, n.fields[value.AsIdent()], constant, float64(literal))
	case types.Double:
		n.number(c, operator, n.fields[value.AsIdent()], constant, float64(literal))
	}
}

// bucket notices a share where a bucket's number is meant.
func (n *noticer) bucket(c *checker, constant ast.Expr) {
	if share, ok := constant.AsLiteral().(types.Double); ok && share <= 1 {
		c.blame(constant, codeNotice, fmt.Sprintf("hash is a whole number from 0 to %d", edge.Buckets-1),
			fmt.Sprintf("write %d", int(math.Round(max(0, float64(share))*edge.Buckets))))
	}
}

// word notices a text that a field never is.
func (n *noticer) word(c *checker, f *field, constant ast.Expr) {
	word, _ := text(constant)
	if word == "" {
		c.blame(constant, codeNotice, f.name+" is never empty: without a value it is unknown", "leave it out: a condition on what is not there does not hold")
		return
	}
	if f.own >= 0 {
		return
	}
	if words := n.builtin[f.number].Words(); words != nil && !slices.Contains(words, word) {
		last := len(words) - 1
		hint := "it is " + strings.Join(words[:last], ", ") + " or " + words[last]
		if near := nearest.Hint(word, words); near != "" {
			hint = near
		}
		c.blame(constant, codeNotice, fmt.Sprintf("%s is never %.64q", f.name, word), hint)
	}
	if f.number == edge.FieldCountry && !isCountry(word) {
		hint := `write the country's two letters, as in "NO"`
		if upper := strings.ToUpper(word); isCountry(upper) {
			hint = fmt.Sprintf("write %q", upper)
		}
		c.blame(constant, codeNotice, fmt.Sprintf("%s is never %.64q", f.name, word), hint)
	}
}

// isCountry reports whether a word looks like a code of ISO 3166-1 alpha-2.
func isCountry(word string) bool {
	return len(word) == 2 && word[0]-'A' <= 'Z'-'A' && word[1]-'A' <= 'Z'-'A'
}

// number notices a number that a field never is, or never is beyond.
func (n *noticer) number(c *checker, operator string, f *field, constant ast.Expr, number float64) {
	if f.own >= 0 {
		return
	}
	from, until, bounded := n.builtin[f.number].Range()
	if !bounded {
		return
	}
	least, most := float64(from), float64(until)
	never := number < least || number > most
	switch operator { // hour < 24 is always so, and may be meant
	case "_<_":
		never = number <= least
	case "_<=_":
		never = number < least
	case "_>_":
		never = number >= most
	case "_>=_":
		never = number > most
	}
	if never {
		c.blame(constant, codeNotice, fmt.Sprintf("%s is a whole number from %d to %d", f.name, from, until), "so this is the same for everybody")
	}
}
