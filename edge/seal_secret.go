// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// secretUse is what the key of secrets is derived for.
const secretUse = "nearside secret 1"

// newSecretSealer returns what seals a node's secrets: a key of its own, derived from
// key 0, so that no rotation and no retirement of a key loses them.
func newSecretSealer(key []byte) (cipher.AEAD, error) {
	derive := hmac.New(sha256.New, key)
	derive.Write([]byte(secretUse))
	return newAEAD(derive.Sum(nil))
}

// SealSecret returns a site's secret sealed for the store.
func (s *Sealer) SealSecret(site string, secret []byte) string {
	nonce := make([]byte, nonceBytes)
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(s.secrets.Seal(nonce, nonce, secret, []byte(site)))
}

// OpenSecret returns what SealSecret sealed for the site.
func (s *Sealer) OpenSecret(site, sealed string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < nonceBytes {
		return nil, errSealed
	}
	secret, err := s.secrets.Open(nil, raw[:nonceBytes], raw[nonceBytes:], []byte(site))
	if err != nil {
		return nil, errSealed
	}
	return secret, nil
}
