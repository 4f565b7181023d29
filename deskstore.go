// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// A deskStore is the stream as a publishing.Desk sees it.
type deskStore struct{ *stream.Stream }

// PutRelease implements publishing.Releases.
func (s deskStore) PutRelease(ctx context.Context, site string, follows, number uint64, doc []byte) error {
	err := s.Stream.PutRelease(ctx, site, follows, number, doc)
	if _, raced := errors.AsType[*stream.ConflictError](err); raced {
		err = errors.Join(publishing.ErrChanged, err)
	}
	return err
}

// Release implements publishing.Releases.
func (s deskStore) Release(ctx context.Context, site string, number uint64) (publishing.Published, []byte, error) {
	p, doc, err := s.Stream.Published(ctx, site, number)
	return publishing.Published(p), doc, missing(err)
}

// History implements publishing.Releases.
func (s deskStore) History(ctx context.Context, site string) (all []publishing.Published, err error) {
	stored, err := s.Stream.History(ctx, site)
	for _, p := range stored {
		all = append(all, publishing.Published(p))
	}
	return all, err
}

// PutNote implements publishing.Notes.
func (s deskStore) PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	next, err := s.Stream.PutNote(ctx, key, value, revision)
	if _, raced := errors.AsType[*stream.NoteConflictError](err); raced {
		err = errors.Join(publishing.ErrChanged, err)
	}
	return next, err
}

// DeleteNote implements publishing.Notes.
func (s deskStore) DeleteNote(ctx context.Context, key string, revision uint64) error {
	err := s.Stream.DeleteNote(ctx, key, revision)
	if _, raced := errors.AsType[*stream.NoteConflictError](err); raced {
		err = errors.Join(publishing.ErrChanged, err)
	}
	return err
}

// Note implements publishing.Notes.
func (s deskStore) Note(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := s.Stream.Note(ctx, key)
	return value, revision, missing(err)
}

// Notes implements publishing.Notes.
func (s deskStore) Notes(ctx context.Context, prefix string, each func(key string, value []byte, revision uint64) error) error {
	notes, err := s.Stream.Notes(ctx, prefix)
	if err != nil {
		return err
	}
	for _, n := range notes {
		if err := each(n.Key, n.Value, n.Revision); err != nil {
			return err
		}
	}
	return nil
}

// Module implements publishing.Modules.
func (s deskStore) Module(ctx context.Context, hash string) ([]byte, error) {
	wasm, err := s.Stream.Module(ctx, hash)
	return wasm, missing(err)
}

// Audit implements publishing.Audits.
func (s deskStore) Audit(ctx context.Context, site string, each func(seq uint64, at time.Time, entry []byte) error) error {
	err := s.Stream.Audit(ctx, site, each)
	if errors.Is(err, stream.ErrAuditBroken) {
		err = errors.Join(publishing.ErrBroken, err)
	}
	return err
}

// missing says in the desk's words that there is nothing.
func missing(err error) error {
	if errors.Is(err, stream.ErrNoNote) || errors.Is(err, stream.ErrNoRelease) || errors.Is(err, stream.ErrNoModule) {
		return errors.Join(publishing.ErrNone, err)
	}
	return err
}
