// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// These tests put modules under a whole engine: releases are published while
// beacons are decided, and no decision may show a trace of it.

const (
	swapDeciders = 8 // goroutines that decide
	swapPause    = 4 // decisions to see before the next swap, so that swaps meet decisions
)

// A shelf is a source that modules are put on while others are read.
type shelf struct {
	mu      sync.Mutex
	modules map[string]testSource // by hash
}

func (s *shelf) put(m testSource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.modules == nil {
		s.modules = map[string]testSource{}
	}
	s.modules[m.hash] = m
}

// Open implements ModuleSource.
func (s *shelf) Open(hash string) ([]byte, error) {
	s.mu.Lock()
	m, ok := s.modules[hash]
	s.mu.Unlock()
	if !ok {
		return nil, ErrUnknownModule
	}
	return bytes.Clone(m.wasm), nil
}

// List implements ModuleSource.
func (s *shelf) List() ([]Listed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Listed
	for _, m := range s.modules {
		list = append(list, Listed{m.manifest, m.hash})
	}
	return list, nil
}

type nowhere struct{}

func (nowhere) Locate(netip.Addr) edge.Place { return edge.Place{} }

// newEngine is an engine over the host, and what opens its decisions' ids.
func newEngine(t *testing.T, h *Host) (*edge.Engine, *edge.Sealer) {
	t.Helper()
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{1}, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return edge.New(edge.Options{Node: "n1", Locator: nowhere{}, Loader: h, Sealer: sealer}), sealer
}

// A placed module is one that a release puts in a slot, the first of its own if
// role is empty.
type placed struct {
	slot, role string
	module     testSource
	settings   string
}

// ownTypes are the types of the echo modules' own fields, as far as a site may
// declare them: the last three get no value, so that any type does for them.
var ownTypes = map[string]string{
	"text": "string", "number": "i64", "amount": "f64", "flag": "bool", "list": "list",
	"since": "i64", "things": "list", "weights": "list",
}

