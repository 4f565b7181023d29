// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/identity"
	"github.com/nearside/nearside/publishing"
)

// identityTime bounds a look at the store that a page waits for. How old what is known
// may be is as with servers' keys: keysAge, keysStale and keysDead.
const identityTime = 50 * time.Millisecond

// identities are the keys by which sites say who has signed in, as the store has
// them. It is safe for concurrent use.
type identities struct {
	desk   *publishing.Desk
	sealer *edge.Sealer
	log    *slog.Logger
	now    func() time.Time

	reading sync.Mutex // held by whoever reads the store
	failing bool       // guarded by reading
	known   atomic.Pointer[knownIdentities]
}

// knownIdentities are the keys as they were read last. They never change.
type knownIdentities struct {
	at, tried time.Time
	change    uint64 // of the desk's, before they were read
	of        map[string][]identity.Key
}

func newIdentities(desk *publishing.Desk, sealer *edge.Sealer, log *slog.Logger) *identities {
	n := &identities{desk: desk, sealer: sealer, log: log, now: time.Now}
	n.known.Store(&knownIdentities{})
	return n
}

// Customer implements collector.Identities.
func (n *identities) Customer(site, token string, now time.Time) (customer, code string) {
	known := n.current()
	if n.now().Sub(known.at) >= keysDead {
		return "", edge.IdentifyUnavailable
	}
	customer, err := identity.Verify(token, site, known.of[site], now)
	if refusal, ok := errors.AsType[*identity.Refusal](err); ok {
		return "", refusal.Code
	}
	return strings.Clone(customer), ""
}

// current returns the keys as they are, or were a moment ago.
func (n *identities) current() *knownIdentities {
	now, known := n.now(), n.known.Load()
	switch age := now.Sub(known.tried); {
	case known.change != n.desk.IdentityChanges(), age >= keysStale:
		n.reading.Lock()
		defer n.reading.Unlock()
		if again := n.known.Load(); again != known {
			return again // somebody else did
		}
		return n.read(now)
	case age >= keysAge && n.reading.TryLock(): // the others need not wait for it
		defer n.reading.Unlock()
		return n.read(now)
	}
	return known
}

// read reads the store; n.reading is held. While it cannot be read nothing can be
// revoked either, and what was known last counts for a while.
func (n *identities) read(now time.Time) *knownIdentities {
	ctx, cancel := context.WithTimeout(context.Background(), identityTime)
	defer cancel()
	next := &knownIdentities{at: now, tried: now, change: n.desk.IdentityChanges()}
	stored, err := n.desk.StoredIdentityKeys(ctx)
	if err == nil {
		next.of = n.open(stored)
	}
	if failed := err != nil; failed != n.failing {
		if n.failing = failed; failed {
			n.log.Error("read identity keys", "error", err) // once, until it works again
		}
	}
	if err != nil {
		last := n.known.Load()
		next.at, next.of = last.at, last.of
	}
	n.known.Store(next)
	return next
}

// open opens what is sealed. A key that cannot be opened is left out: the others
// count.
func (n *identities) open(stored map[string][]publishing.StoredIdentityKey) map[string][]identity.Key {
	of := make(map[string][]identity.Key, len(stored))
	for site, keys := range stored {
		for _, k := range keys {
			key, err := n.openKey(site, &k)
			if err != nil {
				n.log.Error("an identity key cannot be used", "site", site, "key", k.ID, "error", err)
				continue
			}
			of[site] = append(of[site], key)
		}
	}
	return of
}

func (n *identities) openKey(site string, k *publishing.StoredIdentityKey) (identity.Key, error) {
	if k.Public != "" {
		return identity.ParsePublic([]byte(k.Public))
	}
	secret, err := n.sealer.OpenSecret(site, k.Sealed)
	if err != nil {
		return identity.Key{}, err
	}
	return identity.Secret(secret)
}

// publicAlgorithm returns of which algorithm a public key in PEM is.
func publicAlgorithm(pem string) (string, error) {
	key, err := identity.ParsePublic([]byte(pem))
	return key.Algorithm(), err
}
