// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// twins is a document of conditions, each with its opposite beside it, in as
// many slots as they need.
func twins(conditions []string) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{Schema: edge.ReleaseSchema, Site: "shop", Number: 1, Fields: siteFields}
	const perSlot = 60
	for i, when := range conditions {
		if i%perSlot == 0 {
			doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprintf("slot-%d", i), Kind: "text", Ladder: []edge.RungSpec{{Rung: "context"}}})
		}
		rung := &doc.Slots[len(doc.Slots)-1].Ladder[0]
		for _, twin := range []edge.RuleSpec{{Name: fmt.Sprintf("is-%d", i), When: when}, {Name: fmt.Sprintf("not-%d", i), When: "!(" + when + ")"}} {
			twin.Show = []edge.ShowSpec{{Variant: "a"}}
			rung.Rules = append(rung.Rules, twin)
		}
	}
	return doc
}

// texting is a visit that has two texts and no more.
func texting(a, b string) *visitor {
	v := &visitor{fields: allFields(), granted: consent.All}
	v.values = make([]edge.Value, len(v.fields))
	for n, f := range v.fields {
		switch f.name {
		case "shop.tier":
			v.values[n] = edge.Value{Type: edge.TypeString, Str: a}
		case "shop.season":
			v.values[n] = edge.Value{Type: edge.TypeString, Str: b}
		}
	}
	return v
}

// TestTextsAgreeWithCEL compares every text with every other, in each way in
// which rules compare texts.
func TestTextsAgreeWithCEL(t *testing.T) {
	conditions := []string{
		"shop.tier == shop.season", "shop.tier < shop.season", "shop.tier <= shop.season",
		"shop.tier.startsWith(shop.season)", "shop.tier.endsWith(shop.season)", "shop.tier.contains(shop.season)",
		"size(shop.tier) < size(shop.season)", "shop.tier.lowerAscii() == shop.season.lowerAscii()", "shop.tier.lowerAscii() < shop.season",
		"shop.tier.lowerAscii().contains(shop.season.lowerAscii())",
	}
	for i, s := range texts {
		c, other := strconv.Quote(s), strconv.Quote(texts[(i+7)%len(texts)])
		conditions = append(conditions,
			"shop.tier == "+c, "shop.tier < "+c, "shop.tier >= "+c, "shop.tier in ["+other+", "+c+"]",
			"shop.tier.startsWith("+c+")", "shop.tier.endsWith("+c+")", "shop.tier.contains("+c+")",
			"shop.tier.lowerAscii() == "+c, "size(shop.tier) == "+strconv.Itoa(utf8.RuneCountInString(s)),
		)
	}
	x := newTrial(t, newRuntime(t), twins(conditions))
	both := make(map[*contender]map[any]bool)
	for i, a := range texts {
		v := texting(a, texts[(i*5+i)%len(texts)])
		x.visit(v, func(c *contender, truth any, _ *edge.Condition) {
			if both[c] == nil {
				both[c] = make(map[any]bool)
			}
			both[c][truth] = true
		})
	}
	for c, outcomes := range both {
		if len(outcomes) < 2 && !strings.Contains(c.rule.When, `""`) && !strings.Contains(c.rule.When, `== "`) {
			t.Errorf("%s was %v each time", c.rule.When, outcomes)
		}
	}
}

// TestRandomTextsAgreeWithCEL compares texts of characters of all lengths with
// themselves, their parts and near copies.
func TestRandomTextsAgreeWithCEL(t *testing.T) {
	alphabet := []rune("aAzZ@[`{09 éÉßİıſK日本語ё𝒳🎩\u0300\u07ff\u0800\uffff\U00010000\U0010ffff\x00\x7f\u0080\u00a0\u2028")
	r := newRand(5)
	random := func() string {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteRune(pick(r, alphabet))
		}
		return b.String()
	}
	part := func(s string) string {
		runes := []rune(s)
		from := r.IntN(len(runes) + 1)
		return string(runes[from : from+r.IntN(len(runes)-from+1)])
	}
	var conditions, words []string
	for range 40 {
		s := random()
		words = append(words, s, part(s), strings.ToUpper(s), s+string(pick(r, alphabet)))
		c := strconv.Quote(pick(r, words))
		conditions = append(conditions,
			"shop.tier == "+c, "shop.tier > "+c, "shop.tier.startsWith("+c+")", "shop.tier.endsWith("+c+")", "shop.tier.contains("+c+")",
			c+".contains(shop.tier)", "shop.tier.lowerAscii() >= "+c, "shop.tier.contains(shop.season)", "shop.tier <= shop.season",
		)
	}
	x := newTrial(t, newRuntime(t), twins(conditions))
	outcomes := make(map[any]int)
	for range 60 {
		a := pick(r, words)
		b := pick(r, []string{part(a), pick(r, words)})
		x.visit(texting(a, b), func(_ *contender, truth any, _ *edge.Condition) { outcomes[truth]++ })
	}
	if outcomes[true] < 1000 || outcomes[false] < 1000 {
		t.Errorf("the texts came to %v", outcomes)
	}
}

// TestLowerAsciiIsTheLibrarys compares the language's lowerAscii with that of
// cel-go's string library, which the language does not use.
func TestLowerAsciiIsTheLibrarys(t *testing.T) {
	env, err := cel.NewEnv(ext.Strings(), cel.Variable("s", cel.StringType))
	if err != nil {
		t.Fatal(err)
	}
	checked, issues := env.Compile("s.lowerAscii()")
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	theirs, err := env.Program(checked)
	if err != nil {
		t.Fatal(err)
	}
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields})
	e, err := l.Check("shop.tier.lowerAscii()", cel.StringType)
	if err != nil {
		t.Fatal(err)
	}
	ours := newCELProgram(t, l, e)
	for r := rune(0); r < 0x3000; r++ {
		s := "A" + string(r) + "Z"
		want, _, err := theirs.Eval(map[string]any{"s": s})
		if err != nil {
			t.Fatal(err)
		}
		v := texting(s, "")
		if got, _ := l.Interpret(e, v.named, v.granted); got != want.Value() {
			t.Errorf("the interpreter makes %q of %q, cel-go %q", got, s, want.Value())
		}
		if got := ours.eval(celVars(t, l, v, nil, nil)); got != want.Value() {
			t.Errorf("the language makes %q of %q, cel-go %q", got, s, want.Value())
		}
	}
}
