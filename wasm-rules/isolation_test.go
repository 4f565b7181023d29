// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// randomVisit is a visit with some values for an echo module's fields, long
// ones among them.
func randomVisit(rng *rand.Rand, s testSource) *edge.Visit {
	text := func() string { return strings.Repeat("héллo ", rng.IntN(40)) }
	texts := func() (list []string) {
		for range rng.IntN(30) {
			list = append(list, text())
		}
		return list
	}
	visit := &edge.Visit{Page: edge.Page{Path: text(), Tags: texts()}, Place: edge.Place{Country: text(), HasPoint: rng.IntN(2) == 0, Lat: rng.NormFloat64() * 30}}
	var things []edge.Item
	var weights []edge.Entry
	for i := range rng.IntN(20) {
		things = append(things, edge.Item{ID: text(), Quantity: rng.Int64(), Price: rng.NormFloat64()})
		weights = append(weights, edge.Entry{Key: fmt.Sprint("key-", i), Value: rng.NormFloat64()})
	}
	values := map[string]edge.Value{
		"own.text":    {Type: edge.TypeString, Str: text()},
		"own.number":  {Type: edge.TypeInt, Int: rng.Int64() >> rng.IntN(64)},
		"own.amount":  {Type: edge.TypeFloat, Float: rng.NormFloat64() * 1e6},
		"own.flag":    {Type: edge.TypeBool, Int: int64(rng.IntN(2))},
		"own.since":   {Type: edge.TypeTime, Int: rng.Int64N(1 << 42)},
		"own.list":    {Type: edge.TypeList, List: texts()},
		"own.things":  {Type: edge.TypeItems, Items: things},
		"own.weights": {Type: edge.TypeMap, Map: weights},
	}
	bind := bindAll(s.manifest)
	visit.Own = make([]edge.OwnValue, len(bind))
	for name, number := range bind {
		if rng.IntN(4) > 0 {
			visit.Own[number-edge.BuiltinFields].Value = values[name]
		}
	}
	return visit
}

// TestEveryGuestIsPutBackExactly compares the whole memory and every global
// after each call, those that trap or answer nonsense included.
func TestEveryGuestIsPutBackExactly(t *testing.T) {
	for _, language := range languages(t) {
		t.Run(language, func(t *testing.T) {
			source := echo(t, language)
			r := mustLoad(t, newHost(t, Options{Source: source}), source)
			var in *instance
			rng := rand.New(rand.NewPCG(1, 2))
			calls, traps, stored := 300, 0, 0
			for range calls {
				view := edgetest.View(randomVisit(rng, source), declared(source.manifest), consent.Purposes(rng.IntN(256)))
				slot := rng.IntN(len(source.manifest.Slots))
				record := encodeRecord(view, nil)
				if in == nil {
					var err error
					if in, err = r.template.restart(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if !r.template.snapshot.is(in.memory, in.globals) {
					t.Fatal("an instance that was never called is not as the snapshot says")
				}
				_, err := in.choose(t.Context(), record, slot, len(source.manifest.Slots[slot].Variants), edge.MaxBudget)
				if in.dirty.Get() != 0 {
					stored++
				}
				if errors.Is(err, ErrTrap) {
					traps++
					in.traps = 0 // never too many for this test
				}
				if in.grown() {
					in.close()
					in = nil
					continue
				}
				if !in.restore(r.template.snapshot) || !r.template.snapshot.is(in.memory, in.globals) {
					t.Fatalf("after slot %q (%v) the instance is not as it was", source.manifest.Slots[slot].Name, err)
				}
			}
			if traps == 0 || stored < calls/3 {
				t.Errorf("of %d calls %d trapped and %d stored", calls, traps, stored)
			}
		})
	}
}

// TestFuelIsTheSameEverywhere asks the same of two hosts' instances and of one
// that was used before.
func TestFuelIsTheSameEverywhere(t *testing.T) {
	for _, language := range languages(t) {
		source := echo(t, language)
		first := mustLoad(t, newHost(t, Options{Source: source}), source)
		second := mustLoad(t, newHost(t, Options{Source: source}), source)
		if first.template.budget != second.template.budget || first.template.rewritten != second.template.rewritten {
			t.Errorf("%s: budgets %d and %d, hashes %s and %s", language, first.template.budget, second.template.budget, first.template.rewritten, second.template.rewritten)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		for range 100 {
			view := edgetest.View(randomVisit(rng, source), declared(source.manifest), consent.All)
			a, errA := first.Choose(view, 0)
			b, errB := second.Choose(view, 0)
			if a.Fuel != b.Fuel || a.Fuel == 0 || a.Because != b.Because || (errA == nil) != (errB == nil) {
				t.Fatalf("%s: %+v (%v) and %+v (%v)", language, a, errA, b, errB)
			}
		}
	}
}

// TestHammerLoadWhileServing loads a rule again and again, each time with other
// settings, while others decide with whichever is live: no decision fails, and
// none is of a rule that is half loaded or of another one.
func TestHammerLoadWhileServing(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source})
	const swaps = 200
	type release struct {
		rule edge.Rule
		want string
	}
	load := func(n int) *release {
		ref := source.ref()
		ref.Settings = fmt.Appendf(nil, `{"n":%d}`, n)
		r, err := h.Load("demo", ref, bindAll(source.manifest))
		if err != nil {
			t.Error(err)
			return nil
		}
		return &release{r, string(ref.Settings) + "||"}
	}
	var live atomic.Pointer[release]
	live.Store(load(0))
	var group sync.WaitGroup
	var decided atomic.Int64
	done := make(chan struct{})
	for range 4 {
		group.Go(func() {
			view, slot := echoView(source), source.manifest.Slot("settings")
			for {
				select {
				case <-done:
					return
				default:
				}
				r := live.Load()
				if answer, err := r.rule.Choose(view, slot); err != nil || answer.Because != r.want {
					t.Errorf("decided %q, %v, want %q", answer.Because, err, r.want)
					return
				}
				decided.Add(1)
				runtime.Gosched() // or every file the loader reads costs it a time slice
			}
		})
	}
	for n := range swaps {
		if next := load(n); next != nil {
			live.Store(next)
		}
	}
	close(done)
	group.Wait()
	t.Logf("%d decisions over %d swaps", decided.Load(), swaps)
	if decided.Load() < swaps {
		t.Errorf("%d decisions over %d swaps", decided.Load(), swaps)
	}
}
