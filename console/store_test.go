// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// A store is the real stream as a desk sees it.
type store struct{ *stream.Stream }

func (s *store) PutRelease(ctx context.Context, site string, follows, number uint64, doc []byte) error {
	err := s.Stream.PutRelease(ctx, site, follows, number, doc)
	if _, raced := errors.AsType[*stream.ConflictError](err); raced {
		err = errors.Join(publishing.ErrChanged, err)
	}
	return err
}

func (s *store) Release(ctx context.Context, site string, number uint64) (publishing.Published, []byte, error) {
	all, err := s.History(ctx, site)
	if err != nil {
		return publishing.Published{}, nil, err
	}
	for _, p := range all {
		if p.Number == number || number == 0 && p.Live {
			doc, err := s.ReleaseAt(ctx, site, p.Number)
			return p, doc, absent(err)
		}
	}
	return publishing.Published{}, nil, publishing.ErrNone
}

func (s *store) History(ctx context.Context, site string) (out []publishing.Published, err error) {
	all, err := s.Stream.History(ctx, site)
	for _, p := range all {
		out = append(out, publishing.Published(p))
	}
	return out, err
}

func (s *store) PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, err := s.Stream.PutNote(ctx, key, value, revision)
	if _, raced := errors.AsType[*stream.NoteConflictError](err); raced {
		err = errors.Join(publishing.ErrChanged, err)
	}
	return next, err
}

func (s *store) Note(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := s.Stream.Note(ctx, key)
	return value, revision, absent(err)
}

func (s *store) Notes(ctx context.Context, prefix string, each func(string, []byte, uint64) error) error {
	notes, err := s.Stream.Notes(ctx, prefix)
	for _, n := range notes {
		err = errors.Join(err, each(n.Key, n.Value, n.Revision))
	}
	return err
}

func absent(err error) error {
	if errors.Is(err, stream.ErrNoNote) || errors.Is(err, stream.ErrNoRelease) || errors.Is(err, stream.ErrNoModule) {
		return errors.Join(publishing.ErrNone, err)
	}
	return err
}

// modules are rules written as data: a module's bytes are its manifest. What
// compiles real ones is tested where it is, and in the browser's test.
type modules struct{}

func (modules) Check(_ context.Context, wasm []byte) (*edge.ModuleReport, error) {
	var m edge.Manifest
	if err := json.Unmarshal(wasm, &m); err != nil {
		return &edge.ModuleReport{Code: "malformed", Message: "the module is not a manifest"}, nil
	}
	return &edge.ModuleReport{OK: true, Hash: hashOf(wasm), Bytes: len(wasm), Manifest: &m}, nil
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (modules) Test(_ context.Context, _ []byte, cases []edge.ModuleCase) (*edge.ModuleTestReport, error) {
	return &edge.ModuleTestReport{OK: true, Passed: len(cases)}, nil
}

func (modules) Verify(string, edge.ModuleRef) error { return nil }

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

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// newDesk returns a desk on a real stream with the sites shop and blog, whose
// slot hero has the variants sun and rain and no rule.
func newDesk(t testing.TB) *publishing.Desk {
	t.Helper()
	opened, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := &store{opened}
	desk := publishing.New(publishing.Options{
		Modules: s, Notes: s, Audits: s, Releases: s, Checker: modules{}, Loader: loader{s},
		SealPreview: func(site, id string, _ time.Time) (string, error) { return site + "." + id, nil },
	})
	for _, site := range []string{"shop", "blog"} {
		if _, err := desk.Put(t.Context(), publishing.Operator(), site, siteDocument(t, site), 0); err != nil {
			t.Fatal(err)
		}
	}
	return desk
}

func siteDocument(t testing.TB, site string) []byte {
	t.Helper()
	variant := func(name string) edge.Variant {
		return edge.Variant{Slot: "hero", Name: name, State: "live", Content: map[string]json.RawMessage{"en": json.RawMessage(`{"text":"` + name + `"}`)}}
	}
	doc, err := json.Marshal(edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: site,
		Settings: edge.Settings{Origins: []string{"https://" + site + ".example"}, Languages: []string{"en"}},
		Slots:    []edge.SlotSpec{{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{}}},
		Variants: []edge.Variant{variant("sun"), variant("rain")},
		Modules:  []edge.ModuleRef{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
