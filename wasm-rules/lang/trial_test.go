// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/tetratelabs/wazero"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// A trial is a document's rules as each of the three evaluators has them.
type trial struct {
	testing.TB
	doc       *edge.ReleaseDocument
	lang      *lang.Language
	program   *lang.Program
	machine   *machine
	audiences map[string]celProgram
	slots     [][]contender
	dropped   int // rules that would take too long
}

// A contender is a candidate as cel-go evaluates it.
type contender struct {
	slot        string
	rule        *edge.RuleSpec
	when, score lang.Expression
	celWhen     celProgram
	celScore    celProgram
	from, until int
}

// randomDocument writes rules at random. Each rule has a twin with the opposite
// condition: what is neither true nor false holds in neither.
func randomDocument(r *rand.Rand, slots, rules int) *edge.ReleaseDocument {
	doc := &edge.ReleaseDocument{Schema: edge.ReleaseSchema, Site: "shop", Number: 1, Fields: siteFields}
	w := &writer{Rand: r, fields: namedFields()}
	for i := range r.IntN(4) {
		a := edge.Audience{Name: fmt.Sprintf("audience-%d", i), When: w.Bool(2)}
		doc.Audiences = append(doc.Audiences, a)
		w.audiences = append(w.audiences, a.Name)
	}
	for i := range slots {
		slot := edge.SlotSpec{Name: fmt.Sprintf("slot-%d", i), Kind: "text"}
		for j := range rules {
			rule := w.rule(fmt.Sprintf("rule-%d", j))
			twin := rule
			twin.Name, twin.When = rule.Name+"-not", "!("+rule.When+")"
			rung := edge.RungSpec{Rung: edge.Rungs[j%len(edge.Rungs)], Rules: []edge.RuleSpec{rule, twin}}
			slot.Ladder = append(slot.Ladder, rung)
		}
		doc.Slots = append(doc.Slots, slot)
	}
	return doc
}

func (w *writer) rule(name string) edge.RuleSpec {
	rule := edge.RuleSpec{Name: name, When: w.Bool(1 + w.IntN(3)), Show: []edge.ShowSpec{{Variant: "a"}}}
	if w.IntN(3) == 0 {
		rule.Score = w.Int(w.IntN(4))
	}
	if w.IntN(4) == 0 {
		rule.Rollout = pick(w.Rand, []int{1, 2000, 5000, 9000, 9999, edge.Buckets})
	}
	if w.IntN(4) == 0 {
		rule.Show = []edge.ShowSpec{{Variant: "a", Weight: 1 + w.IntN(60)}, {Variant: "b", Weight: w.IntN(60)}, {Variant: "c", Weight: w.IntN(60)}}
	}
	return rule
}

// compile compiles a document less the rules that would take too long; how many
// those are is added to dropped. Nothing else of it may be refused.
func compile(t testing.TB, doc *edge.ReleaseDocument, dropped *int) []byte {
	t.Helper()
	for {
		wasm, err := lang.Compile(doc)
		if err == nil {
			return wasm
		}
		var e *edge.RuleError
		if !errors.As(err, &e) || e.Code != "too-large" || e.Slot == "" {
			t.Fatalf("the writer wrote what is refused: %v", err)
		}
		*dropped++
		for i := range doc.Slots {
			for j := range doc.Slots[i].Ladder {
				rung := &doc.Slots[i].Ladder[j]
				rung.Rules = slices.DeleteFunc(rung.Rules, func(r edge.RuleSpec) bool { return doc.Slots[i].Name == e.Slot && r.Name == e.Rule })
			}
		}
		doc.Slots = slices.DeleteFunc(doc.Slots, func(s edge.SlotSpec) bool { return len(s.Candidates()) == 0 })
		if len(doc.Slots) == 0 {
			t.Skip("all rules would take too long")
		}
	}
}

// newTrial compiles a document for all three evaluators.
func newTrial(t testing.TB, runtime wazero.Runtime, doc *edge.ReleaseDocument) *trial {
	t.Helper()
	dropped := 0
	wasm := compile(t, doc, &dropped)
	program, err := lang.Read(wasm)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lang.NewLanguage(doc)
	if err != nil {
		t.Fatal(err)
	}
	x := &trial{
		TB: t, doc: doc, lang: l, dropped: dropped, program: program, audiences: make(map[string]celProgram),
		machine: start(t, runtime, wasm, ownNumbers(doc, program.Reads())),
	}
	for _, a := range doc.Audiences {
		x.audiences[a.Name] = newCELProgram(t, l, l.Audience(a.Name))
	}
	for i := range doc.Slots {
		x.slots = append(x.slots, x.contenders(&doc.Slots[i]))
	}
	return x
}

