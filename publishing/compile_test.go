// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/publishing"
)

// compiler compiles rules to data: to the document's slots with its own version
// before them. What compiles to WASM is tested where it is, and with the desk in
// the program's own tests. A condition "broken" is an error.
type compiler struct{ bench *bench }

type compiledRules struct {
	Compiler string
	Slots    []edge.SlotSpec
}

func (c compiler) CompileRules(doc *edge.ReleaseDocument) ([]byte, error) {
	out := compiledRules{Compiler: c.bench.compiler}
	var errs []error
	for i := range doc.Slots {
		slot := doc.Slots[i]
		if len(slot.Candidates()) == 0 {
			continue
		}
		kept := edge.SlotSpec{Name: slot.Name}
		for _, rung := range slot.Ladder {
			rung.Rules = slices.DeleteFunc(slices.Clone(rung.Rules), func(r edge.RuleSpec) bool { return r.Name == "" })
			kept.Ladder = append(kept.Ladder, rung)
			for _, rule := range rung.Rules {
				if rule.When == "broken" {
					errs = append(errs, &edge.RuleError{Slot: slot.Name, Rule: rule.Name, Member: "when", Line: 1, Column: 3, Code: "syntax", Message: "it is broken", Hint: "mend it"})
				}
			}
		}
		out.Slots = append(out.Slots, kept)
	}
	if out.Slots == nil || errs != nil {
		return nil, errors.Join(errs...)
	}
	return json.Marshal(out)
}

func (c compiler) LoaderWith(wasm []byte) edge.RuleLoader {
	return loaderWith{loader{store: c.bench.store}, wasm}
}

func (compiler) Conditions(doc *edge.ReleaseDocument) (*edge.RuleConditions, error) {
	if doc.Slots[0].Ladder[0].Rules[0].When == "broken" {
		return nil, errors.New("it is broken")
	}
	return &edge.RuleConditions{Audiences: map[string]edge.Condition{"loyal": {Op: "true"}}}, nil
}

func TestConditionsThatCannotBeToldAreNone(t *testing.T) {
	b := newBench(t)
	for when, want := range map[string]int{"a": 1, "broken": 0} {
		doc := ruled(when)
		if got := b.Conditions(&doc); len(got.Audiences) != want {
			t.Errorf("%s: %+v", when, got)
		}
	}
}

type loaderWith struct {
	loader
	wasm []byte
}

func (l loaderWith) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	if hashOf(l.wasm) != c.Hash {
		return l.loader.LoadRules(site, c, bind)
	}
	return rulesOf(l.loader, l.wasm, site, c, bind)
}

// LoadRules loads what was put into the store.
func (l loader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	wasm, err := l.Module(context.Background(), c.Hash)
	if err != nil {
		return nil, err
	}
	return rulesOf(l, wasm, site, c, bind)
}

func rulesOf(l loader, wasm []byte, site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	var of compiledRules
	if err := json.Unmarshal(wasm, &of); err != nil || of.Compiler == "" {
		return nil, fmt.Errorf("not compiled from rules: %w", err)
	}
	rules := edgetest.Rules{RuleLoader: l, Doc: &edge.ReleaseDocument{Slots: of.Slots}}
	return rules.LoadRules(site, c, bind)
}

// ruled is the site shop with rules without code of these conditions in hero.
func ruled(conditions ...string) edge.ReleaseDocument {
	doc := site("shop")
	var rules []edge.RuleSpec
	for i, when := range conditions {
		rules = append(rules, edge.RuleSpec{Name: fmt.Sprint("rule-", i), When: when, Show: []edge.ShowSpec{{Variant: "sun"}}})
	}
	doc.Slots[0].Ladder = []edge.RungSpec{{Rung: "context", Rules: rules}}
	return doc
}

// compiledOf is the hash of what a document's rules compile to.
func (b *bench) compiledOf(t *testing.T, doc edge.ReleaseDocument) string {
	t.Helper()
	wasm, err := compiler{b}.CompileRules(&doc)
	if err != nil {
		t.Fatal(err)
	}
	return hashOf(wasm)
}

