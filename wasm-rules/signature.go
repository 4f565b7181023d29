// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"sync/atomic"

	"aead.dev/minisign"

	"github.com/nearside/nearside/edge"
)

// Keys are the public keys that an operator trusts to sign modules. No keys
// trust every module. They are safe for concurrent use.
type Keys []minisign.PublicKey

// A keyring holds the keys that are trusted now. The zero value has none.
type keyring struct{ now atomic.Pointer[Keys] }

func (r *keyring) store(keys Keys) { r.now.Store(&keys) }

func (r *keyring) verify(site string, ref edge.ModuleRef) error {
	if keys := r.now.Load(); keys != nil {
		return keys.Verify(site, ref)
	}
	return nil
}

// Trust replaces the keys that must sign modules, for what is loaded and checked
// from now on. Rules that are loaded stay: who takes a key away takes the
// modules that it signed out of the releases too.
func (h *Host) Trust(keys Keys) { h.keys.store(keys) }

// ParseKey reads a public key as minisign writes it: the contents of a .pub file,
// or its second line alone.
func ParseKey(text string) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return key, fmt.Errorf("trusted key: %w", err)
	}
	return key, nil
}

// SignedText is what a publisher signs with minisign so that a module may be
// used at a site: `minisign -S -m FILE` of a file that holds this and nothing
// else.
func SignedText(site string, ref edge.ModuleRef) []byte {
	return fmt.Appendf(nil, "nearside module\nsite: %s\nname: %s\nversion: %s\nsha256: %s\n", site, ref.Name, ref.Version, ref.Hash)
}

// Verify checks that one of the keys signed this module for this site. Without
// keys everything is right. The error is a *ModuleError.
func (k Keys) Verify(site string, ref edge.ModuleRef) error {
	switch {
	case len(k) == 0:
		return nil
	case ref.Signature == "":
		return &ModuleError{CodeUnsigned, errors.New("signature: there is none, and this node only takes signed modules")}
	case len(ref.Signature) > edge.MaxSignatureBytes:
		return &ModuleError{CodeBadSignature, fmt.Errorf("signature: %d bytes, at most %d", len(ref.Signature), edge.MaxSignatureBytes)}
	}
	var s minisign.Signature
	if err := s.UnmarshalText([]byte(ref.Signature)); err != nil {
		return &ModuleError{CodeBadSignature, errors.New("signature: not in minisign's format")}
	}
	text := SignedText(site, ref)
	known := false
	for _, key := range k {
		if key.ID() != s.KeyID {
			continue
		}
		if minisign.Verify(key, text, []byte(ref.Signature)) {
			return nil
		}
		known = true
	}
	if !known {
		return &ModuleError{CodeBadSignature, fmt.Errorf("signature: by key %016X, which is not trusted here", s.KeyID)}
	}
	return &ModuleError{CodeBadSignature, fmt.Errorf("signature: does not cover %s of this hash at site %q", ref.ID(), site)}
}
