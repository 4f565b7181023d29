// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/tetratelabs/wazero"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// renamed is a rule set as a release that nobody has seen: its module has other
// bytes, so no cache knows it.
func (set *ruleSet) renamed(n int) *edge.ReleaseDocument {
	doc := set.document(rulesPerSlot)
	doc.Slots[0].Ladder[0].Rules[0].Name = fmt.Sprintf("rule-renamed-%d", n)
	return doc
}

// BenchmarkRuleCompile is the way from a rule set's text to rules that answer,
// beside the way of cel-go, expr and OPA, by the clock on the wall; and the parts
// of ours: from text to a module, and from the module to code.
func BenchmarkRuleCompile(b *testing.B) {
	number := 0
	for _, n := range []int{1, 50, 200, 1000} {
		set := newRuleSet(ruleSeed, n)
		b.Run(fmt.Sprint(n, "-rules"), func(b *testing.B) {
			modules := &shelf{}
			host := newHost(b, modules)
			var doc *edge.ReleaseDocument
			var wasm []byte
			next := func() (err error) { // a release that nobody has seen
				number++
				doc = set.renamed(number)
				wasm, err = lang.Compile(doc)
				return err
			}
			load := func() error {
				c := &edge.Compiled{Hash: wasmrules.HashOf(wasm)}
				modules.put(module{wasm: wasm, ref: edge.ModuleRef{Hash: c.Hash}})
				_, err := host.LoadRules("shop", c, nil)
				return err
			}
			env := celEnv(b, set)
			compare(b, fmt.Sprintf("compile and load %d rules", n), "",
				contender{name: "ours", rest: next, call: func() (err error) {
					if wasm, err = lang.Compile(doc); err != nil {
						return err
					}
					return load()
				}},
				contender{name: "text-to-module", rest: next, call: func() error { _, err := lang.Compile(doc); return err }},
				contender{name: "module-to-rules", rest: next, call: load},
				contender{name: "wazero-alone", rest: next, call: func() error { return bareCompile(wasm) }},
				contender{name: "cel-go", rest: ready, call: func() error {
					whens, _, audiences := set.texts(inCEL)
					celPrograms(b, env, append(whens, audiences...))
					return nil
				}},
				contender{name: "expr", rest: ready, call: func() error {
					whens, _, audiences := set.texts(inExpr)
					exprPrograms(b, set, append(whens, audiences...), expr.AsBool())
					return nil
				}},
				contender{name: "opa", rest: ready, call: func() error { prepareRego(b, set.rego(false)); return nil }},
			)
			b.ReportMetric(float64(len(wasm)), "module-bytes")
			results.add(row{what: fmt.Sprintf("module of %d rules", n), note: fmt.Sprintf("%d bytes", len(wasm))})
		})
	}
}

// ready is the rest of a contender that needs none: it is timed by the same clock
// as those that do.
func ready() error { return nil }

// bareCompile has wazero compile a module and nothing else.
func bareCompile(wasm []byte) error {
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	if _, err := runtime.CompileModule(ctx, wasm); err != nil {
		return err
	}
	return runtime.Close(ctx)
}

// BenchmarkRulePublish is the way of a rule set that the node never saw: put as a
// release, compile, store, swap, first answer, over HTTP and with every step on
// disk.
func BenchmarkRulePublish(b *testing.B) {
	n := startNode(b)
	number := 0
	for _, t := range []struct {
		rules  int
		target string
	}{{200, "≤ 150 ms"}, {1000, "≤ 1 s"}} {
		set := newRuleSet(ruleSeed, t.rules)
		// The first visitor is answered by a rule that needs no history.
		set.rules[0] = rule{condition{op: "leaf", leaf: equals("page.type", "category")}, score{base: 1000, perWeekday: 1}}
		b.Run(fmt.Sprint(t.rules, "-rules"), func(b *testing.B) {
			var document []byte
			var first string
			rest := func() (err error) {
				number++
				doc := set.renamed(number)
				first = doc.Slots[0].Ladder[0].Rules[0].Name
				document, err = json.Marshal(doc)
				return err
			}
			compare(b, fmt.Sprintf("publish %d rules to live", t.rules), t.target, contender{name: "over-http", rest: rest, call: func() error {
				if err := n.put(document); err != nil {
					return err
				}
				rule, err := n.decide()
				if err == nil && rule != first {
					err = fmt.Errorf("%q answered, want %s", rule, first)
				}
				return err
			}})
		})
	}
}
