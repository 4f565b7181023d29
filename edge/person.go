// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// profileUse is what the key of profiles is derived for; it is part of every
// stored event of a known person.
const profileUse = "nearside profile 1"

// ProfileID returns what a customer is known by in a site's events: a hash of
// the site's own id under this node's key. It has the form of a visitor's id.
// Who has the log and not the key can neither turn it back nor try ids out, and
// one customer's hashes at two sites have nothing in common.
func (s *Sealer) ProfileID(site, customer string) string {
	id := s.profileID(site, customer)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (s *Sealer) profileID(site, customer string) (id [visitorIDBytes]byte) {
	mac := hmac.New(sha256.New, s.profiles[:])
	mac.Write([]byte(site)) // a hash takes everything
	mac.Write([]byte{0})
	mac.Write([]byte(customer))
	var sum [sha256.Size]byte
	copy(id[:], mac.Sum(sum[:0]))
	return id
}

// profileKey derives the key of profiles from the sealing key.
func profileKey(key []byte) (derived [sha256.Size]byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(profileUse))
	mac.Sum(derived[:0])
	return derived
}

// VisitorKey is what the events and records of a visitor or a profile are found
// by, whichever of the two ids it is.
func VisitorKey(site, id string) [16]byte { return visitorKey(site, id) }
