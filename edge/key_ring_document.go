// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A ring is kept as a JSON document:
//
//	{"version":1,"keys":[{"number":0,"made":T,"from":T,"until":T},{"number":1,"made":T,"from":T,"kept":"…"}]}
//
// kept is a key in base64: a nonce and the AES-256-GCM ciphertext of the KeyBytes
// bytes, under a key that is derived from key 0 (HKDF-SHA256, RFC 5869, without
// salt), with keptUse and the key's number as additional data. Key 0 has none: it
// is what whoever opens the document has.
const (
	ringVersion = 1
	ringUse     = "nearside key ring 1"
	keptUse     = "nearside ring key 1"
	keptBytes   = nonceBytes + KeyBytes + tagBytes

	// MaxRingBytes bounds a ring's document.
	MaxRingBytes = 64 << 10
)

// ErrKeyRing reports a document of a ring that cannot be read: damaged, of a newer
// program, or not kept under this sealer's key.
var ErrKeyRing = errors.New("the sealing keys cannot be read")

type ringDocument struct {
	Version int           `json:"version"`
	Keys    []keyDocument `json:"keys"`
}

type keyDocument struct {
	Number byte      `json:"number"`
	Made   time.Time `json:"made"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until,omitzero"`
	Kept   []byte    `json:"kept,omitempty"`
}

// newKeeper returns what a ring's keys are kept under.
func newKeeper(key []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, ringUse, KeyBytes)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return newAEAD(derived)
}

// keep returns a key as a document has it.
func (s *Sealer) keep(number byte, secret []byte) []byte {
	kept := make([]byte, nonceBytes, keptBytes)
	rand.Read(kept)
	return s.keeper.Seal(kept, kept, secret, append([]byte(keptUse), number))
}

// FirstRing returns the ring of a house that has never rotated: key 0 alone, made at
// a time.
func (s *Sealer) FirstRing(made time.Time) KeyRing {
	made = made.UTC().Truncate(time.Millisecond)
	return KeyRing{[]ringKey{{number: 0, made: made, from: made, aead: s.first}}}
}

// Document returns the ring as OpenRing reads it, at most MaxRingBytes.
func (r KeyRing) Document() ([]byte, error) {
	doc := ringDocument{Version: ringVersion}
	for _, k := range r.keys {
		doc.Keys = append(doc.Keys, keyDocument{k.number, k.made, k.from, k.until, k.kept})
	}
	return json.Marshal(doc)
}

// OpenRing reads a ring that was kept under the sealer's key. The error is
// ErrKeyRing, and holds nothing of a key.
func (s *Sealer) OpenRing(document []byte) (KeyRing, error) {
	var doc ringDocument
	switch err := json.Unmarshal(document, &doc); {
	case len(document) > MaxRingBytes || err != nil:
		return KeyRing{}, fmt.Errorf("%w: their document is malformed", ErrKeyRing)
	case doc.Version != ringVersion:
		return KeyRing{}, fmt.Errorf("%w: their document has version %d, this program knows %d", ErrKeyRing, doc.Version, ringVersion)
	case len(doc.Keys) == 0 || len(doc.Keys) > MaxRingKeys:
		return KeyRing{}, fmt.Errorf("%w: %d keys, want 1 to %d", ErrKeyRing, len(doc.Keys), MaxRingKeys)
	}
	var r KeyRing
	for i := range doc.Keys {
		k := &doc.Keys[i]
		if r.find(k.Number) >= 0 || k.Until.IsZero() != (i == len(doc.Keys)-1) {
			return KeyRing{}, fmt.Errorf("%w: key %d stands twice or out of place", ErrKeyRing, k.Number)
		}
		aead, err := s.openKept(k)
		if err != nil {
			return KeyRing{}, err
		}
		r.keys = append(r.keys, ringKey{k.Number, k.Made, k.From, k.Until, k.Kept, aead})
	}
	return r, nil
}

// openKept returns a key of a document.
func (s *Sealer) openKept(k *keyDocument) (cipher.AEAD, error) {
	if k.Number == 0 && len(k.Kept) == 0 {
		return s.first, nil
	}
	if k.Number == 0 || len(k.Kept) != keptBytes {
		return nil, fmt.Errorf("%w: key %d is malformed", ErrKeyRing, k.Number)
	}
	secret, err := s.keeper.Open(nil, k.Kept[:nonceBytes], k.Kept[nonceBytes:], append([]byte(keptUse), k.Number))
	if err != nil {
		return nil, fmt.Errorf("%w: key %d was not kept under the key that is here", ErrKeyRing, k.Number)
	}
	return newAEAD(secret)
}
