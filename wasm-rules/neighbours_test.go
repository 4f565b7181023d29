// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// onSight is near_decide of a module that answers nothing until it sees the
// site's first own field, which no canary has, and then does bad.
func onSight(bad ...byte) testFunc {
	const presence, i64Load, i64And, i64Eqz, ifNothing = 16, 0x29, 0x83, 0x50, "\x04\x40"
	code := append(constI32(0), i64Load, 3, presence)
	code = append(append(code, constI64(1<<edge.BuiltinFields)...), i64And, i64Eqz)
	code = append(code, ifNothing+"\x42\x00\x0f\x0b"...) // i64.const 0, return, end
	return testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, append(code, bad...)}
}

// badNeighbours are three modules that misbehave each in its own way.
func badNeighbours() []placed {
	var all []placed
	for _, bad := range []struct {
		name   string
		decide testFunc
	}{
		{"traps", onSight(0x00)},                                     // unreachable
		{"loops", onSight(0x03, 0x40, 0x0c, 0x00, 0x0b, 0x42, 0x00)}, // loop, br 0, end, i64.const 0
		{"nonsense", onSight(constI64(1<<8 | 200)...)},               // variant 200 of 1
	} {
		m := handMade(assemble(minimal(bound, bad.decide)), readsOwn, func(m *edge.Manifest) { m.Name, m.Needs = bad.name, consent.Set(consent.Context) })
		all = append(all, placed{slot: bad.name, module: m})
	}
	return all
}

// goodNeighbours are modules that answer by what they see, but for one that would
// answer by what it keeps: the echo of each language and the product's own.
func goodNeighbours(t *testing.T) []placed {
	t.Helper()
	var all []placed
	put := func(language, role string) {
		m := echo(t, language)
		m.declare(func(m *edge.Manifest) { m.Name = language + "-" + role })
		all = append(all, placed{slot: m.manifest.Name, role: role, module: m})
	}
	put("c", "count")
	for _, language := range languages(t) {
		put(language, "fields")
	}
	list, err := Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		wasm, err := Embedded().Open(l.Hash)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, placed{slot: l.Manifest.Name, module: testSource{wasm, l.Manifest, l.Hash}})
	}
	return all
}

// A visitor sends one beacon over and over.
type visitor struct {
	beacon  *edge.Beacon
	request *edge.Request
}

// visitors differ in everything that the good modules look at, and some of them
// make the bad ones misbehave.
func visitors(sealer *edge.Sealer, slots []string) []visitor {
	now := time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC)
	var all []visitor
	for i := range 24 {
		b := beaconOf(slots...)
		b.Page.Tags = []string{"felt", fmt.Sprintf("tag-%d", i)}
		if i%3 != 0 {
			b.Events = []edge.BeaconEvent{{ID: "e1", Name: "tell", Props: fmt.Appendf(nil, `{"text":"said %d","number":%d,"list":["a","b%d"]}`, i, i, i)}}
		}
		r := &edge.Request{
			Now: now, Lang: "en", PageLang: "en", Host: "shop.example", Path: fmt.Sprintf("/page-%d", i),
			Addr:   netip.AddrFrom4([4]byte{192, 0, byte(i), 0}),
			Device: edge.Device{Type: []string{"phone", "tablet", "desktop", "tv"}[i%4]},
		}
		if i%2 == 0 {
			state := &edge.State{
				Visitor: [16]byte{byte(i)}, First: now.Add(-48 * time.Hour), Started: now.Add(-48 * time.Hour), Last: now.Add(-48 * time.Hour), Visits: 3,
			}
			state.Learn("add_to_cart", state.Last, edge.ItemEvent{Item: fmt.Sprintf("sku-%d", i), Quantity: uint8(i%5 + 1), Price: 12})
			r.State = sealer.SealState("shop", state)
		}
		all = append(all, visitor{b, r})
	}
	return all
}

// byThirdByte finds a country by the third byte of an address.
type byThirdByte struct{}

func (byThirdByte) Locate(addr netip.Addr) edge.Place {
	return edge.Place{Country: []string{"FR", "AU", "NO", "ZA", ""}[int(addr.As4()[2])%5]}
}