// releaseOf is the document of a release with one module in each slot. The site
// has the echo modules' own fields, whose values come with an event.
func releaseOf(t *testing.T, number uint64, modules ...placed) []byte {
	t.Helper()
	doc := edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: "shop", Number: number,
		Settings: edge.Settings{Origins: []string{"https://shop.example"}, Languages: []string{"en"}, TimeZone: "Europe/Paris"},
	}
	for _, name := range []string{"text", "number", "amount", "flag", "since", "list", "things", "weights"} {
		doc.Fields = append(doc.Fields, edge.OwnField{
			Name: "own." + name, Type: ownTypes[name], Purpose: "context", Origin: "first", From: "event", Event: "tell", Prop: name,
		})
	}
	listed := map[string]bool{}
	for _, p := range modules {
		m := p.module.manifest
		if p.role == "" {
			p.role = m.Slots[0].Name
		}
		doc.Slots = append(doc.Slots, edge.SlotSpec{Name: p.slot, Kind: "text", Ladder: []edge.RungSpec{{
			Rung: "context", Rules: []edge.RuleSpec{{Module: m.ID(), Role: p.role, Settings: json.RawMessage(p.settings)}},
		}}})
		for _, name := range m.Slots[m.Slot(p.role)].Variants {
			doc.Variants = append(doc.Variants, edge.Variant{
				Slot: p.slot, Name: name, State: "live",
				Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"` + name + `"}`)},
			})
		}
		if !listed[m.ID()] {
			doc.Modules = append(doc.Modules, p.module.ref())
			listed[m.ID()] = true
		}
	}
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// beaconOf is a beacon of a visitor who grants everything, asking for slots.
func beaconOf(slots ...string) *edge.Beacon {
	b := &edge.Beacon{
		Site: "shop", Page: edge.BeaconPage{ID: "p1"},
		Consent: consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: consent.All}},
	}
	for _, name := range slots {
		b.Slots = append(b.Slots, edge.BeaconSlot{Name: name})
	}
	return b
}

// The hammered release has a module in each of two slots. Every part of a
// version carries its number: the code of "code" answers with the manifest's
// variant of that number, the settings of "echo" say it, and each manifest
// gives its variants its name.
const (
	codeSlot = "code"
	echoSlot = "echo"
	numbers  = 9 // how many different codes there are
)

// versionOf makes the two modules of a version.
func versionOf(t *testing.T, version int) []placed {
	t.Helper()
	n := version%numbers + 1
	variants := make([]string, numbers)
	for i := range variants {
		variants[i] = fmt.Sprintf("v%d-wrong-%d", version, i+1)
	}
	variants[n-1] = fmt.Sprintf("v%d", version)
	code := handMade(assemble(minimal(testFunc{"near_decide", []byte{wasmI32}, []byte{wasmI64}, constI64(int64(n))})))
	code.declare(func(m *edge.Manifest) {
		m.Name, m.Version = codeSlot, fmt.Sprintf("%d.0.0", version)
		m.Slots = []edge.ManifestSlot{{Name: codeSlot, Variants: variants}}
	})
	said := echo(t, "c")
	said.declare(func(m *edge.Manifest) {
		m.Name, m.Version, m.Reads, m.Needs = echoSlot, fmt.Sprintf("%d.0.0", version), nil, 0
		for i := range m.Slots {
			if m.Slots[i].Name == "settings" {
				m.Slots[i].Variants = []string{fmt.Sprintf("v%d", version)}
			}
		}
	})
	return []placed{
		{codeSlot, codeSlot, code, ""},
		{echoSlot, "settings", said, fmt.Sprintf(`{"say":"v%d"}`, version)},
	}
}

// mixture returns the number of the release that answered a beacon, and what is
// wrong with the answer: every part of both decisions must be of that version.
func mixture(sealer *edge.Sealer, decisions []edge.Decision) (release uint64, fault string) {
	for i, d := range decisions {
		id, err := sealer.OpenDecisionID("shop", d.ID)
		if err != nil {
			return 0, err.Error()
		}
		word := fmt.Sprintf("v%d", id.Release)
		switch {
		case i > 0 && id.Release != release:
			return 0, fmt.Sprintf("one beacon was answered by releases %d and %d", release, id.Release)
		case d.Reason != edge.ReasonRule:
			return 0, fmt.Sprintf("%s: reason %s", d.Slot, d.Reason)
		case d.Rule != fmt.Sprintf("%s@%d.0.0", d.Slot, id.Release), d.Variant != word, string(d.Content) != `{"text":"`+word+`"}`:
			return 0, fmt.Sprintf("release %d: %s answered %s with %s", id.Release, d.Rule, d.Variant, d.Content)
		case d.Slot == echoSlot && d.Because != fmt.Sprintf(`{"say":"%s"}|%s|`, word, word):
			return 0, fmt.Sprintf("release %d: the settings were %s", id.Release, d.Because)
		}
		release = id.Release
	}
	return release, ""
}

// hammer decides in many goroutines until swap has returned. swap calls pause
// with the number of each release it published.
func hammer(t *testing.T, engine *edge.Engine, sealer *edge.Sealer, swap func(pause func(release uint64))) {
	t.Helper()
	hammerSlots(t, engine, func(decisions []edge.Decision) (uint64, string) { return mixture(sealer, decisions) }, swap, codeSlot, echoSlot)
}

// hammerSlots is hammer for other slots, whose answers check looks at.
func hammerSlots(t *testing.T, engine *edge.Engine, check func([]edge.Decision) (uint64, string), swap func(pause func(release uint64)), slots ...string) {
	t.Helper()
	var live atomic.Uint64
	var decided atomic.Int64 // by the live release
	var stop atomic.Bool
	var deciders sync.WaitGroup
	for range swapDeciders {
		deciders.Go(func() {
			beacon, request := beaconOf(slots...), &edge.Request{Now: time.Now(), Lang: "en", PageLang: "en", Path: "/hats"}
			var out edge.Outcome
			for !stop.Load() {
				out.Reset()
				err := engine.Decide(beacon, request, &out)
				release, fault := check(out.Decisions)
				if err != nil || fault != "" {
					t.Errorf("%s %v", fault, err)
					stop.Store(true)
					return
				}
				if release == live.Load() {
					decided.Add(1)
				}
				runtime.Gosched() // a machine of few cores would give the swaps no turn
			}
		})
	}
	defer deciders.Wait()
	defer stop.Store(true)
	swap(func(release uint64) {
		live.Store(release)
		for from := decided.Load(); decided.Load() < from+swapPause && !stop.Load(); {
			runtime.Gosched()
		}
	})
	t.Logf("%d beacons decided", decided.Load())
}

// publish makes a release live, and fails the test if it cannot.
func publish(t *testing.T, engine *edge.Engine, document []byte) *edge.Release {
	t.Helper()
	release, err := engine.Publish(document)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

// TestHammerSwap swaps a site between two versions that are both loaded.
func TestHammerSwap(t *testing.T) {
	const swaps = 1000
	modules := &shelf{}
	host := newHost(t, Options{Source: modules})
	engine, sealer := newEngine(t, host)
	var documents [2][]byte
	var kept [2]*edge.Release // keeps both versions' rules loaded
	for i := range documents {
		version := versionOf(t, i+1)
		for _, p := range version {
			modules.put(p.module)
		}
		documents[i] = releaseOf(t, uint64(i+1), version...)
		kept[i] = publish(t, engine, documents[i])
	}
	hammer(t, engine, sealer, func(pause func(release uint64)) {
		for i := range swaps {
			pause(publish(t, engine, documents[i%2]).Number())
		}
	})
	runtime.KeepAlive(kept)
}

// TestHammerSwapToNewModules swaps each time to modules that were never loaded,
// while those they replace are released.
func TestHammerSwapToNewModules(t *testing.T) {
	const swaps = 100
	modules := &shelf{}
	host := newHost(t, Options{Source: modules})
	engine, sealer := newEngine(t, host)
	load := func(number int) uint64 {
		version := versionOf(t, number)
		for _, p := range version {
			modules.put(p.module)
		}
		return publish(t, engine, releaseOf(t, uint64(number), version...)).Number()
	}
	load(1)
	hammer(t, engine, sealer, func(pause func(release uint64)) {
		for i := range swaps {
			pause(load(i + 2))
		}
	})
	const live = 2
	loaded := 0
	for range 10 {
		runtime.GC()
		if loaded = len(host.Status()); loaded == live {
			break
		}
	}
	if loaded != live {
		t.Errorf("%d rules are still loaded, want %d", loaded, live)
	}
	runtime.KeepAlive(engine)
}
