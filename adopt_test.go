// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/stream"
)

// A loader fails as long as it is told to.
type failingLoader struct {
	edgetest.Loader
	err error
}

func (l *failingLoader) Load(site string, ref edge.ModuleRef, bind map[string]int) (edge.Rule, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.Loader.Load(site, ref, bind)
}

// adopting is an adoption over a loader that can be made to fail, and its log.
type adopting struct {
	*adoption
	loader *failingLoader
	log    bytes.Buffer
}

func newAdopting(t *testing.T) *adopting {
	t.Helper()
	sealer, err := edge.NewSealer(make([]byte, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	a := &adopting{loader: &failingLoader{Loader: edgetest.Loader{"by-device": {Declares: edge.Manifest{
		Name: "by-device", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"phone", "tablet", "desktop"}}},
	}}}}}
	engine := edge.New(edge.Options{Loader: a.loader, Locator: nowhere{}, Sealer: sealer})
	a.adoption = newAdoption(engine, slog.New(slog.NewTextHandler(&a.log, nil)))
	return a
}

// nowhere knows no address.
type nowhere struct{}

func (nowhere) Locate(netip.Addr) edge.Place { return edge.Place{} }

// update is a release of a shop with one rule.
func (a *adopting) update(t *testing.T, number uint64) stream.ReleaseUpdate {
	t.Helper()
	doc := moduleRelease("shop")
	doc.Number = number
	doc.Modules[0].Version, doc.Modules[0].Hash = "1.0.0", strings.Repeat("ab", 32)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return stream.ReleaseUpdate{Site: "shop", Number: number, Doc: text}
}

// live is the number of the release that is served, 0 for none.
func (a *adopting) live() uint64 {
	r, ok := a.engine.Release("shop")
	if !ok {
		return 0
	}
	return r.Number()
}

// After a start there is no release to go on with: what can be loaded serves,
// and the rule that cannot says that it failed.
func TestAfterAStartAReleaseServesWithoutWhatCannotBeLoaded(t *testing.T) {
	a := newAdopting(t)
	a.loader.err = errors.New("no trusted key signed it")
	a.adopt(a.update(t, 1))
	if a.live() != 1 || a.refused() != 1 || !strings.Contains(a.log.String(), "live in part") {
		t.Fatalf("release %d is live and %d refused, log %s", a.live(), a.refused(), &a.log)
	}
	reason := func() edge.Reason {
		beacon := &edge.Beacon{Site: "shop", Slots: []edge.BeaconSlot{{Name: "hero"}}}
		beacon.Consent.Claimed, beacon.Consent.Owner.Granted = consent.Context, consent.Context
		var out edge.Outcome
		if err := a.engine.Decide(beacon, &edge.Request{Now: time.Now()}, &out); err != nil {
			t.Fatal(err)
		}
		return out.Decisions[0].Reason
	}
	if got := reason(); got != edge.ReasonFailed {
		t.Errorf("the slot's reason is %s", got)
	}
	a.loader.err = nil
	a.again("shop")
	if got := reason(); got != edge.ReasonNoAnswer || a.refused() != 0 {
		t.Errorf("when it can be loaded the reason is %s and %d releases are refused", got, a.refused())
	}
}

// A release that cannot be loaded leaves the one before in place and is tried
// again; a newer one takes its place.
func TestAReleaseThatFailsIsTriedAgain(t *testing.T) {
	a := newAdopting(t)
	release := func(number uint64) stream.ReleaseUpdate { return a.update(t, number) }
	loader, log, live := a.loader, &a.log, a.live
	a.adopt(release(1))
	loader.err = errors.New("the compiler is busy")
	a.adopt(release(2))
	again := func() {
		for _, site := range a.waiting() {
			a.again(site)
		}
	}
	again()
	if live() != 1 || a.refused() != 1 {
		t.Errorf("release %d is live and %d refused, want 1 and 1", live(), a.refused())
	}
	if n := strings.Count(log.String(), "the compiler is busy"); n != 1 {
		t.Errorf("the same trouble is logged %d times", n)
	}
	loader.err = nil
	again()
	if live() != 2 || a.refused() != 0 || len(a.waiting()) != 0 {
		t.Errorf("then release %d is live and %d refused, want 2 and 0", live(), a.refused())
	}
	loader.err = errors.New("the compiler is busy")
	a.adopt(release(3))
	loader.err = nil
	a.adopt(release(4))
	a.again("shop")
	if live() != 4 {
		t.Errorf("release %d is live, want the newest", live())
	}
	a.adopt(stream.ReleaseUpdate{Site: "shop", Number: 5, Err: stream.ErrBody})
	if len(a.waiting()) != 0 || a.refused() != 1 || live() != 4 {
		t.Error("a release without a document is tried again")
	}
}