// said is what a decision tells the page.
type said struct{ variant, rule, because, content string }

// answers decides one visitor's beacon and returns what each of the first good
// slots said. The slots after them must have the default, for a reason that
// tells of a fault where bad modules saw what makes them misbehave.
func answers(engine *edge.Engine, v visitor, good int, out *edge.Outcome) ([]said, error) {
	out.Reset()
	if err := engine.Decide(v.beacon, v.request, out); err != nil {
		return nil, err
	}
	var all []said
	for _, d := range out.Decisions[:good] {
		if d.Reason != edge.ReasonRule && d.Reason != edge.ReasonNoAnswer {
			return nil, fmt.Errorf("%s: reason %s", d.Slot, d.Reason)
		}
		all = append(all, said{d.Variant, d.Rule, d.Because, string(d.Content)})
	}
	for _, d := range out.Decisions[good:] {
		bad := d.Reason == edge.ReasonFailed || d.Reason == edge.ReasonBudget
		if d.Variant != "" || len(v.beacon.Events) > 0 && !bad {
			return nil, fmt.Errorf("%s: %q for reason %s", d.Slot, d.Variant, d.Reason)
		}
	}
	return all, nil
}

// TestHammerNeighbours has ten modules decide at once, of which three trap, loop
// and answer nonsense, and compares what the others say with what they say when
// they are alone. The quarantine passes at once, so that the three go on.
func TestHammerNeighbours(t *testing.T) {
	const deciders, rounds = 8, 4
	good, bad := goodNeighbours(t), badNeighbours()
	all := append(good[:len(good):len(good)], bad...)
	modules := &shelf{}
	var slots []string
	for _, p := range all {
		modules.put(p.module)
		slots = append(slots, p.slot)
	}
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{1}, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	open := func(placed []placed) (*Host, *edge.Engine) {
		host := newHost(t, Options{Source: modules, Instances: 2})
		engine := edge.New(edge.Options{Node: "n1", Locator: byThirdByte{}, Loader: host, Sealer: sealer})
		publish(t, engine, releaseOf(t, 1, placed...))
		return host, engine
	}
	_, alone := open(good)
	var want [][]said
	for _, v := range visitors(sealer, slots[:len(good)]) {
		var out edge.Outcome
		said, err := answers(alone, v, len(good), &out)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, said)
	}
	host, together := open(all)
	hurry(host)
	var group sync.WaitGroup
	for g := range deciders {
		group.Go(func() {
			var out edge.Outcome
			crowd := visitors(sealer, slots)
			for i := range rounds * len(crowd) {
				n := (i*7 + g) % len(crowd)
				got, err := answers(together, crowd[n], len(good), &out)
				if err != nil || !slices.Equal(got, want[n]) {
					t.Errorf("visitor %d: got %q, %v, want %q", n, got, err, want[n])
					return
				}
			}
		})
	}
	group.Wait()
	checkFaults(t, host)
}

// hurry makes a quarantine pass as soon as it is asked for.
func hurry(h *Host) {
	var now atomic.Int64
	for _, r := range h.rules.all() {
		r.breaker.now = func() time.Time { return time.Unix(0, now.Add(int64(2*longestSpell))) }
	}
}

// checkFaults compares what the host counted: the bad modules' faults are each
// of their kind, the others have none.
func checkFaults(t *testing.T, h *Host) {
	t.Helper()
	const least = 100
	kinds := map[string]Fault{"traps@1.0.0": FaultTrap, "loops@1.0.0": FaultBudget, "nonsense@1.0.0": FaultNonsense}
	for _, s := range h.Status() {
		kind, bad := kinds[s.Module]
		switch {
		case !bad && (s.Failed() > 0 || s.Quarantines > 0):
			t.Errorf("%s failed %d times and was quarantined %d times", s.Module, s.Failed(), s.Quarantines)
		case bad && (s.Faults[kind] < least || s.Failed() != s.Faults[kind] || s.Quarantines == 0):
			t.Errorf("%s failed by %v of %d calls and was quarantined %d times", s.Module, s.Faults, s.Calls, s.Quarantines)
		}
	}
}
