// SPDX-License-Identifier: Apache-2.0

package publishing_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// A store is the real stream as a desk sees it.
type store struct {
	*stream.Stream
	// beforePut, when set, is called once before the next release is put.
	beforePut func()
	// auditReads counts how often the audit log was read.
	auditReads atomic.Int32
}

func (s *store) Audit(ctx context.Context, site string, each func(uint64, time.Time, []byte) error) error {
	s.auditReads.Add(1)
	return s.Stream.Audit(ctx, site, each)
}

func (s *store) PutRelease(ctx context.Context, site string, follows uint64, next edge.Published, doc []byte) error {
	if hook := s.beforePut; hook != nil {
		s.beforePut = nil
		hook()
	}
	return s.Stream.PutRelease(ctx, site, follows, next, doc)
}

// modules are rules written as data: a module's bytes are its manifest. What
// compiles real ones is tested where it is, and with the desk in the program's
// own tests.
type modules struct{ bench *bench }

func (m modules) Check(_ context.Context, wasm []byte) (*edge.ModuleReport, error) {
	m.bench.checks.Add(1)
	var manifest edge.Manifest
	if err := json.Unmarshal(wasm, &manifest); err != nil {
		return &edge.ModuleReport{Code: "malformed", Message: "the module is not a manifest"}, nil
	}
	canaries := make([]edge.Canary, m.bench.canaries)
	for i := range canaries {
		canaries[i].Because = strings.Repeat("because ", 100)
	}
	return &edge.ModuleReport{OK: true, Hash: hashOf(wasm), Rewritten: "r", Bytes: len(wasm), Manifest: &manifest, Canaries: canaries}, nil
}

func (modules) Test(context.Context, []byte, []edge.ModuleCase) (*edge.ModuleTestReport, error) {
	return &edge.ModuleTestReport{OK: true}, nil
}

func (modules) Verify(site string, ref edge.ModuleRef) error {
	if ref.Signature != "" && ref.Signature != "by "+site {
		return errors.New("it covers another site")
	}
	return nil
}

// A loader loads what was put into the store.
type loader struct{ *store }

func (l loader) Load(_ string, ref edge.ModuleRef, _ map[string]int) (edge.Rule, error) {
	wasm, err := l.Module(context.Background(), ref.Hash)
	if err != nil {
		return nil, err
	}
	rule := &edgetest.Rule{}
	return rule, json.Unmarshal(wasm, &rule.Declares)
}

// A bench is a desk on a real stream with the site shop, whose slot hero has
// the variants sun and rain and no rule.
type bench struct {
	*publishing.Desk
	store   *store
	sealer  *edge.Sealer
	options stream.Options
	now     time.Time

	builtin  []edge.ModuleRef
	compiler string // the version of the compiler of rules
	canaries int    // in each report
	checks   atomic.Int32
}

func newBench(t testing.TB) *bench {
	t.Helper()
	return newBenchOf(t, stream.Options{}, publishing.Quota{})
}

func newBenchOf(t testing.TB, o stream.Options, quota publishing.Quota) *bench {
	t.Helper()
	o.Dir = t.TempDir()
	sealer, err := edge.NewSealer(make([]byte, edge.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{sealer: sealer, store: &store{}, options: o, compiler: "1", now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	b.open(t)
	t.Cleanup(func() { b.close(t) })
	b.Desk = publishing.New(publishing.Options{
		Modules: b.store, Documents: b.store, Notes: b.store, Audits: b.store, Releases: b.store, Items: b.store, Checker: modules{b}, Loader: loader{store: b.store}, Compiler: compiler{b},
		Builtin: func() []edge.ModuleRef { return b.builtin }, SealPreview: sealer.SealPreview, SealSecret: sealer.SealSecret, ParsePublic: parsePublic, Quota: quota, Now: func() time.Time { return b.now },
	})
	b.put(t, site("shop"), 0)
	return b
}

// parsePublic knows one public key.
func parsePublic(pem string) (string, error) {
	if pem == "the public one" {
		return "EdDSA", nil
	}
	return "", errors.New("not a public key")
}

// open opens the bench's store, close closes it.
func (b *bench) open(t testing.TB) {
	t.Helper()
	s, err := stream.Open(b.options)
	if err != nil {
		t.Fatal(err)
	}
	b.store.Stream = s
}

func (b *bench) close(t testing.TB) {
	t.Helper()
	if err := b.store.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func site(id string) edge.ReleaseDocument {
	variant := func(name string) edge.Variant {
		return edge.Variant{Slot: "hero", Name: name, State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"` + name + `"}`)}}
	}
	return edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: id,
		Settings: edge.Settings{Origins: []string{"https://shop.example"}, Languages: []string{"en"}},
		Slots: []edge.SlotSpec{
			{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{}},
			{Name: "offer", Kind: "text", Ladder: []edge.RungSpec{}},
		},
		Variants: []edge.Variant{variant("sun"), variant("rain")},
		Modules:  []edge.ModuleRef{},
	}
}

// put publishes a whole release.
func (b *bench) put(t testing.TB, doc edge.ReleaseDocument, follows uint64) *publishing.Outcome {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.Put(t.Context(), publishing.Operator(), doc.Site, text, follows)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// document returns the live release of shop.
func (b *bench) document(t testing.TB) edge.ReleaseDocument {
	t.Helper()
	_, text, err := b.Release(t.Context(), publishing.Operator(), "shop", 0)
	if err != nil {
		t.Fatal(err)
	}
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// module is the bytes of a version of the module weather.
func module(version, remark string) []byte {
	return fmt.Appendf(nil, `{"abi":1,"name":"weather","version":%q,"description":%q,"needs":["context"],"reads":["geo.country"],"slots":[{"name":"hero","variants":["sun","rain"]}]}`, version, remark)
}

func (b *bench) upload(t testing.TB, version string) *publishing.Upload {
	t.Helper()
	u, err := b.Upload(t.Context(), publishing.Operator(), "shop", module(version, ""), "")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func placement(version string) edge.Placement {
	return edge.Placement{Module: edge.ModuleRef{Name: "weather", Version: version}, Slot: "hero", Rung: "context"}
}

func publish(p edge.Placement) publishing.Change {
	return publishing.Change{Act: publishing.ActPublish, Placement: &p}
}

func shadow(p edge.Placement) publishing.Change {
	return publishing.Change{Act: publishing.ActShadow, Placement: &p}
}

func rollout(share int) publishing.Change {
	return publishing.Change{Act: publishing.ActRollout, Slot: "hero", Module: "weather", Share: share}
}

func remove(module string) publishing.Change {
	return publishing.Change{Act: publishing.ActRemove, Slot: "hero", Module: module}
}

func rollback(to uint64) publishing.Change {
	return publishing.Change{Act: publishing.ActRollback, To: to}
}

func actor(name string, role publishing.Role) publishing.Actor {
	return publishing.Actor{Name: name, Role: role, Sites: []string{"shop"}}
}

// checkCode fails the test unless err is an *Error with a code, or nil for "".
func checkCode(t testing.TB, what string, err error, code, field string) {
	t.Helper()
	known, ok := errors.AsType[*publishing.Error](err)
	switch {
	case code == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case code != "" && (!ok || known.Code != code || known.Field != field):
		t.Errorf("%s: got %#v, want code %s of field %q", what, err, code, field)
	}
}