// has reports whether the store has a module.
func (b *bench) has(hash string) bool {
	_, err := b.store.Module(context.Background(), hash)
	return err == nil
}

const inFrance, inBritain = `geo.country == "FR"`, `geo.country == "GB"`

// forge writes into a document what only the desk may.
func forge(t *testing.T, b *bench, doc *edge.ReleaseDocument) {
	t.Helper()
	doc.Compiled = &edge.Compiled{Hash: b.upload(t, "9.0.0").Hash}
	doc.Inputs = map[string]edge.SlotInputs{"hero": {Reads: []string{"forged"}}}
}

func TestWhatADocumentSaysOfItsCompiledRulesIsNotBelieved(t *testing.T) {
	b := newBench(t)
	doc := ruled(inFrance)
	want := b.compiledOf(t, doc)
	forge(t, b, &doc)
	b.put(t, doc, 1)
	live := b.document(t)
	if live.Compiled == nil || live.Compiled.Hash != want || !b.has(want) {
		t.Errorf("compiled is %+v, want %s in the store", live.Compiled, want)
	}
	if got := fmt.Sprint(live.Inputs["hero"].Reads); got != "[geo.country]" {
		t.Errorf("hero depends on %s", got)
	}
	doc = site("shop")
	forge(t, b, &doc)
	b.put(t, doc, 2)
	if live = b.document(t); live.Compiled != nil {
		t.Errorf("a release without rules has compiled ones: %+v", live.Compiled)
	}
}

func TestWhatFollowsFromADocumentIsNoChangeOfIt(t *testing.T) {
	b := newBench(t)
	doc := ruled(inFrance)
	first := b.put(t, doc, 1)
	if again := b.put(t, doc, 2); again.Release != first.Release {
		t.Errorf("the author's own text again became release %d", again.Release)
	}
	if again := b.put(t, b.document(t), 2); again.Release != first.Release {
		t.Errorf("the live document became release %d", again.Release)
	}
	forge(t, b, &doc)
	if again := b.put(t, doc, 2); again.Release != first.Release {
		t.Errorf("a forged hash became release %d", again.Release)
	}
	b.compiler = "2"
	if again := b.put(t, ruled(inFrance), 2); again.Release != first.Release+1 {
		t.Errorf("what another compiler made of it is release %d", again.Release)
	}
}

func TestEveryChangeKeepsTheRules(t *testing.T) {
	b := newBench(t)
	b.put(t, ruled(inFrance), 1)
	want := b.compiledOf(t, ruled(inFrance))
	b.upload(t, "1.0.0")
	b.upload(t, "2.0.0")
	next, share := placement("2.0.0"), placement("2.0.0")
	share.Rollout = 100
	for _, c := range []publishing.Change{publish(placement("1.0.0")), shadow(next), remove("weather"), publish(placement("1.0.0")), publish(share), rollout(500), remove("weather")} {
		if _, err := b.Do(t.Context(), publishing.Operator(), "shop", c); err != nil {
			t.Fatalf("%s: %v", c.Act, err)
		}
		doc := b.document(t)
		if doc.Compiled == nil || doc.Compiled.Hash != want || len(doc.Inputs) == 0 {
			t.Errorf("after %s the rules are %+v", c.Act, doc.Compiled)
		}
		if n := len(doc.Slots[0].Candidates()); n != 1 {
			t.Errorf("after %s there are %d candidates", c.Act, n)
		}
	}
}

func TestARollbackKeepsTheModuleOfItsRelease(t *testing.T) {
	b := newBench(t)
	b.put(t, ruled(inFrance), 1)
	was := b.document(t)
	b.put(t, ruled(inBritain), 2)
	b.compiler = "2" // would make another one
	if _, err := b.Do(t.Context(), publishing.Operator(), "shop", rollback(2)); err != nil {
		t.Fatal(err)
	}
	if now := b.document(t); now.Compiled == nil || now.Compiled.Hash != was.Compiled.Hash || now.Number != 4 {
		t.Errorf("release %d has %+v, want %s", now.Number, now.Compiled, was.Compiled.Hash)
	}
}

