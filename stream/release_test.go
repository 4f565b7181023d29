// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func put(t *testing.T, s *Stream, site string, expect, number uint64, doc string) {
	t.Helper()
	if err := s.PutRelease(t.Context(), site, expect, edge.Published{Number: number}, []byte(doc)); err != nil {
		t.Fatal(err)
	}
}

func TestReleasesAreKeptAndFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	big := strings.Repeat("b", 3<<20) // more than a message and more than a chunk
	put(t, s, "shop", 0, 1, "one")
	put(t, s, "blog", 0, 7, "seven")
	put(t, s, "shop", 1, 2, big)
	put(t, s, "shop", 2, 5, "five")
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	ctx := t.Context()
	if sites, err := s.Sites(ctx); err != nil || !slices.Equal(sites, []string{"blog", "shop"}) {
		t.Errorf("Sites() = %v, %v", sites, err)
	}
	if n, doc, err := s.Release(ctx, "shop"); n != 5 || string(doc) != "five" || err != nil {
		t.Errorf("Release(shop) = %d, %q, %v", n, doc, err)
	}
	for number, want := range map[uint64]string{1: "one", 2: big, 5: "five"} {
		if doc, err := s.ReleaseAt(ctx, "shop", number); string(doc) != want || err != nil {
			t.Errorf("ReleaseAt(shop, %d) = %d bytes, %v", number, len(doc), err)
		}
	}
	history, err := s.History(ctx, "shop")
	if err != nil || len(history) != 3 {
		t.Fatalf("History(shop) = %+v, %v", history, err)
	}
	for i, want := range []edge.Published{{Number: 1}, {Number: 2}, {Number: 5, Live: true}} {
		if h := history[i]; h.Number != want.Number || h.Live != want.Live || len(h.Hash) != 64 || time.Since(h.At) > time.Minute {
			t.Errorf("History(shop)[%d] = %+v, want %+v", i, h, want)
		}
		if p, _, err := s.Published(ctx, "shop", want.Number); p != history[i] || err != nil {
			t.Errorf("Published(shop, %d) = %+v, %v, want %+v", want.Number, p, err, history[i])
		}
	}
	if p, doc, err := s.Published(ctx, "shop", 0); p != history[2] || string(doc) != "five" || err != nil {
		t.Errorf("Published(shop, 0) = %+v, %q, %v", p, doc, err)
	}
	for _, site := range []string{"none", "", "sh*p", "shop.1"} {
		if _, _, err := s.Release(ctx, site); !errors.Is(err, ErrNoRelease) {
			t.Errorf("Release(%q): error %v, want ErrNoRelease", site, err)
		}
		if h, err := s.History(ctx, site); len(h) != 0 || err != nil {
			t.Errorf("History(%q) = %v, %v", site, h, err)
		}
	}
	if _, err := s.ReleaseAt(ctx, "shop", 3); !errors.Is(err, ErrNoRelease) {
		t.Errorf("a number that was never live: error %v, want ErrNoRelease", err)
	}
}

