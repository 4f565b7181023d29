// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// A ReleaseUpdate is one thing that WatchReleases has to tell.
type ReleaseUpdate struct {
	// Complete says that the present state has been told; the update says
	// nothing else. It comes once.
	Complete bool
	Site     string
	Number   uint64
	// Doc is the document of a release that went live; the receiver owns it.
	Doc []byte
	// Err says that a release went live whose document cannot be used. The
	// release before it should go on serving.
	Err error
}

// watchRetry is the pause before a watch that broke off starts again.
const watchRetry = 200 * time.Millisecond

// WatchReleases calls fn for each site's live release, then once with
// Complete, and then for each change, one at a time. A release whose document
// is missing or damaged comes with Err. When several changes come close
// together, fn may be told the last only.
//
// It returns when ctx ends, with nil, or the Stream is closed, with ErrClosed,
// and goes on across a replaced server.
func (s *Stream) WatchReleases(ctx context.Context, fn func(ReleaseUpdate)) error {
	w := watch{told: make(map[string]edge.Published), fn: fn}
	return s.keepWatching(ctx, "releases", w.follow)
}

// keepWatching calls follow with one broker after another, until ctx ends, with nil,
// or the Stream is closed, with ErrClosed.
func (s *Stream) keepWatching(ctx context.Context, what string, follow func(context.Context, *broker) error) error {
	for {
		err := s.withBroker(ctx, follow)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrClosed):
			return err
		case err != nil:
			s.o.Logger.Warn("watching "+what+" broke off", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchRetry):
		}
	}
}

// A watch remembers what it has told, because each watcher tells the present
// state again.
type watch struct {
	told     map[string]edge.Published
	complete bool
	fn       func(ReleaseUpdate)
}

// follow tells what one broker's watcher says until it ends.
func (w *watch) follow(ctx context.Context, b *broker) error {
	watcher, err := b.pointers.Watch(ctx, "*", jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("watch releases: %w", err)
	}
	// It fails only when the watcher has ended by itself.
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil
			case e != nil:
				w.tell(ctx, b, e)
			case !w.complete:
				w.complete = true
				w.fn(ReleaseUpdate{Complete: true})
			}
		}
	}
}

// tell hands one live release on, unless it was told before.
func (w *watch) tell(ctx context.Context, b *broker, e jetstream.KeyValueEntry) {
	u := ReleaseUpdate{Site: e.Key()}
	p, err := decodePointer(e.Value())
	if err == nil {
		if w.told[u.Site] == p {
			return
		}
		u.Number = p.Number
		u.Doc, err = b.body(ctx, p.Hash)
	}
	switch {
	case err == nil:
		w.told[u.Site] = p
	case ctx.Err() != nil:
		return // the next watcher tells it again
	default:
		u.Err = fmt.Errorf("release of site %s: %w", u.Site, err)
	}
	w.fn(u)
}