// ownNumbers are the numbers of the own fields among reads, in their order.
func ownNumbers(doc *edge.ReleaseDocument, reads []string) []int {
	var out []int
	for _, name := range reads {
		if i := slices.IndexFunc(doc.Fields, func(f edge.OwnField) bool { return f.Name == name }); i >= 0 {
			out = append(out, edge.BuiltinFields+i)
		}
	}
	return out
}

func (x *trial) contenders(slot *edge.SlotSpec) []contender {
	var out []contender
	for _, at := range slot.Candidates() {
		rule := &slot.Ladder[at.Rung].Rules[at.Rule]
		c := contender{slot: slot.Name, rule: rule}
		c.from, c.until = rule.Buckets(at.Show)
		c.when, c.celWhen = x.expression(rule.When, "true", cel.BoolType)
		c.score, c.celScore = x.expression(rule.Score, "0", cel.IntType)
		out = append(out, c)
	}
	return out
}

func (x *trial) expression(source, empty string, want *cel.Type) (lang.Expression, celProgram) {
	x.Helper()
	if source == "" {
		source = empty
	}
	e, err := x.lang.Check(source, want)
	if err != nil {
		x.Fatal(err)
	}
	return e, newCELProgram(x, x.lang, e)
}

// visit lets all three decide a visit and fails where they differ. See is told
// of every candidate's condition.
func (x *trial) visit(v *visitor, see func(c *contender, truth any, told *edge.Condition)) {
	x.Helper()
	x.machine.show(v.record())
	vars := celVars(x, x.lang, v, x.doc.Audiences, x.audiences)
	id := v.sees(int(edge.FieldVisitorID))
	for slot, contenders := range x.slots {
		held := x.machine.decide(slot, len(contenders))
		for n := range contenders {
			c := &contenders[n]
			truth := c.celWhen.eval(vars)
			x.agree(v, c, c.when, truth)
			want := truth == any(true) && c.served(id)
			if got := holds(&held, n); got != want {
				x.Fatalf("candidate %d of %s: %s\nroll-out %d, buckets %d to %d\nthe module says %v, want %v (cel-go says %v)\n%s",
					n, c.slot, c.rule.When, c.rule.Rollout, c.from, c.until, got, want, truth, v)
			}
			x.score(v, c, c.celScore.eval(vars), &held, n)
			told, err := x.program.Explain(slot, n, false, v.named, v.granted)
			if err != nil {
				x.Fatal(err)
			}
			if (told.Verdict == edge.VerdictHeld) != want {
				x.Fatalf("%s\nexplained as %s, want %v\n%s", c.rule.When, told.Verdict, want, v)
			}
			see(c, truth, told)
		}
		for n := len(contenders); n < edge.MaxCandidates; n++ {
			if holds(&held, n) {
				x.Fatalf("candidate %d of %d holds", n, len(contenders))
			}
		}
	}
}

// agree compares the interpreter with cel-go.
func (x *trial) agree(v *visitor, c *contender, e lang.Expression, want any) {
	x.Helper()
	got, why := x.lang.Interpret(e, v.named, v.granted)
	if len(why) > 0 {
		got = neither{}
	}
	if got != want {
		x.Fatalf("%s of %s\nthe interpreter says %v %v, cel-go %v\n%s", c.rule.Name, c.slot, got, why, want, v)
	}
}

func (x *trial) score(v *visitor, c *contender, want any, held *edge.Held, n int) {
	x.Helper()
	x.agree(v, c, c.score, want)
	if want == any(neither{}) {
		want = int64(0)
	}
	if got := held.Scores[n]; holds(held, n) && want != any(got) {
		x.Fatalf("score %s\nthe module says %v, cel-go %v\n%s", c.rule.Score, got, want, v)
	}
}

// served reports whether the visitor is in the shares that a candidate is for.
func (c *contender) served(id edge.Value) bool {
	if c.rule.Rollout > 0 && c.rule.Rollout < edge.Buckets {
		if !id.Known() || edge.Bucket(edge.RolloutSalt(c.slot, c.rule.Name), id.Str) >= c.rule.Rollout {
			return false
		}
	}
	if len(c.rule.Show) < 2 {
		return true
	}
	bucket := edge.Bucket(edge.ShowSalt(c.slot, c.rule.Name), id.Str)
	return id.Known() && bucket >= c.from && bucket < c.until
}
