// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func putRing(t *testing.T, s *Stream, document string, revision uint64) uint64 {
	t.Helper()
	next, err := s.PutKeyRing(t.Context(), []byte(document), revision)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestAKeyRingIsKeptAndCompared(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if doc, revision, err := s.KeyRing(t.Context()); doc != nil || revision != 0 || err != nil {
		t.Errorf("before there is one: %q, %d, %v", doc, revision, err)
	}
	if _, err := s.PutKeyRing(t.Context(), []byte("x"), 7); !errors.Is(err, edge.ErrChanged) {
		t.Errorf("a change of none: %v, want edge.ErrChanged", err)
	}
	for _, doc := range []string{"", strings.Repeat("x", edge.MaxRingBytes+1)} {
		if _, err := s.PutKeyRing(t.Context(), []byte(doc), 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: %v, want ErrInvalid", len(doc), err)
		}
	}
	first := putRing(t, s, "one", 0)
	second := putRing(t, s, strings.Repeat("2", edge.MaxRingBytes), first)
	for _, revision := range []uint64{0, first} {
		if _, err := s.PutKeyRing(t.Context(), []byte("late"), revision); !errors.Is(err, edge.ErrChanged) {
			t.Errorf("a change of revision %d: %v, want edge.ErrChanged", revision, err)
		}
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	if doc, revision, err := s.KeyRing(t.Context()); len(doc) != edge.MaxRingBytes || revision != second || err != nil {
		t.Errorf("after a restart: %d bytes, %d, %v; want revision %d", len(doc), revision, err, second)
	}
	if notes := noteKeys(t, s, ""); len(notes) != 0 {
		t.Errorf("the mark is shown as notes %v", notes)
	}
}

// A ring that went missing is not one that never was: a node would seal with the
// first key again.
func TestAKeyRingThatWentMissingIsNoticed(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	putRing(t, s, "one", 0)
	if err := s.held().ring.Purge(t.Context(), ringKey); err != nil {
		t.Fatal(err)
	}
	if doc, _, err := s.KeyRing(t.Context()); !errors.Is(err, ErrKeyRing) {
		t.Errorf("KeyRing() = %q, %v, want ErrKeyRing", doc, err)
	}
	if _, err := s.PutKeyRing(t.Context(), []byte("new"), 0); !errors.Is(err, ErrKeyRing) {
		t.Errorf("a new one in its place: %v, want ErrKeyRing", err)
	}
	if err := s.DropKeyRing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if doc, revision, err := s.KeyRing(t.Context()); doc != nil || revision != 0 || err != nil {
		t.Errorf("given up: %q, %d, %v, want none", doc, revision, err)
	}
	putRing(t, s, "anew", 0)
}

func TestOfManyWritersOfAKeyRingOneWins(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := s.PutKeyRing(t.Context(), fmt.Append(nil, i), 0)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, edge.ErrChanged):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d of 8 won", won)
	}
}

// A ringWatcher notes what WatchKeyRing tells.
type ringWatcher struct {
	mu   sync.Mutex
	told []string
}

func (w *ringWatcher) update(u KeyRingUpdate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.Err != nil {
		w.told = append(w.told, "error")
		return
	}
	w.told = append(w.told, fmt.Sprintf("%d %s", u.Revision, u.Document))
}

func (w *ringWatcher) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) == 0 {
		return ""
	}
	return w.told[len(w.told)-1]
}

func TestAWatchTellsEachKeyRingWithinASecond(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	var w ringWatcher
	done := make(chan error, 1)
	go func() { done <- s.WatchKeyRing(ctx, w.update) }()
	eventually(t, "it tells that there is none", func() bool { return w.last() == "0 " })
	revision := uint64(0)
	for _, doc := range []string{"one", "two", "three"} {
		revision = putRing(t, s, doc, revision)
		want, put := fmt.Sprintf("%d %s", revision, doc), time.Now()
		eventually(t, "it tells "+doc, func() bool { return w.last() == want })
		if took := time.Since(put); took > time.Second {
			t.Errorf("%s was told after %v", doc, took)
		}
	}
	// A server that is replaced: nobody knows for a while, and then again.
	s.held().commitConn.Close()
	signal(s.suspect)
	eventually(t, "it tells that it broke off, and the ring again", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		at := slices.Index(w.told, "error")
		return at >= 0 && slices.Index(w.told[at:], fmt.Sprintf("%d three", revision)) > 0
	})
	if err := s.held().ring.Purge(t.Context(), ringKey); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it tells that the ring is gone", func() bool { return w.last() == "error" })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the watch ended with %v", err)
	}
}

// Whoever was told of an error reads what came of it, and goes on from there.
func TestAKeyRingIsWholeWhateverBreaks(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	revision := putRing(t, s, "start", 0)
	for i := range 5 {
		doc := fmt.Sprint("change ", i)
		s.held().conn.Close() // the change finds the server broken, or the one after it
		eventually(t, doc, func() bool {
			next, err := s.PutKeyRing(t.Context(), []byte(doc), revision)
			if err == nil {
				revision = next
				return true
			}
			held, at, err := s.KeyRing(t.Context())
			if err == nil && string(held) == doc {
				revision = at
				return true
			}
			return false
		})
	}
	if doc, at, err := s.KeyRing(t.Context()); string(doc) != "change 4" || at != revision || err != nil {
		t.Errorf("the ring is %q, %d, %v; want revision %d", doc, at, err, revision)
	}
}
