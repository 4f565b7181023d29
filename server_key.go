// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/publishing"
)

// Times of what a node knows of servers' keys. One that is made or revoked at this
// node counts at once; another node's counts after keysAge, or keysStale where
// there is little to do.
const (
	keysAge   = time.Second
	keysAgain = 250 * time.Millisecond // between looks at the store for keys that are not known
	keysStale = 3 * time.Second        // what is older is waited for
	keysDead  = time.Minute            // what is older, for the store cannot be read, opens nothing
	keysTime  = 2 * time.Second        // for one look at the store
)

// errKeysUnread reports keys that cannot be told, for the store cannot be read.
var errKeysUnread = errors.New("servers' keys cannot be read")

// serverKeys are the keys of the sites' servers as the store has them. All are
// held in memory by their hash, so a key that is wrong costs one hash and a
// look-up, and makes the store be read four times a second at most. It is safe
// for concurrent use.
type serverKeys struct {
	desk *publishing.Desk
	log  *slog.Logger
	now  func() time.Time

	reading sync.Mutex // held by whoever reads the store
	failing bool       // the last reading failed; guarded by reading
	known   atomic.Pointer[knownKeys]
}

// knownKeys are the keys as they were read last. They never change.
type knownKeys struct {
	at     time.Time // when they were read
	tried  time.Time // when reading them was last tried
	change uint64    // of the desk's, before they were read
	tokens map[publishing.SecretHash]publishing.Token
}

func newServerKeys(desk *publishing.Desk, log *slog.Logger) *serverKeys {
	k := &serverKeys{desk: desk, log: log, now: time.Now}
	k.known.Store(&knownKeys{})
	return k
}

// Key implements collector.Keys.
func (k *serverKeys) Key(secret string) (collector.Access, error) {
	hash, ok := publishing.HashSecret(secret)
	if !ok {
		return collector.Access{}, collector.ErrNoKey
	}
	now := k.now()
	known := k.known.Load()
	switch age := now.Sub(known.tried); {
	case known.change != k.desk.TokenChanges():
		known = k.read(now, 0)
	case age >= keysStale:
		known = k.read(now, keysAge)
	case age >= keysAge && k.reading.TryLock(): // the others need not wait for it
		known = k.readLocked(now)
		k.reading.Unlock()
	}
	token, found := known.tokens[hash]
	if !found && now.Sub(known.tried) >= keysAgain {
		known = k.read(now, keysAgain)
		token, found = known.tokens[hash]
	}
	switch {
	case now.Sub(known.at) >= keysDead:
		return collector.Access{}, errKeysUnread
	case !found, !token.Expires.IsZero() && !now.Before(token.Expires):
		return collector.Access{}, collector.ErrNoKey
	}
	return accessOf(token.Actor), nil
}

// accessOf is what a server's token opens.
func accessOf(a publishing.Actor) collector.Access {
	return collector.Access{Every: a.Serves(publishing.AnySite), Sites: a.Sites}
}

// read reads the store unless somebody else did within an age or, with none, since
// the last change.
func (k *serverKeys) read(now time.Time, age time.Duration) *knownKeys {
	k.reading.Lock()
	defer k.reading.Unlock()
	if known := k.known.Load(); now.Sub(known.tried) < age || age == 0 && known.change == k.desk.TokenChanges() {
		return known
	}
	return k.readLocked(now)
}

// readLocked reads the store. While it cannot be read nothing can be revoked
// either, and what was known last counts for a while.
func (k *serverKeys) readLocked(now time.Time) *knownKeys {
	ctx, cancel := context.WithTimeout(context.Background(), keysTime)
	defer cancel()
	change := k.desk.TokenChanges()
	tokens, err := k.desk.ServerTokens(ctx)
	known := &knownKeys{now, now, change, tokens}
	if failed := err != nil; failed != k.failing {
		if k.failing = failed; failed {
			k.log.Error("read servers' keys", "error", err) // once, until it works again
		}
	}
	if err != nil {
		last := k.known.Load()
		known.at, known.tokens = last.at, last.tokens
	}
	k.known.Store(known)
	return known
}
