// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// A clock is what a breaker's test says the time is.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_795_305_600, c.at.Load()) }
func (c *clock) pass(span time.Duration) { c.at.Add(int64(span)) }

// fails is a rule of the C echo, with a call that traps and one that does not.
type fails struct {
	*rule
	*clock
	view      *edge.View
	bad, good int
}

func newFails(t *testing.T) fails {
	source := echo(t, "c")
	f := fails{mustLoad(t, newHost(t, Options{Source: source, Instances: 1}), source), &clock{}, echoView(source), source.manifest.Slot("trap"), source.manifest.Slot("score")}
	f.breaker.now = f.now
	return f
}

// want calls a slot n times and wants the same error each time.
func (f fails) want(t *testing.T, slot, n int, want error) {
	t.Helper()
	for i := range n {
		if _, err := f.Choose(f.view, slot); !errors.Is(err, want) {
			t.Fatalf("call %d gave %v, want %v", i, err, want)
		}
	}
}

func TestRepeatedFaultsQuarantineAModule(t *testing.T) {
	f := newFails(t)
	f.want(t, f.bad, tripFaults, ErrTrap)
	f.want(t, f.good, 5, ErrQuarantined)
	f.pass(firstSpell - 1)
	f.want(t, f.good, 1, ErrQuarantined)
	s := f.status()
	if s.Calls != tripFaults || s.Faults[FaultTrap] != tripFaults || s.Refused != 6 || s.Quarantines != 1 || !s.QuarantinedUntil.Equal(f.now().Add(1)) {
		t.Errorf("%+v", s)
	}
	f.pass(1)
	f.want(t, f.good, 100, nil) // the first of them is the trial
	if s := f.status(); !s.QuarantinedUntil.IsZero() || s.Quarantines != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRareFaultsDoNot(t *testing.T) {
	f := newFails(t)
	for range 50 {
		f.want(t, f.bad, 1, ErrTrap)
		f.want(t, f.good, 64/(tripFaults-1), nil)
	}
	if s := f.status(); s.Quarantines != 0 || s.Faults[FaultTrap] != 50 {
		t.Errorf("%+v", s)
	}
}

func TestEachFailedTrialDoublesTheQuarantine(t *testing.T) {
	f := newFails(t)
	f.want(t, f.bad, tripFaults, ErrTrap)
	for spell := firstSpell; spell < longestSpell; spell *= 2 {
		f.pass(spell - 1)
		f.want(t, f.bad, 1, ErrQuarantined)
		f.pass(1)
		f.want(t, f.bad, 1, ErrTrap)
	}
	for range 3 {
		f.pass(longestSpell)
		f.want(t, f.bad, 1, ErrTrap)
		f.want(t, f.bad, 1, ErrQuarantined)
	}
}

func TestARelapseDoublesTheQuarantineToo(t *testing.T) {
	f := newFails(t)
	f.want(t, f.bad, tripFaults, ErrTrap)
	f.pass(firstSpell)
	f.want(t, f.good, 1, nil)
	// What was before the quarantine is forgotten.
	f.want(t, f.bad, tripFaults, ErrTrap)
	f.pass(2*firstSpell - 1)
	f.want(t, f.good, 1, ErrQuarantined)
	f.pass(1)
	f.want(t, f.good, 1, nil)
	// So is the quarantine, after a while.
	f.pass(relapse)
	f.want(t, f.bad, tripFaults, ErrTrap)
	f.pass(firstSpell)
	f.want(t, f.good, 1, nil)
}

func TestOneCallTriesAModule(t *testing.T) {
	b := breaker{}
	c := &clock{}
	b.now = c.now
	b.trip()
	c.pass(firstSpell)
	var granted atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if b.allows() == onTrial {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("%d calls were allowed to try, want 1", n)
	}
	// The trial never came back.
	c.pass(trialTime)
	if b.allows() != onTrial {
		t.Error("nobody else may try")
	}
}

// TestAModuleThatGrowsAndFailsIsQuarantined: an instance that is thrown away
// takes no history with it.
func TestAModuleThatGrowsAndFailsIsQuarantined(t *testing.T) {
	growAndTrap := []byte{0x41, 16, 0x29, 3, 0, 0x50, 0x45, 0x04, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x00, 0x0b, 0x42, 0}
	source := handMade(assemble(minimal(bound, testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, growAndTrap})), readsOwn)
	r := mustLoad(t, newHost(t, Options{Source: source}), source)
	view := ownTextView(source)
	for range tripFaults {
		if _, err := r.Choose(view, 0); !errors.Is(err, ErrTrap) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := r.Choose(view, 0); !errors.Is(err, ErrQuarantined) {
		t.Errorf("got %v", err)
	}
	if s := r.status(); s.Faults[FaultTrap] != tripFaults || s.Instances != 0 {
		t.Errorf("%+v", s)
	}
}

func TestStatusCounts(t *testing.T) {
	source := echo(t, "c")
	h := newHost(t, Options{Source: source})
	r := mustLoad(t, h, source)
	view := echoView(source)
	for _, slot := range strings.Fields("score score trap score nonsense score nonsense score grow grow grow") {
		_, _ = r.Choose(view, source.manifest.Slot(slot))
	}
	list := h.Status()
	if len(list) != 1 {
		t.Fatalf("%d rules", len(list))
	}
	s := list[0]
	if s.Module != "echo@1.0.0" || s.Hash != source.hash || s.Rewritten != r.template.rewritten || s.Calls != 11 || s.Failed() != 6 ||
		s.Faults[FaultNonsense] != 2 || s.Faults[FaultGrown] != 3 || s.Fuel == 0 || s.MaxFuel == 0 || s.MeanFuel() > s.MaxFuel ||
		s.Instances != 0 || s.MemoryBytes != int64(r.template.snapshot.bytes()) || s.Loaded.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestSitesShareNoBreaker: what the visitors of one site do to a module does not
// take it out at another.
func TestSitesShareNoBreaker(t *testing.T) {
	source := handMade(assemble(decide(opUnreachable)), readsOwn)
	h := newHost(t, Options{Source: source, Instances: 1})
	rules := map[string]edge.Rule{}
	for _, site := range []string{"first", "second"} {
		r, err := h.Load(site, source.ref(), bindAll(source.manifest))
		if err != nil {
			t.Fatal(err)
		}
		rules[site] = r
	}
	for range tripFaults {
		_, _ = rules["first"].Choose(ownTextView(source), 0)
	}
	if _, err := rules["first"].Choose(ownTextView(source), 0); !errors.Is(err, ErrQuarantined) {
		t.Errorf("at the first site: %v", err)
	}
	if _, err := rules["second"].Choose(ownTextView(source), 0); !errors.Is(err, ErrTrap) {
		t.Errorf("at the second site: %v", err)
	}
	list := h.Status()
	if len(list) != 2 || list[0].Site != "first" || list[0].Calls != tripFaults || list[1].Site != "second" || list[1].Calls != 1 {
		t.Errorf("%+v", list)
	}
}
