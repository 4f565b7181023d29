// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
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

// A release that cannot be loaded leaves the one before in place and is tried
// again; a newer one takes its place.
func TestAReleaseThatFailsIsTriedAgain(t *testing.T) {
	sealer, err := edge.NewSealer(make([]byte, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	loader := &failingLoader{Loader: edgetest.Loader{"by-device": {Declares: edge.Manifest{
		Name: "by-device", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "slot", Variants: []string{"phone", "tablet", "desktop"}}},
	}}}}
	engine := edge.New(edge.Options{Loader: loader, Sealer: sealer})
	var log bytes.Buffer
	a := newAdoption(engine, slog.New(slog.NewTextHandler(&log, nil)))
	release := func(number uint64) stream.ReleaseUpdate {
		doc := firstRelease("shop", []string{shopOrigin}, []string{"en"})
		doc.Number = number
		doc.Modules[0].Version, doc.Modules[0].Hash = "1.0.0", strings.Repeat("ab", 32)
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return stream.ReleaseUpdate{Site: "shop", Number: number, Doc: text}
	}
	live := func() uint64 {
		r, ok := engine.Release("shop")
		if !ok {
			return 0
		}
		return r.Number()
	}
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
