// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// maxNoteKeyBytes bounds a note's key.
const maxNoteKeyBytes = 256

// ReservedWord begins the keys of notes that lie apart from the ledger with room
// of their own, as the audit log's head does: whatever fills the ledger leaves
// access to be given and taken, and what is done to be noted.
const ReservedWord = "token"

// ErrNoNote reports a key without a note: an edge.ErrNone.
var ErrNoNote error = missing("no such note")

// missing is an error that says what of the Stream's there is none of.
type missing string

func (m missing) Error() string { return string(m) }

// Is makes each an edge.ErrNone too.
func (missing) Is(target error) bool { return target == edge.ErrNone }

// A NoteConflictError reports a note that was changed since the revision that a
// change of it was made from: an edge.ErrChanged.
type NoteConflictError struct {
	Key      string
	Revision uint64 // what the note has, 0 when there is none
}

func (e *NoteConflictError) Error() string {
	if e.Revision == 0 {
		return "there is no note " + e.Key
	}
	return fmt.Sprintf("note %s has revision %d by now", e.Key, e.Revision)
}

// Is makes the conflict an edge.ErrChanged too.
func (*NoteConflictError) Is(target error) bool { return target == edge.ErrChanged }

// PutNote makes value the note under key if the note has the revision, 0 for
// none, and returns its next one. Otherwise it changes nothing and returns a
// *NoteConflictError. The error is ErrInvalid for a key or a value that an
// edge.Note does not allow; while the log is down it is the reason. After another
// error the note may be changed or not: read it before you try again.
func (s *Stream) PutNote(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	if err := checkNote(key, value); err != nil {
		return 0, fmt.Errorf("put note: %w", err)
	}
	next, err = s.changeNote(ctx, edge.Note{Key: key, Value: value, Revision: revision}, func(ctx context.Context, b *broker) (uint64, error) {
		if revision == 0 {
			return b.notesUnder(key).Create(ctx, key, value)
		}
		return b.notesUnder(key).Update(ctx, key, value, revision)
	})
	if err != nil {
		return 0, fmt.Errorf("put note %s: %w", key, err)
	}
	return next, nil
}

// DeleteNote removes the note under key if it has the revision, which is not 0,
// and otherwise returns a *NoteConflictError. Other errors are as PutNote's.
func (s *Stream) DeleteNote(ctx context.Context, key string, revision uint64) error {
	if !validNoteKey(key) {
		return fmt.Errorf("delete note: %w: bad key", ErrInvalid)
	}
	if revision == 0 {
		return fmt.Errorf("delete note %s: %w: no revision", key, ErrInvalid)
	}
	_, err := s.changeNote(ctx, edge.Note{Key: key, Revision: revision}, func(ctx context.Context, b *broker) (uint64, error) {
		return 0, b.notesUnder(key).Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(deletedAge))
	})
	if err != nil {
		return fmt.Errorf("delete note %s: %w", key, err)
	}
	return nil
}

// changeNote calls change if there is a note that has n's revision. When a
// broker breaks off in the midst of it, the next one is asked whether the
// change came through: nobody else changes notes meanwhile.
func (s *Stream) changeNote(ctx context.Context, n edge.Note, change func(context.Context, *broker) (uint64, error)) (next uint64, err error) {
	s.ledger.Lock()
	defer s.ledger.Unlock()
	tried := false
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		found, err := b.note(ctx, n.Key)
		switch {
		case err != nil && !errors.Is(err, ErrNoNote):
			return err
		case tried && found.Revision != n.Revision && bytes.Equal(found.Value, n.Value):
			next = found.Revision
			return nil
		case found.Revision != n.Revision:
			return &NoteConflictError{Key: n.Key, Revision: found.Revision}
		}
		tried = true
		next, err = change(ctx, b)
		if raced(err) {
			found, err := b.note(ctx, n.Key)
			if errors.Is(err, ErrNoNote) {
				err = nil
			}
			return errors.Join(&NoteConflictError{Key: n.Key, Revision: found.Revision}, err)
		}
		return err
	})
	return next, err
}

