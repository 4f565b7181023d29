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

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

func putNote(t *testing.T, s *Stream, key, value string, revision uint64) uint64 {
	t.Helper()
	next, err := s.PutNote(t.Context(), key, []byte(value), revision)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func noteKeys(t *testing.T, s *Stream, prefix string) (keys []string) {
	t.Helper()
	notes, err := s.Notes(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		keys = append(keys, n.Key)
	}
	return keys
}

func TestNotesAreKeptAndFound(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	big := `"` + strings.Repeat("x", edge.MaxNoteBytes-2) + `"`
	putNote(t, s, "module.shop.b", big, 0)
	revision := putNote(t, s, "module.shop.a", `{"n":1}`, 0)
	putNote(t, s, "module.shop.a", `{"n":2}`, revision)
	putNote(t, s, "module.shop-2.a", `3`, 0)
	putNote(t, s, "token.x_=/-9", `4`, 0)
	gone := putNote(t, s, "token.gone", `5`, 0)
	if err := s.DeleteNote(t.Context(), "token.gone", gone); err != nil {
		t.Error(err)
	}
	if err := s.AppendAudit(t.Context(), "shop", []byte(`{}`)); err != nil { // keeps a key there
		t.Error(err)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	if value, rev, err := s.Note(t.Context(), "module.shop.a"); string(value) != `{"n":2}` || rev <= revision || err != nil {
		t.Errorf("Note() = %s, %d, %v", value, rev, err)
	}
	if value, _, err := s.Note(t.Context(), "module.shop.b"); string(value) != big || err != nil {
		t.Errorf("the largest note: %d bytes, %v", len(value), err)
	}
	for _, key := range []string{"token.gone", "token", "module.shop", "AUDIT", "", "*", ">", "a..b", "a.", ".a", "a b"} {
		if _, _, err := s.Note(t.Context(), key); !errors.Is(err, ErrNoNote) {
			t.Errorf("Note(%q): error %v, want ErrNoNote", key, err)
		}
	}
	for prefix, want := range map[string][]string{
		"":               {"module.shop-2.a", "module.shop.a", "module.shop.b", "token.x_=/-9"},
		"module.shop":    {"module.shop.a", "module.shop.b"},
		"module.shop.":   {"module.shop.a", "module.shop.b"},
		"module":         {"module.shop-2.a", "module.shop.a", "module.shop.b"},
		"token":          {"token.x_=/-9"},
		"mod":            nil,
		"module.shop.a":  nil,
		"module.*":       nil,
		"module.shop...": nil,
	} {
		if got := noteKeys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("Notes(%q) = %v, want %v", prefix, got, want)
		}
	}
	notes, err := s.Notes(t.Context(), "module.shop")
	if err != nil || string(notes[0].Value) != `{"n":2}` || string(notes[1].Value) != big {
		t.Errorf("Notes(module.shop) has other values: %v", err)
	}
	if next := putNote(t, s, "module.shop.a", `6`, notes[0].Revision); next <= notes[0].Revision {
		t.Errorf("revision %d follows %d", next, notes[0].Revision)
	}
}

func TestANoteIsComparedBeforeItIsChanged(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	first := putNote(t, s, "a", `1`, 0)
	second := putNote(t, s, "a", `2`, first)
	gone := putNote(t, s, "gone", `1`, 0)
	if err := s.DeleteNote(t.Context(), "gone", gone); err != nil {
		t.Fatal(err)
	}
	put := func(key, value string, revision uint64) func() error {
		return func() error { _, err := s.PutNote(t.Context(), key, []byte(value), revision); return err }
	}
	remove := func(key string, revision uint64) func() error {
		return func() error { return s.DeleteNote(t.Context(), key, revision) }
	}
	tests := []struct {
		name string
		do   func() error
		has  uint64 // the conflict's revision
	}{
		{"a new note where there is one", put("a", `3`, 0), second},
		{"a new note with the value that there is", put("a", `2`, 0), second},
		{"made from an older revision", put("a", `3`, first), second},
		{"made from one that never was", put("a", `3`, second+99), second},
		{"a change of what is not there", put("b", `3`, second), 0},
		{"a change of what was deleted", put("gone", `3`, gone), 0},
		{"deleting an older revision", remove("a", first), second},
		{"deleting what is not there", remove("b", second), 0},
		{"deleting twice", remove("gone", gone), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var conflict *NoteConflictError
			if err := tt.do(); !errors.As(err, &conflict) || conflict.Revision != tt.has {
				t.Errorf("error %v, want a conflict with %d", err, tt.has)
			}
			if value, revision, err := s.Note(t.Context(), "a"); string(value) != `2` || revision != second || err != nil {
				t.Errorf("the note is %s, %d, %v", value, revision, err)
			}
		})
	}
	if again := putNote(t, s, "gone", `1`, 0); again <= gone {
		t.Errorf("a note that comes again has revision %d, it had %d", again, gone)
	}
}

