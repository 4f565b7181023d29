// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"strings"
)

// A spelling picks one engine's text of a leaf and names an audience in it.
type spelling struct {
	leaf     func(leaf) string
	audience func(name string) string
}

var (
	inOurs = spelling{func(l leaf) string { return l.ours }, func(name string) string { return fmt.Sprintf("inAudience(%q)", name) }}
	inCEL  = spelling{func(l leaf) string { return l.cel }, func(name string) string { return "audience." + name }}
	inExpr = spelling{exprText, func(name string) string { return "audience_" + name }}
)

// text spells a condition; CEL and expr join alike.
func (s spelling) text(c condition) string {
	switch c.op {
	case "leaf":
		return s.leaf(c.leaf)
	case "audience":
		return s.audience(c.audience)
	case "not":
		text := s.text(c.parts[0])
		if c.parts[0].op != "leaf" || strings.Contains(text, " ") {
			text = "(" + text + ")"
		}
		return "!" + text
	}
	join := map[string]string{"and": " && ", "or": " || "}[c.op]
	var parts []string
	for _, p := range c.parts {
		text := s.text(p)
		if p.op == "or" || p.op == "and" && c.op == "or" {
			text = "(" + text + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, join)
}

// score spells a score.
func (s spelling) score(sc score) string {
	text := fmt.Sprint(sc.base)
	for _, b := range sc.bonuses {
		text += fmt.Sprintf(" + (%s ? %d : 0)", s.text(b.when), b.points)
	}
	return fmt.Sprintf("%s - %d * %s", text, sc.perWeekday, s.leaf(everywhere("time.weekday")))
}

// A regoWriter spells conditions as bodies of rules. What Rego cannot say in one
// literal gets a helper, the same one for the same text: OPA evaluates it once a
// query.
type regoWriter struct {
	helpers strings.Builder
	named   map[string]string // helper by its bodies
}

// rego is a rule set as a Rego module: held has the numbers of the rules that
// hold and, as scores says, what each scores.
func (set *ruleSet) rego(scores bool) string {
	w := &regoWriter{named: make(map[string]string)}
	var rules strings.Builder
	for _, a := range set.audiences {
		fmt.Fprintf(&rules, "audience_%s if {\n\t%s\n}\n", a.name, w.body(a.when))
	}
	for i, r := range set.rules {
		if scores {
			fmt.Fprintf(&rules, "held[%d] := score if {\n\t%s\n\tscore := %s\n}\n", i, w.body(r.when), w.score(r.score))
		} else {
			fmt.Fprintf(&rules, "held contains %d if {\n\t%s\n}\n", i, w.body(r.when))
		}
	}
	return "package rules\n\n" + rules.String() + w.helpers.String()
}

// body spells a condition as literals that must all hold.
func (w *regoWriter) body(c condition) string {
	switch c.op {
	case "leaf":
		if c.leaf.body {
			return w.helper("", c.leaf.rego)
		}
		return c.leaf.rego
	case "audience":
		return "audience_" + c.audience
	case "not":
		literal := w.body(c.parts[0])
		if strings.Contains(literal, "\n") || strings.HasPrefix(literal, "not ") {
			literal = w.helper("", literal)
		}
		return "not " + literal
	}
	var bodies []string
	for _, p := range c.parts {
		bodies = append(bodies, w.body(p))
	}
	if c.op == "or" {
		return w.helper("", bodies...)
	}
	return strings.Join(bodies, "\n\t")
}

// helper returns the name of a rule with these bodies; otherwise is its value
// where none holds, "" for undefined.
func (w *regoWriter) helper(otherwise string, bodies ...string) string {
	key := otherwise + "\x00" + strings.Join(bodies, "\x00")
	if name, ok := w.named[key]; ok {
		return name
	}
	name := fmt.Sprintf("helper_%d", len(w.named))
	w.named[key] = name
	head := name
	if otherwise != "" {
		fmt.Fprintf(&w.helpers, "default %s := 0\n", name)
		head += " := " + otherwise
	}
	for _, b := range bodies {
		fmt.Fprintf(&w.helpers, "%s if {\n\t%s\n}\n", head, b)
	}
	return name
}

func (w *regoWriter) score(sc score) string {
	text := fmt.Sprint(sc.base)
	for _, b := range sc.bonuses {
		text += " + " + w.helper(fmt.Sprint(b.points), w.body(b.when))
	}
	return fmt.Sprintf("%s - (%d * input.time.weekday)", text, sc.perWeekday)
}