// Note returns the note under key and its revision; the caller owns the value.
// The error is ErrNoNote when there is none, as under a key that cannot be.
func (s *Stream) Note(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if !validNoteKey(key) {
		return nil, 0, fmt.Errorf("read note: %w", ErrNoNote)
	}
	var n edge.Note
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		n, err = b.note(ctx, key)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read note %s: %w", key, err)
	}
	return n.Value, n.Revision, nil
}

// notesUnder returns the store in which a key's note lies.
func (b *broker) notesUnder(key string) jetstream.KeyValue {
	if word, _, _ := strings.Cut(key, "."); word == ReservedWord {
		return b.reserve
	}
	return b.notes
}

// note reads a note; it is without revision and value when there is none.
func (b *broker) note(ctx context.Context, key string) (edge.Note, error) {
	e, err := b.notesUnder(key).Get(ctx, key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return edge.Note{}, ErrNoNote
	case err != nil:
		return edge.Note{}, fmt.Errorf("ask ledger: %w", err)
	}
	return edge.Note{Key: key, Value: e.Value(), Revision: e.Revision()}, nil
}

// Notes returns the notes whose keys begin with prefix and a dot, sorted by
// key; all notes for "". A dot at prefix's own end is allowed and changes
// nothing. The caller owns the notes. While notes change, each is as it was at
// some moment of the call.
func (s *Stream) Notes(ctx context.Context, prefix string) (notes []edge.Note, err error) {
	prefix = strings.TrimSuffix(prefix, ".")
	if prefix != "" && !validNoteKey(prefix) {
		return nil, nil
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		if prefix != "" {
			notes, err = listNotes(ctx, b.notesUnder(prefix), prefix+".>")
			return err
		}
		if notes, err = listNotes(ctx, b.notes, ">"); err != nil {
			return err
		}
		reserved, err := listNotes(ctx, b.reserve, ">")
		notes = append(notes, reserved...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list notes: %w", err)
	}
	slices.SortFunc(notes, func(a, b edge.Note) int { return cmp.Compare(a.Key, b.Key) })
	return notes, nil
}

// listNotes returns what of a store matches a filter, in any order.
func listNotes(ctx context.Context, from jetstream.KeyValue, filter string) ([]edge.Note, error) {
	watcher, err := from.Watch(ctx, filter, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("ask ledger: %w", err)
	}
	// It fails only when the watcher has ended by itself.
	defer func() { _ = watcher.Stop() }()
	var notes []edge.Note
	at := make(map[string]int)
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil, errors.New("ask ledger: the answer broke off")
			case e == nil:
				return notes, nil
			case !validNoteKey(e.Key()):
				continue // the Stream's own
			}
			n := edge.Note{Key: e.Key(), Value: e.Value(), Revision: e.Revision()}
			if i, again := at[n.Key]; again {
				notes[i] = n
				continue
			}
			at[n.Key] = len(notes)
			notes = append(notes, n)
		}
	}
}

func checkNote(key string, value []byte) error {
	switch {
	case !validNoteKey(key):
		return fmt.Errorf("%w: key is not of 1 to %d characters a-z, 0-9, -, _, = and /, in words between dots", ErrInvalid, maxNoteKeyBytes)
	case len(value) == 0 || len(value) > edge.MaxNoteBytes:
		return fmt.Errorf("%w: %d bytes, 1 to %d are allowed", ErrInvalid, len(value), edge.MaxNoteBytes)
	case !json.Valid(value):
		return fmt.Errorf("%w: not a JSON document", ErrInvalid)
	}
	return nil
}

// validNoteKey reports whether key is a key of the ledger. The Stream's own
// keys are of capitals.
func validNoteKey(key string) bool {
	if key == "" || len(key) > maxNoteKeyBytes {
		return false
	}
	for word := range strings.SplitSeq(key, ".") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-_=/") != "" {
			return false
		}
	}
	return true
}