func TestNotesThatNoLedgerCanKeepAreRefused(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for name, key := range map[string]string{
		"no key": "", "a capital": "A", "a wildcard": "a.*", "a word without characters": "a..b",
		"a dot in front": ".a", "a dot behind": "a.", "an endless key": strings.Repeat("k", maxNoteKeyBytes+1), "a letter of another script": "é",
	} {
		if _, err := s.PutNote(t.Context(), key, []byte(`1`), 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: PutNote: error %v, want ErrInvalid", name, err)
		}
		if err := s.DeleteNote(t.Context(), key, 1); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: DeleteNote: error %v, want ErrInvalid", name, err)
		}
	}
	for name, value := range map[string]string{"no value": "", "too much": `"` + strings.Repeat("x", edge.MaxNoteBytes-1) + `"`, "no JSON": "{"} {
		if _, err := s.PutNote(t.Context(), "a", []byte(value), 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", name, err)
		}
	}
	if err := s.DeleteNote(t.Context(), "a", 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("deleting without a revision: error %v, want ErrInvalid", err)
	}
	if got := noteKeys(t, s, ""); len(got) != 0 {
		t.Errorf("%v were stored", got)
	}
}

func TestOfManyWritersOfANoteOneWins(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				value, revision, err := s.Note(t.Context(), "count")
				if err != nil && !errors.Is(err, ErrNoNote) {
					t.Error(err)
					return
				}
				var n int
				_, _ = fmt.Sscan(string(value), &n)
				_, err = s.PutNote(t.Context(), "count", fmt.Append(nil, n+1), revision)
				switch {
				case err == nil:
					done++
				case !errors.As(err, new(*NoteConflictError)):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if value, _, err := s.Note(t.Context(), "count"); string(value) != fmt.Sprint(writers*each) || err != nil {
		t.Errorf("counted %s, %v, want %d", value, err, writers*each)
	}
}

func TestAChangeWhoseAnswerWasLostCountsOnce(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for _, way := range []struct {
		name   string
		note   edge.Note
		change func(ctx context.Context, b *broker, n edge.Note) (uint64, error)
		want   string // what is there afterwards, "" for nothing
	}{
		{"a new note", edge.Note{Key: "a", Value: []byte(`1`)}, func(ctx context.Context, b *broker, n edge.Note) (uint64, error) {
			return b.notes.Create(ctx, n.Key, n.Value)
		}, `1`},
		{"a changed note", edge.Note{Key: "a", Value: []byte(`2`)}, func(ctx context.Context, b *broker, n edge.Note) (uint64, error) {
			return b.notes.Update(ctx, n.Key, n.Value, n.Revision)
		}, `2`},
		{"one that did not come through", edge.Note{Key: "a", Value: []byte(`3`)}, nil, `3`},
		{"a deleted note", edge.Note{Key: "a"}, func(ctx context.Context, b *broker, n edge.Note) (uint64, error) {
			return 0, b.notes.Delete(ctx, n.Key)
		}, ""},
	} {
		t.Run(way.name, func(t *testing.T) {
			publish(t, s, event("shop", way.name)) // the server is not being replaced
			_, revision, err := s.Note(t.Context(), "a")
			if err != nil && !errors.Is(err, ErrNoNote) {
				t.Fatal(err)
			}
			way.note.Revision = revision
			calls := 0
			next, err := s.changeNote(t.Context(), way.note, func(ctx context.Context, b *broker) (uint64, error) {
				if calls++; calls > 1 {
					return b.notes.Update(ctx, "a", way.note.Value, revision)
				}
				if way.change != nil {
					if _, err := way.change(ctx, b, way.note); err != nil {
						t.Error(err)
					}
				}
				b.commitConn.Close()
				signal(s.suspect)
				<-b.life.Done()
				return 0, errors.New("the answer was lost")
			})
			if err != nil || (calls == 1) != (way.change != nil) {
				t.Errorf("%v after %d calls", err, calls)
			}
			value, found, err := s.Note(t.Context(), "a")
			if string(value) != way.want || errors.Is(err, ErrNoNote) != (way.want == "") || found != next {
				t.Errorf("the note is %s, %d, %v; want %s, %d", value, found, err, way.want, next)
			}
		})
	}
}

// A full ledger refuses, and leaves room for access to be given and taken and
// for what is done to be noted.
func TestAFullLedgerLeavesItsReserve(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxLedgerBytes: 100_000})
	token := putNote(t, s, "token.a", `1`, 0)
	held := uint64(0)
	size := 30_000
	for i := 0; size > 0; i++ {
		value := `"` + strings.Repeat("x", size) + `"`
		revision, err := s.PutNote(t.Context(), fmt.Sprintf("upload.shop.%d", i), []byte(value), 0)
		switch {
		case err != nil:
			size /= 2
		case held == 0:
			held = revision
		}
	}
	if _, err := s.PutNote(t.Context(), "upload.shop.more", []byte(`1`), 0); err == nil || errors.Is(err, ErrInvalid) {
		t.Fatalf("the ledger is not full: error %v", err)
	}
	for range 3 {
		appendAudit(t, s, "shop", `{"does":"roll back"}`)
	}
	if err := s.DeleteNote(t.Context(), "token.a", token); err != nil {
		t.Errorf("taking a token: %v", err)
	}
	putNote(t, s, "token.b", `"`+strings.Repeat("x", 1000)+`"`, 0)
	if got := noteKeys(t, s, "token"); !slices.Equal(got, []string{"token.b"}) {
		t.Errorf("tokens %v", got)
	}
	if got, err := audit(t, s, "shop"); len(got) != 3 || err != nil {
		t.Errorf("the audit log tells %v, %v", got, err)
	}
	if err := s.DeleteNote(t.Context(), "upload.shop.0", held); err != nil {
		t.Errorf("making room: %v", err)
	}
	putNote(t, s, "upload.shop.more", `1`, 0)
	if st := s.Stats(); st.Replaced != 0 {
		t.Errorf("%d servers replaced", st.Replaced)
	}
}

// What a deleted note leaves goes too, in a day.
func TestADeletedNoteLeavesNothingForGood(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for key, bucket := range map[string]string{"preview.shop.a": noteBucket, "token.a": reserveBucket} {
		revision := putNote(t, s, key, `1`, 0)
		if err := s.DeleteNote(t.Context(), key, revision); err != nil {
			t.Fatal(err)
		}
		store, err := s.broker.js.Stream(t.Context(), "KV_"+bucket)
		if err != nil {
			t.Fatal(err)
		}
		left, err := store.GetLastMsgForSubject(t.Context(), "$KV."+bucket+"."+key)
		if err != nil {
			t.Fatal(err)
		}
		ttl, err := time.ParseDuration(left.Header.Get(jetstream.MsgTTLHeader))
		if err != nil || ttl <= 0 || ttl > deletedAge {
			t.Errorf("%s leaves %v: %v", key, left.Header, err)
		}
		if again := putNote(t, s, key, `2`, 0); again <= revision {
			t.Errorf("%s: revision %d follows %d", key, again, revision)
		}
	}
}