func TestPutReleaseComparesBeforeItSwaps(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	put(t, s, "shop", 0, 1, "one")
	put(t, s, "shop", 1, 2, "two")
	tests := []struct {
		name           string
		expect, number uint64
		doc            string
		live           uint64 // of the conflict, 0 for another error
	}{
		{"first release of a site that has one", 0, 3, "x", 2},
		{"made from an older release", 1, 3, "x", 2},
		{"made from a release that never was", 9, 10, "x", 2},
		{"the number that is live", 2, 2, "x", 0},
		{"number 0", 2, 0, "x", 0},
		{"a past number with another document", 2, 1, "x", 0},
		{"no document", 2, 3, "", 0},
		{"a document too large", 2, 3, strings.Repeat("x", edge.MaxReleaseBytes+1), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := s.PutRelease(t.Context(), "shop", tt.expect, edge.Published{Number: tt.number}, []byte(tt.doc))
			var conflict *ConflictError
			switch {
			case err == nil:
				t.Error("accepted")
			case errors.As(err, &conflict) != (tt.live > 0) || conflict != nil && conflict.Live != tt.live:
				t.Errorf("error %v, want a conflict with %d", err, tt.live)
			}
			if n, doc, err := s.Release(t.Context(), "shop"); n != 2 || string(doc) != "two" || err != nil {
				t.Errorf("live is %d, %q, %v", n, doc, err)
			}
		})
	}
	put(t, s, "shop", 2, 1, "one") // back to a past release
	put(t, s, "shop", 1, 3, "three")
	if err := s.PutRelease(t.Context(), "shop", 3, edge.Published{Number: 4, Restores: 2}, []byte("two again")); err != nil {
		t.Error(err)
	}
	put(t, s, "shop", 4, 3, "three")
	put(t, s, "shop", 3, 4, "two again")
	history, err := s.History(t.Context(), "shop")
	if err != nil || len(history) != 4 || !history[3].Live || history[3].Number != 4 || history[3].Restores != 2 || history[2].Restores != 0 {
		t.Errorf("History(shop) = %+v, %v", history, err)
	}
	if err := s.PutRelease(t.Context(), "sh.op", 0, edge.Published{Number: 1}, []byte("x")); err == nil {
		t.Error("a site that would be two words of a key is accepted")
	}
}

