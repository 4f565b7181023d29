// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// A Mark is how far a durable reader of the log is.
type Mark struct {
	// Seq is the newest message that the reader is done with.
	Seq uint64 `json:"seq"`
	// Forgets is the number of the newest forgetting that it is done with.
	Forgets uint64 `json:"forgets"`
}

const (
	markPrefix   = "mark."
	personPrefix = "person." // who is to be forgotten
	erasedPrefix = "erased." // who was
)

// ErrNoMark reports a reader that has none: an edge.ErrNone.
var ErrNoMark error = missing("no such mark")

// PutMark remembers on disk how far a reader is. The error is ErrInvalid for a
// name that is no sink's.
func (s *Stream) PutMark(ctx context.Context, reader string, m Mark) error {
	if !ValidSink(reader) {
		return fmt.Errorf("put mark: %w", ErrInvalid)
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(ctx context.Context, b *broker) error {
		_, err := b.flow.Put(ctx, markPrefix+reader, value)
		return err
	})
	if err != nil {
		return fmt.Errorf("put mark %s: %w", reader, err)
	}
	return nil
}

// MarkOf returns how far a reader is, or ErrNoMark.
func (s *Stream) MarkOf(ctx context.Context, reader string) (m Mark, err error) {
	if !ValidSink(reader) {
		return m, ErrNoMark
	}
	err = s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		e, err := b.flow.Get(ctx, markPrefix+reader)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return ErrNoMark
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(e.Value(), &m)
	})
	if err != nil {
		return m, fmt.Errorf("read mark %s: %w", reader, err)
	}
	return m, nil
}

// DropMark forgets a reader, and is no error when there is none.
func (s *Stream) DropMark(ctx context.Context, reader string) error {
	if !ValidSink(reader) {
		return nil
	}
	return s.write(ctx, func(ctx context.Context, b *broker) error {
		return b.flow.Purge(ctx, markPrefix+reader, jetstream.PurgeTTL(deletedAge))
	})
}

// Marks returns how far every reader is that has ever put a mark, by name.
func (s *Stream) Marks(ctx context.Context) (map[string]Mark, error) {
	marks := make(map[string]Mark)
	err := s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		return b.eachFlow(ctx, markPrefix, func(e jetstream.KeyValueEntry) error {
			var m Mark
			if err := json.Unmarshal(e.Value(), &m); err != nil {
				return err
			}
			marks[strings.TrimPrefix(e.Key(), markPrefix)] = m
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list marks: %w", err)
	}
	return marks, nil
}

// eachFlow calls fn for what the flow's store holds under a prefix.
func (b *broker) eachFlow(ctx context.Context, prefix string, fn func(jetstream.KeyValueEntry) error) error {
	return b.watchFlow(ctx, prefix, func(e jetstream.KeyValueEntry) (more bool, err error) {
		if e == nil {
			return false, nil
		}
		return true, fn(e)
	})
}

// watchFlow calls fn for what the flow's store holds under a prefix, then with nil,
// and then for each change, until fn wants no more.
func (b *broker) watchFlow(ctx context.Context, prefix string, fn func(jetstream.KeyValueEntry) (more bool, err error)) error {
	watcher, err := b.flow.Watch(ctx, prefix+">", jetstream.IgnoreDeletes())
	if err != nil {
		return fmt.Errorf("ask marks: %w", err)
	}
	// It fails only when the watcher has ended by itself.
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watcher.Updates():
			if !ok {
				return errors.New("ask marks: the answer broke off")
			}
			if more, err := fn(e); err != nil || !more {
				return err
			}
		}
	}
}
