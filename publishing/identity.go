// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// MaxIdentityKeys is how many keys of a site count at once: the one in use and the one
// that takes its place.
const MaxIdentityKeys = 2

// identitySecretBytes is the length of a shared secret, that of the hash.
const identitySecretBytes = 32

// An IdentityKey is a key by which a site says who has signed in, in tokens that its
// server makes.
type IdentityKey struct {
	// ID names the key without giving it away.
	ID string `json:"id"`
	// Algorithm is its JWS name: HS256, EdDSA or ES256.
	Algorithm string    `json:"algorithm"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	// Public is a public key in PEM, empty for a shared secret.
	Public string `json:"public,omitempty"`
}

// A StoredIdentityKey is an IdentityKey as the store has it.
type StoredIdentityKey struct {
	IdentityKey
	// Sealed is a shared secret, sealed by the node's key for its site.
	Sealed string `json:"sealed,omitempty"`
}

// CreateIdentityKey makes a shared secret for a site, which is returned as base64url
// this once, or takes in its public key in PEM if that is not empty. A site has
// MaxIdentityKeys at most: revoke the older one before there is a third. It needs the
// role admin.
func (d *Desk) CreateIdentityKey(ctx context.Context, by Actor, site, public string) (secret string, key IdentityKey, err error) {
	if err := by.need(Admin, site); err != nil {
		return "", IdentityKey{}, err
	}
	if !edge.ValidSite(site) {
		return "", IdentityKey{}, refuse(CodeInvalid, "site", "%.70q is not a site's id", site)
	}
	stored := StoredIdentityKey{IdentityKey: IdentityKey{ID: newID(), Algorithm: "HS256", By: by.Name, At: d.now(), Public: public}}
	if public != "" {
		if stored.Algorithm, err = d.o.ParsePublic(public); err != nil {
			return "", IdentityKey{}, because(CodeInvalid, "public", "the key", err)
		}
	} else {
		var random [identitySecretBytes]byte
		rand.Read(random[:])
		secret = base64.RawURLEncoding.EncodeToString(random[:])
		stored.Sealed = d.o.SealSecret(site, random[:])
	}
	keys, revision, err := d.identityKeys(ctx, site)
	if err != nil {
		return "", IdentityKey{}, err
	}
	if len(keys) >= MaxIdentityKeys {
		return "", IdentityKey{}, refuse(CodeQuota, "", "site %s has %d keys: revoke the one that is no longer used, %s is the oldest", site, len(keys), keys[0].ID)
	}
	err = d.putIdentityKeys(ctx, by, site, Entry{Act: ActIdentityKey, Site: site, Token: stored.ID, Detail: stored.Algorithm}, append(keys, stored), revision)
	if err != nil {
		return "", IdentityKey{}, err
	}
	return secret, stored.IdentityKey, nil
}

// IdentityKeys returns a site's keys, oldest first. It needs the role admin.
func (d *Desk) IdentityKeys(ctx context.Context, by Actor, site string) ([]IdentityKey, error) {
	if err := by.need(Admin, site); err != nil {
		return nil, err
	}
	stored, _, err := d.identityKeys(ctx, site)
	keys := []IdentityKey{}
	for _, k := range stored {
		keys = append(keys, k.IdentityKey)
	}
	return keys, err
}

// RevokeIdentityKey ends a key. It needs the role admin.
func (d *Desk) RevokeIdentityKey(ctx context.Context, by Actor, site, id string) error {
	if err := by.need(Admin, site); err != nil {
		return err
	}
	keys, revision, err := d.identityKeys(ctx, site)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(k StoredIdentityKey) bool { return k.ID == id })
	if i < 0 {
		return refuse(CodeNotFound, "id", "site %s has no key %.16q", site, id)
	}
	e := Entry{Act: ActRevokeIdentity, Site: site, Token: id, Detail: keys[i].Algorithm}
	return d.putIdentityKeys(ctx, by, site, e, slices.Delete(keys, i, i+1), revision)
}

// StoredIdentityKeys returns the keys of every site. It is for a node that checks
// tokens; no actor is told.
func (d *Desk) StoredIdentityKeys(ctx context.Context) (map[string][]StoredIdentityKey, error) {
	notes, err := d.o.Notes.Notes(ctx, identityNotes)
	if err != nil {
		return nil, storeError(err, "", "identity keys")
	}
	of := make(map[string][]StoredIdentityKey)
	for _, n := range notes {
		var keys []StoredIdentityKey
		if err := read(n, &keys); err != nil {
			return nil, storeError(err, "", "identity keys")
		}
		of[strings.TrimPrefix(n.Key, identityKey(""))] = keys
	}
	return of, nil
}

// IdentityChanges counts how often a key was made or revoked at this desk. Other desks
// of the same store are not counted.
func (d *Desk) IdentityChanges() uint64 { return d.identities.Load() }

// identityKeys returns a site's keys and the revision of their note, 0 for none.
func (d *Desk) identityKeys(ctx context.Context, site string) (keys []StoredIdentityKey, revision uint64, err error) {
	value, revision, err := d.o.Notes.Note(ctx, identityKey(site))
	if errors.Is(err, edge.ErrNone) {
		return nil, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &keys)
	}
	if err != nil {
		return nil, 0, storeError(fmt.Errorf("identity keys: %w", err), "", "identity keys")
	}
	return keys, revision, nil
}

func (d *Desk) putIdentityKeys(ctx context.Context, by Actor, site string, e Entry, keys []StoredIdentityKey, revision uint64) error {
	value, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	err = d.withEntry(ctx, by, e, func() error {
		_, err := d.o.Notes.PutNote(ctx, identityKey(site), value, revision)
		return err
	})
	d.identities.Add(1)
	return storeError(err, "", "identity keys")
}

const identityNotes = "identity"

func identityKey(site string) string { return identityNotes + "." + site }