func TestOfManyPublishersOneWins(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	put(t, s, "shop", 0, 1, "one")
	var wg sync.WaitGroup
	won := make(chan string, 8)
	for i := range cap(won) {
		wg.Go(func() {
			doc := fmt.Sprint("doc", i)
			err := s.PutRelease(t.Context(), "shop", 1, edge.Published{Number: 2}, []byte(doc))
			var conflict *ConflictError
			switch {
			case err == nil:
				won <- doc
			case !errors.As(err, &conflict) || conflict.Live != 2:
				t.Errorf("error %v, want a conflict with 2", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	if _, doc, err := s.Release(t.Context(), "shop"); string(doc) != <-won || err != nil {
		t.Errorf("live is %q, %v", doc, err)
	}
}

// watchReleases collects what WatchReleases tells until the test ends.
func watchReleases(t *testing.T, s *Stream) <-chan ReleaseUpdate {
	ctx, cancel := context.WithCancel(context.Background())
	updates := make(chan ReleaseUpdate, 100)
	ended := make(chan error, 1)
	go func() { ended <- s.WatchReleases(ctx, func(u ReleaseUpdate) { updates <- u }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("WatchReleases: %v", err)
		}
	})
	return updates
}

func next(t *testing.T, updates <-chan ReleaseUpdate) ReleaseUpdate {
	t.Helper()
	select {
	case u := <-updates:
		return u
	case <-time.After(wait):
		t.Fatal("no update came")
		return ReleaseUpdate{}
	}
}

func TestWatchTellsThePresentAndThenEachChange(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	put(t, s, "shop", 0, 1, "one")
	put(t, s, "shop", 1, 2, "two")
	put(t, s, "blog", 0, 1, "blog one")
	updates := watchReleases(t, s)
	present := map[string]string{}
	for range 2 {
		u := next(t, updates)
		present[fmt.Sprintf("%s@%d", u.Site, u.Number)] = string(u.Doc)
	}
	if present["shop@2"] != "two" || present["blog@1"] != "blog one" {
		t.Errorf("the present is told as %v", present)
	}
	if u := next(t, updates); !u.Complete {
		t.Errorf("after the present came %+v, want Complete", u)
	}
	put(t, s, "shop", 2, 3, "three")
	if u := next(t, updates); u.Site != "shop" || u.Number != 3 || string(u.Doc) != "three" || u.Err != nil {
		t.Errorf("the change is told as %+v", u)
	}
	breakBroker(t, s)
	put(t, s, "shop", 3, 4, "four")
	if u := next(t, updates); u.Site != "shop" || u.Number != 4 || string(u.Doc) != "four" {
		t.Errorf("after a new server the change is told as %+v", u)
	}
	select {
	case u := <-updates:
		t.Errorf("told again: %+v", u)
	case <-time.After(2 * watchRetry):
	}
}

func TestWatchOfNoReleasesIsCompleteAtOnce(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	updates := watchReleases(t, s)
	if u := next(t, updates); !u.Complete {
		t.Errorf("told %+v, want Complete", u)
	}
	put(t, s, "shop", 0, 1, "one")
	if u := next(t, updates); u.Site != "shop" || u.Number != 1 {
		t.Errorf("told %+v", u)
	}
}

func TestADamagedReleaseIsAnErrorAndServesNobody(t *testing.T) {
	hash := func(doc string) string {
		sum := sha256.Sum256([]byte(doc))
		return hex.EncodeToString(sum[:])
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, b *broker)
	}{
		{"the document is missing", func(t *testing.T, b *broker) {
			if err := b.bodies.Delete(t.Context(), hash("two")); err != nil {
				t.Fatal(err)
			}
		}},
		{"the document is another one", func(t *testing.T, b *broker) {
			if _, err := b.bodies.PutBytes(t.Context(), hash("two"), []byte("evil")); err != nil {
				t.Fatal(err)
			}
		}},
		{"the document is larger than any", func(t *testing.T, b *broker) {
			if _, err := b.bodies.PutBytes(t.Context(), hash("two"), make([]byte, edge.MaxReleaseBytes+1)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir()})
			put(t, s, "shop", 0, 1, "one")
			put(t, s, "shop", 1, 2, "two")
			tt.damage(t, s.broker)
			if _, _, err := s.Release(t.Context(), "shop"); !errors.Is(err, ErrBody) {
				t.Errorf("Release: error %v, want ErrBody", err)
			}
			updates := watchReleases(t, s)
			if u := next(t, updates); !errors.Is(u.Err, ErrBody) || u.Site != "shop" || u.Number != 2 || u.Doc != nil {
				t.Errorf("told %+v, want ErrBody", u)
			}
			if u := next(t, updates); !u.Complete {
				t.Errorf("told %+v, want Complete", u)
			}
			if doc, err := s.ReleaseAt(t.Context(), "shop", 1); string(doc) != "one" || err != nil {
				t.Errorf("the release before is %q, %v", doc, err)
			}
			// Publishing the document again mends it.
			put(t, s, "shop", 2, 3, "two")
			if u := next(t, updates); u.Number != 3 || string(u.Doc) != "two" || u.Err != nil {
				t.Errorf("told %+v", u)
			}
		})
	}
}

func TestADamagedPointerIsAnError(t *testing.T) {
	for name, value := range map[string]string{
		"not JSON":  "{",
		"no number": `{"hash":"` + strings.Repeat("0", 64) + `"}`,
		"no hash":   `{"number":3}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir()})
			if _, err := s.broker.pointers.Put(t.Context(), "shop", []byte(value)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Release(t.Context(), "shop"); err == nil || errors.Is(err, ErrNoRelease) {
				t.Errorf("Release: error %v", err)
			}
			if u := next(t, watchReleases(t, s)); u.Err == nil || u.Site != "shop" {
				t.Errorf("told %+v, want an error", u)
			}
		})
	}
}

func TestADocumentIsKeptBeforeItIsLive(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	doc := bytes.Repeat([]byte("x"), edge.MaxModuleBytes+1) // a release may be larger than a module
	hash, err := s.PutDocument(t.Context(), doc)
	if err != nil || hash != hashOf(doc) {
		t.Fatalf("hash %s, %v", hash, err)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	if got, err := s.Document(t.Context(), hash); !bytes.Equal(got, doc) || err != nil {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := s.PutRelease(t.Context(), "shop", 0, edge.Published{Number: 1}, doc); err != nil {
		t.Errorf("what was kept goes live: %v", err)
	}
	for _, hash := range []string{"", "*", strings.Repeat("0", 64)} {
		if _, err := s.Document(t.Context(), hash); !errors.Is(err, ErrNoRelease) || !errors.Is(err, edge.ErrNone) {
			t.Errorf("Document(%q): error %v, want ErrNoRelease", hash, err)
		}
	}
	for _, n := range []int{0, edge.MaxReleaseBytes + 1} {
		if _, err := s.PutDocument(t.Context(), make([]byte, n)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: error %v, want ErrInvalid", n, err)
		}
	}
}
