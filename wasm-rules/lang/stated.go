// SPDX-License-Identifier: Apache-2.0

package lang

import "github.com/nearside/nearside/edge"

// Conditions returns the conditions of a document's rules and audiences for
// people to read. The error joins an *edge.RuleError for each fault.
func Conditions(doc *edge.ReleaseDocument) (*edge.RuleConditions, error) {
	d, err := checkDocument(doc)
	if err != nil {
		return nil, err
	}
	s := &surroundings{document: d, values: func(string) edge.Value { return edge.Value{} }, opened: make(map[string]bool)}
	for name := range d.audiences {
		s.opened[name] = true // each is told by itself
	}
	out := &edge.RuleConditions{Rules: make(map[string]map[string]edge.Condition), Audiences: make(map[string]edge.Condition)}
	for name, x := range d.audiences {
		out.Audiences[name] = s.stated(x)
	}
	for i := range d.slots {
		rules := make(map[string]edge.Condition)
		for j := range d.slots[i].rules {
			if r := &d.slots[i].rules[j]; r.when != nil {
				rules[r.name] = s.stated(r.when)
			}
		}
		out.Rules[d.slots[i].name] = rules
	}
	return out, nil
}

// stated is a condition without what became of it.
func (s *surroundings) stated(x *expression) edge.Condition {
	e := evaluation{surroundings: s, checked: x.ast}
	return unjudged(e.condition(x.ast.Expr()))
}

func unjudged(c edge.Condition) edge.Condition {
	c.Verdict, c.Saw, c.Unknown = "", "", nil
	for i, part := range c.Parts {
		c.Parts[i] = unjudged(part)
	}
	return c
}
