// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// clause writes a condition on one field that a table can tell, or nearly.
func (w *writer) clause(depth int) string {
	text, number := w.field(edge.TypeString), w.field(edge.TypeInt)
	decimal := w.field(edge.TypeFloat)
	return w.choose(depth, 8,
		func() string { return text + " in " + w.texts() },
		func() string { return text + pick(w.Rand, []string{" == ", " != "}) + w.quoted() },
		func() string { return number + " " + pick(w.Rand, orders) + " " + w.number() },
		func() string { return w.number() + " " + pick(w.Rand, orders[:4]) + " " + number },
		func() string { return number + " in [" + w.number() + ", " + w.number() + ", " + w.number() + "]" },
		func() string { return decimal + " " + pick(w.Rand, orders) + " " + w.decimal() },
		func() string { return w.decimal() + " " + pick(w.Rand, orders[:4]) + " " + decimal },
		func() string { return w.field(edge.TypeBool) },
		func() string { return "!(" + w.clause(depth-1) + ")" },
		func() string {
			return "(" + number + " >= " + w.number() + pick(w.Rand, []string{" || ", " && "}) + number + " < " + w.number() + ")"
		},
		func() string { return "(" + text + " == " + w.quoted() + " || !(" + text + " in " + w.texts() + "))" },
	)
}

// indexedDocument writes rules that ask few fields, as shops do: some show several
// variants, have scores, roll-outs, or ask something else too.
func indexedDocument(r *rand.Rand, slots, rules int) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{Schema: edge.ReleaseSchema, Site: "shop", Number: 1, Fields: siteFields}
	few := namedFields()
	for _, kind := range slices.Sorted(maps.Keys(few)) {
		names := few[kind]
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		few[kind] = names[:min(len(names), 3)]
	}
	w := &writer{Rand: r, fields: few}
	doc.Audiences = []edge.Audience{{Name: "plain", When: w.clause(0) + " && " + w.clause(0)}, {Name: "other", When: w.clause(0) + " && " + w.Bool(1)}}
	w.audiences = []string{"plain", "other"}
	for i := range slots {
		slot := edge.SlotSpec{Name: fmt.Sprintf("slot-%d", i), Kind: "text", Ladder: []edge.RungSpec{{Rung: edge.Rungs[0]}}}
		for j := range rules {
			rule := edge.RuleSpec{Name: fmt.Sprintf("rule-%d", j), Show: []edge.ShowSpec{{Variant: "a"}}}
			if r.IntN(5) == 0 {
				rule = w.rule(rule.Name)
			}
			var parts []string
			for range r.IntN(4) {
				parts = append(parts, w.clause(r.IntN(3)))
			}
			if r.IntN(8) == 0 {
				parts = append(parts, w.audience())
			}
			if r.IntN(4) == 0 {
				parts = append(parts, w.Bool(1))
			}
			if r.IntN(10) == 0 {
				rule.Score = strconv.Itoa(r.IntN(3))
			}
			rule.When = strings.Join(parts, " && ")
			slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, rule)
		}
		doc.Slots = append(doc.Slots, slot)
	}
	return doc
}

// TestIndex lets all three evaluators decide by rules that tables tell, in answers of
// one word and of several.
func TestIndex(t *testing.T) {
	runtime := newRuntime(t)
	all, some, held := 0, 0, 0
	for seed := range uint64(40) {
		r := newRand(seed + 7000)
		x := newTrial(t, runtime, indexedDocument(r, 2, 3+int(seed%10)*int(seed%10)))
		a, s := lang.Indexed(x.doc)
		all, some = all+a, some+s
		for range 12 {
			v := newVisitor(r)
			for n, f := range v.fields {
				if f.kind == edge.TypeFloat && v.values[n].Known() && r.IntN(8) == 0 {
					v.values[n].Float = math.NaN()
				}
			}
			x.visit(v, func(_ *contender, truth any, _ *edge.Condition) {
				if truth == any(true) {
					held++
				}
			})
		}
		x.machine.close()
	}
	if all < 500 || some < 500 || held < 500 {
		t.Errorf("tables tell %d rules and %d in part, %d hold; want 500 and more of each", all, some, held)
	}
}

