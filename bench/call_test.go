// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestGuestsAgree asks every guest, wherever it runs, about every sample: what
// is measured is the same decision.
func TestGuestsAgree(t *testing.T) {
	modules := &shelf{}
	host := newHost(t, modules)
	plugin := newPlugin(t, guest(t, "extism"), 0)
	for _, language := range languages {
		m := mustNumber(t, guest(t, language), 1)
		modules.put(m)
		rule, err := host.Load("shop", m.ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		plain := newBare(t, m.wasm)
		for _, s := range samples {
			t.Run(language+" "+s.name, func(t *testing.T) {
				view := s.view(t, &m.manifest)
				ours, err := rule.Choose(view, 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.check(ours.Variant, ours.Score); err != nil {
					t.Error(err)
				}
				if ours.Fuel == 0 {
					t.Error("the call is not metered")
				}
				record, err := recordOf(view)
				if err != nil {
					t.Fatal(err)
				}
				if a, err := plain.choose(record); err != nil || s.check(a.variant, a.score) != nil {
					t.Errorf("plain wazero: %+v, %v", a, err)
				}
				if a, err := ask(plugin, forExtism(record)); err != nil || s.check(a.variant, a.score) != nil {
					t.Errorf("Extism: %+v, %v", a, err)
				}
			})
		}
	}
}

// choosing calls a rule with a view that is encoded already.
func choosing(rule edge.Rule, view *edge.View, s sample) func() error {
	return func() error {
		a, err := rule.Choose(view, 0)
		if err != nil {
			return err
		}
		return s.check(a.Variant, a.Score)
	}
}

// BenchmarkCall is one call of the decision, the record at hand: metered and
// with everything put back after it, beside the same module on plain wazero,
// which does neither, and beside the C guest under Extism.
func BenchmarkCall(b *testing.B) {
	targets := map[string]string{
		"c": "≤ 0.8 µs, ≥ 50× Extism", "rust": "≤ 0.8 µs, ≥ 50× Extism", "assemblyscript": "≤ 3 µs, ≥ 12× Extism",
	}
	for _, language := range languages {
		b.Run(language, func(b *testing.B) {
			modules := &shelf{}
			m := mustNumber(b, guest(b, language), 1)
			modules.put(m)
			rule, err := newHost(b, modules).Load("shop", m.ref, nil)
			if err != nil {
				b.Fatal(err)
			}
			view := hot.view(b, &m.manifest)
			ours := contender{name: "metered and isolated", call: choosing(rule, view, hot)}
			if err := ours.call(); err != nil {
				b.Fatal(err)
			}
			record, err := recordOf(view)
			if err != nil {
				b.Fatal(err)
			}
			compare(b, "call, "+language, targets[language], ours,
				contender{name: "plain-wazero", call: bareCall(b, m.wasm, record)},
				contender{name: "extism", call: extismCall(b, guest(b, "extism"), record, 0)},
				contender{name: "extism-with-time-limit", call: extismCall(b, guest(b, "extism"), record, time.Second)},
			)
		})
	}
}

// bareCall calls a module on plain wazero.
func bareCall(b *testing.B, wasm, record []byte) func() error {
	b.Helper()
	plain := newBare(b, wasm)
	return func() error {
		a, err := plain.choose(record)
		if err != nil {
			return err
		}
		return hot.check(a.variant, a.score)
	}
}

// extismCall calls a plugin.
func extismCall(b *testing.B, wasm, record []byte, limit time.Duration) func() error {
	b.Helper()
	plugin := newPlugin(b, wasm, limit)
	record = forExtism(record)
	return func() error {
		a, err := ask(plugin, record)
		if err != nil {
			return err
		}
		return hot.check(a.variant, a.score)
	}
}