func TestAProposalStoresNoModuleUntilItIsApproved(t *testing.T) {
	b := newBench(t)
	doc := site("shop")
	doc.Settings.SecondPerson = true
	b.put(t, doc, 1)
	next := ruled(inFrance)
	next.Settings.SecondPerson = true
	want := b.compiledOf(t, next)
	forge(t, b, &next)
	text, err := json.Marshal(next)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Put(t.Context(), actor("ann", publishing.Publisher), "shop", text, 2)
	if err != nil || out.Proposal == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if b.has(want) {
		t.Error("a proposal's rules are stored")
	}
	if _, err := b.Approve(t.Context(), actor("ben", publishing.Approver), "shop", out.Proposal.ID); err != nil {
		t.Fatal(err)
	}
	if live := b.document(t); live.Compiled == nil || live.Compiled.Hash != want || !b.has(want) {
		t.Errorf("approved with %+v, want %s in the store", live.Compiled, want)
	}
}

func TestWrongRulesAreRefusedWithTheirPlaces(t *testing.T) {
	b := newBench(t)
	text, err := json.Marshal(ruled(inFrance, "broken", "broken"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), publishing.Operator(), "shop", text, 1)
	checkCode(t, "two broken rules", err, publishing.CodeInvalid, "slots.hero.rule-1.when")
	for _, want := range []string{"rule rule-1: when:1:3: it is broken; mend it", "rule rule-2: when:1:3"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("the message lacks %q: %v", want, err)
		}
	}
	if live := b.document(t); live.Number != 1 {
		t.Errorf("release %d is live", live.Number)
	}
}

func TestCompiledRulesAreNoUploadedModule(t *testing.T) {
	b := newBench(t)
	b.put(t, ruled(inFrance), 1)
	doc := b.document(t)
	doc.Modules = append(doc.Modules, edge.ModuleRef{Name: "rules", Version: "1.0.0", Hash: doc.Compiled.Hash})
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), publishing.Operator(), "shop", text, 2)
	checkCode(t, "a compiled module among the uploaded", err, publishing.CodeNotFound, "module")
}

func TestAPreviewHasTheRulesOfTheLiveRelease(t *testing.T) {
	b := newBench(t)
	b.put(t, ruled(inFrance), 1)
	want := b.document(t).Compiled.Hash
	b.upload(t, "1.0.0")
	preview, err := b.Preview(t.Context(), publishing.Operator(), "shop", placement("1.0.0"), "", publishing.MaxPreviewTime)
	if err != nil {
		t.Fatal(err)
	}
	id, err := b.sealer.OpenPreview("shop", preview.Token, b.now)
	if err != nil {
		t.Fatal(err)
	}
	b.compiler = "2" // whose module no store has
	text, err := b.PreviewDocument(t.Context(), "shop", id)
	if err != nil {
		t.Fatal(err)
	}
	release, err := edge.CompileRelease(text, loader{store: b.store})
	if err != nil {
		t.Fatal(err)
	}
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(release.Document(), &doc); err != nil || doc.Compiled == nil || doc.Compiled.Hash != want {
		t.Errorf("the preview's rules are %+v, want %s: %v", doc.Compiled, want, err)
	}
}

func TestRulesNeedACompiler(t *testing.T) {
	b := newBench(t)
	desk := publishing.New(publishing.Options{
		Modules: b.store, Documents: b.store, Notes: b.store, Audits: b.store, Releases: b.store, Items: b.store, Checker: modules{b}, Loader: loader{store: b.store},
	})
	text, err := json.Marshal(ruled(inFrance))
	if err != nil {
		t.Fatal(err)
	}
	_, err = desk.Put(t.Context(), publishing.Operator(), "shop", text, 1)
	checkCode(t, "no compiler", err, publishing.CodeUnavailable, "document")
}