// FuzzIndex is TestIndex on one document.
func FuzzIndex(f *testing.F) {
	f.Add(uint64(1), uint8(20))
	f.Add(uint64(1<<40), uint8(90))
	runtime := newRuntime(f)
	f.Fuzz(func(t *testing.T, seed uint64, rules uint8) {
		r := newRand(seed)
		x := newTrial(t, runtime, indexedDocument(r, 1, 1+int(rules%100)))
		defer x.machine.close()
		for range 4 {
			x.visit(newVisitor(r), func(*contender, any, *edge.Condition) {})
		}
	})
}

// TestIndexOfManyTexts looks texts of every length up, those that a table has, and others
// that differ in one byte.
func TestIndexOfManyTexts(t *testing.T) {
	var named []string
	for n := range 40 {
		for _, first := range []string{"a", "b"} {
			named = append(named, first+strings.Repeat("x", n)+first)
		}
	}
	doc := &edge.ReleaseDocument{Schema: edge.ReleaseSchema, Site: "shop", Number: 1, Fields: siteFields}
	slot := edge.SlotSpec{Name: "slot", Kind: "text", Ladder: []edge.RungSpec{{Rung: edge.Rungs[0]}}}
	for i, text := range append(named, "") {
		slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, edge.RuleSpec{
			Name: fmt.Sprintf("r%d", i), When: fmt.Sprintf("shop.season == %q", text), Show: []edge.ShowSpec{{Variant: "a"}}})
	}
	doc.Slots = []edge.SlotSpec{slot}
	if all, _ := lang.Indexed(doc); all != len(slot.Ladder[0].Rules) {
		t.Fatalf("tables tell %d of %d rules", all, len(slot.Ladder[0].Rules))
	}
	x := newTrial(t, newRuntime(t), doc)
	v := newVisitor(newRand(1))
	v.granted = consent.All
	at := edge.BuiltinFields + 5
	if v.fields[at].name != "shop.season" {
		t.Fatalf("field %d is %s", at, v.fields[at].name)
	}
	see := func(text string) {
		v.values[at] = edge.Value{Type: edge.TypeString, Str: text}
		x.visit(v, func(*contender, any, *edge.Condition) {})
	}
	see("")
	for _, text := range named {
		see(text)
		for i := range len(text) {
			see(text[:i] + "?" + text[i+1:])
		}
		see(text + "\x00")
		see(text[:len(text)-1])
	}
	v.values[at] = edge.Value{}
	x.visit(v, func(*contender, any, *edge.Condition) {})
}

// TestIndexKeepsWhatIsShared writes rules whose fields tables tell and which share the
// rest: that is told once for all of them, and counted once, as if there were no tables.
func TestIndexKeepsWhatIsShared(t *testing.T) {
	var audiences []edge.Audience
	var inAll string
	for i := range 16 {
		var any []string
		for j := range 100 {
			any = append(any, fmt.Sprintf("page.path.startsWith(\"/%d/%d/\")", i, j))
		}
		audiences = append(audiences, edge.Audience{Name: fmt.Sprintf("a%d", i), When: strings.Join(any, " || ")})
		inAll += fmt.Sprintf(" && inAudience(\"a%d\")", i)
	}
	for _, tt := range []struct {
		name, rest string
		rules      int
	}{
		{"conditions", ` && "sale" in page.tags && page.path.contains("/winter-collection/2026/")`, 250},
		{"audiences", inAll, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc := &edge.ReleaseDocument{Schema: edge.ReleaseSchema, Site: "shop", Number: 1, Fields: siteFields, Audiences: audiences}
			slot := edge.SlotSpec{Name: "slot", Kind: "text", Ladder: []edge.RungSpec{{Rung: edge.Rungs[0]}}}
			for i := range tt.rules {
				slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, edge.RuleSpec{
					Name: fmt.Sprintf("r%d", i), When: fmt.Sprintf("page.category == \"c%d\"%s", i, tt.rest), Show: []edge.ShowSpec{{Variant: "a"}}})
			}
			doc.Slots = []edge.SlotSpec{slot}
			if _, some := lang.Indexed(doc); some != tt.rules {
				t.Errorf("tables tell some of %d rules, want %d", some, tt.rules)
			}
			if _, err := lang.Compile(doc); err != nil {
				t.Error(err)
			}
		})
	}
}
