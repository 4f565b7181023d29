// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// languages returns the guest languages that have an echo module.
func languages(t testing.TB) (list []string) {
	t.Helper()
	modules, err := filepath.Glob("abitest/echo-*/rule.wasm")
	if err != nil || len(modules) == 0 {
		t.Fatalf("echo modules: %q, %v", modules, err)
	}
	for _, m := range modules {
		list = append(list, strings.TrimPrefix(filepath.Base(filepath.Dir(m)), "echo-"))
	}
	return list
}

// echoVisit is a visit on which every slot of the echo modules does what it is
// for.
func echoVisit(s testSource) *edge.Visit {
	bind := bindAll(s.manifest)
	visit := &edge.Visit{Page: edge.Page{Path: "/hats"}, Place: edge.Place{Country: "FR"}, Own: make([]edge.OwnValue, len(bind))}
	visit.Own[bind["own.number"]-edge.BuiltinFields].Value = edge.Value{Type: edge.TypeInt, Int: 1}
	return visit
}

func echoView(s testSource) *edge.View {
	return edgetest.View(echoVisit(s), declared(s.manifest), consent.All)
}

func TestAModuleWithStateAnswersTheSameAThousandTimes(t *testing.T) {
	for _, language := range languages(t) {
		t.Run(language, func(t *testing.T) {
			source := echo(t, language)
			r := mustLoad(t, newHost(t, Options{Source: source}), source)
			view, slot := echoView(source), source.manifest.Slot("count")
			first, err := r.Choose(view, slot)
			if err != nil || first.Score == 0 {
				t.Fatalf("got %+v, %v", first, err)
			}
			for i := range 1000 {
				if again, err := r.Choose(view, slot); err != nil || again.Score != first.Score {
					t.Fatalf("call %d counted to %d (%v), the first to %d", i, again.Score, err, first.Score)
				}
			}
		})
	}
}

// TestInstancesAreKeptOrThrownAway counts after how many of ten calls the seat
// holds another instance than the first, or none.
func TestInstancesAreKeptOrThrownAway(t *testing.T) {
	const calls = 10
	tests := []struct {
		name, language, slot string
		thrownAway           int
	}{
		{"state in memory is put back", "c", "count", 0},
		{"state in an exported global is put back", "assemblyscript", "fields", 0},
		{"state in a private global is put back", "assemblyscript", "count", 0},
		{"a trap costs the answer only", "c", "trap", 0},
		{"a memory that grew costs the instance", "c", "grow", calls},
		{"nonsense does not", "c", "nonsense", 0},
		{"an output that is not UTF-8 does not", "assemblyscript", "not-utf8", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := echo(t, tt.language)
			r := mustLoad(t, newHost(t, Options{Source: source}), source)
			view, slot := echoView(source), source.manifest.Slot(tt.slot)
			first, thrownAway := r.pool.seats[0].instance, 0
			for range calls {
				_, _ = r.Choose(view, slot)
				if r.pool.seats[0].instance != first {
					thrownAway++
				}
			}
			if thrownAway != tt.thrownAway {
				t.Errorf("%d of %d calls cost the instance, want %d", thrownAway, calls, tt.thrownAway)
			}
		})
	}
}

func TestTheCallAfterABadOneWorks(t *testing.T) {
	for _, language := range languages(t) {
		for slot, want := range map[string]error{"trap": ErrTrap, "nonsense": ErrNonsense, "not-utf8": ErrNonsense, "too-long": ErrNonsense, "grow": ErrGrown} {
			t.Run(language+" "+slot, func(t *testing.T) {
				source := echo(t, language)
				r := mustLoad(t, newHost(t, Options{Source: source}), source)
				view := echoView(source)
				for range 3 {
					if _, err := r.Choose(view, source.manifest.Slot(slot)); !errors.Is(err, want) {
						t.Fatalf("got %v, want %v", err, want)
					}
					answer, err := r.Choose(view, source.manifest.Slot("fields"))
					if want := "/hats|-||1|FR|-|-|-|-|-|-|-"; err != nil || answer.Because != want {
						t.Fatalf("then got %q, %v, want %q", answer.Because, err, want)
					}
				}
			})
		}
	}
}

func TestHammerOneRule(t *testing.T) {
	for _, language := range languages(t) {
		t.Run(language, func(t *testing.T) {
			source := echo(t, language)
			r := mustLoad(t, newHost(t, Options{Source: source, Instances: 2}), source)
			var group sync.WaitGroup
			for g := range 8 {
				group.Go(func() {
					path := fmt.Sprintf("/page-%d", g)
					visit := echoVisit(source)
					visit.Page.Path = path
					view := edgetest.View(visit, declared(source.manifest), consent.All&^consent.Context)
					for i := range 200 {
						if i%20 == g {
							if _, err := r.Choose(view, source.manifest.Slot("trap")); !errors.Is(err, ErrTrap) {
								t.Errorf("a trap gave %v", err)
							}
						}
						answer, err := r.Choose(view, source.manifest.Slot("fields"))
						if want := path + "|-|-|1|-|-|-|-|-|-|-|-"; err != nil || answer.Because != want {
							t.Errorf("got %q, %v, want %q", answer.Because, err, want)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}

func TestHammerLoad(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source, Instances: 1})
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			view := echoView(source)
			for i := range 10 {
				ref := source.ref()
				ref.Settings = fmt.Appendf(nil, `{"n":%d}`, (g+i)%3)
				r, err := h.Load("shop", ref, bindAll(source.manifest))
				if err != nil {
					t.Error(err)
					return
				}
				answer, err := r.Choose(view, source.manifest.Slot("settings"))
				if want := string(ref.Settings) + "||"; err != nil || answer.Because != want {
					t.Errorf("got %q, %v, want %q", answer.Because, err, want)
				}
			}
		})
	}
	group.Wait()
}

func TestChooseAllocs(t *testing.T) {
	for _, language := range languages(t) {
		source := echo(t, language)
		r := mustLoad(t, newHost(t, Options{Source: source}), source)
		view := echoView(source)
		for slot, want := range map[string]float64{
			"score":   0, // an answer without words
			"nothing": 0,
			"fields":  1, // the reason in words
		} {
			n := source.manifest.Slot(slot)
			if got := testing.AllocsPerRun(100, func() {
				if _, err := r.Choose(view, n); err != nil {
					t.Fatal(err)
				}
			}); got > want {
				t.Errorf("%s, slot %s: %v allocations, want at most %v", language, slot, got, want)
			}
		}
	}
}
