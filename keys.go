// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// A keyring keeps a sealer's ring of keys what the store has. It is safe for
// concurrent use.
type keyring struct {
	sealer *edge.Sealer
	events *stream.Stream
	log    *slog.Logger
	first  edge.KeyRing // what counts while the store has none

	mu       sync.Mutex
	ring     edge.KeyRing
	revision uint64 // of ring in the store, 0 while there is none
	lacking  bool   // the store may have a newer one that this node cannot read
}

// openKeys returns the keys of a data directory. A store whose keys cannot be read,
// or not without the file that is gone, is an error: to begin with another key
// would make every visitor and every customer somebody else.
func openKeys(data string, events *stream.Stream, log *slog.Logger) (*keyring, error) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	document, revision, err := events.KeyRing(ctx)
	if err != nil {
		return nil, fmt.Errorf("open sealing keys: %w: restore a backup; docs/OPERATING.md, Keys, says what else there is", err)
	}
	path := filepath.Join(data, keyFile)
	if revision > 0 && !exists(path) {
		return nil, fmt.Errorf("open sealing keys: %s is gone, and without it nothing opens the keys that were made since: put it back from a backup", path)
	}
	sealer, made, err := openSealer(data)
	if err != nil {
		return nil, err
	}
	k := &keyring{sealer: sealer, events: events, log: log, first: sealer.FirstRing(made)}
	ring := k.first
	if revision > 0 {
		if ring, err = sealer.OpenRing(document); err != nil {
			return nil, fmt.Errorf("open sealing keys: %w: is %s the one that these data were made with? Put it back from a backup", err, path)
		}
	}
	k.put(ring, revision)
	return k, nil
}

// put brings a ring into use unless a newer one is.
func (k *keyring) put(ring edge.KeyRing, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if revision >= k.revision {
		k.ring, k.revision, k.lacking = ring, revision, false
		k.sealer.SetRing(ring, false)
	}
}

// doubt goes on with the ring that is in use, although there may be a newer one.
func (k *keyring) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lacking = true
	k.sealer.SetRing(k.ring, true)
}

// watch takes in what other nodes do to the ring, until ctx ends.
func (k *keyring) watch(ctx context.Context) error { return k.events.WatchKeyRing(ctx, k.take) }

// take takes in what the store tells.
func (k *keyring) take(u stream.KeyRingUpdate) {
	ring, err := k.first, u.Err
	switch {
	case err != nil:
	case u.Revision > 0:
		ring, err = k.sealer.OpenRing(u.Document)
	case k.known() > 0:
		err = stream.ErrKeyRing
	}
	if err == nil {
		k.put(ring, u.Revision)
		return
	}
	k.doubt()
	if errors.Is(err, stream.ErrKeyRing) || errors.Is(err, edge.ErrKeyRing) {
		k.log.Error("the sealing keys in the store cannot be read; those that are known go on", "error", err)
	}
}

func (k *keyring) known() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revision
}

// Keys implements console.Keys.
func (k *keyring) Keys(context.Context) ([]edge.KeyStatus, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ring.Keys(time.Now()), nil
}

// Rotate implements console.Keys.
func (k *keyring) Rotate(ctx context.Context, notice time.Duration, note func(string, func() error) error) (made edge.KeyStatus, err error) {
	err = k.change(ctx, func(r edge.KeyRing) (edge.KeyRing, string, error) {
		next, err := k.sealer.Rotate(r, time.Now(), notice)
		if err != nil {
			return r, "", err
		}
		all := next.Keys(time.Now())
		made = all[len(all)-1]
		return next, fmt.Sprintf("key %d, seals from %s", made.Number, made.From.Format(time.RFC3339)), nil
	}, note)
	return made, err
}

// Retire implements console.Keys. How old a key is, the log's clock says, which
// follows no jump of the machine's.
func (k *keyring) Retire(ctx context.Context, number int, early bool, note func(string, func() error) error) (was edge.KeyStatus, err error) {
	err = k.change(ctx, func(r edge.KeyRing) (edge.KeyRing, string, error) {
		next, err := r.Retire(number, k.events.Now(), early)
		if err != nil {
			return r, "", err
		}
		detail := fmt.Sprintf("key %d", number)
		for _, key := range r.Keys(time.Now()) {
			if key.Number == number {
				was = key
			}
		}
		if k.events.Now().Before(was.Retirable) {
			detail += fmt.Sprintf(", before %s", was.Retirable.Format(time.RFC3339))
		}
		return next, detail, nil
	}, note)
	return was, err
}

// change makes another ring of the stored one, notes it, and brings it into use.
func (k *keyring) change(ctx context.Context, next func(edge.KeyRing) (edge.KeyRing, string, error), note func(string, func() error) error) error {
	document, revision, err := k.events.KeyRing(ctx)
	ring := k.first
	if err == nil && revision > 0 {
		ring, err = k.sealer.OpenRing(document)
	}
	if err != nil {
		return keyError(err)
	}
	ring, detail, err := next(ring)
	if err != nil {
		return keyError(err)
	}
	if document, err = ring.Document(); err != nil {
		return fmt.Errorf("store sealing keys: %w", err)
	}
	return note(detail, func() error {
		changed, err := k.events.PutKeyRing(ctx, document, revision)
		if err != nil {
			return keyError(err)
		}
		k.put(ring, changed)
		return nil
	})
}

// keyError says what is wrong in the admin API's words.
func keyError(err error) error {
	if refused, ok := errors.AsType[*edge.KeyError](err); ok {
		return &publishing.Error{Code: refused.Code, Field: "key", Message: refused.Message, Err: err}
	}
	if errors.Is(err, edge.ErrChanged) {
		return &publishing.Error{Code: publishing.CodeConflict, Message: "somebody else changed the keys meanwhile: look at them and try again", Err: err}
	}
	return &publishing.Error{Code: publishing.CodeUnavailable, Message: err.Error(), Err: err}
}

// writeMetrics writes how many keys there are and how old the one is that seals.
func (k *keyring) writeMetrics(w io.Writer, now time.Time) {
	k.mu.Lock()
	keys, lacking := k.ring.Keys(now), k.lacking
	k.mu.Unlock()
	gauge(w, "nearside_keys", "sealing keys that open what they sealed", uint64(len(keys)))
	for _, key := range keys {
		if key.State == edge.KeySealing {
			gauge(w, "nearside_key_age_seconds", "how long the key that seals has done so", uint64(max(0, now.Sub(key.From)/time.Second)))
		}
	}
	known := uint64(1)
	if lacking {
		known = 0
	}
	gauge(w, "nearside_keys_known", "whether the newest sealing keys of the store are known to be those in use: 1 or 0", known)
}
