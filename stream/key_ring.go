// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// The ring of sealing keys is one document under ringKey. Once there is one, the
// reserve says so under ringMark, so that a ring that went missing is not taken for
// one that never was.
const (
	ringKey  = "ring"
	ringMark = "KEYS" // capitals: no note has such a key
)

// ErrKeyRing reports a ring of keys that was there and is not any more.
var ErrKeyRing = errors.New("the sealing keys that were stored are gone")

// errRingWatch reports a watch that broke off, and that goes on.
var errRingWatch = errors.New("the watch broke off")

// A KeyRingUpdate is one thing that WatchKeyRing has to tell.
type KeyRingUpdate struct {
	// Document is the ring, nil while there is none; the receiver owns it.
	Document []byte
	// Revision grows with each change; it is 0 while there is none.
	Revision uint64
	// Err says that nobody knows whether the ring that was told last is the newest
	// still. The next update without it ends that.
	Err error
}

// KeyRing returns the document of the ring of keys and its revision; nil and 0 when
// there never was one. The caller owns the document. The error is ErrKeyRing when
// there was one.
func (s *Stream) KeyRing(ctx context.Context) (document []byte, revision uint64, err error) {
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) (err error) {
		document, revision, err = b.keyRing(ctx)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read sealing keys: %w", err)
	}
	return document, revision, nil
}

func (b *broker) keyRing(ctx context.Context) (document []byte, revision uint64, err error) {
	e, err := b.ring.Get(ctx, ringKey)
	switch {
	case err == nil:
		return e.Value(), e.Revision(), nil
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, 0, err
	}
	_, err = b.reserve.Get(ctx, ringMark)
	switch {
	case err == nil:
		return nil, 0, ErrKeyRing
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, 0, err
	}
	return nil, 0, nil
}

// PutKeyRing makes document, of at most edge.MaxRingBytes, the ring of keys if the
// one that is there has the revision, 0 for none, and returns its next one. The
// error is an edge.ErrChanged when it has another, and ErrInvalid for a document
// that cannot be; while the log is down it is the reason. After another error the
// ring may be changed or not.
func (s *Stream) PutKeyRing(ctx context.Context, document []byte, revision uint64) (next uint64, err error) {
	if len(document) == 0 || len(document) > edge.MaxRingBytes {
		return 0, fmt.Errorf("store sealing keys: %w: %d bytes, 1 to %d are allowed", ErrInvalid, len(document), edge.MaxRingBytes)
	}
	s.rings.Lock()
	defer s.rings.Unlock()
	tried := false
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		held, at, err := b.keyRing(ctx)
		switch {
		case err != nil:
			return err
		case tried && bytes.Equal(held, document): // by the broker that broke off
			next = at
			return b.markRing(ctx)
		case at != revision:
			return edge.ErrChanged
		}
		tried = true
		if next, err = b.swapRing(ctx, document, revision); err != nil {
			return err
		}
		return b.markRing(ctx)
	})
	if err != nil {
		return 0, fmt.Errorf("store sealing keys: %w", err)
	}
	return next, nil
}

func (b *broker) swapRing(ctx context.Context, document []byte, revision uint64) (next uint64, err error) {
	if revision == 0 {
		next, err = b.ring.Create(ctx, ringKey, document)
	} else {
		next, err = b.ring.Update(ctx, ringKey, document, revision)
	}
	if raced(err) {
		err = edge.ErrChanged
	}
	return next, err
}

// DropKeyRing gives the ring up, as if there had never been one. It is for a store
// whose ring cannot be read any more; nothing that its keys sealed opens afterwards.
func (s *Stream) DropKeyRing(ctx context.Context) error {
	s.rings.Lock()
	defer s.rings.Unlock()
	err := s.write(ctx, func(ctx context.Context, b *broker) error {
		if err := b.ring.Purge(ctx, ringKey); err != nil {
			return err
		}
		return b.reserve.Purge(ctx, ringMark, jetstream.PurgeTTL(deletedAge))
	})
	if err != nil {
		return fmt.Errorf("give sealing keys up: %w", err)
	}
	return nil
}

// markRing notes that there is a ring.
func (b *broker) markRing(ctx context.Context) error {
	_, err := b.reserve.Put(ctx, ringMark, []byte(`{}`))
	return err
}

// WatchKeyRing calls fn with the ring of keys, and then with each change as it
// comes, one at a time; where several come close together, with the last perhaps
// only. It returns when ctx ends, with nil, or the Stream is closed, with ErrClosed,
// and goes on across a replaced server.
func (s *Stream) WatchKeyRing(ctx context.Context, fn func(KeyRingUpdate)) error {
	return s.keepWatching(ctx, "sealing keys", func(bound context.Context, b *broker) error {
		err := b.followRing(bound, fn)
		if ctx.Err() == nil {
			fn(KeyRingUpdate{Err: errors.Join(errRingWatch, err)})
		}
		return err
	})
}

// followRing tells what one broker's watcher says until it ends.
func (b *broker) followRing(ctx context.Context, fn func(KeyRingUpdate)) error {
	watcher, err := b.ring.Watch(ctx, ringKey)
	if err != nil {
		return fmt.Errorf("watch sealing keys: %w", err)
	}
	// It fails only when the watcher has ended by itself.
	defer func() { _ = watcher.Stop() }()
	told := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil
			case e == nil && told: // the present state has been told
			case e == nil:
				fn(KeyRingUpdate{})
			case e.Operation() == jetstream.KeyValuePut:
				fn(KeyRingUpdate{Document: e.Value(), Revision: e.Revision()})
				told = true
			default:
				fn(KeyRingUpdate{Err: ErrKeyRing})
				told = true
			}
		}
	}
}
